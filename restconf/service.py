"""What the HTTP connections of one listener share: limits, threads, the application, and what has proven slow.

Knows the application by PEP 3333 only and nothing of how a connection reads or writes (`restconf.http1`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from nms.limits import Limits as DaemonLimits
from nms.tls import Door, Handshake, Leave, Places
from restconf.wsgi import Application, Environ

if TYPE_CHECKING:
    from restconf.http1 import Connection

_SPARE: Final = 0.01  # seconds that the event loop may be held by one answer


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for.  Sizes in bytes, times in seconds.

    Attributes:
        head: request line and headers together.
        body: request body.
        package: request body that brings an application package (`restconf.files`), which goes to the disk.
        answer: body of an answer with data: who asks for more is told to ask for less.
        anonymous_body: request body of a client that has not authenticated yet.
        login_time: for the TLS handshake, and until a request has come from somebody who is known.
        login_failures: wrong credentials in one connection.
        streams: event streams of all clients together.
        backlog: notifications that the client of one may be behind.
        head_time: from the first byte of a request to the end of its headers.
        body_rate: bytes a second that a body must keep up on average, after `body_grace`.
        idle_time: a connection without a request.
        send_time: a client that does not read what it asked for.
        linger_time: how long a refused request is read to its end, so that the client sees the refusal.
        heartbeat: pause after which a live body sends its beat.
    """

    head: int = 32 * 1024
    body: int = 32 * 1024 * 1024
    package: int = 256 * 1024 * 1024
    answer: int = 64 * 1024 * 1024
    anonymous_body: int = 64 * 1024
    connections: int = 1000
    login_time: float = 30.0
    login_failures: int = 6
    streams: int = 100
    backlog: int = 1000
    head_time: float = 10.0
    body_grace: float = 20.0
    body_rate: float = 1024.0
    idle_time: float = 120.0
    send_time: float = 60.0
    linger_time: float = 2.0
    heartbeat: float = 15.0

    @classmethod
    def within(cls, limits: DaemonLimits) -> Limits:
        """What the daemon's limits mean here."""
        return cls(
            head=limits.head_size,
            body=limits.max_request,
            answer=limits.max_answer,
            connections=limits.connections,
            login_time=limits.login_time,
            login_failures=limits.login_failures,
            streams=limits.event_streams,
            backlog=limits.event_backlog,
            head_time=limits.head_time,
            body_grace=limits.message_time,
            body_rate=limits.message_rate,
            idle_time=limits.idle_time,
            send_time=limits.send_time,
        )


class OpenDoor:
    """A door that nobody watches."""

    def __init__(self) -> None:
        self.failed_logins = 0

    @property
    def logins(self) -> Places:
        return self

    def take(self, name: str) -> Leave | None:
        """There is always a place."""
        return lambda: None


@dataclass(slots=True)
class Service:
    """What the connections of one listener share.

    Attributes:
        quick: (method, target, body size) -> answer it in the event loop?
        most: (method, target) -> how large its body may be.
        knows: does this request (environ) come from an authenticated user?  Notes in it who that is.
        doorman: the one thread in which passwords are checked, which is slow by design: a flood of wrong ones costs one
            thread's share and keeps no worker.
    """

    application: Application
    quick: Callable[[str, bytes, int], bool]
    most: Callable[[str, bytes], int]
    knows: Callable[[Environ], bool]
    pool: ThreadPoolExecutor
    doorman: ThreadPoolExecutor
    loop: asyncio.AbstractEventLoop
    limits: Limits = field(default_factory=Limits)
    door: Door = field(default_factory=OpenDoor)
    connections: set[Connection] = field(default_factory=set)
    handshakes: set[Handshake[Connection]] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)  # methods whose last answer took longer than the loop can spare
    _date: tuple[int, bytes] = (0, b"")

    def date(self) -> bytes:
        """The Date header line; formatted once a second."""
        now = int(time.time())
        if now != self._date[0]:
            self._date = (now, b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n")
        return self._date[1]

    def took(self, method: str, seconds: float) -> None:
        """Note how long an answer took; any thread.  What is quick depends on the data as much as on the request."""
        if seconds > _SPARE:
            self.slow.add(method)
        else:
            self.slow.discard(method)

    def dismiss(self, user: object) -> None:
        """Close every connection whose last request was this user's."""
        for connection in list(self.connections):
            if connection.user == user:
                connection.shut()

    def sweep(self) -> None:
        """Hold every connection to its deadlines; called about once a second."""
        now = self.loop.time()
        for connection in list(self.connections):
            connection.check(now)
