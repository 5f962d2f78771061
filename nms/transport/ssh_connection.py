"""asyncssh's server connection without what it and TCP spend for nothing here.

It changes when and how bytes go, never what the protocol says; should the library stop to call one of these methods,
nothing but the saving is lost.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, cast

import asyncssh
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_IGNORE

from nms.transport.outbox import Outbox
from nms.transport.ssh_gcm import keyed

#: The library's defaults, written down because `send_packet` rests on it: no cipher chains blocks (CBC).
CIPHERS: Final = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)

#: Linux only.
_QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", None)

#: Seconds by which a keepalive may come too early.
SLACK: Final = 1.0


class ServerConnection(asyncssh.SSHServerConnection):
    """One connection; serve it with `loop.create_server`."""

    _kept = 0.0
    _login: socket.socket | None = None  # while the client logs in
    _can_wait = False  # what is being sent

    def __init__(self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHServerConnectionOptions) -> None:
        super().__init__(loop, options)
        self._outbox = Outbox(loop, super()._send)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected."""
        self._login = transport.get_extra_info("socket")
        super().connection_made(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Bytes from the client; while it logs in they are acknowledged at once.

        OpenSSH's client sends twice in a row there without TCP_NODELAY: its second packet waits for the acknowledgement
        of the first, which the system would hold back for 40 ms.
        """
        if self._login is not None:
            if self.get_extra_info("username") is not None:
                self._login = None
            elif _QUICK_ACK is not None:
                self._login.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        super().data_received(data, datatype)

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """The keys are exchanged: those of AES-GCM are set up once."""
        super().send_newkeys(k, h)
        self._send_encryption = keyed(self._send_encryption)
        self._next_recv_encryption = keyed(self._next_recv_encryption)

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Send a packet, without an empty SSH_MSG_IGNORE before it.

        The library sends one against an attack on CBC ciphers (RFC 4251 section 9.3.1).  With others it protects
        nothing and doubles the work of a reply: each is encrypted, written and received by itself.
        """
        if pkttype != MSG_IGNORE:
            self._can_wait = pkttype == MSG_CHANNEL_DATA
            super().send_packet(pkttype, *args, handler=handler)

    def _send(self, data: bytes) -> None:
        """Write a packet: a session's data together with the other sessions', the protocol's own at once."""
        if self._can_wait:
            self._outbox.put(data)
        else:
            self._outbox.flush()
            super()._send(data)

    def _reset_keepalive_timer(self) -> None:
        """Data has come: the keepalive can wait.  The library makes a new timer for each packet."""
        now = self._loop.time()
        if now - self._kept > SLACK:
            self._kept = now
            super()._reset_keepalive_timer()


def without_packet_log(channel: asyncssh.SSHServerChannel[bytes]) -> None:
    """Keep the library from writing a line for each packet: it does so before it asks whether anybody wants one."""
    channel.log_received_packet = channel.log_sent_packet = _unlogged  # type: ignore[assignment]


def _unlogged(*_: object) -> None:
    pass
