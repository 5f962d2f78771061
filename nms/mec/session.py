"""A management session over a subtree of somebody's datastore: what every reference point speaks.

Life cycle is intent in configuration, so a reference point needs four things of the other side only: edit, get, invoke,
watch.  `LocalSession` gives them on this domain's own core; a remote session gives them on a partner's over NETCONF
(RFC 6241) and its user cannot tell which one it has.  This module must not know what a path means.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import orjson

from nms.errors import RpcError
from nms.model import edit as edits_of
from nms.model import json, tree
from nms.model.edit import Edit
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Schema
from nms.operations.request import (
    Content,
    CreateSubscription,
    EditConfig,
    Get,
    Invoke,
    PathFilter,
    Principal,
    Reply,
    Request,
    Session,
)

Members: TypeAlias = dict[str, Any]
T = TypeVar("T")

#: Called in the event loop with ("module:notification", members).
Sink: TypeAlias = Callable[[str, Members], None]

#: Name that a sink is called with after an interruption: what was in between is lost, read the state again.
RESYNC = ""

#: Who the domain itself is, in its own datastore.
SYSTEM = Principal("system", recovery=True)


@dataclass(frozen=True, slots=True)
class DataEdit:
    """One change of configuration.

    Attributes:
        path: instance-identifier (RFC 7951 section 6.11) that continues the session's base, for instance
            ``/package[id='p']``; names without a module are in that of the name before.  "" is the base itself.
        operation: of RFC 6241 section 7.2.  Parents must exist, apart from containers without presence.
        data: RFC 7951 members of the instance (keys may be left out), or the scalar of a leaf; None with "remove".
    """

    path: str
    operation: Literal["create", "merge", "replace", "remove"]
    data: Any = None


class Watch(Protocol):
    """What `watch` gives back."""

    def close(self) -> None:
        """Stop calling the sink."""


class ManagementSession(Protocol):
    """The session.

    Every method raises `RpcError`: the other side's, or, when that side cannot be reached, one of its own with the
    app_tag "temporary" (`nms.mec.occurrence.TEMPORARY`), after which nobody knows whether it was carried out.
    """

    async def edit(self, edits: Sequence[DataEdit]) -> None:
        """Make all of `edits` in one transaction, or none."""

    async def get(self, path: str = "", content: Content = "all") -> Members | None:
        """The members of the instance at `path`, without defaults; None where there is no such instance.

        A path that ends in a list without its keys gives ``{"list-name": [entries]}``.
        """

    async def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """Call the action of the instance at `path`; gives the members of its output."""

    def watch(self, sink: Sink) -> Watch:
        """Have `sink` called with the notifications of this subtree, from now on, in the event loop."""


class Core(Protocol):
    """What is asked of the core (docs/architecture.md)."""

    @property
    def schema(self) -> Schema: ...
    def dispatch(self, session: Session, request: Request, /) -> Reply: ...
    def open_session(
        self, principal: Principal, protocol: str, host: str, close: Callable[[str], None], /
    ) -> Session: ...
    def close_session(self, session: Session, /) -> None: ...


class LocalSession:
    """A `ManagementSession` on the core of this domain, as the system itself.

    Args:
        base: instance-identifier of the subtree.
        principal: in place of the system: somebody whom access control binds.
    """

    def __init__(self, core: Core, base: str, principal: Principal = SYSTEM) -> None:
        self._core = core
        self._base = base
        self._scope = _agreement(parse_path(core.schema, base))
        self._session = core.open_session(principal, "local", "", lambda reason: None)
        self._watching: Session | None = None
        self._sinks: list[Sink] = []

    async def edit(self, edits: Sequence[DataEdit]) -> None:
        """See `ManagementSession.edit`; runs to its end even when the caller is cancelled."""
        request = EditConfig("running", [to_edit(self._core.schema, self._base, each) for each in edits])
        await uninterrupted(asyncio.to_thread(self._core.dispatch, self._session, request))

    async def get(self, path: str = "", content: Content = "all") -> Members | None:
        """See `ManagementSession.get`."""
        where = parse_path(self._core.schema, self._base + path)
        try:
            reply = self._core.dispatch(self._session, Get("operational", PathFilter(where), content))
        except RpcError as error:
            if error.status == 404:
                return None
            raise
        return members_at(reply.data, where)

    async def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """See `ManagementSession.invoke`."""
        where = parse_path(self._core.schema, self._base + path)
        node = next((each for each in where[-1][0].actions if each.name == action), None)
        if node is None:
            raise RpcError("operation-not-supported", f"there is no action {action} at {path}")
        value = json.decode(next(child for child in node.children if child.kind == "input"), dict(input), where)
        request = Invoke(node, value, where)
        reply = await uninterrupted(asyncio.to_thread(self._core.dispatch, self._session, request))
        return {} if reply.node is None else json.plain(reply.node, reply.data)

    def watch(self, sink: Sink) -> Watch:
        """See `ManagementSession.watch`; must be called in the event loop."""
        if self._watching is None:
            loop = asyncio.get_running_loop()
            self._watching = self._core.open_session(SYSTEM, "local", "", lambda reason: None)
            self._core.dispatch(self._watching, CreateSubscription(lambda event: _hand_over(loop, self._told, event)))
        self._sinks.append(sink)
        return _Handle(self._sinks, sink)

    def close(self) -> None:
        """Give the sessions of the core back."""
        self._sinks.clear()
        for session in (self._session, self._watching):
            if session is not None:
                self._core.close_session(session)
        self._watching = None

    def _told(self, event: Any) -> None:
        members = json.plain(event.node, event.value)
        scope = (members["partner"], members.get("agreement")) if "partner" in members else None
        if scope == self._scope:
            for sink in tuple(self._sinks):
                sink(f"{event.node.module}:{event.node.name}", members)


@dataclass(frozen=True, slots=True)
class Subtree:
    """A `ManagementSession` over what lies below another one's base.

    Attributes:
        below: path that continues that base, as in `DataEdit.path`.
        crossed: told of each request: "edit", "read" or "action", and the path.
    """

    session: ManagementSession
    below: str
    crossed: Callable[[Any, str], None] = lambda kind, path: None

    async def edit(self, edits: Sequence[DataEdit]) -> None:
        """See `ManagementSession.edit`."""
        for each in edits:
            self.crossed("edit", each.path)
        await self.session.edit([replace(each, path=self.below + each.path) for each in edits])

    async def get(self, path: str = "", content: Content = "all") -> Members | None:
        """See `ManagementSession.get`."""
        self.crossed("read", path)
        return await self.session.get(self.below + path, content)

    async def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """See `ManagementSession.invoke`."""
        self.crossed("action", path)
        return await self.session.invoke(self.below + path, action, input)

    def watch(self, sink: Sink) -> Watch:
        """See `ManagementSession.watch`; the sink hears of the whole of the other session's subtree."""
        return self.session.watch(sink)


