"""A core of fifty lines for the tests of the front end alone: one datastore, no access control, no constraints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from nms.errors import RpcError
from nms.model import edit, tree
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.operations.request import CreateSubscription, EditConfig, Get, Invoke, PathFilter, Principal, Reply, Session

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryCore:
    schema: Schema
    root: Any = None
    version: int = 1
    requests: list[object] = field(default_factory=list)
    sinks: dict[int, Callable[[object], None]] = field(default_factory=dict)
    replay: list[object] = field(default_factory=list)
    sessions: dict[int, Session] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    opened: int = 0

    def __post_init__(self) -> None:
        self.root = self.schema.root.blank

    def open_session(
        self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]
    ) -> Session:
        with self.lock:
            self.opened += 1
            session = Session(self.opened, principal, protocol, host, EPOCH, close)
            self.sessions[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        with self.lock:
            self.sessions.pop(session.id, None)
            self.sinks.pop(session.id, None)

    def dispatch(self, session: Session, request: object) -> Reply:
        self.requests.append(request)
        if isinstance(request, Get):
            return self._get(request)
        if isinstance(request, EditConfig):
            with self.lock:
                return self._edit(request)
        if isinstance(request, Invoke):
            answer = self.answers[request.node.name]
            output = next(child for child in request.node.children if child.kind == "output")
            return Reply(output, answer(request)) if callable(answer) else Reply(output, answer)
        assert isinstance(request, CreateSubscription)
        if request.stream != "NETCONF":
            raise RpcError("invalid-value", f"there is no stream {request.stream!r}", status=404)
        for notification in self.replay if request.start_time else ():
            request.sink(notification)
        self.sinks[session.id] = request.sink
        return Reply()

    def _get(self, request: Get) -> Reply:
        root = self.root
        if isinstance(request.filter, PathFilter) and request.filter.path:
            path = request.filter.path
            value = tree.get(root, path)
            node = path[-1][0]
            if value is None and request.with_defaults == "report-all" and node.kind == "leaf":
                value = node.default
            if value is None:
                if node.kind != "container" or node.presence:
                    raise RpcError("invalid-value", "there is no such instance", status=404)
                return Reply(self.schema.root, self.schema.root.blank, etag=self.etag, last_modified=EPOCH)
            root = tree.put(self.schema.root, self.schema.root.blank, path, value)
        return Reply(self.schema.root, root, etag=self.etag, last_modified=EPOCH)

    def _edit(self, request: EditConfig) -> Reply:
        wanted = request.precondition
        if wanted is not None:
            missed = wanted.if_match and not {"*", self.etag} & set(wanted.if_match)
            missed = missed or {"*", self.etag} & set(wanted.if_none_match)
            late = wanted.if_unmodified_since is not None and wanted.if_unmodified_since < EPOCH
            if missed or late:
                raise RpcError("operation-failed", "the resource is another one by now", status=412)
        before = self.root
        self.root = edit.apply(self.schema.root, before, request.edits)
        self.version += 1
        return Reply(etag=self.etag, last_modified=EPOCH, created=_creates(before, request.edits))

    @property
    def etag(self) -> str:
        return f"v{self.version}"

    def publish(self, node: Node, value: Any, path: InstancePath = ()) -> None:
        """Send a notification to every subscriber."""
        for sink in list(self.sinks.values()):
            sink(SimpleNamespace(node=node, path=path, value=value, time=EPOCH))


def _creates(before: Any, edits: Any) -> bool:
    path: InstancePath = ()
    while len(edits) == 1:
        path = (*path, (edits[0].node, edits[0].key))
        if edits[0].children is None:
            break
        edits = edits[0].children
    return tree.get(before, path) is None
