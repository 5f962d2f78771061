"""The server that a case talks to, step by step: HTTP requests, NETCONF messages, and what happens beside them.

A step is a request as it is sent (request line, headers, empty line, body), answered by status, headers of interest,
empty line, body.  Beside HTTP's methods there are five that stand for what is no request:

    EVENTS TARGET     what has come on the event stream that a GET of TARGET opened
    CLOSE TARGET      its client leaves
    PUBLISH PATH      an event, of the instance at PATH (``/``: of none); the body is the notification in JSON
    STATE PATH        state at PATH becomes what the body says
    TICK TIME         it is TIME now

The header ``User: NAME`` (or ``NAME/GROUP,GROUP``: groups that the transport knows) says who asks, ``{etag}`` in a
header is the last entity-tag that was answered for this target.  A step that is XML is a NETCONF message, and
``<!-- user NAME -->`` in it says who sends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from lxml import etree

from nms.errors import RpcError
from nms.model import json
from nms.model.edit import at
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.netconf.exchange import Exchange
from nms.notify.streams import Notification
from nms.operations.dispatch import Core
from nms.operations.request import Invoke, Principal, Session
from restconf.app import create_app
from restconf.wsgi import LiveBody, call, connection_environ, environ

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: No rule binds this user, who asks where a step names nobody.
RECOVERY: Final = "ann"
#: Headers that RFC 8040 speaks of; entity-tags differ between stores and are only noted to be there.
SHOWN: Final = (
    "Allow",
    "Accept-Patch",
    "Cache-Control",
    "Content-Type",
    "Last-Modified",
    "Location",
    "WWW-Authenticate",
)
_BASE: Final = connection_environ("http", ("localhost", 80), "192.0.2.1", ())
_SENDER: Final = re.compile(rb"<!-- user (\S+) -->")


class Server:
    """A core with both front ends, a standing clock, and the streams and sessions that are open."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.now = START
        self.core = Core.create(schema, clock=lambda: self.now)
        for (module, name), handler in HANDLERS.items():
            self.core.register(module, name, handler)
        self.app = create_app(self.core, _who)
        self.streams: dict[str, LiveBody] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.etags: dict[str, str] = {}
        self._beside: Mapping[str, Callable[[str, bytes], bytes]] = {
            "EVENTS": self._events,
            "CLOSE": self._close,
            "PUBLISH": self._publish,
            "STATE": self._state,
            "TICK": self._tick,
        }

    def close(self) -> None:
        """End it."""
        self.app.extensions["restconf"].close()
        self.core.close()

    # ------------------------------------------------------------ HTTP

    def step(self, text: bytes) -> bytes:
        """What comes of a step that is no NETCONF message."""
        head, _, content = text.partition(b"\n\n")
        line, *lines = head.decode().splitlines()
        method, target = line.split(" ")
        body = content.rstrip(b"\n")
        if method in self._beside:
            return self._beside[method](target, body)
        resource = target.partition("?")[0]
        etag = self.etags.get(resource, "")
        sent = dict(item.replace("{etag}", etag).split(": ", 1) for item in ("Host: localhost", *lines))
        headers = [(name.encode(), value.encode()) for name, value in sent.items()]
        answer = call(self.app, environ(_BASE, method, target.encode(), "1.1", headers, body))
        given = dict(answer.headers)
        shown = [f"{name}: {given[name]}" for name in SHOWN if name in given]
        if "ETag" in given:
            self.etags[resource] = given["ETag"]
            shown.append("ETag: present")
        if isinstance(answer.body, LiveBody):
            self.streams[target] = answer.body
            came = answer.body.take()
        else:
            came = answer.body
        return "\n".join([answer.status.partition(" ")[0], *shown, "", ""]).encode() + came + b"\n"

    def _events(self, target: str, body: bytes) -> bytes:
        stream = self.streams[target]
        return stream.take() + (b"the end\n" if stream.ended else b"")

    def _close(self, target: str, body: bytes) -> bytes:
        self.streams.pop(target).close()
        return b""

    # ------------------------------------------------------------ what happens beside

    def _publish(self, where: str, body: bytes) -> bytes:
        path = parse_path(self.schema, where) if where != "/" else ()
        ((name, members),) = orjson.loads(body).items()
        module, _, local = name.partition(":")
        pool = path[-1][0].notifications if path else self.schema.notifications.values()
        node = next(node for node in pool if (node.module, node.name) == (module, local))
        self.core.streams.publish(Notification(node, path, json.decode(node, members), self.now))
        return b""

    def _state(self, where: str, body: bytes) -> bytes:
        path = parse_path(self.schema, where)
        value = json.decode_member(path[-1][0].parent or self.schema.root, *_only(orjson.loads(body)))[1]
        self.core.store.publish([at(path, "merge", value, parents="merge")])
        return b""

    def _tick(self, text: str, body: bytes) -> bytes:
        self.now = datetime.fromisoformat(text)
        self.core.tick(self.now)
        return b""

    # ------------------------------------------------------------ NETCONF

    def message(self, text: bytes) -> bytes:
        """The reply to a NETCONF message."""
        sender = _SENDER.search(text)
        name = sender[1].decode() if sender else RECOVERY
        if name not in self.exchanges:
            session = self.core.open_session(_principal(name), "netconf-ssh", "192.0.2.1", lambda _: None)
            self.exchanges[name] = Exchange(self.core, session, lambda event: None)
        exchange = self.exchanges[name]
        reply = exchange.execute(exchange.read(text))
        root = etree.fromstring(reply, etree.XMLParser(remove_blank_text=True))  # type: ignore[arg-type]
        etree.indent(root)
        return etree.tostring(root) + b"\n"


def _who(environ: dict[str, Any]) -> Principal | None:
    name = environ.get("HTTP_USER", RECOVERY)
    return None if name == "nobody" else _principal(name)


def _principal(text: str) -> Principal:
    name, _, groups = text.partition("/")
    return Principal(name, frozenset(filter(None, groups.split(","))), recovery=name == RECOVERY)


def _only(members: dict[str, Any]) -> tuple[str, Any]:
    ((name, value),) = members.items()
    return name, value


def _fail(session: Session, invoke: Invoke) -> None:
    tag, kind, app_tag, path, info = invoke.input
    known = dict([info.split("=")]) if info else {}
    raise RpcError(tag, "as told", type=kind or "application", app_tag=app_tag or "", path=path or "", info=known)


#: (module, rpc or schema path of an action) -> what answers it.
HANDLERS: Final[Mapping[tuple[str, str], Callable[[Session, Invoke], Any]]] = {
    ("conformance-shelf", "add"): lambda session, invoke: (sum(invoke.input[0] or ()),),
    ("conformance-types", "fail"): _fail,
    ("conformance-types", "echo"): lambda session, invoke: invoke.input,
    ("conformance-types", "nothing"): lambda session, invoke: None,
    ("conformance-types", "/conformance-types:machine/reset"): lambda session, invoke: (f"in {invoke.input[0]} s",),
    ("conformance-types", "/conformance-types:machine/ping"): lambda session, invoke: None,
    ("conformance-types", "/conformance-types:machine/part/replace"): lambda session, invoke: (2**63,),
    ("conformance-vault", "ring"): lambda session, invoke: (True,),
    ("conformance-vault", "burn"): lambda session, invoke: None,
    ("conformance-vault", "/conformance-vault:vault/box/open"): lambda session, invoke: (True,),
    ("conformance-vault", "/conformance-vault:vault/box/blast"): lambda session, invoke: None,
    ("example-jukebox", "play"): lambda session, invoke: None,
}
