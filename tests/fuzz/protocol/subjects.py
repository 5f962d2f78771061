"""Who is sent damaged messages: a NETCONF exchange and a RESTCONF application, each over a core of its own.

A subject answers one message at a time and breaks the law by raising `Broken`, which holds the message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from lxml import etree

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal
from restconf import wsgi
from restconf.app import create_app
from restconf.wsgi import Answer, LiveBody
from tests.conformance.netconf.test_netconf_conformance import HERE, Server
from tests.conformance.restconf.test_cases import HERE as RESTCONF_CASES

REPLIES = ("rpc-reply", "notification")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN = Principal("ann", recovery=True)


class Broken(AssertionError):
    """A message for which the law does not hold."""

    def __init__(self, what: str, message: object) -> None:
        super().__init__(f"{what}\n{message!r}")


@contextmanager
def faults() -> Iterator[list[logging.LogRecord]]:
    """What is logged as an error of ours."""
    found: list[logging.LogRecord] = []
    watch = logging.Handler(logging.ERROR)
    watch.emit = found.append  # type: ignore[method-assign]
    logs = [logging.getLogger(name) for name in ("nms", "restconf")]
    for log in logs:
        log.addHandler(watch)
    try:
        yield found
    finally:
        for log in logs:
            log.removeHandler(watch)


def state_of(core: Core) -> tuple[object, ...]:
    """The datastores, to be compared by identity."""
    return tuple(core.store.root(name) for name in ("running", "candidate", "startup"))


class Netconf:
    """The server of the conformance cases with their configuration."""

    def __init__(self) -> None:
        self.server = Server()
        self.server.send((HERE / "initial.xml").read_text())
        self.server.received.clear()

    def answer(self, message: bytes) -> bytes:
        """The reply to `message`, which keeps the law."""
        server = self.server
        if server.exchanges[1]._session.id not in server.core.context.sessions:  # it has closed itself, or was killed
            self.__init__()  # type: ignore[misc]
            server = self.server
        exchange = server.exchanges[1]
        before = state_of(server.core)
        with faults() as found:
            reply = exchange.execute(exchange.read(message))
        text = reply if isinstance(reply, bytes) else b"".join(reply)
        if found:
            raise Broken(f"{found[0].getMessage()}: {found[0].exc_info}", message)
        try:
            told = [each for each in server.received if not each.startswith(b"<!--")]  # which says that a session ended
            tags = [etree.fromstring(each).tag for each in (text, *told)]
        except etree.XMLSyntaxError as error:
            raise Broken(f"the answer is not XML: {error}: {text!r}", message) from None
        server.received.clear()
        if any(str(tag).rpartition("}")[2] not in REPLIES for tag in tags):
            raise Broken(f"the answer is {tags}", message)
        changed = any(a is not b for a, b in zip(before, state_of(server.core), strict=True))
        if changed and b"<rpc-error" in text and b"continue-on-error" not in message:
            raise Broken(f"refused, and yet something has changed: {text!r}", message)
        return text


@cache
def _restconf_schema() -> Schema:
    return load([RESTCONF_CASES / "models"], [*PROTOCOL_MODULES, "example-jukebox", "conformance-shelf"])


class Restconf:
    """The application, called as its listener calls it."""

    def __init__(self) -> None:
        self.core = Core.create(_restconf_schema(), clock=lambda: NOW)
        self.core.register("conformance-shelf", "add", lambda session, invoke: (sum(invoke.input[0] or ()),))
        self.core.register("example-jukebox", "play", lambda session, invoke: None)
        self.app = create_app(self.core, lambda environ: ANN)
        self._base = wsgi.connection_environ("https", ("192.0.2.1", 443), "192.0.2.2", ())

    def close(self) -> None:
        self.app.extensions["restconf"].close()
        self.core.close()

    def answer(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """The answer to a request, which keeps the law."""
        sent: Any = (method, target, headers, body)
        before = state_of(self.core)
        with faults() as found:
            try:
                answer = wsgi.call(self.app, wsgi.environ(self._base, method, target, "1.1", headers, body))
            except Exception as error:
                raise Broken(f"{error!r}", sent) from error
        if found:
            raise Broken(f"{found[0].getMessage()}: {found[0].exc_info}", sent)
        if isinstance(answer.body, LiveBody):
            answer.body.close()
            return answer
        status = int(answer.status[:3])
        if status >= 500 and status not in (501, 503):
            raise Broken(f"{answer.status}: {answer.body!r}", sent)
        if status >= 400 and any(a is not b for a, b in zip(before, state_of(self.core), strict=True)):
            raise Broken(f"refused, and yet something has changed: {answer.body!r}", sent)
        kind = dict(answer.headers).get("Content-Type", "")
        try:
            if answer.body and "json" in kind:
                orjson.loads(answer.body)
            elif answer.body and "xml" in kind:
                etree.fromstring(answer.body)
        except (orjson.JSONDecodeError, etree.XMLSyntaxError) as error:
            raise Broken(f"the answer is malformed: {error}: {answer.body!r}", sent) from None
        return answer
