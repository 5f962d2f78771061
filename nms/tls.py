"""The server's end of TLS, below every protocol: its context, and a connection until its handshake is done.

A connection is a TCP connection first.  Who stalls in the handshake holds a place of its address among those who have
not proven who they are, and no more than its socket: handshakes are bounded in time and number.  Knows no users, no
limits and no protocol that is spoken over TLS.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, MutableSet
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

log = logging.getLogger(__name__)

#: Seconds that the client gets to answer our close_notify.
SHUTDOWN_TIME: Final = 2.0


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or later with a server's certificate chain and private key (PEM).

    Raises:
        OSError, ssl.SSLError: a file is missing or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


def ask_for_certificate(context: ssl.SSLContext, client_ca: Path, mode: ssl.VerifyMode) -> None:
    """Ask clients for certificates.

    Args:
        client_ca: the certificates that clients' certificates must lead to (PEM); self-signed ones lead to themselves.
        mode: whether a client may have none.

    Raises:
        OSError, ssl.SSLError: the file is missing or holds something else.
    """
    context.load_verify_locations(client_ca)
    context.verify_mode = mode
    # A single client certificate may be trusted as it is, without its issuer.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # A resumed session has no chain to find a name in, and each connection is to be judged anew.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET


#: Gives a place back; harmless when called again.
Leave: TypeAlias = Callable[[], None]


class Places(Protocol):
    """Places that are taken under a name."""

    def take(self, name: str) -> Leave | None:
        """A place under `name`, None: there is none."""


class Door(Protocol):
    """Counts those who have not proven who they are, for every transport together (`nms.transport.door`)."""

    failed_logins: int

    @property
    def logins(self) -> Places: ...


P = TypeVar("P", bound=asyncio.Protocol)


class Handshake(asyncio.Protocol, Generic[P]):
    """A TCP connection until its handshake is done; then a protocol takes its place.

    Args:
        time: seconds for the handshake.
        under_way: holds this meanwhile, so that it can be closed.
        then: the secured connection, and what gives its place at the door back -> the protocol.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        door: Door,
        time: float,
        under_way: MutableSet[Any],
        then: Callable[[asyncio.Transport, Leave], P],
    ) -> None:
        self._context = context
        self._door = door
        self._time = time
        self._under_way = under_way
        self._then = then
        self._leave: Leave | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[P] | None = None
        self._early = bytearray()  # what the client said with the end of its handshake
        self._lost = False

    async def done(self) -> P:
        """The protocol that has taken the place.

        Raises:
            OSError: the handshake failed, or there was no place at the door.
        """
        if self._task is None:
            raise ConnectionError("there are too many connections")
        return await self._task

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # until TLS reads
        self._leave = self._door.logins.take(host_of(self._transport))
        if self._leave is None:
            self._transport.abort()
            return
        self._under_way.add(self)
        self._task = asyncio.get_running_loop().create_task(self._shake(self._transport, self._leave))
        self._task.add_done_callback(self._done)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    def close(self) -> None:
        """Nothing has been said that would have to be finished."""
        if self._transport is not None:
            self._transport.abort()

    async def _shake(self, transport: asyncio.Transport, leave: Leave) -> P:
        secured = await asyncio.get_running_loop().start_tls(
            transport,
            self,
            self._context,
            server_side=True,
            ssl_handshake_timeout=self._time,
            ssl_shutdown_timeout=SHUTDOWN_TIME,
        )
        if secured is None or self._lost:
            raise ConnectionResetError("the client has gone")
        protocol = self._then(secured, leave)
        self._leave = None  # the protocol's now
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        if self._early:
            protocol.data_received(bytes(self._early))
        return protocol

    def _done(self, task: asyncio.Task[P]) -> None:
        self._under_way.discard(self)
        if self._leave is not None:
            self._leave()
        assert self._transport is not None
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            self._door.failed_logins += 1
            log.info("no TLS with %s: %s", host_of(self._transport), error)
            self._transport.abort()


def host_of(transport: asyncio.Transport) -> str:
    """The client's address."""
    peer = transport.get_extra_info("peername")
    return peer[0] if peer else ""
