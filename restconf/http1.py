"""HTTP/1.1 (RFC 9112) on asyncio: bytes in, WSGI calls, bytes out.

One `Connection` per client: keep-alive, pipelined requests answered in their order, chunked bodies, Expect:
100-continue, limits on everything a client can make grow, deadlines for clients that are slow.  A request that the
service calls quick is answered in the event loop, since handing it to a thread costs more than answering it; the others
run in the service's threads.  Requests are read by `restconf.reading`.  Knows nothing of RESTCONF.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from nms import memory
from nms.cert_to_name import verified_chain
from nms.tls import Leave
from restconf import wsgi
from restconf.live import LiveAnswer
from restconf.reading import Message, Reader
from restconf.service import Service
from restconf.wsgi import Answer, Environ, LiveBody

log = logging.getLogger(__name__)

T = TypeVar("T")

_PART = 256 * 1024  # a larger answer is handed on in parts, as the client takes them
_LARGE = 256 * 1024  # bytes of a body
_PIPELINE = 32  # requests of one client that may wait; above, its socket is not read


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
        self.reader = Reader(self, self.limits.head)
        self.waiting: deque[Message] = deque()
        self.waiting_size = 0  # bytes of their bodies
        self.busy = False  # a thread works on a request, or a live body is being sent
        self.live: LiveAnswer | None = None
        self.rest = memoryview(b"")  # of an answer that the client has not taken yet
        self.ends = False  # the connection, with this answer
        self.accepted: bytes | None = None  # the Authorization (empty: none) of the last authenticated request
        self.user: object = None  # whose the last request was
        self.asking = False  # the doorman looks at the request that is being received
        self.lingering = False
        self.reading = True
        self.stalled_since: float | None = None  # the client does not read
        self.since = self.begun = service.loop.time()  # start of the current state, and of the connection

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
            self.live.body.close()

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
        if not self.reader.receiving and not self.busy:
            self.since = self.service.loop.time()
        if not self.reader.feed(data):
            self._upgrade()
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

    # -- restconf.reading.Owner ------------------------------------------------------------------------------------

    def announced(self, message: Message) -> None:
        self._check_body(message, message.length)
        self._continue()

    def growing(self, message: Message) -> None:
        self._check_body(message, message.size)

    def received(self, message: Message) -> None:
        self.waiting.append(message)
        self.waiting_size += message.size
        self._read_or_not()

    def _read_or_not(self) -> None:
        """Read from the client unless enough of its requests wait, or it is not known yet who sends so much."""
        few = len(self.waiting) < _PIPELINE and self.waiting_size <= self.limits.body
        wanted = not self.asking and few
        if wanted != self.reading:
            self.reading = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def _check_body(self, message: Message, size: int) -> None:
        if size > self.limits.body and size > self.service.most(message.method, bytes(message.target)):
            self.reader.stop(413)
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
            self.reader.stop(401)

    def _recognized(self, message: Message, known: bool) -> None:
        """The doorman has looked at the sender of a large body; one that has come whole is refused in its turn."""
        self.asking = False
        if known:
            self.accepted = message.authorization
        elif self.reader.receiving and self.reader.message is message:
            self.reader.refusal = 401
        self._read_or_not()
        self._advance()

    # -- requests --------------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """An upgrade is never accepted: answer in HTTP/1.1, then close, as what follows cannot be told apart."""
        if self.reader.message.has_body or not self.waiting:
            self.reader.refusal = 400
            return
        self.waiting[-1].keep_alive = False

    def _continue(self) -> None:
        """RFC 9110 section 10.1.1; only in this request's turn."""
        free = not self.busy and not self.waiting and not self.asking
        message = self.reader.message
        if message.expects_continue and free and message.version != "1.0":
            message.expects_continue = False
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
        if self.reader.refusal and not self.waiting:
            self._refuse(self.reader.refusal)
            return
        if not self.waiting and self.reader.receiving:
            self._continue()
        self._read_or_not()

    def _handle(self, message: Message, request: Environ) -> None:
        quick = message.method not in self.service.slow
        if quick and self.service.quick(message.method, bytes(message.target), message.size):
            self._answer(message, request, self._run(request))
        else:
            self.busy = True
            run = self._run if message.size <= _LARGE else self._run_large
            self._in_thread(self.service.pool, run, request, partial(self._done, message, request))

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

    def _run_large(self, request: Environ) -> Answer:
        """`_run` with a body from which much has been made that is not needed any more."""
        answer = self._run(request)
        request["wsgi.input"].close()
        memory.give_back()
        return answer

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
        head = "".join([f"HTTP/1.1 {status}\r\n", *[f"{name}: {value}\r\n" for name, value in answer.headers]])
        lines = [head.encode("latin-1"), self.service.date()]
        body = answer.body
        if isinstance(body, LiveBody):
            self._start_live(message, lines, body)
            return
        if "\r\ncontent-length:" not in head.lower() and status[:3] not in ("204", "304"):
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
        chunked = message.version != "1.0"
        if chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(b"Connection: close\r\n\r\n")
        self.transport.write(b"".join(lines))
        self.busy = True
        loop = self.service.loop
        self.live = LiveAnswer(body, self.transport.write, chunked=chunked, now=loop.time())

        def wake() -> None:
            loop.call_soon_threadsafe(self._pump)

        body.attach(wake)
        self._pump()

    def _pump(self) -> None:
        live = self.live
        if live is None or self.transport.is_closing():
            return
        try:
            over = live.pump(self._is_read, self.service.loop.time())
        except Exception:  # a part that cannot be made must not leave the client waiting for ever
            log.exception("a live body failed")
            live.body.close()
            self.transport.abort()
            return
        if over:
            live.body.close()
            self.live = None
            self.lingering = True
            self.transport.close()

    def _is_read(self) -> bool:
        """Does the client read what it is sent?"""
        return self.stalled_since is None

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
            if now - self.live.last > limits.heartbeat:
                self.live.beat(now)
            self._pump()
        elif self.busy or self.waiting:
            return
        elif self.outside is not None and now - self.begun > limits.login_time:
            if self.reader.receiving:
                self._refuse(408)
            else:
                self.transport.close()
        elif self.reader.receiving:
            spent = now - self.since
            late = spent > limits.head_time
            if self.reader.head_done:
                late = spent > limits.body_grace + self.reader.message.size / limits.body_rate
            if late:
                self._refuse(408)
        elif now - self.since > limits.idle_time:
            self.transport.close()

    def shut(self) -> None:
        """The server ends: finish live bodies, close."""
        if self.live is not None:
            self.live.body.close()
        self.transport.close()
