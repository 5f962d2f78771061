"""Counts who waits outside and who is in, for every NETCONF transport together, and says who must stay out.

A connection that has not proven who it is holds a place of its address, so that one address cannot take them all; a
session holds a place of its user.  No sockets and no clock here; in the event loop's thread only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from nms.limits import Limits

#: Gives a place back; harmless when called again.
Leave = Callable[[], None]


class Door:
    """Places, as many as the limits allow.

    Attributes:
        logins, sessions: places taken.
        refused_logins, refused_sessions: those that found none, since the start.
        failed_logins: wrong passwords, keys and certificates of nobody, handshakes that broke, since the start.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.refused_logins = 0
        self.refused_sessions = 0
        self.failed_logins = 0
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()

    @property
    def logins(self) -> int:
        return self._addresses.total()

    @property
    def sessions(self) -> int:
        return self._users.total()

    def knock(self, address: str) -> Leave | None:
        """A place for a connection that has still to prove who it is; None: there is none."""
        limits = self.limits
        place = _take(self._addresses, address, limits.logins_per_address, limits.logins)
        if place is None:
            self.refused_logins += 1
        return place

    def enter(self, user: str) -> Leave | None:
        """A place for a session of `user`; None: there is none."""
        place = _take(self._users, user, self.limits.sessions_per_user, self.limits.sessions)
        if place is None:
            self.refused_sessions += 1
        return place


def _take(taken: Counter[str], name: str, most: int, most_of_all: int) -> Leave | None:
    if taken[name] >= most or taken.total() >= most_of_all:
        if not taken[name]:
            del taken[name]  # asking has made an entry; there is no end of addresses
        return None
    taken[name] += 1
    held = [name]

    def leave() -> None:
        if held:
            taken[held.pop()] -= 1
            if not taken[name]:
                del taken[name]

    return leave
