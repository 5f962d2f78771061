"""Confirmed commit (RFC 6241 section 8.4) as plain state: what is pending, who may confirm it, when it is over.

Time is an argument; the commits and rollbacks themselves are made by `nms.access.guard`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nms.errors import RpcError
from nms.model.values import Value


@dataclass(frozen=True, slots=True)
class Pending:
    """A confirmed commit that waits for its confirmation.

    Attributes:
        saved: root of `running` before the first confirmed commit of the sequence.
        deadline: when it is rolled back.
        session_id: who may confirm it, unless `persist` names it.
        persist: token that any session confirms or cancels it by.
    """

    saved: Value
    deadline: datetime
    session_id: int
    persist: str | None

    def is_over(self, now: datetime) -> bool:
        """Has the time for a confirmation run out?"""
        return now >= self.deadline


def begin(
    pending: Pending | None, running: Value, session_id: int, now: datetime, timeout: int, persist: str | None
) -> Pending:
    """What is pending after one more <confirmed> commit; `timeout` in seconds.

    A follow-up restarts the timer and keeps the first one's saved configuration.

    Raises:
        RpcError: invalid-value; the timeout is not positive.
    """
    if timeout <= 0:
        raise RpcError("invalid-value", "confirm-timeout is at least 1 second", type="protocol")
    saved = running if pending is None else pending.saved
    return Pending(saved, now + timedelta(seconds=timeout), session_id, persist)


def check_owner(pending: Pending | None, session_id: int, persist_id: str | None) -> None:
    """May a <commit> with `persist_id` be made by this session now?

    Raises:
        RpcError: invalid-value; `persist_id` names no pending commit (section 8.4.5.1).
            in-use; the pending commit is another session's.
    """
    if persist_id is not None:
        if pending is None or pending.persist != persist_id:
            raise RpcError("invalid-value", "no pending confirmed commit has this persist-id", type="protocol")
    elif pending is not None and pending.persist is not None:
        raise RpcError("in-use", "a confirmed commit is pending: its persist-id is needed", type="protocol")
    elif pending is not None and pending.session_id != session_id:
        raise RpcError(
            "in-use",
            f"a confirmed commit of session {pending.session_id} is pending",
            type="protocol",
            info={"session-id": str(pending.session_id)},
        )
