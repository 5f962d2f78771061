"""Places at the door: as many as the limits say, per address and user, and each given back once."""

from __future__ import annotations

from nms.limits import Limits
from nms.transport.door import Door


def test_one_address_does_not_take_every_place() -> None:
    door = Door(Limits(logins=3, logins_per_address=2))
    first, second = door.knock("a"), door.knock("a")
    assert first is not None
    assert second is not None
    assert door.knock("a") is None
    other = door.knock("b")
    assert other is not None
    assert door.knock("c") is None
    assert (door.logins, door.refused_logins) == (3, 2)
    first()
    first()
    assert door.logins == 2
    assert door.knock("a") is not None
    assert door.knock("a") is None


def test_one_user_does_not_take_every_session() -> None:
    door = Door(Limits(sessions=3, sessions_per_user=2))
    places = [door.enter("ann") for _ in range(3)] + [door.enter("bob") for _ in range(2)]
    assert [place is not None for place in places] == [True, True, False, True, False]
    for place in places:
        if place is not None:
            place()
    assert (door.sessions, door.refused_sessions) == (0, 2)


def test_those_who_are_refused_leave_nothing_behind() -> None:
    door = Door(Limits(logins=0))
    for number in range(1000):
        assert door.knock(str(number)) is None
    assert not door._addresses