@dataclass(frozen=True, slots=True)
class _Handle:
    sinks: list[Sink]
    sink: Sink

    def close(self) -> None:
        with contextlib.suppress(ValueError):
            self.sinks.remove(self.sink)


def _hand_over(loop: asyncio.AbstractEventLoop, told: Callable[[Any], None], event: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(told, event)


def _agreement(base: InstancePath) -> tuple[str, str] | None:
    """(partner, agreement) that the subtree lies under."""
    keys = {node.name: str(key) for node, key in base if node.module == "mec-federation"}
    return (keys["partner"], keys["agreement"]) if "agreement" in keys else None


async def uninterrupted(work: Any) -> Any:
    """Await `work` to its end also when cancelled meanwhile; the cancellation is raised afterwards.

    A commit cannot be called back: who undoes a cancelled operation must know that it has happened.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # the cancellation is what the caller hears of
        raise


def to_edit(schema: Schema, base: str, edit: DataEdit) -> Edit:
    """The edit in the model's terms.  Raises `RpcError`: the path or the data do not fit the schema."""
    path = parse_path(schema, base + edit.path)
    if edit.operation == "remove":
        return edits_of.at(path, "remove")
    return edits_of.at(path, edit.operation, value_at(path, edit.data))


def value_at(path: InstancePath, data: Any) -> Any:
    """The value of the instance at `path` from its RFC 7951 members, its keys taken from the path; or of a leaf."""
    node, key = path[-1]
    if node.kind not in ("container", "list"):
        return json.decode_member(node.parent or node, json.member_name(node), data, path[:-1])[1]
    if node.kind == "list" and key is not None:
        named = zip(node.keys, node.key_values(key), strict=True)
        data = {**(data or {}), **{leaf.name: json.encode_value(leaf, value) for leaf, value in named}}
    return json.decode(node, data or {}, path)


def members_at(root: Any, path: InstancePath) -> Members | None:
    """The members of the instance at `path` below `root`; of a whole list, its one member."""
    value = tree.get(root, path)
    if value is None:
        return None
    if not path:
        raise RpcError("invalid-value", "the root is no subtree")
    node, key = path[-1]
    if node.kind == "container" or (node.kind == "list" and key is not None):
        return json.plain(node, value)
    members: Members = {node.name: orjson.loads(orjson.dumps(json.encode_value(node, value)))}
    return members
