"""One NETCONF session on the event loop: bytes from a transport through the protocol to the core and back.

Transport-agnostic: SSH, TLS and Unix sockets feed it bytes and give it a `Transport`.  Rpcs are answered in their order
(RFC 6241 section 4.5), one per turn of the loop, so that a client that pipelines does not starve the others; what may
take long (a large message, a whole datastore, a replay) runs in a thread.  Small changes go to the writer's queue, so
that those which come at about the same time share an fsync.  A client that does not read is not read from; a
subscriber that never reads is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol

from nms import memory
from nms.limits import Limits
from nms.model.subtree import Selection
from nms.netconf.connection import Connection, Hello, Message, ProtocolFailure
from nms.netconf.exchange import Call, Core, Exchange
from nms.netconf.framing import Buffer, Outgoing
from nms.netconf.messages import hello, read_hello
from nms.netconf.replies import notification
from nms.operations.request import (
    CloseSession,
    Get,
    GetSchema,
    Principal,
    Reply,
    Request,
    SubtreeFilter,
    XPathFilter,
    announces,
)

log = logging.getLogger(__name__)

#: A message of more bytes is parsed and executed in a thread.
LARGE_MESSAGE: Final = 256 * 1024

#: A change in a message of more bytes is executed in a thread.
SMALL_CHANGE: Final = 16 * 1024

#: A read with a filter in a message of more bytes is executed in a thread.
SMALL_FILTER: Final = 4 * 1024

#: Seconds that the event loop may be held by one read.
SPARE: Final = 0.01

DEFAULT_LIMITS: Final = Limits()

#: Rpcs that wait for their turn before the transport is no longer read.
MAX_WAITING: Final = 64


class Transport(Protocol):
    """What a session needs of the bytes' carrier."""

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Queue the buffers, in order."""

    def close(self) -> None:
        """Write what is queued, then close; `NetconfSession.connection_lost` follows."""

    def abort(self) -> None:
        """Close without writing what is queued; `NetconfSession.connection_lost` follows."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class NetconfSession:
    """The server's end of one session; every method is called in the event loop's thread.

    Args:
        protocol: identity of the transport in ietf-netconf-monitoring, e.g. "netconf-ssh".
        source_host: the client's address.
        limits: what the client may ask of this session.
    """

    def __init__(
        self,
        core: Core,
        principal: Principal,
        protocol: str,
        source_host: str,
        transport: Transport,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._core = core
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._session = core.open_session(principal, protocol, source_host, self._killed)
        self._exchange = Exchange(core, self._session, self._notify, lambda: len(self._notifications))
        capabilities = core.hello_capabilities()
        self._limits = limits
        greeting = hello(capabilities, self._session.id)
        self._connection = Connection("server", greeting, capabilities, read_hello, limits.message_size)
        self._waiting: deque[bytes] = deque()
        self._waiting_size = 0
        self._notifications: deque[Any] = deque()
        self._flush_due = False
        self._turn_due = False
        self._greeted = False
        self._busy = False  # a thread works for this session
        self._subscribing = False  # its replay must not overtake the reply
        self._slow = False  # the last read took longer than the loop can spare: so will the next, perhaps
        self._writable = True
        self._reading = True
        self._input_ended = False
        self._outgoing: Iterator[bytes] = iter(())  # of a reply, what the transport has no room for yet
        self._ended = ""  # why, in the words of RFC 6470's termination-reason
        self._slow_since = 0.0  # when the message that is not complete began, 0: there is none
        self._slow_timer: asyncio.TimerHandle | None = None
        self._stalled_since = 0.0  # when the client stopped to read, 0: it reads
        self._stalled_timer: asyncio.TimerHandle | None = None
        self._hello_timer = self._loop.call_later(limits.hello_time, self._end, "no hello in time", "timeout")
        transport.write(self._connection.opening())

    def feed(self, data: Buffer) -> None:
        """Bytes from the client."""
        events = self._connection.receive(data)
        for event in events:
            match event:
                case Message(message):
                    self._waiting.append(message)
                    self._waiting_size += len(message)
                case Hello():
                    self._greeted = True
                    self._hello_timer.cancel()
                case ProtocolFailure(why):
                    self._end(why, "dropped" if self._greeted else "bad-hello")
                    return
        self._watch(bool(events))
        if self._reading and (len(self._waiting) > MAX_WAITING or self._waiting_size > self._limits.message_size):
            self._reading = False
            self._transport.pause_reading()
        if self._waiting and not self._turn_due:
            self._turn()

    def _watch(self, completed: bool) -> None:
        """Hold an incomplete message to its rate; at most one timer, whatever the number of reads."""
        if not self._connection.pending:
            self._slow_since = 0.0
            return
        if completed or not self._slow_since:
            self._slow_since = self._loop.time()
        if self._slow_timer is None and self._greeted:
            self._slow_timer = self._loop.call_later(self._limits.message_time, self._check_rate)

    def _check_rate(self) -> None:
        self._slow_timer = None
        if not self._slow_since or self._ended or not self._reading:  # we may be why it does not go on
            self._slow_since = 0.0
            return
        allowed = self._limits.message_time + self._connection.pending / self._limits.message_rate
        left = self._slow_since + allowed - self._loop.time()
        if left <= 0:
            self._end("a message comes too slowly")
        else:
            self._slow_timer = self._loop.call_later(left, self._check_rate)

    def eof(self) -> None:
        """The client sends no more; what it has asked is still answered."""
        self._input_ended = True
        self._schedule_turn()

    def pause_writing(self) -> None:
        """The transport's buffer is full: the client does not read."""
        self._writable = False
        self._stalled_since = self._loop.time()
        if self._stalled_timer is None and not self._ended:
            self._stalled_timer = self._loop.call_later(self._limits.send_time, self._check_stalled)

    def _check_stalled(self) -> None:
        self._stalled_timer = None
        if not self._stalled_since:
            return
        left = self._stalled_since + self._limits.send_time - self._loop.time()
        if left <= 0:
            self._outgoing = iter(())
            self._transport.abort()
            self._end("the client does not read")
        else:
            self._stalled_timer = self._loop.call_later(left, self._check_stalled)

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._writable = True
        self._stalled_since = 0.0
        self._send_on()
        self._flush()
        self._schedule_turn()

    def connection_lost(self) -> None:
        """The transport is gone."""
        self._outgoing = iter(())
        self._end("connection lost")

    def _schedule_turn(self) -> None:
        if (self._waiting or self._input_ended) and not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Take up the next rpc, if this session may."""
        self._turn_due = False
        if self._busy or self._ended or not self._writable:
            return
        if not self._waiting:
            if self._input_ended:
                self._end("the client closed its side")
            return
        message = self._waiting.popleft()
        self._waiting_size -= len(message)
        few = len(self._waiting) <= MAX_WAITING // 2 and self._waiting_size <= self._limits.message_size
        if not self._reading and few:
            self._reading = True
            # Not at once: a transport may feed what it holds right away, and this message comes first.
            self._loop.call_soon(self._transport.resume_reading)
        if len(message) > LARGE_MESSAGE:
            self._in_thread(message)
            return
        call = self._exchange.read(message)
        if self._is_quick(call.request, len(message)):
            self._answer(call, self._timed(call))
        elif len(message) <= SMALL_CHANGE and self._core.writer.is_light(call.request):
            self._change(call, call.request)
        else:
            self._in_thread(call)

    def _is_quick(self, request: Request | Exception, size: int) -> bool:
        """Is a request answered at once?  Only reads of a part are: others wait for the writer, the disk or others."""
        if isinstance(request, Get):
            wanted = request.filter
            by_path = isinstance(wanted, XPathFilter) and wanted.path is not None
            part = by_path or isinstance(wanted, SubtreeFilter | Selection)
            return part and size <= SMALL_FILTER and not self._slow
        return isinstance(request, GetSchema | Exception)

    def _timed(self, call: Call) -> Outgoing:
        request = call.request
        if not isinstance(request, Get):
            return self._exchange.execute(call)
        # To read configuration is to compute, whatever else the machine does; state may have to be waited for.  To ask
        # what a thread has computed is a system call: who seems slow in the loop is judged by it in a thread.
        computed = self._slow and request.datastore != "operational"
        clock = time.thread_time if computed else self._loop.time
        started = clock()
        reply = self._exchange.execute(call)
        self._slow = clock() - started > SPARE
        return reply

    def _change(self, call: Call, request: Request) -> None:
        self._busy = True
        if self._core.writer.submit(self._session, request, partial(self._answered, call)):
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Work off the writer's queue, other sessions' changes too: here, or where the disk or others may be slow."""
        writer = self._core.writer
        if writer.gathers():
            self._loop.call_soon(self._work)
        elif not writer.work(wait=False):
            self._loop.run_in_executor(None, writer.work)

    def _answered(self, call: Call, outcome: Reply | BaseException) -> None:
        """The writer's answer; called in any thread."""
        if threading.get_ident() == self._thread:
            self._changed(call, outcome)
        else:
            self._from_any_thread(self._changed, call, outcome)

    def _changed(self, call: Call, outcome: Reply | BaseException) -> None:
        self._busy = False
        if self._ended:
            self._release()
        else:
            self._answer(call, self._exchange.answer(call, outcome))

    def _in_thread(self, work: bytes | Call) -> None:
        def execute() -> tuple[Call, Outgoing]:
            call = self._exchange.read(work) if isinstance(work, bytes) else work
            self._subscribing = announces(call.request)
            reply = self._timed(call)
            if isinstance(work, bytes):
                memory.give_back()
            return call, reply

        self._busy = True
        self._loop.run_in_executor(None, execute).add_done_callback(self._executed)

    def _executed(self, done: asyncio.Future[tuple[Call, Outgoing]]) -> None:
        self._busy = False
        if self._ended:
            self._release()
        elif not done.cancelled():
            self._answer(*done.result())
            if self._subscribing:
                self._subscribing = False
                self._flush()

    def _answer(self, call: Call, reply: Outgoing) -> None:
        if self._ended:  # the rpc ended its own session
            return
        self._outgoing = chain(self._outgoing, self._connection.send(reply))
        self._send_on()
        if isinstance(call.request, CloseSession):
            self._end("closed by the client", "closed")
        else:
            self._schedule_turn()

    def _send_on(self) -> None:
        """Write what the transport has room for; the rest follows when the client has read (`resume_writing`)."""
        for buffer in self._outgoing:
            self._transport.write((buffer,))
            if not self._writable:
                return

    def _notify(self, event: object) -> None:
        """The subscriptions' sink; called in the publisher's thread."""
        self._notifications.append(event)
        if not self._flush_due:
            self._flush_due = True
            self._from_any_thread(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._subscribing:
            return
        while self._notifications and self._writable and not self._ended:
            event = self._notifications.popleft()
            message = notification(event.node, event.path, event.value, event.time)
            self._transport.write(tuple(self._connection.send(message)))
        if len(self._notifications) > self._limits.notifications:
            self._end("the subscriber does not read its notifications")

    def _killed(self, reason: str) -> None:
        """kill-session, or the daemon ends; called in any thread."""
        self._from_any_thread(self._end, reason, "killed")

    def _from_any_thread(self, function: Any, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon has ended, and this session with it
            self._loop.call_soon_threadsafe(function, *arguments)

    def _end(self, why: str, reason: str = "dropped") -> None:
        if self._ended:
            return
        self._ended = reason
        log.info("session %d of %s ends: %s", self._session.id, self._session.principal.name, why)
        self._hello_timer.cancel()
        if self._slow_timer is not None:
            self._slow_timer.cancel()
        if self._stalled_timer is not None:
            self._stalled_timer.cancel()
        self._transport.write(tuple(self._outgoing))
        self._connection.close()
        self._waiting.clear()
        self._notifications.clear()
        self._transport.close()
        if not self._busy:
            self._release()

    def _release(self) -> None:
        """Locks and subscriptions go only when no thread can take new ones for this session.

        That waits for the writer's turn, so not in the loop.
        """
        self._loop.run_in_executor(None, self._core.close_session, self._session, self._ended)
