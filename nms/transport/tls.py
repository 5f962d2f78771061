"""NETCONF over TLS (RFC 7589): the client's certificate is required, and cert-to-name says which user it is.

A connection is a TCP connection first: it holds a place at the door until its handshake is done, so that handshakes
that stall are bounded in time and number.  This module knows no users and no certificates of its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from nms.cert_to_name import fingerprint, verified_chain
from nms.netconf.exchange import Core
from nms.operations.request import Principal
from nms.transport.door import Door, Leave
from nms.transport.listener import Listener, keep_alive
from nms.transport.stream import StreamSession

log = logging.getLogger(__name__)

#: The chain that TLS verified, as DER, the client's certificate first -> who that is, or None.
PrincipalOfCertificate = Callable[[Sequence[bytes]], Principal | None]

#: Seconds that the client gets to answer our close_notify.
SHUTDOWN_TIME: Final = 2.0


def server_context(cert: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or later with a mandatory client certificate.

    Args:
        cert, key: the server's certificate chain and private key (PEM).
        client_ca: the certificates that clients' certificates must lead to (PEM); self-signed ones lead to themselves.

    Raises:
        OSError, ssl.SSLError: a file is missing or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    # A single client certificate may be trusted as it is, without its issuer.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A resumed session has no chain to find a name in, and each connection is to be judged anew.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


class TlsServer:
    """NETCONF over TLS, with the identity that it shows and what it asks about its users.

    Args:
        context: of `server_context`.
        principal: certificates -> who it is; None ends the connection (RFC 7589 section 7).
        door: who counts; shared with the other transports.
    """

    def __init__(
        self, core: Core, context: ssl.SSLContext, *, principal: PrincipalOfCertificate, door: Door | None = None
    ) -> None:
        self.door = door or Door()
        self.context = context
        self._core = core
        self._principal = principal

    async def listen(
        self, addresses: Sequence[tuple[str, int]] = (), sockets: Sequence[socket.socket] = ()
    ) -> Listener:
        """Serve whoever connects.

        Args:
            addresses: (host, port) pairs; port 0 takes a free one, see `Listener.addresses`.
            sockets: that listen already.

        Raises:
            OSError: an address cannot be bound.
        """
        listener = Listener("netconf-tls")
        await listener.open(lambda: _Handshake(self, listener), addresses, sockets)
        return listener

    async def call_home(self, connected: socket.socket) -> StreamSession:
        """Serve the client at the other end of a connection that this side has made (RFC 8071 section 4.1, TLS).

        Returns:
            The call, once the client has shown a certificate of somebody.

        Raises:
            OSError: it has not.
        """
        owner = Listener("netconf-tls")
        loop = asyncio.get_running_loop()
        _, handshake = await loop.create_connection(lambda: _Handshake(self, owner), sock=connected)
        return await handshake.session()

    def open_session(self, owner: Listener) -> StreamSession:
        """A session that waits for its transport."""
        return StreamSession(self._core, owner, self._identify, self.door)

    def _identify(self, transport: asyncio.Transport) -> tuple[Principal, str] | None:
        chain = verified_chain(transport.get_extra_info("ssl_object"))
        host = host_of(transport)
        found = self._principal(chain) if chain else None
        if found is None:
            self.door.failed_logins += 1
            shown = fingerprint(chain[0]) if chain else "of a resumed session"
            log.warning("no user has the client certificate %s of %s", shown, host)
            return None
        return found, host


class _Handshake(asyncio.Protocol):
    """A TCP connection until its TLS handshake is done; then a `StreamSession` takes its place."""

    def __init__(self, server: TlsServer, owner: Listener) -> None:
        self._server = server
        self._owner = owner
        self._outside: Leave | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[StreamSession] | None = None
        self._early = bytearray()  # what the client said with the end of its handshake
        self._lost = False

    async def session(self) -> StreamSession:
        """The session, once the client is known.  Raises `OSError`: it is not."""
        if self._task is None:
            raise ConnectionError("there are too many connections")
        session = await self._task
        if not session.admitted:
            await session.wait_closed()
            raise ConnectionError("the client's certificate is nobody's")
        return session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # until TLS reads
        self._outside = self._server.door.logins.take(host_of(self._transport))
        if self._outside is None:
            self._transport.abort()
            return
        keep_alive(self._transport.get_extra_info("socket"))
        self._owner.connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._shake(self._transport))
        self._task.add_done_callback(self._done)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._leave()

    def close(self) -> None:
        """`nms.transport.listener.Closable`: nothing has been said that would have to be finished."""
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        self._owner.connections.discard(self)
        if self._outside is not None:
            self._outside()

    async def _shake(self, transport: asyncio.Transport) -> StreamSession:
        server, loop = self._server, asyncio.get_running_loop()
        secured = await loop.start_tls(
            transport,
            self,
            server.context,
            server_side=True,
            ssl_handshake_timeout=server.door.limits.login_time,
            ssl_shutdown_timeout=SHUTDOWN_TIME,
        )
        if secured is None or self._lost:
            raise ConnectionResetError("the client has gone")
        session = server.open_session(self._owner)
        secured.set_protocol(session)
        session.connection_made(secured)
        if self._early:
            session.data_received(bytes(self._early))
        return session

    def _done(self, task: asyncio.Task[StreamSession]) -> None:
        self._leave()
        assert self._transport is not None
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            self._server.door.failed_logins += 1
            log.info("no TLS with %s: %s", host_of(self._transport), error)
            self._transport.abort()


def host_of(transport: asyncio.Transport) -> str:
    """The client's address."""
    peer = transport.get_extra_info("peername")
    return peer[0] if peer else ""


async def listen(
    core: Core,
    addresses: Sequence[tuple[str, int]],
    context: ssl.SSLContext,
    *,
    principal: PrincipalOfCertificate,
    door: Door | None = None,
) -> Listener:
    """Serve NETCONF over TLS on `addresses`; the arguments are those of `TlsServer`.

    Raises:
        OSError: an address cannot be bound.
    """
    return await TlsServer(core, context, principal=principal, door=door).listen(addresses)
