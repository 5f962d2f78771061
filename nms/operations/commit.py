"""<commit>, <cancel-commit>, <discard-changes> and <validate> (RFC 6241 sections 8.3, 8.4, 8.6).

Each step of a confirmed commit is told by netconf-confirmed-commit (RFC 6470).
"""

from __future__ import annotations

from datetime import datetime

from nms.errors import RpcError
from nms.operations import events
from nms.operations.context import OK, Context
from nms.operations.edit import configuration
from nms.operations.request import CancelCommit, Commit, DiscardChanges, Reply, Session, Validate


def commit(context: Context, session: Session, request: Commit) -> Reply:
    """Make candidate the running configuration, for good or until the time for a confirmation is over."""
    guard = context.guard
    with guard.store.writer:
        tick(context, context.clock())  # what is over cannot be confirmed any more, however late the timer is
        was_pending = guard.deadline() is not None
        guard.commit(
            session,
            confirmed=request.confirmed,
            timeout=request.timeout,
            persist=request.persist,
            persist_id=request.persist_id,
        )
        if request.confirmed:
            events.confirmed_commit(context, "extend" if was_pending else "start", session, request.timeout)
        elif was_pending:
            events.confirmed_commit(context, "complete", session)
    return OK


def cancel_commit(context: Context, session: Session, request: CancelCommit) -> Reply:
    """Undo the pending confirmed commit."""
    tick(context, context.clock())
    context.guard.cancel_commit(session, request.persist_id)
    events.confirmed_commit(context, "cancel", session)
    return OK


def discard_changes(context: Context, session: Session, request: DiscardChanges) -> Reply:
    """Make candidate equal running again."""
    context.guard.discard(session)
    return OK


def validate(context: Context, session: Session, request: Validate) -> Reply:
    """Check the constraints of a datastore or a given configuration.

    Raises:
        RpcError: invalid-value; operational holds more than configuration (RFC 8526 section 3.2).
    """
    if request.source == "operational":
        raise RpcError("invalid-value", "operational cannot be validated", type="protocol")
    if isinstance(request.source, str):
        context.guard.validate(context.guard.store.root(request.source))
    else:
        context.guard.validate(configuration(context, session, request.source))
    return OK


def tick(context: Context, now: datetime) -> None:
    """Undo a confirmed commit whose time is over."""
    if context.guard.tick(now):
        events.confirmed_commit(context, "timeout", None)
