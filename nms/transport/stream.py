"""A NETCONF session on an asyncio transport: what TLS and Unix sockets have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, cast

from nms.netconf.exchange import Core
from nms.netconf.framing import Buffer
from nms.netconf.session import NetconfSession
from nms.operations.request import Principal
from nms.transport import listener
from nms.transport.door import Door, Leave
from nms.transport.listener import Listener

log = logging.getLogger(__name__)

#: Bytes of replies that wait in a connection before the session stops to answer.
WRITE_LIMIT: Final = 1024 * 1024

#: The transport -> who is at its other end, and its address for ietf-netconf-monitoring; None refuses it.
Identify = Callable[[asyncio.Transport], tuple[Principal, str] | None]


class StreamSession(asyncio.Protocol):
    """One connection, and the `nms.netconf.session.Transport` of its session.

    Attributes:
        admitted: the client is known and has a session.
        heard: when it was last heard of, in the event loop's time.
    """

    def __init__(self, core: Core, owner: Listener, identify: Identify, door: Door) -> None:
        self.admitted = False
        self.heard = asyncio.get_running_loop().time()
        self._door = door
        self._leave: Leave | None = None
        self._lost = asyncio.Event()
        self._core = core
        self._listener = owner
        self._identify = identify
        self._transport: asyncio.Transport | None = None
        self._session: NetconfSession | None = None
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._listener.connections.add(self)
        identity = self._identify(self._transport)
        if identity is None:
            self.close()
            return
        principal, host = identity
        self._leave = self._door.sessions.take(principal.name)
        if self._leave is None:
            log.warning("%s has no session: there are too many", principal.name)
            self.close()
            return
        self.admitted = True
        protocol, limits = self._listener.protocol, self._door.limits
        self._session = NetconfSession(self._core, principal, protocol, host, self, limits)

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self.heard = asyncio.get_running_loop().time()
            self._session.feed(data)

    def eof_received(self) -> bool:
        if self._session is None:
            return False
        self._session.eof()
        assert self._transport is not None
        # half open: what was asked is still answered; TLS has no such state in asyncio
        return self._transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._lost.set()
        if self._leave is not None:
            self._leave()
        if self._abort is not None:
            self._abort.cancel()
        if self._session is not None:
            self._session.connection_lost()

    async def wait_closed(self) -> None:
        """Wait for the connection's end."""
        await self._lost.wait()

    def write(self, buffers: Sequence[Buffer]) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.writelines(buffers)

    def close(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._transport is not None
        self._transport.close()
        if self._abort is None:
            self._abort = asyncio.get_running_loop().call_later(listener.CLOSE_GRACE, self._transport.abort)

    def abort(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._transport is not None
        self._transport.abort()

    def pause_reading(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._transport is not None
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._transport is not None
        self._transport.resume_reading()
