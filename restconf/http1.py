"""HTTP/1.1 (RFC 9112) on asyncio: bytes in, WSGI calls, bytes out.

One `Connection` per client: keep-alive, pipelined requests answered in their order, chunked bodies, Expect:
100-continue, limits on everything a client can make grow, deadlines for clients that are slow.  A request that the
service calls quick is answered in the event loop, since handing it to a thread costs more than answering it; the others
run in the service's threads.  Parsing is httptools'.  Knows nothing of RESTCONF.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import httptools

from nms.cert_to_name import verified_chain
from nms.tls import Leave
from restconf import wsgi
from restconf.service import Service
from restconf.wsgi import Answer, Environ, LiveBody

log = logging.getLogger(__name__)

T = TypeVar("T")

_PART = 256 * 1024  # a larger answer is handed on in parts, as the client takes them
_SMALL_PART = 512  # bytes
_PIPELINE = 32  # requests of one client that may wait; above, its socket is not read


@dataclass(slots=True)
class Message:
    """One request as it was received."""

    target: bytearray = field(default_factory=bytearray)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    authorization: bytes = b""
    parts: list[bytes | bytearray] = field(default_factory=list)
    size: int = 0
    length: int = 0
    has_body: bool = False
    expects_continue: bool = False
    method: str = ""
    version: str = "1.1"
    hosts: int = 0
    keep_alive: bool = True


class _Refused(Exception):
    """Raised in a parser callback to stop parsing; the status is in the connection."""


class Connection(asyncio.Protocol):
    """One client.  Lives in the event loop; only `_run` calls happen elsewhere.

    Args:
        outside: gives the place back that it has among those who have not proven who they are; None: it has none yet.
    """

    def __init__(self, service: Service, outside: Leave | None = None) -> None:
        self.service = service
        self.outside = outside
        self.failures = 0  # wrong credentials
        self.limits = service.limits
        self.parser = httptools.HttpRequestParser(self)
        self.message = Message()
        self.receiving = False  # part of a request has come
        self.head_done = False
        self.head_size = 0
        self.waiting: deque[Message] = deque()
        self.waiting_size = 0  # bytes of their bodies
        self.busy = False  # a thread works on a request, or a live body is being sent
        self.live: LiveBody | None = None
        self.live_chunked = True
        self.rest = memoryview(b"")  # of an answer that the client has not taken yet
        self.ends = False  # the connection, with this answer
        self.accepted: bytes | None = None  # the Authorization (empty: none) of the last authenticated request
        self.user: object = None  # whose the last request was
        self.asking = False  # the doorman looks at the request that is being received
        self.refusal = 0
        self.lingering = False
        self.reading = True
        self.stalled_since: float | None = None  # the client does not read
        self.since = self.begun = service.loop.time()  # start of the current state, and of the connection
        self.last_beat = 0.0

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.outside is None:
            self.outside = self.service.door.logins.take(transport.get_extra_info("peername")[0])
        if self.outside is None or len(self.service.connections) >= self.limits.connections:
            transport.abort()
            return
        self.service.connections.add(self)
        tls = transport.get_extra_info("ssl_object")
        self.base = wsgi.connection_environ(
            "http" if tls is None else "https",
            transport.get_extra_info("sockname")[:2],
            transport.get_extra_info("peername")[0],
            verified_chain(tls) if tls is not None else (),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.connections.discard(self)
        self._prove()
        self.waiting.clear()
        if self.live is not None:
            self.live.close()

    def _prove(self) -> None:
        """Its client is somebody, or is gone: it does not wait outside any more."""
        if self.outside is not None:
            self.outside()
            self.outside = None

    def eof_received(self) -> bool:
        if self.base["wsgi.url_scheme"] == "https":
            return False  # TLS has no half of a connection
        return bool(self.busy or self.waiting) and self.live is None  # finish what was asked, then close

    def data_received(self, data: bytes) -> None:
        if self.lingering:
            return
        if not self.receiving and not self.busy:
            self.since = self.service.loop.time()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserError:
            self.refusal = self.refusal or 400
        self._advance()

    def pause_writing(self) -> None:
        self.stalled_since = self.service.loop.time()

    def resume_writing(self) -> None:
        self.stalled_since = None
        if self.live is not None:
            self._pump()
            return
        if self.rest:
            self._send_rest()
        self._advance()

    # -- httptools -------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.message = Message()
        self.receiving = True
        self.head_done = False
        self.head_size = 0

    def on_url(self, part: bytes) -> None:
        self.message.target += part
        self._count_head(len(part), 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        message = self.message
        self._count_head(len(name) + len(value) + 4, 431)
        lower = name.lower()
        if lower == b"content-length":
            message.length = int(value)
            message.has_body = message.length > 0
        elif lower == b"transfer-encoding":
            message.has_body = True
        elif lower == b"expect":
            message.expects_continue = value.lower() == b"100-continue"
        elif lower == b"authorization":
            message.authorization = value
        elif lower == b"host":
            message.hosts += 1
        message.headers.append((name, value))

    def on_headers_complete(self) -> None:
        message = self.message
        message.method = self.parser.get_method().decode("latin-1")
        message.version = self.parser.get_http_version()
        message.keep_alive = self.parser.should_keep_alive()
        self.head_done = True
        if message.version not in ("1.0", "1.1"):
            self._stop(505)
        if message.hosts > 1 or (message.hosts == 0 and message.version == "1.1"):  # RFC 9112 section 3.2
            self._stop(400)
        self._check_body(message.length)
        self._continue()

    def on_body(self, part: bytes | bytearray) -> None:
        message = self.message
        message.size += len(part)
        self._check_body(message.size)
        if len(part) < _SMALL_PART and message.parts:  # or a body in chunks of a byte would take many times its size
            last = message.parts[-1]
            if isinstance(last, bytearray):
                last += part
                return
            part = bytearray(part)
        message.parts.append(part)

    def on_message_complete(self) -> None:
        self.message.expects_continue = False
        self.receiving = False
        self.waiting.append(self.message)
        self.waiting_size += self.message.size
        self._read_or_not()

    def _read_or_not(self) -> None:
        """Read from the client unless enough of its requests wait, or it is not known yet who sends so much."""
        few = len(self.waiting) < _PIPELINE and self.waiting_size <= self.limits.body
        wanted = not self.asking and few
        if wanted != self.reading:
            self.reading = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def _count_head(self, size: int, status: int) -> None:
        self.head_size += size
        if self.head_size > self.limits.head:
            self._stop(status)

    def _check_body(self, size: int) -> None:
        message = self.message
        if size > self.limits.body and size > self.service.most(message.method, bytes(message.target)):
            self._stop(413)
        if size <= self.limits.anonymous_body or self.accepted == message.authorization or self.asking:
            return
        request = self._environ(message, b"")
        if message.authorization:
            self.asking = True
            self._read_or_not()
            self._in_thread(self.service.doorman, self.service.knows, request, partial(self._recognized, message))
        elif self.service.knows(request):
            self.accepted = message.authorization
        else:
            self._stop(401)

    def _recognized(self, message: Message, known: bool) -> None:
        """The doorman has looked at the sender of a large body; one that has come whole is refused in its turn."""
        self.asking = False
        if known:
            self.accepted = message.authorization
        elif self.receiving and self.message is message:
            self.refusal = 401
        self._read_or_not()
        self._advance()

    def _stop(self, status: int) -> None:
        self.refusal = status
        raise _Refused

    # -- requests --------------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """An upgrade is never accepted: answer in HTTP/1.1, then close, as what follows cannot be told apart."""
        if self.message.has_body or not self.waiting:
            self.refusal = 400
            return
        self.waiting[-1].keep_alive = False

    def _continue(self) -> None:
        """RFC 9110 section 10.1.1; only in this request's turn."""
        free = not self.busy and not self.waiting and not self.asking
        if self.message.expects_continue and free and self.message.version != "1.0":
            self.message.expects_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _environ(self, message: Message, body: bytes) -> Environ:
        return wsgi.environ(self.base, message.method, bytes(message.target), message.version, message.headers, body)

    def _advance(self) -> None:
        """Answer what waits, as far as the client reads and no earlier request is under way."""
        while self.waiting and not (self.busy or self.asking or self.lingering) and self.stalled_since is None:
            message = self.waiting.popleft()
            self.waiting_size -= message.size
            body = bytes(message.parts[0]) if len(message.parts) == 1 else b"".join(message.parts)
            message.parts.clear()
            request = self._environ(message, body)
            if message.authorization and message.authorization != self.accepted:
                self.busy = True
                admitted = partial(self._admitted, message, request)
                self._in_thread(self.service.doorman, self.service.knows, request, admitted)
            else:
                self._handle(message, request)
        if self.busy or self.asking or self.lingering:
            return
        if self.refusal and not self.waiting:
            self._refuse(self.refusal)
            return
        if not self.waiting and self.receiving:
            self._continue()
        self._read_or_not()

    def _handle(self, message: Message, request: Environ) -> None:
        quick = message.method not in self.service.slow
        if quick and self.service.quick(message.method, bytes(message.target), message.size):
            self._answer(message, request, self._run(request))
        else:
            self.busy = True
            self._in_thread(self.service.pool, self._run, request, partial(self._done, message, request))

    def _in_thread(
        self, pool: ThreadPoolExecutor, work: Callable[[Environ], T], request: Environ, then: Callable[[T], None]
    ) -> None:
        def done(future: asyncio.Future[T]) -> None:
            if future.cancelled():
                return
            if (defect := future.exception()) is not None:  # of the authenticator: nobody is let in
                log.error("a request could not be admitted", exc_info=defect)
                self.transport.abort()
                return
            then(future.result())

        self.service.loop.run_in_executor(pool, work, request).add_done_callback(done)

    def _admitted(self, message: Message, request: Environ, known: bool) -> None:
        """The doorman has looked at a request, and noted in it whom it found."""
        self.busy = False
        if not known:
            self._failed(message)
        if not self.transport.is_closing():
            self._handle(message, request)
            self._advance()

    def _failed(self, message: Message) -> None:
        self.service.door.failed_logins += 1
        self.failures += 1
        if self.failures >= self.limits.login_failures:
            message.keep_alive = False

    def _run(self, request: Environ) -> Answer:
        started = time.perf_counter()
        try:
            return wsgi.call(self.service.application, request)
        except Exception:  # the last line of defence: a defect ends this request, not the server
            log.exception("request failed: %s %s", request["REQUEST_METHOD"], request["PATH_INFO"])
            return Answer("500 Internal Server Error", [("Content-Length", "0")], b"")
        finally:
            self.service.took(request["REQUEST_METHOD"], time.perf_counter() - started)

    def _done(self, message: Message, request: Environ, answer: Answer) -> None:
        self.busy = False
        if self.transport.is_closing():
            if isinstance(answer.body, LiveBody):
                answer.body.close()
            return
        self._answer(message, request, answer)
        self._advance()

    def _answer(self, message: Message, request: Environ, answer: Answer) -> None:
        status = answer.status
        self.user = request.get(wsgi.PRINCIPAL)
        self.accepted = message.authorization if self.user is not None else None
        if self.outside is not None and self.accepted is not None:
            self._prove()
        lines = [f"HTTP/1.1 {status}\r\n".encode("latin-1"), self.service.date()]
        has_length = False
        for name, value in answer.headers:
            lines.append(f"{name}: {value}\r\n".encode("latin-1"))
            has_length = has_length or name.lower() == "content-length"
        body = answer.body
        if isinstance(body, LiveBody):
            self._start_live(message, lines, body)
            return
        if not has_length and status[:3] not in ("204", "304"):
            lines.append(b"Content-Length: %d\r\n" % len(body))
        if not message.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif message.version == "1.0":
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self.ends = not message.keep_alive
        if len(body) <= _PART:
            lines.append(body)
            self.transport.write(b"".join(lines))
            self._answered()
            return
        self.transport.write(b"".join(lines))
        self.busy = True
        self.rest = memoryview(body)
        self._send_rest()

    def _send_rest(self) -> None:
        """A large body is written as the client takes it: the socket's buffer never holds it a second time."""
        while self.rest and self.stalled_since is None and not self.transport.is_closing():
            part, self.rest = self.rest[:_PART], self.rest[_PART:]
            self.transport.write(part)
        if not self.rest:
            self.busy = False
            self._answered()

    def _answered(self) -> None:
        self.since = self.service.loop.time()
        if self.ends:
            self.lingering = True
            self.transport.close()

    def _refuse(self, status: int) -> None:
        """Answer a request that was not read to its end: nothing after it can be understood."""
        phrase = HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\nConnection: close\r\n"
        if status == 401:
            head += 'WWW-Authenticate: Basic realm="restconf", charset="UTF-8"\r\n'
        self.transport.write(head.encode() + self.service.date() + b"\r\n")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.lingering = True
        self.since = self.service.loop.time()
        if not self.reading:
            self.reading = True
            self.transport.resume_reading()

    # -- live bodies -----------------------------------------------------------------------------------------------

    def _start_live(self, message: Message, lines: list[bytes], body: LiveBody) -> None:
        self.live_chunked = message.version != "1.0"
        if self.live_chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(b"Connection: close\r\n\r\n")
        self.transport.write(b"".join(lines))
        self.busy = True
        self.live = body
        self.last_beat = self.service.loop.time()
        loop = self.service.loop

        def wake() -> None:
            loop.call_soon_threadsafe(self._pump)

        body.attach(wake)
        self._pump()

    def _send_live(self, data: bytes) -> None:
        if data:
            self.last_beat = self.service.loop.time()
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.live_chunked else data)

    def _pump(self) -> None:
        if self.live is None or self.transport.is_closing():
            return
        try:
            while self.stalled_since is None and (data := self.live.take()):
                self._send_live(data)
        except Exception:  # a part that cannot be made must not leave the client waiting for ever
            log.exception("a live body failed")
            self.live.close()
            self.transport.abort()
            return
        if self.live.ended and self.stalled_since is None:
            self.live.close()
            self.live = None
            if self.live_chunked:
                self.transport.write(b"0\r\n\r\n")
            self.lingering = True
            self.transport.close()

    # -- time ------------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Apply the deadlines of `Limits`.  `now` in the event loop's time."""
        limits = self.limits
        if self.stalled_since is not None:
            if now - self.stalled_since > limits.send_time:
                self.transport.abort()
        elif self.lingering:
            if now - self.since > limits.linger_time:
                self.transport.abort()
        elif self.live is not None:
            if now - self.last_beat > limits.heartbeat:
                self._send_live(self.live.beat())
            self._pump()
        elif self.busy or self.waiting:
            return
        elif self.outside is not None and now - self.begun > limits.login_time:
            if self.receiving:
                self._refuse(408)
            else:
                self.transport.close()
        elif self.receiving:
            spent = now - self.since
            late = spent > limits.head_time
            if self.head_done:
                late = spent > limits.body_grace + self.message.size / limits.body_rate
            if late:
                self._refuse(408)
        elif now - self.since > limits.idle_time:
            self.transport.close()

    def shut(self) -> None:
        """The server ends: finish live bodies, close."""
        if self.live is not None:
            self.live.close()
        self.transport.close()
