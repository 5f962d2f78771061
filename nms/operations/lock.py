"""<lock>, <unlock>, <close-session>, <kill-session> (RFC 6241 sections 7.5, 7.6, 7.8, 7.9)."""

from __future__ import annotations

from nms.errors import RpcError
from nms.operations import monitor
from nms.operations.context import OK, Context
from nms.operations.request import CloseSession, KillSession, Lock, Reply, Session, Unlock

_LOCKABLE = ("running", "candidate", "startup")


def lock(context: Context, session: Session, request: Lock) -> Reply:
    """Lock a configuration datastore."""
    context.guard.lock(session, _lockable(request.target))
    return OK


def unlock(context: Context, session: Session, request: Unlock) -> Reply:
    """Unlock a configuration datastore."""
    context.guard.unlock(session, _lockable(request.target))
    return OK


def _lockable(target: str) -> str:
    if target not in _LOCKABLE:
        raise RpcError("invalid-value", f"{target} cannot be locked", type="protocol")
    return target


def close_session(context: Context, session: Session, request: CloseSession) -> Reply:
    """Release what the session holds; its front end closes the transport after the reply."""
    context.end(session, "closed", 0)
    return OK


def kill_session(context: Context, session: Session, request: KillSession) -> Reply:
    """End another session.

    Raises:
        RpcError: invalid-value; there is no such session, or it is the asking one.
    """
    victim = context.sessions.get(request.session_id)
    if victim is None or victim is session or not monitor.is_netconf(victim):
        which = "this very session" if victim is session else "no session"
        raise RpcError("invalid-value", f"{request.session_id} is {which}: it cannot be killed", type="protocol")
    context.end(victim, "killed", session.id)
    victim.close(f"killed by session {session.id}")
    return OK
