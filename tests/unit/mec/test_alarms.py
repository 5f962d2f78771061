"""The list of alarms: what is said once, what is not said again, and that it does not grow for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nms.mec import publisher
from nms.mec.publisher import Publisher
from nms.mec.zones import OWN
from nms.notify.streams import Notification
from nms.operations.dispatch import Core
from tests.federation.two_domains import Clock, schema

ALARMS = "/mec-system:system/alarm"


class Heard:
    """Event streams."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []

    def publish(self, notification: Notification) -> None:
        self.notifications.append(notification)


@pytest.fixture
def core() -> Iterator[Core]:
    made = Core.create(schema(), clock=Clock())
    yield made
    made.close()


def test_the_same_again_is_not_told_again(core: Core) -> None:
    heard = Heard()
    mine = Publisher(core.store, heard)
    for _ in range(3):
        mine.alarm(OWN, "x", "drift-alarm", "major", "it is so")
    mine.alarm(OWN, "x", "drift-alarm", "major", "it is otherwise")
    for _ in range(3):
        mine.alarm(OWN, "x", "drift-alarm", "major", "it is over", cleared=True)
    mine.alarm(OWN, "y", "drift-alarm", "major", "it is over", cleared=True)
    assert len(heard.notifications) == 3
    (alarm,) = mine.entries(ALARMS)
    assert (alarm["alarm-text"], alarm["is-cleared"]) == ("it is over", True)


def test_of_too_many_those_go_that_are_over(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MOST_ALARMS", 4)
    mine = Publisher(core.store, Heard())

    def listed() -> set[str]:
        return {each["resource"] for each in mine.entries(ALARMS)}

    for name in "abcd":
        mine.alarm(OWN, name, "drift-alarm", "major", "it is so")
    for name in "cb":
        mine.alarm(OWN, name, "drift-alarm", "major", "it is over", cleared=True)
    for name, left in (("e", "abde"), ("f", "adef"), ("g", "defg")):
        mine.alarm(OWN, name, "drift-alarm", "major", "it is so")
        assert listed() == set(left)
    mine.alarm(OWN, "d", "drift-alarm", "major", "it is worse")
    assert listed() == set("defg")
