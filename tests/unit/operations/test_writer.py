"""The queue before the writer: who works, who is told, and what counts as light."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from nms.errors import RpcError
from nms.operations import writer as writer_module
from nms.operations.request import Commit, CopyConfig, EditConfig, Get, Lock, Reply, Request, Session
from nms.operations.writer import Writer
from tests.unit.operations.shop_server import Server, at


class Bench:
    """A writer over a lock of its own; `groups` has what was executed together."""

    def __init__(self) -> None:
        self.server = Server()
        self.exclusive = threading.RLock()
        self.groups: list[int] = []
        self.changes = 0
        self.writer = Writer(self.exclusive, self.execute, lambda: self.changes)

    def execute(self, wanted: Sequence[tuple[Session, Request]]) -> list[Reply | BaseException]:
        self.groups.append(len(wanted))
        return [Reply(text=str(number)) for number in range(len(wanted))]

    def submit(self, answers: list[Reply | BaseException]) -> bool:
        return self.writer.submit(self.server.admin, Commit(), answers.append)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(writer_module, "SPARE", 60.0)
    return Bench()


def test_the_first_has_the_work_done_for_all(bench: Bench) -> None:
    answers: list[Reply | BaseException] = []
    assert [bench.submit(answers) for _ in range(3)] == [True, False, False]
    assert (answers, bench.writer.waiting) == ([], 3)
    assert bench.writer.work(wait=False)
    assert [reply.text for reply in answers if isinstance(reply, Reply)] == ["0", "1", "2"]
    assert bench.groups == [3]
    assert bench.submit(answers)


def test_what_comes_while_answers_are_given_is_done_too(bench: Bench) -> None:
    answers: list[Reply | BaseException] = []
    firsts: list[bool] = []
    bench.writer.submit(bench.server.admin, Commit(), lambda outcome: firsts.append(bench.submit(answers)))
    assert bench.writer.work()
    assert (firsts, len(answers), bench.groups) == ([False], 1, [1, 1])


def test_an_answer_that_cannot_be_given_keeps_nobody_waiting(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Reply | BaseException] = []
    bench.writer.submit(bench.server.admin, Commit(), lambda outcome: 1 / 0)
    bench.submit(answers)
    assert bench.writer.work()
    assert (len(answers), bench.groups) == (1, [2])
    assert "cannot be delivered" in caplog.text
    assert bench.submit(answers)


def test_who_asks_alone_does_not_wait_for_others(bench: Bench) -> None:
    for _ in range(2):
        bench.submit([])
        assert not bench.writer.gathers()
        assert bench.writer.work()
    assert bench.groups == [1, 1]


def test_others_are_waited_for_as_long_as_they_come(bench: Bench) -> None:
    for coming, more in ((2, True), (1, True), (0, False)):
        for _ in range(coming):
            bench.submit([])
        assert bench.writer.gathers() == more
    assert bench.writer.work()
    bench.submit([])  # others asked the last time
    assert [bench.writer.gathers() for _ in range(2)] == [True, False]
    assert bench.writer.work()
    bench.submit([])
    assert not bench.writer.gathers()
    assert bench.writer.work()
    assert bench.groups == [3, 1, 1]


def test_enough_is_not_made_to_wait_for_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_ENOUGH", 3)
    looked = []
    for _ in range(2):
        for _ in range(2):
            bench.submit([])
        looked.append(bench.writer.gathers())
    assert looked == [True, False]


def test_who_cannot_wait_does_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Reply | BaseException] = []
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with bench.exclusive:
            held.set()
            assert go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    bench.submit(answers)
    assert not bench.writer.work(wait=False)
    assert not bench.submit(answers)  # the work is still promised
    go.set()
    thread.join()
    assert bench.writer.work()
    assert bench.groups == [2]
    monkeypatch.setattr(writer_module, "SPARE", -1.0)  # now it takes longer than can be spared
    for quick in (True, False):
        bench.submit(answers)
        assert bench.writer.work(wait=False) is quick
    assert bench.writer.work()
    assert len(answers) == 4


def test_who_cannot_wait_does_not_compact_the_journal(bench: Bench) -> None:
    soon = True
    writer = Writer(bench.exclusive, bench.execute, compacts_soon=lambda: soon)
    writer.submit(bench.server.admin, Commit(), lambda outcome: None)
    assert not writer.work(wait=False)
    assert writer.work()
    soon = False
    writer.submit(bench.server.admin, Commit(), lambda outcome: None)
    assert writer.work(wait=False)
    assert bench.groups == [1, 1]


def test_whoever_waits_for_the_lock_does_what_others_have_queued(bench: Bench) -> None:
    answers: list[Reply | BaseException] = []
    bench.submit(answers)
    assert bench.writer.carry_out(bench.server.admin, Commit()).text == "1"
    assert (len(answers), bench.groups) == (1, [2])
    assert bench.writer.work()  # somebody promised to; nothing is left
    assert bench.groups == [2]


def test_a_refusal_is_raised(bench: Bench) -> None:
    bench.execute = lambda wanted: [RpcError("in-use")]  # type: ignore[method-assign]
    writer = Writer(bench.exclusive, bench.execute)
    with pytest.raises(RpcError, match="in-use"):
        writer.carry_out(bench.server.admin, Commit())


@pytest.mark.parametrize(
    ("request_", "light"),
    [
        (EditConfig("running", (at("/shop:shop/name", "x"),)), True),
        (EditConfig("running", (at("/shop:shop/name", op="delete"),)), True),
        (EditConfig("running", (at("/shop:shop/item[id='a']", op="delete"),)), True),
        (EditConfig("running", (at("/shop:shop/item", op="delete"),)), False),
        (EditConfig("running", (at("/shop:shop/name", "x"), at("/shop:shop", op="remove"))), False),
        (EditConfig("candidate", (at("/shop:shop", op="replace", value=()),)), False),
        (Commit(), True),
        (Lock("running"), True),
        (CopyConfig("running", "startup"), False),
        (Get("running"), False),
        (RpcError("in-use"), False),
    ],
)
def test_what_is_light(bench: Bench, request_: Request | Exception, light: bool) -> None:
    assert bench.writer.is_light(request_) is light


def test_a_commit_of_much_is_not_light(bench: Bench) -> None:
    bench.changes = 1000
    assert not bench.writer.is_light(Commit())


def test_candidate_counts_its_changes() -> None:
    server = Server()
    guard = server.core.guard
    for number in range(3):
        server.edit(*(at(f"/shop:shop/item[id='{number}{i}']/price", 1) for i in range(5)), target="candidate")
        assert guard.candidate_changes == 5 * (number + 1)
    server.commit()
    assert guard.candidate_changes == 0
    server.edit(at("/shop:shop/name", "x"), target="candidate")
    assert guard.candidate_changes == 1
