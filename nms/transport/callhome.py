"""Call home, the server's side (RFC 8071 section 4): this side opens the TCP connection, and serves in it.

One `CallHome` per configured client: it tries the client's endpoints in turn, serves until the connection ends and
begins again, at once after a call that lasted, later and later while nobody answers.  Periodic connections are closed
when they are idle and opened again when the period is over.  The words are those of the reconnect-strategy and
connection-type of RFC 8071's data model.  What is served over the connection is the transport's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import asyncssh

from nms.transport.listener import keep_alive

log = logging.getLogger(__name__)

#: Seconds before the endpoints are tried again, doubled with each failure in a row up to the most; half of it random.
FIRST_PAUSE: Final = 1.0
MOST_PAUSE: Final = 120.0

#: Seconds after which a call counts as one that lasted.
LASTING: Final = 30.0

#: Seconds that a call gets to end when it is over for us.
CLOSE_TIME: Final = 1.0

StartWith = Literal["first-listed", "last-connected", "random-selection"]
State = Literal["connecting", "connected", "waiting"]


class Call(Protocol):
    """A connection in which the client has been admitted."""

    @property
    def heard(self) -> float:
        """When the client was last heard of, in the event loop's time."""

    def close(self) -> None:
        """End it."""

    async def wait_closed(self) -> None:
        """Wait for its end."""


class Server(Protocol):
    """`nms.transport.ssh.SshServer` or `nms.transport.tls.TlsServer`."""

    async def call_home(self, connected: socket.socket) -> Call:
        """Serve who is at the other end.  Raises `OSError` or `asyncssh.Error`: it was not admitted."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client to call.

    Attributes:
        protocol: "netconf-ssh" or "netconf-tls".
        endpoints: (host, port), tried in turn.
        start_with: which of them first.
        max_wait: seconds for a TCP connection.
        max_attempts: for each endpoint before the next one.
        period: seconds from one call to the next; None keeps the connection for ever.
        idle_time: seconds without a message until a periodic connection is closed.
    """

    name: str
    protocol: str
    endpoints: tuple[tuple[str, int], ...]
    start_with: StartWith = "first-listed"
    max_wait: float = 5.0
    max_attempts: int = 3
    period: float | None = None
    idle_time: float = 180.0


class CallHome:
    """Calls one client until it is cancelled.

    Args:
        client: whom.
        server: what serves it.
        pause: waits so many seconds; `asyncio.sleep`.

    Attributes:
        state: what it is doing.
        calls: how often the client was reached and admitted.
        failures: attempts that failed since the last call.
        last_error: why the last of them failed, "" after a call.
        endpoint: the last one that answered.
    """

    def __init__(
        self, client: Client, server: Server, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.client = client
        self.state: State = "connecting"
        self.calls = 0
        self.failures = 0
        self.last_error = ""
        self.endpoint: tuple[str, int] | None = None
        self._server = server
        self._pause = pause
        self._in_vain = 0  # rounds and short calls in a row

    async def run(self) -> None:
        """Call, serve, and call again."""
        loop = asyncio.get_running_loop()
        while True:
            self.state = "connecting"
            call = await self._reached()
            began = loop.time()
            if call is not None:
                await self._serve(call)
            lasted = loop.time() - began
            self._in_vain = 0 if call is not None and lasted >= LASTING else self._in_vain + 1
            self.state = "waiting"
            if call is not None and self.client.period is not None:
                self._in_vain = 0
                await self._pause(max(FIRST_PAUSE, self.client.period - lasted))
            elif self._in_vain:
                await self._pause(backoff(self._in_vain))

    async def _reached(self) -> Call | None:
        """The call that one of the endpoints took; None when none did."""
        for host, port in self._order():
            for _ in range(self.client.max_attempts):
                try:
                    call = await self._server.call_home(await _connect(host, port, self.client.max_wait))
                except (OSError, asyncssh.Error) as error:  # TimeoutError and ssl.SSLError are OSErrors
                    self.failures += 1
                    self.last_error = f"{host} port {port}: {str(error) or type(error).__name__}"
                    log.info("call home to %s: %s", self.client.name, self.last_error)
                    continue
                except Exception:  # a fault of ours is no reason to call nobody any more
                    self.failures += 1
                    self.last_error = "internal error; the server's log says more"
                    log.exception("call home to %s failed", self.client.name)
                    continue
                self.calls, self.failures, self.last_error = self.calls + 1, 0, ""
                self.endpoint = (host, port)
                return call
        return None

    def _order(self) -> Sequence[tuple[str, int]]:
        listed = list(self.client.endpoints)
        if self.client.start_with == "random-selection":
            return random.sample(listed, len(listed))
        if self.client.start_with == "last-connected" and self.endpoint in listed:
            first = listed.index(self.endpoint)
            return listed[first:] + listed[:first]
        return listed

    async def _serve(self, call: Call) -> None:
        self.state = "connected"
        loop = asyncio.get_running_loop()
        try:
            while self.client.period is not None:
                left = call.heard + self.client.idle_time - loop.time()
                if left <= 0:
                    call.close()
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        return await call.wait_closed()
            await call.wait_closed()
        finally:
            call.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIME):
                    await call.wait_closed()


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: half of it fixed, half random, so that servers do not march."""
    most = min(MOST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
    return most / 2 + random.random() * most / 2


async def _connect(host: str, port: int, max_wait: float) -> socket.socket:
    """A connected socket that notices when the other side has gone.

    Raises:
        OSError: no address of the host answered in time.
    """
    loop = asyncio.get_running_loop()
    refused: OSError = OSError(f"{host} has no address")
    async with asyncio.timeout(max_wait):
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            connected = socket.socket(family, kind, protocol)
            try:
                connected.setblocking(False)
                keep_alive(connected)
                await loop.sock_connect(connected, address)
            except OSError as error:
                connected.close()
                refused = error
            except BaseException:
                connected.close()
                raise
            else:
                return connected
    raise refused
