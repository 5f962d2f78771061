"""A server of modules/shop.yang as its front ends would use it, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from nms.access.guard import Journal
from nms.model import edit, json
from nms.model.edit import Edit, Insert, Op
from nms.model.load import load
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Schema
from nms.model.values import Value
from nms.notify.streams import Notification
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import (
    Commit,
    CreateSubscription,
    Datastore,
    EditConfig,
    Get,
    PathFilter,
    Principal,
    Reply,
    Request,
    Session,
)

MODULES = Path(__file__).parent / "modules"


@cache
def schema() -> Schema:
    """modules/shop.yang beside the protocols' own modules."""
    return load([MODULES], ["shop", *PROTOCOL_MODULES])


def path(text: str) -> InstancePath:
    """An instance path from its text."""
    return parse_path(schema(), text)


def at(text: str, value: Value = None, op: Op = "merge", insert: Insert | None = None) -> Edit:
    """The edit at one path; what is above is made."""
    return edit.at(path(text), op, value, insert, parents="none" if op in ("delete", "remove") else "merge")


def edit_config(*edits: Edit, target: Datastore = "running", **more: Any) -> EditConfig:
    """The request, whose resource is what a single edit leads to, as in RESTCONF."""
    resource: InstancePath = ()
    below: Sequence[Edit] | None = edits
    while below is not None and len(below) == 1:
        resource = (*resource, (below[0].node, below[0].key))
        below = below[0].children
    return EditConfig(target, edits, **{"resource": resource, **more})


def tree(members: Mapping[str, Any]) -> Value:
    """A root from the members of shop:shop or, qualified, of the root."""
    qualified = all(":" in name for name in members)
    return json.decode(schema().root, dict(members) if qualified else {"shop:shop": dict(members)})


def plain(root: Value) -> dict[str, Any]:
    """A root as RFC 7951 objects."""
    return json.plain(schema().root, root)


class Server:
    """A `Core` with one recovery session, `admin`, and everything it was notified of."""

    def __init__(self, journal: Journal | None = None, initial: Value | None = None) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.core = Core.create(schema(), journal, initial=initial, clock=lambda: self.now)
        self.events: list[Notification] = []
        self.admin = self.open("admin", recovery=True)
        self.core.dispatch(self.open("watcher", recovery=True, protocol="restconf"), self.subscription(self.events))
        self.killed: list[str] = []

    def open(self, name: str, *groups: str, recovery: bool = False, protocol: str = "netconf-ssh") -> Session:
        """A session of user `name`."""
        principal = Principal(name, frozenset(groups), recovery)
        return self.core.open_session(principal, protocol, "192.0.2.1", lambda why: self.killed.append(why))

    def subscription(self, sink: list[Any], **options: Any) -> CreateSubscription:
        """A subscription that appends to `sink`."""
        return CreateSubscription(sink.append, **options)

    def do(self, request: Request, session: Session | None = None) -> Reply:
        """Dispatch for `session`, else for admin."""
        return self.core.dispatch(session or self.admin, request)

    def edit(self, *edits: Edit, session: Session | None = None, target: Datastore = "running", **more: Any) -> Reply:
        """<edit-config>."""
        return self.do(edit_config(*edits, target=target, **more), session)

    def commit(self, session: Session | None = None, **more: Any) -> None:
        """<commit>."""
        self.do(Commit(**more), session)

    def get(self, where: Datastore = "running", session: Session | None = None, **more: Any) -> dict[str, Any]:
        """What a session reads of a whole datastore, without the state of the protocols' own modules."""
        reply = self.do(Get(where, **more), session)
        members = json.plain(reply.node or schema().root, reply.data)
        return {name: value for name, value in members.items() if name.startswith("shop:")}

    def shop(self, where: Datastore = "running", session: Session | None = None, **more: Any) -> dict[str, Any]:
        """The members of shop:shop."""
        members: dict[str, Any] = self.get(where, session, **more).get("shop:shop", {})
        return members

    def read(self, text: str, session: Session | None = None, **more: Any) -> dict[str, Any]:
        """One instance of operational, from the root."""
        reply = self.do(Get("operational", PathFilter(path(text)), **more), session)
        return json.plain(reply.node or schema().root, reply.data)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Notifications since the last call, as (name, members)."""
        events = [(event.node.name, json.plain(event.node, event.value)) for event in self.events]
        self.events.clear()
        return events

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.core.tick(self.now)
