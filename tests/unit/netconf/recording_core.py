"""A core that remembers what it was asked and answers as it was told: the front end's own tests need no datastore."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.request import Principal, Reply, Request, Session
from nms.operations.writer import Writer

MODELS = Path(__file__).parents[2] / "conformance" / "models"


def example_schema() -> Schema:
    return load([MODELS], ["example-network"])


class RecordingCore:
    """`answers` maps a request's class to a reply, or to a function of the request (which may raise).

    `asked` has the thread of each request, `groups` that of each request that came through the writer's queue.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.requests: list[Request] = []
        self.answers: dict[type, Reply | Callable[[Request], Reply]] = {}
        self.sessions: dict[int, Session] = {}
        self.closed: list[int] = []
        self.reasons: list[str] = []
        self.asked: list[int] = []
        self.groups: list[list[int]] = []
        self.exclusive = threading.RLock()
        self.compacts_soon = False
        self.writer = Writer(self.exclusive, self._execute, compacts_soon=lambda: self.compacts_soon)

    def hello_capabilities(self) -> list[str]:
        return ["urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"]

    def open_session(self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]) -> Session:
        session = Session(len(self.sessions) + 1, principal, protocol, host, datetime.now(UTC), close)
        self.sessions[session.id] = session
        return session

    def close_session(self, session: Session, reason: str = "dropped") -> None:
        self.closed.append(session.id)
        self.reasons.append(reason)

    def _execute(self, wanted: Sequence[tuple[Session, Request]]) -> list[Reply | BaseException]:
        self.groups.append([threading.get_ident()] * len(wanted))
        outcomes: list[Reply | BaseException] = []
        for session, request in wanted:
            try:
                outcomes.append(self.dispatch(session, request))
            except Exception as error:  # noqa: BLE001 - as the real one
                outcomes.append(error)
        return outcomes

    def dispatch(self, session: Session, request: Request) -> Reply:
        self.requests.append(request)
        self.asked.append(threading.get_ident())
        answer = self.answers.get(type(request), Reply())
        return answer if isinstance(answer, Reply) else answer(request)
