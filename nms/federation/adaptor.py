"""The remote implementation of a management session: a reference point that ends in another domain (paper 4.2.1).

`RemoteSession` speaks to a partner and looks like `LocalSession`; in which protocol is the endpoint's business
(`nms.federation.client`).  Its clients block, hence two threads a session: one for requests, and one that keeps the
session up and reads notifications over a conversation of its own, since not every NETCONF server interleaves (RFC 5277
section 6) and no HTTP connection does.  What a path means, and when a partner is trusted, is not known here.

Clients choose the identifiers, so that an edit is idempotent: when its answer is lost, the session reads what the
partner has and takes it for done if that is what was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from nms.errors import RpcError
from nms.federation.client import Client, Endpoint, Event, Recorder, Unanswered, unreachable
from nms.federation.payload import holds
from nms.mec.session import RESYNC, DataEdit, Members, Sink, Watch, uninterrupted
from nms.model.schema import Schema
from nms.operations.request import Content

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds between two attempts to connect: the first, doubled each time, and the most.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 15.0

#: Seconds for which one look for a notification lasts; how fast `close` is noticed.
LOOK: Final = 0.2


@dataclass(slots=True)
class Counters:
    """What the agreement's `session` list shows; written by the session's threads, read by anyone.

    Attributes:
        state: local name of the session-state identity; `established` only while the partner has just answered.
        lost: notifications missed, by their sequence.
        last_sequence: of the last notification received, None before the first of a connection.
        protocol: local name of the identity; "" where the partner has no endpoint that can be used.
        endpoint: of the partner's, that of the last connection.
    """

    state: str = "disconnected"
    protocol: str = ""
    endpoint: str = ""
    established_at: datetime | None = None
    messages_in: int = 0
    messages_out: int = 0
    notifications: int = 0
    lost: int = 0
    resyncs: int = 0
    reconnects: int = 0
    last_sequence: int | None = None
    last_error: str = ""
    last_error_time: datetime | None = None
    connections: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose notifications are meant: their event-scope (mec-types)."""

    partner: str
    agreement: str


