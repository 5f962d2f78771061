"""The queue before the one writer: what comes while it works is done together, edits of running as one group.

Whoever finds the queue empty has `work` called, in its own thread where that is quick and else in one that may wait.
Knows no event loop and no front end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, TypeGuard

from nms.model.edit import Edit
from nms.model.schema import Node
from nms.operations.context import Answer
from nms.operations.request import Commit, DiscardChanges, EditConfig, Lock, Reply, Request, Session, Unlock

#: Seconds that somebody who has other things to do can spare for what is in the queue.
SPARE: Final = 0.01
#: Changes of candidate that are committed in that time.
_FEW: Final = 100

#: Executes requests in their order and gives the outcome of each; never raises.
Execute = Callable[[Sequence[tuple[Session, Request]]], Sequence[Reply | BaseException]]


class Writer:
    """The requests that wait for their turn to change something.

    Args:
        exclusive: the store's writer lock.
        execute: `nms.operations.dispatch.Core.dispatch_all`.
        candidate_changes: how many changes candidate holds at the moment.
    """

    def __init__(
        self, exclusive: threading.RLock, execute: Execute, candidate_changes: Callable[[], int] = lambda: 0
    ) -> None:
        self._exclusive = exclusive
        self._execute = execute
        self._candidate_changes = candidate_changes
        self._queue: deque[tuple[Session, Request, Answer]] = deque()
        self._lock = threading.Lock()
        self._working = False
        self._slow = False  # the last ones took longer than can be spared: so will the next, perhaps

    def is_light(self, request: Request | Exception) -> TypeGuard[Request]:
        """Is this a change that costs little, as it seems?  What an edit removes may be as large as the store."""
        if isinstance(request, EditConfig):
            return all(map(_is_light, request.edits))
        if isinstance(request, Commit):
            return self._candidate_changes() <= _FEW
        return isinstance(request, DiscardChanges | Lock | Unlock)

    def submit(self, session: Session, request: Request, answer: Answer) -> bool:
        """Queue a request; `answer` gets its outcome in the thread that works.

        Returns whether the caller must have `work` called, now or later: nobody else will.
        """
        with self._lock:
            self._queue.append((session, request, answer))
            idle = not self._working
            self._working = True
            return idle

    def work(self, *, wait: bool = True) -> bool:
        """Empty the queue.  Never raises.

        Args:
            wait: False: only while nobody else changes anything and it is quick.

        Returns whether the queue is empty; if not, `work` must be called again, where it may wait.
        """
        while self._has_work():
            if (self._slow and not wait) or not self._exclusive.acquire(blocking=wait):
                return False
            try:
                # Only now: what came while this waited for others belongs to the group too.
                taken = self._take()
                began = time.monotonic()
                outcomes = self._execute([(session, request) for session, request, _ in taken])
                self._slow = time.monotonic() - began > SPARE
            finally:
                self._exclusive.release()
            for (_, _, answer), outcome in zip(taken, outcomes, strict=True):
                answer(outcome)
        return True

    def _has_work(self) -> bool:
        with self._lock:
            self._working = bool(self._queue)
            return self._working

    def _take(self) -> list[tuple[Session, Request, Answer]]:
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            return taken


def _is_light(edit: Edit) -> bool:
    if edit.op in ("delete", "remove", "replace") and _may_hold_much(edit.node, edit.key is not None):
        return False
    return all(map(_is_light, edit.children or ()))


@cache
def _may_hold_much(node: Node, one_entry: bool) -> bool:
    return any(below.kind == "list" for below in node.walk() if below is not node or not one_entry)
