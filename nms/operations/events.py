"""The notifications that the server makes about itself (RFC 6470): sessions, changes, confirmed commits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from nms.access.guard import Author, Transaction
from nms.model import json
from nms.model.diff import Change
from nms.model.path import format_path
from nms.notify.streams import Notification
from nms.operations.context import Context
from nms.operations.request import Session

_MODULE = "ietf-netconf-notifications"
#: A longer list of edits says less than the top-level nodes they are in.
_MOST_EDITS = 1000


def _publish(context: Context, name: str, content: Mapping[str, Any]) -> None:
    node = context.schema.notifications.get((_MODULE, name))
    if node is not None:
        context.streams.publish(Notification(node, (), json.decode(node, dict(content)), context.clock()))


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
    edits = [{"target": format_path(c.path), "operation": _operation(c)} for c in tx.changes[:_MOST_EDITS]]
    if len(tx.changes) > _MOST_EDITS:
        tops = sorted({change.path[0][0] for change in tx.changes}, key=lambda node: node.path)
        edits = [{"target": top.path, "operation": "merge"} for top in tops]
    _publish(
        context, "netconf-config-change", {"changed-by": _changed_by(tx.author), "datastore": "running", "edit": edits}
    )


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
    _publish(context, "netconf-confirmed-commit", content)


def session_start(context: Context, session: Session) -> None:
    """netconf-session-start."""
    _publish(context, "netconf-session-start", _who(session.principal.name, session.id, session.source_host))


def session_end(context: Context, session: Session, reason: str, killed_by: int) -> None:
    """netconf-session-end; `reason` is its termination-reason."""
    content = _who(session.principal.name, session.id, session.source_host) | {"termination-reason": reason}
    if killed_by:
        content["killed-by"] = killed_by
    _publish(context, "netconf-session-end", content)
