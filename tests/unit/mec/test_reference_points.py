"""Following an operation occurrence through lost, doubled and reordered notifications."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec import reference_point
from nms.mec.occurrence import OCCURRENCE_CHANGED, TEMPORARY
from nms.mec.reference_points import Mx3
from nms.mec.session import RESYNC, DataEdit, Members, Sink


class Scripted:
    """A `ManagementSession` whose other side plays a script: what `get` shows, and what is notified."""

    def __init__(self, shown: Members) -> None:
        self.shown = shown
        self.gets = 0
        self.sinks: list[Sink] = []

    async def edit(self, edits: Sequence[DataEdit]) -> None:
        raise AssertionError("nothing is edited here")

    async def get(self, path: str = "", content: Any = "all") -> Members | None:
        self.gets += 1
        return self.shown if path == "/operation-occurrence[id='1']" else None

    async def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        raise AssertionError("nothing is invoked here")

    def watch(self, sink: Sink) -> Any:
        self.sinks.append(sink)
        owner = self

        class Handle:
            def close(self) -> None:
                owner.sinks.remove(sink)

        return Handle()

    def tell(self, sequence: int, progress: int, state: str = "processing") -> None:
        members = {"occurrence": "1", "state": f"mec-types:{state}", "progress": progress, "sequence": str(sequence)}
        for sink in tuple(self.sinks):
            sink(OCCURRENCE_CHANGED, members)


def entry(progress: int, state: str = "processing", **more: Any) -> Members:
    return {
        "id": "1",
        "operation": "mec-types:instantiate",
        "state": f"mec-types:{state}",
        "progress": progress,
        **more,
    }


def follow(session: Scripted, script: Callable[[], None]) -> list[int]:
    """Progress that was seen; `script` runs once the follower listens."""
    seen: list[int] = []

    async def story() -> None:
        async with asyncio.timeout(10):
            work = asyncio.create_task(Mx3(session).follow("1", lambda each: seen.append(each.progress)))
            while not seen:  # noqa: ASYNC110 - the first reading
                await asyncio.sleep(0)
            script()
            await work

    asyncio.run(story())
    assert session.sinks == []
    return seen


def test_notifications_carry_the_progress() -> None:
    session = Scripted(entry(0))

    def script() -> None:
        session.tell(7, 40)
        session.tell(8, 100, "completed")

    assert follow(session, script) == [0, 40, 100]
    assert session.gets == 1


def test_doubled_and_late_ones_are_dropped() -> None:
    session = Scripted(entry(0))

    def script() -> None:
        for sequence, progress in ((7, 40), (7, 40), (8, 60), (6, 10), (9, 100)):
            session.tell(sequence, progress, "completed" if progress == 100 else "processing")

    assert follow(session, script) == [0, 40, 60, 100]


def test_after_a_gap_the_state_is_read_again() -> None:
    session = Scripted(entry(0))

    def script() -> None:
        session.tell(7, 40)
        session.shown = entry(100, "completed")
        session.tell(9, 90)

    assert follow(session, script) == [0, 40, 100]
    assert session.gets == 2


def test_after_an_interruption_the_state_is_read_again() -> None:
    session = Scripted(entry(0))

    def script() -> None:
        session.shown = entry(100, "completed")
        session.sinks[0](RESYNC, {})

    assert follow(session, script) == [0, 100]


def test_silence_makes_the_state_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_point, "SILENCE", 0.01)
    session = Scripted(entry(0))

    def script() -> None:
        session.shown = entry(100, "completed")

    assert follow(session, script) == [0, 100]


@pytest.mark.parametrize(("state", "app_tag"), [("failed", ""), ("failed-temp", TEMPORARY), ("cancelled", "")])
def test_failures_are_raised_as_the_other_side_said(state: str, app_tag: str) -> None:
    error = {"error-tag": "resource-denied", "detail": "no room"}
    with pytest.raises(RpcError) as raised:
        follow(Scripted(entry(0, state, error=error)), lambda: None)
    assert (raised.value.tag, raised.value.message, raised.value.app_tag) == ("resource-denied", "no room", app_tag)


def test_an_error_tag_that_nobody_knows_does_not_break_the_follower() -> None:
    with pytest.raises(RpcError, match="strange") as raised:
        follow(Scripted(entry(0, "failed", error={"error-tag": "x-y", "title": "strange"})), lambda: None)
    assert raised.value.tag == "operation-failed"
