"""What every transport's `listen` returns: listening sockets with addresses, and the connections they have accepted."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

#: (host, port), or the path of a Unix socket.
Address: TypeAlias = tuple[str, int] | str

#: Seconds that a closing connection gets to write what is queued; a client that does not read would keep it for ever.
CLOSE_GRACE: Final = 10.0

#: Connections that the kernel keeps until they are accepted.
BACKLOG: Final = 128


#: TCP keep-alive: seconds until the first probe, between probes, and how many may stay unanswered.
KEEPALIVE: Final = (30, 10, 3)


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

    def deafen(self) -> None:
        """Listen no more; what is open stays open."""
        for server in self.servers:
            server.close()

    def close(self) -> None:
        """Listen no more, and close what is open (each session's queued replies are still written)."""
        self.deafen()
        for connection in list(self.connections):
            connection.close()

    async def open(
        self,
        accept: Callable[[], asyncio.BaseProtocol],
        addresses: Sequence[tuple[str, int]],
        sockets: Sequence[socket.socket],
    ) -> None:
        """Serve whoever connects by a protocol of its own.

        Args:
            addresses: (host, port) pairs; port 0 takes a free one, see `addresses`.
            sockets: that listen already.

        Raises:
            OSError: an address cannot be bound; nothing is left open.
        """
        loop = asyncio.get_running_loop()
        try:
            for host, port in addresses:
                self.servers.append(await loop.create_server(accept, host, port))
            for bound in sockets:
                self.servers.append(await loop.create_server(accept, sock=bound))
        except BaseException:
            self.close()
            raise

    async def stop(self, within: float = 1.0) -> None:
        """`close`, and wait until the connections have ended, at most `within` seconds."""
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.connections:  # noqa: ASYNC110 - each removes itself; no event says that all have
                    await asyncio.sleep(0.01)


def keep_alive(connected: socket.socket) -> None:
    """Let the kernel notice a peer that is gone without a word."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in zip((socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT), KEEPALIVE, strict=True):
        connected.setsockopt(socket.IPPROTO_TCP, option, value)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on a numeric address; connections wait in it until a transport takes it over.

    Raises:
        OSError: the address is not this machine's, in use, or not permitted.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    # the zone of a link-local address becomes a number here
    address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0][4]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 is a listener of its own
        bound.bind(address)
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound
