"""What every transport's `listen` returns: listening sockets with addresses, and the connections they have accepted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

#: (host, port), or the path of a Unix socket.
Address: TypeAlias = tuple[str, int] | str


#: Seconds that a closing connection gets to write what is queued; a client that does not read would keep it for ever.
CLOSE_GRACE: Final = 10.0


class Closable(Protocol):
    """A connection."""

    def close(self) -> None: ...


class Listener:
    """The listening sockets of one transport.

    Attributes:
        protocol: the transport's identity in ietf-netconf-monitoring, e.g. "netconf-ssh".
        connections: those that are open; each adds and removes itself.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.connections: set[Closable] = set()
        self.servers: list[asyncio.Server] = []

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, with the ports that were taken for port 0."""
        names = [socket.getsockname() for server in self.servers for socket in server.sockets]
        return [name if isinstance(name, str) else (name[0], name[1]) for name in names]

    def close(self) -> None:
        """Listen no more, and close what is open (each session's queued replies are still written)."""
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close()

    async def stop(self, within: float = 1.0) -> None:
        """`close`, and wait until the connections have ended, at most `within` seconds."""
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.connections:  # noqa: ASYNC110 - each removes itself; no event says that all have
                    await asyncio.sleep(0.01)
