"""Counts who waits outside and who is in, for every NETCONF transport together, and says who must stay out.

A connection that has not proven who it is holds a place of its address, so that one address cannot take them all; a
session holds a place of its user.  No sockets and no clock here; in the event loop's thread only, but for reading.
"""

from __future__ import annotations

from collections import Counter

from nms.limits import Limits
from nms.tls import Leave as Leave


class Places:
    """Places that are taken under a name: so many of one name, so many in all.

    Attributes:
        taken: those that are taken.
        refused: how often there was none, since the start.
    """

    def __init__(self, most_of_one: int, most: int) -> None:
        self.taken = 0
        self.refused = 0
        self._most_of_one = most_of_one
        self._most = most
        self._of_one: Counter[str] = Counter()

    def take(self, name: str) -> Leave | None:
        """A place under `name`, None: there is none."""
        if self._of_one.get(name, 0) >= self._most_of_one or self.taken >= self._most:
            self.refused += 1
            return None
        self.taken += 1
        self._of_one[name] += 1
        held = [name]

        def leave() -> None:
            if held:
                held.clear()
                self.taken -= 1
                self._of_one[name] -= 1
                if not self._of_one[name]:
                    del self._of_one[name]  # there is no end of addresses

        return leave


class Door:
    """The places of all transports.

    Attributes:
        logins: connections that have still to prove who they are, by address.
        sessions: by user.
        failed_logins: wrong passwords, keys and certificates of nobody, handshakes that broke, since the start.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.logins = Places(self.limits.logins_per_address, self.limits.logins)
        self.sessions = Places(self.limits.sessions_per_user, self.limits.sessions)
        self.failed_logins = 0
