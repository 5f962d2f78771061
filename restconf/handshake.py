"""A TCP connection until its TLS handshake is done; then an HTTP `Connection` takes its place.

Whoever stalls here holds a place of its address among those who have not proven who they are, and no more than its
socket; the place goes on with the connection.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import cast

from restconf.http1 import Connection
from restconf.service import Leave, Service

log = logging.getLogger(__name__)

#: Seconds for the end of a TLS connection.
SHUTDOWN_TIME = 2.0


class Handshake(asyncio.Protocol):
    """The server's end."""

    def __init__(self, service: Service, context: ssl.SSLContext) -> None:
        self._service = service
        self._context = context
        self._leave: Leave | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()  # what the client said with the end of its handshake
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # until TLS reads
        self._leave = self._service.door.logins.take(self._host())
        if self._leave is None:
            self._transport.abort()
            return
        self._service.handshakes.add(self)
        self._task = self._service.loop.create_task(self._shake(self._transport))
        self._task.add_done_callback(self._done)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    def abort(self) -> None:
        """Nothing has been said that would have to be finished."""
        if self._transport is not None:
            self._transport.abort()

    def _host(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return peer[0] if peer else ""

    async def _shake(self, transport: asyncio.Transport) -> None:
        secured = await self._service.loop.start_tls(
            transport,
            self,
            self._context,
            server_side=True,
            ssl_handshake_timeout=self._service.limits.login_time,
            ssl_shutdown_timeout=SHUTDOWN_TIME,
        )
        if secured is None or self._lost:
            raise ConnectionResetError("the client has gone")
        connection = Connection(self._service, self._leave)
        self._leave = None
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._service.handshakes.discard(self)
        if self._leave is not None:
            self._leave()
        assert self._transport is not None
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            self._service.door.failed_logins += 1
            log.info("no TLS with %s: %s", self._host(), error)
            self._transport.abort()
