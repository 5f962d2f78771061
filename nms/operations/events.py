"""The notifications that the server makes about itself (RFC 6470): sessions, changes, confirmed commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from nms.access.guard import Author, Transaction
from nms.model import json
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path
from nms.notify.streams import Notification
from nms.operations.context import Context
from nms.operations.request import Session

_MODULE = "ietf-netconf-notifications"
#: A longer list of edits says less than the top-level nodes they are in.
_MOST_EDITS = 1000


def _publish(context: Context, name: str, content: Callable[[], Mapping[str, Any]]) -> None:
    """Publish what `content` is; it is made when somebody wants it, which after most changes nobody ever does."""
    node = context.schema.notifications.get((_MODULE, name))
    if node is not None:
        notification = Notification(node, (), lambda: json.decode(node, dict(content())), context.clock())
        context.streams.publish(notification)


def _who(user: str, session_id: int, host: str) -> dict[str, Any]:
    """common-session-parms; source-host is an address and left out when it is none."""
    who: dict[str, Any] = {"username": user, "session-id": session_id}
    with suppress(ValueError):
        who["source-host"] = str(ip_address(host))
    return who


def _changed_by(author: Author) -> dict[str, Any]:
    return _who(author.principal, author.session_id, author.host) if author.session_id else {"server": [None]}


def config_change(context: Context, tx: Transaction) -> None:
    """netconf-config-change: `running` changed."""
    author = tx.author
    if len(tx.changes) > _MOST_EDITS:
        tops = sorted({change.path[0][0] for change in tx.changes}, key=lambda node: node.path)
        told: list[tuple[InstancePath, str]] = [(((top, None),), "merge") for top in tops]
    else:
        # Not the changes themselves: they would keep what was there before in memory.
        told = [(change.path, _operation(change)) for change in tx.changes]

    def content() -> Mapping[str, Any]:
        edits = [{"target": format_path(path), "operation": operation} for path, operation in told]
        return {"changed-by": _changed_by(author), "datastore": "running", "edit": edits}

    _publish(context, "netconf-config-change", content)


def _operation(change: Change) -> str:
    if change.old is None:
        return "create"
    return "delete" if change.new is None else "merge" if change.node.kind == "list" else "replace"


def confirmed_commit(context: Context, event: str, session: Session | None, timeout: int | None = None) -> None:
    """netconf-confirmed-commit: "start", "cancel", "timeout", "extend" or "complete"; `session` None = the server."""
    content: dict[str, Any] = {"confirm-event": event}
    if event != "timeout" and session is not None:
        content |= _who(session.principal.name, session.id, session.source_host)
    if timeout is not None:
        content["timeout"] = timeout
    _publish(context, "netconf-confirmed-commit", lambda: content)


def session_start(context: Context, session: Session) -> None:
    """netconf-session-start."""
    who = _who(session.principal.name, session.id, session.source_host)
    _publish(context, "netconf-session-start", lambda: who)


def session_end(context: Context, session: Session, reason: str, killed_by: int) -> None:
    """netconf-session-end; `reason` is its termination-reason."""
    content = _who(session.principal.name, session.id, session.source_host) | {"termination-reason": reason}
    if killed_by:
        content["killed-by"] = killed_by
    _publish(context, "netconf-session-end", lambda: content)
