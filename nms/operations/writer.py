"""The queue before the one writer: what comes while it works is done together, edits of running as one group.

Nobody is the writer for good: whoever gets the store's writer lock does what all have queued.  A thread waits for the
lock (`carry_out`); an event loop, which must not, is told of the outcome (`submit`, `work`).  Knows no event loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeGuard

from nms.model.edit import Edit
from nms.model.schema import Node
from nms.operations.context import Answer
from nms.operations.request import Commit, DiscardChanges, EditConfig, Lock, Reply, Request, Session, Unlock

_log = logging.getLogger(__name__)

#: Seconds that somebody who has other things to do can spare for what is in the queue.
SPARE: Final = 0.01
#: Changes of candidate that are committed in that time.
_FEW: Final = 100
#: Requests that are done together without looking for more.
_ENOUGH: Final = 32

#: Executes requests in their order and gives the outcome of each; never raises.
Execute = Callable[[Sequence[tuple[Session, Request]]], Sequence[Reply | BaseException]]


@dataclass(slots=True, eq=False)
class _Asked:
    """A request in the queue, and what became of it; `answer` is called once the lock is free again."""

    session: Session
    request: Request
    answer: Answer | None = None
    outcome: Reply | BaseException | None = None


class Writer:
    """The requests that wait for their turn to change something.

    Args:
        exclusive: the store's writer lock.
        execute: `nms.operations.dispatch.Core.dispatch_all`.
        candidate_changes: how many changes candidate holds at the moment.
        compacts_soon: as in `nms.datastore.journal.Journal`.
    """

    def __init__(
        self,
        exclusive: threading.RLock,
        execute: Execute,
        candidate_changes: Callable[[], int] = lambda: 0,
        compacts_soon: Callable[[], bool] = lambda: False,
    ) -> None:
        self._exclusive = exclusive
        self._execute = execute
        self._candidate_changes = candidate_changes
        self.compacts_soon = compacts_soon
        self._queue: deque[_Asked] = deque()
        self._lock = threading.Lock()  # of the queue and of the next one
        self._promised = False  # somebody calls `work`
        self._seen = 0  # how many waited when it was last looked
        self._last = 0  # how many were done together the last time
        self._slow = False  # the last ones took longer than can be spared: so will the next, perhaps

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._queue)

    def is_light(self, request: Request | Exception) -> TypeGuard[Request]:
        """Is this a change that costs little, as it seems?  What an edit removes may be as large as the store."""
        if isinstance(request, EditConfig):
            return all(map(_is_light, request.edits))
        if isinstance(request, Commit):
            return self._candidate_changes() <= _FEW
        return isinstance(request, DiscardChanges | Lock | Unlock)

    def carry_out(self, session: Session, request: Request) -> Reply:
        """Do `request` when its turn has come, with all that is queued by then.

        Raises:
            RpcError, RpcErrors: refused.
        """
        asked = _Asked(session, request)
        with self._lock:
            self._queue.append(asked)
        with self._exclusive:
            done = self._do_all() if asked.outcome is None else []
        _answer(done)
        assert asked.outcome is not None
        if isinstance(asked.outcome, BaseException):
            raise asked.outcome
        return asked.outcome

    def submit(self, session: Session, request: Request, answer: Answer) -> bool:
        """Queue a request; `answer` gets its outcome, in any thread.

        Returns whether the caller must have `work` called soon: nobody else will.
        """
        with self._lock:
            self._queue.append(_Asked(session, request, answer))
            first = not self._promised
            self._promised = True
            return first

    def gathers(self) -> bool:
        """Is it worth another turn of the event loop before `work`, since others ask meanwhile and could share a write?

        As long as each turn brings somebody.  Who asks alone, and did so the last time, does not wait.  For the event
        loop that has been told to `work`.
        """
        seen, self._seen = self._seen, len(self._queue)
        more = seen < self._seen < _ENOUGH and max(self._seen, self._last) > 1
        if not more:
            self._seen = 0
        return more

    def work(self, *, wait: bool = True) -> bool:
        """Empty the queue.

        Args:
            wait: False: only while nobody else changes anything and it is quick.

        Returns whether the queue is empty; if not, `work` must be called again, where it may wait.
        """
        while self._has_work():
            if not wait and (self._slow or self.compacts_soon()):
                return False
            if not self._exclusive.acquire(blocking=wait):
                return False
            try:
                began = time.monotonic()
                done = self._do_all()
                self._slow = time.monotonic() - began > SPARE
            finally:
                self._exclusive.release()
            _answer(done)
        return True

    def _has_work(self) -> bool:
        with self._lock:
            self._promised = bool(self._queue)
            return self._promised

    def _do_all(self) -> list[_Asked]:
        """Do what is in the queue now.  Under the writer lock: what came while one waited for it is there too."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            self._last = len(taken)
        outcomes = self._execute([(asked.session, asked.request) for asked in taken])
        for asked, outcome in zip(taken, outcomes, strict=True):
            asked.outcome = outcome
        return taken


def _answer(done: Sequence[_Asked]) -> None:
    for asked in done:
        if asked.answer is not None and asked.outcome is not None:
            try:
                asked.answer(asked.outcome)
            except Exception:  # noqa: BLE001 - one client that cannot be answered must not keep the others waiting
                _log.exception("session %d: its answer cannot be delivered", asked.session.id)


def _is_light(edit: Edit) -> bool:
    if edit.op in ("delete", "remove", "replace") and _may_hold_much(edit.node, edit.key is not None):
        return False
    return all(map(_is_light, edit.children or ()))


@cache
def _may_hold_much(node: Node, one_entry: bool) -> bool:
    return any(below.kind == "list" for below in node.walk() if below is not node or not one_entry)
