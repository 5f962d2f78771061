"""Programs of clients' expressions, remembered so that an expression that is sent again need not be compiled again.

Clients choose what is in here, so all of it together has a bound: each program weighs what it may hold, the schema
nodes that were looked at to compile it and the text that it is found by.  Those used least recently go first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Together; one of weight takes about 200 bytes.
MOST: Final = 500_000


class Programs(Generic[T]):
    """A cache by weight; thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self.weight = 0
        self._most = most
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """What was made for `key`; `make` gives it and its weight, and may raise."""
        with self._lock:
            known = self._held.get(key)
            if known is not None:
                self._held.move_to_end(key)
                return known[0]
        made, weight = make()
        with self._lock:
            if key not in self._held and weight <= self._most // 4:  # one alone must not put out all others
                self._held[key] = made, weight
                self.weight += weight
            while self.weight > self._most:
                _, (_, gone) = self._held.popitem(last=False)
                self.weight -= gone
        return made