class RemoteSession:
    """A `ManagementSession` over a partner's datastore.

    Attributes:
        counters: for the agreement's `session` list.
        passed: digests of the contents that the partner was told of over this session.
        written: told of the edits that the partner has confirmed; in the event loop.

    Args:
        schema: our models; the partner's agree with them, or nothing is asked of it.
        endpoints: where to reach the partner, in order of preference.
        base: instance-identifier, in the partner's datastore, of the subtree.
        scope: of the notifications that belong to this subtree.
        clock: gives aware times.
        changed: called, in any thread, when `counters` have changed in more than numbers.
        recorder: sees every message received.
    """

    def __init__(
        self,
        schema: Schema,
        endpoints: Sequence[Endpoint],
        base: str,
        scope: Scope,
        clock: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
        recorder: Recorder | None = None,
    ) -> None:
        self.counters = Counters(protocol=next((endpoint.protocol for endpoint in endpoints), ""))
        self.passed: set[str] = set()
        self.written: Callable[[Sequence[DataEdit]], None] = lambda edits: None
        self._schema = schema
        self._endpoints = tuple(endpoints)
        self._base = base
        self._scope = scope
        self._clock = clock
        self._changed = changed
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._sinks: list[Sink] = []
        self._requests: Client | None = None
        self._attempted = threading.Event()
        self._retry = threading.Event()
        self._closed = threading.Event()
        self._came = threading.Event()
        self._gone = [0, 0]
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"mx3-{scope.agreement}")
        self._reader = threading.Thread(target=self._keep_up, name=f"mx3-{scope.agreement}-events", daemon=True)
        self._reader.start()

    # ------------------------------------------------------------ ManagementSession

    async def edit(self, edits: Sequence[DataEdit]) -> None:
        """See `ManagementSession.edit`.

        Raises:
            RpcError: the partner's.  operation-failed, type transport, app-tag "temporary": not reached, nothing was
                done; `Unanswered`: it may have been done, and asking again is harmless.
        """
        # Before the partner hears of a package it must be allowed to fetch it.
        self.passed |= {
            edit.data["digest"] for edit in edits if isinstance(edit.data, Mapping) and "digest" in edit.data
        }
        try:
            await self._ask(lambda client: client.edit(self._base, edits))
        except RpcError as error:
            if not isinstance(error, Unanswered) and error.tag != "data-exists":
                raise
            if not await self._was_done(edits, error):
                if error.tag == "data-exists":
                    raise
                await self._ask(lambda client: client.edit(self._base, edits))
        self.written(edits)

    async def get(self, path: str = "", content: Content = "all") -> Members | None:
        """See `ManagementSession.get`."""
        return await self.read(self._base + path, content)

    async def read(self, path: str, content: Content = "all") -> Members | None:
        """As `get`, at an instance-identifier from the partner's root, which NACM there lets us see."""
        return await self._ask(lambda client: client.get(path, content))

    async def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """See `ManagementSession.invoke` (RFC 7950 section 7.15)."""
        return await self._ask(lambda client: client.invoke(self._base + path, action, input))

    async def schema(self, name: str, revision: str) -> bytes:
        """The YANG text of a module, as the partner has it; "" stands for the only revision."""
        return await self._ask(lambda client: client.schema(name, revision))

    def watch(self, sink: Sink) -> Watch:
        """See `ManagementSession.watch`; `sink` hears `RESYNC` after every gap and every new connection."""
        self._sinks.append(sink)
        return _Handle(self._sinks, sink)

    # ------------------------------------------------------------ upkeep

    @property
    def established(self) -> bool:
        """Whether the partner's session is up as far as is known."""
        return self.counters.state == "established"

    def reconnect(self) -> None:
        """Try again now instead of at the end of the pause."""
        self._retry.set()

    def close(self) -> None:
        """End the session and its threads; does not wait for the partner."""
        self._closed.set()
        self._retry.set()
        self._attempted.set()
        self._sinks.clear()
        requests = self._requests
        if requests is not None:
            threading.Thread(target=requests.close, daemon=True).start()
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._set_state("disconnected")

    async def _ask(self, work: Callable[[Client], T]) -> T:
        if self._closed.is_set():
            raise unreachable("the session with the partner is closed")
        result: T = await uninterrupted(asyncio.wrap_future(self._worker.submit(self._carry_out, work)))
        return result

    def _carry_out(self, work: Callable[[Client], T]) -> T:
        """In the worker thread."""
        timeout = max((endpoint.timeout for endpoint in self._endpoints), default=1.0)
        self._attempted.wait(timeout)  # the first connection of all is being made; a later one is not waited for
        client = self._requests
        if client is None or not client.connected:
            why = self.counters.last_error or "no connection yet"
            raise unreachable(f"{self._scope.agreement}: partner not reached: {why}")
        try:
            return work(client)
        except RpcError as error:
            if error.type == "transport":
                self._failed(error.message)
                client.close()  # the reader notices and makes a new one
            raise
        finally:
            self._count(client)

    async def _was_done(self, edits: Sequence[DataEdit], error: RpcError) -> bool:
        """Does the partner have what `edits` asked for?  Raises `error` when that cannot be found out."""
        for _ in range(3):
            if await self._back():
                break
        else:
            raise error
        try:
            return all([holds(edit, await self.get(edit.path, "config")) for edit in edits])
        except RpcError:
            raise error from None

    async def _back(self) -> bool:
        """Wait until the session is up again, for the time of one answer."""
        patience = max((endpoint.timeout for endpoint in self._endpoints), default=1.0)
        self.reconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not (self.established or self._closed.is_set()):
                    await asyncio.to_thread(self._came.wait, LOOK)
        return self.established

    # ------------------------------------------------------------ the reader's thread

    def _keep_up(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            self._set_state("connecting")
            try:
                with contextlib.closing(self._connect()) as events:
                    pause = FIRST_PAUSE
                    self._follow(events)
            except RpcError as error:
                self._failed(error.message)
            except Exception as error:  # a partner may send anything: no message of its ends the upkeep
                log.exception("session %s with a partner failed", self._scope.agreement)
                self._failed(str(error) or type(error).__name__)
            finally:
                requests, self._requests = self._requests, None
                if requests is not None:
                    self._count(requests)
                    self._gone[0] += requests.messages_in
                    self._gone[1] += requests.messages_out
                    requests.close()
                self._attempted.set()
            if not self._closed.is_set():
                self._set_state("connecting")
                self._retry.wait(pause)
                self._retry.clear()
                pause = min(pause * 2, LONGEST_PAUSE)

    def _connect(self) -> Client:
        """Both conversations over the first endpoint that answers; gives the one that is subscribed."""
        failure = unreachable(
            "no endpoint of the session's protocol with a pinned identity, or no [federation] key here"
        )
        for endpoint in self._endpoints:
            try:
                events = endpoint.open(self._schema, self._recorder)
                try:
                    events.subscribe()
                    requests = endpoint.open(self._schema, self._recorder)
                except RpcError:
                    events.close()
                    raise
            except RpcError as error:
                failure = error
                continue
            self._requests = requests
            counters = self.counters
            counters.reconnects += counters.connections > 0
            counters.connections += 1
            counters.established_at = self._clock()
            counters.protocol, counters.endpoint = endpoint.protocol, endpoint.id
            counters.last_sequence = None
            self._set_state("established")
            self._attempted.set()
            if counters.connections > 1:
                counters.resyncs += 1
            self._tell(RESYNC, {})
            return events
        raise failure

    def _follow(self, events: Client) -> None:
        """Hand notifications on until one of the two conversations ends."""
        while not self._closed.is_set():
            event = events.notification(LOOK)
            requests = self._requests
            if requests is not None:
                self._count(requests)
            if event is not None:
                self._notified(event)
            elif requests is None or not requests.connected:
                raise unreachable(self.counters.last_error or "the session has ended")

    def _notified(self, event: Event) -> None:
        members = event.members
        if (members.get("partner"), members.get("agreement")) != (self._scope.partner, self._scope.agreement):
            return
        self.counters.notifications += 1
        if self._in_order(members):
            self._tell(event.name, members)

    def _in_order(self, members: Members) -> bool:
        """Whether the notification is news; a gap before it is told as `RESYNC`."""
        if "sequence" not in members:
            return True
        number, last = int(members["sequence"]), self.counters.last_sequence
        if last is not None and number <= last:
            return False
        self.counters.last_sequence = number
        if last is not None and number > last + 1:
            self.counters.lost += number - last - 1
            self.counters.resyncs += 1
            self._tell(RESYNC, {})
            self._changed()
        return True

    def _tell(self, name: str, members: Members) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._hand_out, name, members)

    def _hand_out(self, name: str, members: Members) -> None:
        for sink in tuple(self._sinks):
            sink(name, members)

    def _count(self, requests: Client) -> None:
        self.counters.messages_in = self._gone[0] + requests.messages_in
        self.counters.messages_out = self._gone[1] + requests.messages_out

    def _failed(self, why: str) -> None:
        self.counters.last_error = why
        self.counters.last_error_time = self._clock()
        self._set_state("connecting")

    def _set_state(self, state: str) -> None:
        if self._closed.is_set():
            state = "disconnected"
        if state != self.counters.state:
            self.counters.state = state
            (self._came.set if state == "established" else self._came.clear)()
            self._changed()


@dataclass(frozen=True, slots=True)
class _Handle:
    sinks: list[Sink]
    sink: Sink

    def close(self) -> None:
        with contextlib.suppress(ValueError):
            self.sinks.remove(self.sink)
