"""What subscribers' XPath filters may take: each at a time, and all of one user in a second.

They run in the thread of whoever causes an event, so that everybody waits for them.  Time is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from nms.model import xpath
from nms.model.cursor import Evaluation
from nms.model.schema import Schema


class Allowance:
    """The work of all subscribers' filters, by user; any thread.

    Args:
        at_once: what one evaluation may take.
        in_a_second: what those of one user may take in one second.
    """

    def __init__(self, at_once: int, in_a_second: int) -> None:
        self._at_once = at_once
        self._in_a_second = in_a_second
        self._second = 0
        self._spent: Counter[str] = Counter()

    @contextmanager
    def evaluation(self, schema: Schema, user: str, now: datetime) -> Iterator[Evaluation]:
        """An evaluation that may take what is left to `user`; what it takes is counted, whatever becomes of it."""
        second = int(now.timestamp())
        if second != self._second:
            self._second = second
            self._spent.clear()
        granted = max(0, min(self._at_once, self._in_a_second - self._spent[user]))
        evaluation = xpath.expressions(schema).evaluation(granted)
        try:
            yield evaluation
        finally:
            assert evaluation.left is not None
            self._spent[user] += granted - max(0, evaluation.left)
