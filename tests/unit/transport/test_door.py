"""Places at the door: as many as the limits say, per address and user, and each given back once."""

from __future__ import annotations

from nms.limits import Limits
from nms.transport.door import Door


def test_one_address_does_not_take_every_place() -> None:
    logins = Door(Limits(logins=3, logins_per_address=2)).logins
    first, second = logins.take("a"), logins.take("a")
    assert first is not None
    assert second is not None
    assert logins.take("a") is None
    assert logins.take("b") is not None
    assert logins.take("c") is None
    assert (logins.taken, logins.refused) == (3, 2)
    first()
    first()
    assert logins.taken == 2
    assert logins.take("a") is not None
    assert logins.take("a") is None


def test_one_user_does_not_take_every_session() -> None:
    sessions = Door(Limits(sessions=3, sessions_per_user=2)).sessions
    places = [sessions.take("ann") for _ in range(3)] + [sessions.take("bob") for _ in range(2)]
    assert [place is not None for place in places] == [True, True, False, True, False]
    for place in places:
        if place is not None:
            place()
    assert (sessions.taken, sessions.refused) == (0, 2)
