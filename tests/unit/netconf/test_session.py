"""A session between a transport in memory and a core that records: order, fairness, flow control, endings."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from nms.errors import RpcError, RpcErrors
from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf import session as session_module
from nms.netconf.connection import BASE_1_0, BASE_1_1, Connection, Message
from nms.netconf.framing import Buffer
from nms.netconf.messages import MONITORING, NETCONF, hello, read_hello
from nms.netconf.session import DEFAULT_LIMITS, NetconfSession
from nms.operations import writer as writer_module
from nms.operations.request import CreateSubscription, Get, GetSchema, Lock, Principal, Reply, Request
from tests.unit.netconf.recording_core import RecordingCore, example_schema


@dataclass
class Event:
    """The shape of `nms.notify.streams.Notification`."""

    node: Any
    path: Any
    value: Any
    time: datetime


class Client:
    """The client's end and the transport between, in memory."""

    def __init__(self, core: RecordingCore, limits: Limits = DEFAULT_LIMITS) -> None:
        self.received: list[str] = []
        self.closed = False
        self.aborted = False
        self.reading = True
        self.connection = Connection(
            "client", hello([BASE_1_0, BASE_1_1]), [BASE_1_0, BASE_1_1], read_hello, 100_000_000
        )
        self.session = NetconfSession(core, Principal("alice"), "netconf-ssh", "192.0.2.1", self, limits)

    def write(self, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            for event in self.connection.receive(buffer):
                if isinstance(event, Message):
                    self.received.append(event.data.decode())

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def start(self) -> None:
        self.session.feed(b"".join(self.connection.opening()))

    def send(self, *operations: str) -> None:
        messages = (f'<rpc xmlns="{NETCONF}" message-id="{i}">{op}</rpc>' for i, op in enumerate(operations))
        self.session.feed(b"".join(b"".join(self.connection.send(message.encode())) for message in messages))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - conditions of several objects, with a deadline
                await asyncio.sleep(0.001)


Scenario = Callable[[Client, RecordingCore], Awaitable[None]]


SCHEMA_OF = f'<get-schema xmlns="{MONITORING}"><identifier>a</identifier></get-schema>'
QUICK = "<get><filter/></get>"
EDIT = '<edit-config><target><running/></target><config><network xmlns="urn:example:network"/></config></edit-config>'


@pytest.fixture(scope="module")
def schema() -> Schema:
    return example_schema()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However loaded the machine is, nothing counts as slow."""
    monkeypatch.setattr(session_module, "SPARE", 60.0)
    monkeypatch.setattr(writer_module, "SPARE", 60.0)


def play(schema: Schema, scenario: Scenario, limits: Limits = DEFAULT_LIMITS) -> None:
    async def run() -> None:
        core = RecordingCore(schema)
        client = Client(core, limits)
        client.start()
        await scenario(client, core)

    asyncio.run(run())


def test_pipelined_rpcs_are_answered_in_order_though_some_run_in_threads(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        threads: list[bool] = []

        def answer(request: Request) -> Reply:
            threads.append(threading.current_thread() is threading.main_thread())
            return Reply()

        core.answers = {type(request): answer for request in (Get(),)}
        client.send(QUICK, "<commit/>", QUICK, f"<get><!--{'x' * 300_000}--></get>", QUICK)
        await client.until(lambda: len(client.received) == 5)
        assert [f'message-id="{i}"' in message for i, message in enumerate(client.received)] == [True] * 5
        assert threads == [True, True, False, True]

    play(schema, scenario)


def test_reads_that_may_take_long_leave_the_loop(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        in_loop: list[bool] = []

        def answer(request: Request) -> Reply:
            in_loop.append(threading.current_thread() is threading.main_thread())
            return Reply()

        core.answers = {Get: answer, CreateSubscription: answer}
        client.send(QUICK, '<get><filter type="xpath" select="//*"/></get>', "<get/>", SUBSCRIBE, QUICK)
        await client.until(lambda: len(client.received) == 5)
        assert in_loop == [True, False, False, False, True]
        monkeypatch.setattr(session_module, "SPARE", 0.0)  # from now on each read is a slow one
        client.send(QUICK, QUICK)
        await client.until(lambda: len(client.received) == 7)
        assert in_loop[5:] == [True, False]

    play(schema, scenario)


def test_small_changes_of_one_turn_are_made_together_in_the_loop(schema: Schema) -> None:
    async def scenario(first: Client, core: RecordingCore) -> None:
        clients = [first, Client(core), Client(core)]
        for client in clients[1:]:
            client.start()
        for client in clients:
            client.send(EDIT, QUICK, "<commit/>")
        await first.until(lambda: all(len(client.received) == 3 for client in clients))
        assert [len(group) for group in core.groups] == [3, 3]
        assert {thread for group in core.groups for thread in group} == {threading.get_ident()}

    play(schema, scenario)


def test_changes_that_may_take_long_leave_the_loop(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        async def leaves(operation: str) -> bool:
            before = len(client.received)
            core.asked.clear()
            client.send(operation)
            await client.until(lambda: len(client.received) == before + 1)
            return core.asked != [threading.get_ident()]

        assert not await leaves(EDIT)
        assert await leaves(EDIT.replace("<network", f"<!--{'x' * 20_000}--><network"))
        assert await leaves(EDIT.replace("<network", f'<network xmlns:nc="{NETCONF}" nc:operation="remove"'))
        core.compacts_soon = True
        assert await leaves(EDIT)
        core.compacts_soon = False
        monkeypatch.setattr(writer_module, "SPARE", 0.0)  # from now on each change is a slow one
        assert not await leaves(EDIT)
        assert await leaves(EDIT)

    play(schema, scenario)


def test_while_others_change_something_reads_are_answered_and_changes_gather(schema: Schema) -> None:
    async def scenario(first: Client, core: RecordingCore) -> None:
        clients = [first, Client(core), Client(core)]
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            with core.exclusive:
                held.set()
                assert go.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
        for client in clients[1:]:
            client.start()
        for client in clients:
            client.send(EDIT)
        reader = Client(core)
        reader.start()
        reader.send(QUICK)
        await reader.until(lambda: reader.received)
        assert core.groups == []
        go.set()
        await first.until(lambda: all(client.received for client in clients))
        thread.join()
        assert [len(group) for group in core.groups] == [3]

    play(schema, scenario)


def test_a_session_that_ends_while_its_change_waits_is_released_after_it(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.send(EDIT)
        client.session.connection_lost()
        assert core.closed == []
        await client.until(lambda: core.closed == [1])
        assert [len(group) for group in core.groups] == [1]
        assert client.received == []

    play(schema, scenario)


def test_one_rpc_per_turn_of_the_loop(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.send(*[QUICK] * 10)
        counts = []
        for _ in range(3):
            counts.append(len(client.received))
            await asyncio.sleep(0)
        assert counts == [1, 2, 3]

    play(schema, scenario)


def test_a_large_reply_is_written_as_the_client_reads_it(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        written: list[int] = []
        room = 3

        def write(buffers: Sequence[Buffer]) -> None:
            Client.write(client, buffers)
            written.append(sum(map(len, buffers)))
            if len(written) == room:
                client.session.pause_writing()

        client.write = write  # type: ignore[method-assign]
        core.answers = {GetSchema: Reply(text="é" * 1_000_000)}
        client.send(SCHEMA_OF, "<commit/>")
        await client.until(lambda: len(written) == room)
        assert client.received == []
        assert sum(written) < 1_000_000
        room = 6
        client.session.resume_writing()
        assert (len(written), client.received) == (6, [])
        room = -1
        client.session.resume_writing()
        await client.until(lambda: len(client.received) == 2)
        assert client.received[0].count("é") == 1_000_000
        assert "<ok/>" in client.received[1]

    play(schema, scenario)


def takes_no_more(client: Client) -> None:
    """Once something has been written, the client does not read on."""

    def write(buffers: Sequence[Buffer]) -> None:
        Client.write(client, buffers)
        client.session.pause_writing()

    client.write = write  # type: ignore[method-assign]


def test_a_reply_that_has_begun_is_whole_when_the_session_ends(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        takes_no_more(client)
        core.answers = {GetSchema: Reply(text="x" * 3_000_000)}
        client.send(SCHEMA_OF)
        assert client.received == []
        core.sessions[1].close("killed by a test")
        await client.until(lambda: client.closed)
        assert len(client.received) == 1

    play(schema, scenario)


def test_a_client_that_takes_nothing_is_cut_off(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        takes_no_more(client)
        core.answers = {GetSchema: Reply(text="x" * 3_000_000)}
        client.send(SCHEMA_OF)
        await client.until(lambda: client.aborted)
        assert client.received == []

    play(schema, scenario, limits=Limits(send_time=0.02))


def test_one_that_reads_now_and_then_is_not(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.session.pause_writing()
        client.session.resume_writing()
        client.session.pause_writing()
        client.session.resume_writing()
        late = asyncio.get_running_loop().time() + 0.05  # when it would have been cut off
        await client.until(lambda: asyncio.get_running_loop().time() > late)
        client.send("<commit/>")
        await client.until(lambda: len(client.received) == 1)
        assert not client.aborted

    play(schema, scenario, limits=Limits(send_time=0.02))


def test_messages_that_wait_are_bounded_by_their_size(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        big = f"<commit><!--{'x' * 30_000}--></commit>"
        client.send(*[big] * 5)  # all at once: what follows is not read
        assert not client.reading
        await client.until(lambda: len(client.received) == 5)
        assert client.reading

    play(schema, scenario, limits=Limits(message_size=50_000))


def test_mistakes_and_our_own_faults_leave_the_session_alive(schema: Schema, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        def refuse(request: Request) -> Reply:
            raise RpcErrors([RpcError("lock-denied", info={"session-id": "3"}), RpcError("in-use")])

        def crash(request: Request) -> Reply:
            raise ZeroDivisionError

        core.answers = {Lock: refuse, Get: crash}
        client.session.feed(b"".join(client.connection.send(b"<oops")))
        client.send("<lock><target><running/></target></lock>", "<get/>", "<bad/>", "<discard-changes/>")
        await client.until(lambda: len(client.received) == 5)
        malformed, several, crashed, unknown, fine = client.received
        assert "malformed-message" in malformed
        assert several.count("<rpc-error>") == 2
        assert "<session-id>3</session-id>" in several
        assert "operation-failed" in crashed
        assert "ZeroDivisionError" not in crashed
        assert "unknown-element" in unknown
        assert "<ok/>" in fine
        session = core.sessions[1]
        assert (session.in_rpcs, session.in_bad_rpcs, session.out_rpc_errors) == (1, 1, 2)  # the core counts the rest

    play(schema, scenario)
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_close_session_is_answered_and_ends_it(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.send("<close-session/>", "<get/>")
        await client.until(lambda: client.closed)
        await asyncio.sleep(0)
        assert len(client.received) == 1
        assert "<ok/>" in client.received[0]
        client.session.connection_lost()
        await client.until(lambda: core.reasons)
        assert (core.closed, core.reasons) == ([1], ["closed"])

    play(schema, scenario)


def test_kill_from_another_thread(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        await asyncio.to_thread(core.sessions[1].close, "by session 2")
        await client.until(lambda: client.closed)
        await client.until(lambda: core.reasons)
        assert (core.closed, core.reasons) == ([1], ["killed"])

    play(schema, scenario)


def test_locks_are_released_only_after_the_running_rpc(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        go = threading.Event()

        def wait(request: Request) -> Reply:
            assert go.wait(10)
            return Reply()

        core.answers = {Get: wait}
        client.send(f"<get><!--{'x' * 300_000}--></get>")
        client.session.connection_lost()
        assert core.closed == []
        go.set()
        await client.until(lambda: core.closed == [1])
        assert client.received == []

    play(schema, scenario)


@pytest.mark.parametrize("data", [b"\n#x", b"<rpc/>]]>]]>"])
def test_broken_framing_ends_the_session_without_a_word(schema: Schema, data: bytes) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.session.feed(data)
        assert client.closed
        assert client.received == []
        await client.until(lambda: core.reasons)
        assert (core.closed, core.reasons) == ([1], ["dropped"])
        client.session.feed(b"more")

    play(schema, scenario)


def test_no_hello_in_time(schema: Schema) -> None:
    async def run() -> None:
        core = RecordingCore(schema)
        client = Client(core, Limits(hello_time=0.01))
        await client.until(lambda: client.closed)
        await client.until(lambda: core.reasons)
        assert (core.closed, core.reasons) == ([1], ["timeout"])

    asyncio.run(run())


def test_end_of_input_still_answers_what_was_asked(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.send("<get/>", "<commit/>", "<get/>")
        client.session.eof()
        await client.until(lambda: client.closed)
        assert len(client.received) == 3

    play(schema, scenario)


def test_a_client_that_does_not_read_is_not_read_from(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.session.pause_writing()
        client.send(*["<get/>"] * 100)
        assert not client.reading
        assert core.requests == []
        client.session.resume_writing()
        await client.until(lambda: len(client.received) == 100)
        assert client.reading

    play(schema, scenario)


def events(schema: Schema, count: int) -> list[Event]:
    node = schema.notifications["example-network", "link-down"]
    return [Event(node, (), (str(i), None), datetime(2026, 1, 1, tzinfo=UTC)) for i in range(count)]


SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'


def test_replay_follows_the_reply_and_notifications_keep_their_order(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        sinks: list[Callable[[object], None]] = []

        def subscribe(request: Request) -> Reply:
            assert isinstance(request, CreateSubscription)
            sinks.append(request.sink)
            request.sink(events(schema, 1)[0])
            return Reply()

        core.answers = {CreateSubscription: subscribe}
        client.send(SUBSCRIBE, "<get/>")

        await client.until(lambda: sinks)

        def publish() -> None:
            for event in events(schema, 50):
                sinks[0](event)

        await asyncio.to_thread(publish)
        await client.until(lambda: len(client.received) == 53)
        assert "<ok/>" in client.received[0]
        told = [message for message in client.received if "<eventTime>" in message]
        expected = ["0", *map(str, range(50))]
        assert [message.partition("<from>")[2].partition("<")[0] for message in told] == expected

    play(schema, scenario)


def test_a_message_that_comes_too_slowly_ends_its_session(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        client.send(QUICK)
        await client.until(lambda: len(client.received) == 1)
        client.session.feed(b"\n#1000\n<rpc")
        await client.until(lambda: client.closed)
        await client.until(lambda: core.reasons == ["dropped"])

    play(schema, scenario, Limits(message_time=0.02))


def test_a_message_that_keeps_its_rate_and_a_silent_client_are_left_alone(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        rpc = f'<rpc xmlns="{NETCONF}" message-id="7"><get><!--{"x" * 2000}--><filter/></get></rpc>'.encode()
        whole = b"".join(client.connection.send(rpc))
        client.session.feed(whole[:1000])
        await asyncio.sleep(0.1)  # many times the grace: what has come pays for it
        client.session.feed(whole[1000:])
        await client.until(lambda: client.received)
        client.session.feed(b"\n")
        await asyncio.sleep(0.1)
        assert not client.closed

    play(schema, scenario, Limits(message_time=0.01, message_rate=1.0))


def test_a_subscriber_that_never_reads_is_closed(schema: Schema) -> None:
    async def scenario(client: Client, core: RecordingCore) -> None:
        sinks: list[Callable[[object], None]] = []

        def subscribe(request: Request) -> Reply:
            assert isinstance(request, CreateSubscription)
            sinks.append(request.sink)
            return Reply()

        core.answers = {CreateSubscription: subscribe}
        client.send(SUBSCRIBE)
        await client.until(lambda: client.received)
        client.session.pause_writing()
        for event in events(schema, 10):
            sinks[0](event)
        await asyncio.sleep(0)  # the flush is due in the next turn
        assert not client.closed
        sinks[0](events(schema, 1)[0])
        await client.until(lambda: client.closed)
        await client.until(lambda: core.closed == [1])

    play(schema, scenario, Limits(notifications=10))
