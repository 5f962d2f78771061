"""The real core over the tests' modules, with what a test wants to look at or to set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nms.model import json
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.notify.streams import Notification
from nms.operations.dispatch import Core
from nms.operations.files import Files
from nms.operations.request import Principal, Reply, Request, Session

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class RecordingCore:
    """`nms.operations.dispatch.Core` as RESTCONF sees it; its clock stands still.

    Attributes:
        requests, threads: what was dispatched, and where.
        sessions: the open ones by session-id.
        answers: name of an rpc or action -> its output, or a function of the `Invoke` that gives it.
    """

    def __init__(self, schema: Schema, initial: dict[str, Any] | None = None) -> None:
        self.schema = schema
        self.files: Files | None = None
        root = json.decode(schema.root, initial) if initial is not None else None
        self.core = Core.create(schema, initial=root, clock=lambda: EPOCH)
        self.writer = self.core.writer
        self.threads: list[int] = []
        self.requests: list[Request] = []
        self.sessions: dict[int, Session] = {}
        self.answers: dict[str, Any] = {}
        for rpc in schema.rpcs.values():
            self._register(rpc, rpc.name)
        for node in schema.root.walk():
            for action in node.actions:
                self._register(action, action.path)

    def _register(self, node: Node, name: str) -> None:
        def answer(session: Session, invoke: Any) -> Any:
            found = self.answers[node.name]
            return found(invoke) if callable(found) else found

        self.core.register(node.module, name, answer)

    def open_session(self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]) -> Session:
        session = self.core.open_session(principal, protocol, host, close)
        self.sessions[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        del self.sessions[session.id]
        self.core.close_session(session)

    def dispatch(self, session: Session, request: Request) -> Reply:
        self.requests.append(request)
        self.threads.append(threading.get_ident())
        return self.core.dispatch(session, request)

    def serves(self, rpc: Node, principal: Principal) -> bool:
        return self.core.serves(rpc, principal)

    @property
    def root(self) -> Any:
        """The root of running."""
        return self.core.store.root("running")

    @property
    def config(self) -> Any:
        """What running holds, as RFC 7951 objects."""
        return json.plain(self.schema.root, self.root)

    def subscribers(self) -> int:
        """Sessions that hold a subscription."""
        return sum(bool(session.on_close) for session in self.sessions.values())

    def publish(self, node: Node, value: Any, path: InstancePath = ()) -> None:
        """Put a notification on the stream NETCONF."""
        self.core.streams.publish(Notification(node, path, value, EPOCH))
