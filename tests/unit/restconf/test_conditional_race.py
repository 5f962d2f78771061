"""One of those wins who edit what they all have read: RFC 8040 section 3.4.1, under the writer lock."""

from __future__ import annotations

import threading
from collections import Counter
from functools import cache
from pathlib import Path

import orjson

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal
from restconf.app import create_app
from restconf.wsgi import call, connection_environ, environ

MODELS = Path(__file__).parents[2] / "conformance" / "restconf" / "models"
BASE = connection_environ("http", ("localhost", 80), "192.0.2.1", ())
TOP = "/restconf/data/conformance-shelf:shelf"
THREADS = 8


@cache
def schema() -> Schema:
    return load([MODELS], ["conformance-shelf", *PROTOCOL_MODULES])


def at_once(requests: list[tuple[str, bytes, list[tuple[bytes, bytes]]]]) -> tuple[list[str], bytes]:
    """The status of each PUT when all are sent together, and the shelf's label afterwards."""
    core = Core.create(schema())
    app = create_app(core, lambda _: Principal("ann", recovery=True))
    start = threading.Barrier(len(requests))
    found: list[str] = []

    def send(target: str, body: bytes, headers: list[tuple[bytes, bytes]], etag: bytes) -> None:
        start.wait()
        media = (b"Content-Type", b"application/yang-data+json")
        sent = [media, *((name, value.replace(b"{etag}", etag)) for name, value in headers)]
        found.append(call(app, environ(BASE, "PUT", target.encode(), "1.1", sent, body)).status[:3])

    body = orjson.dumps({"conformance-shelf:shelf": {"label": "first"}})
    media = [(b"Content-Type", b"application/yang-data+json")]
    made = call(app, environ(BASE, "PUT", TOP.encode(), "1.1", media, body))
    etag = dict(made.headers)["ETag"].encode()
    threads = [threading.Thread(target=send, args=(*request, etag)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    read = call(app, environ(BASE, "GET", f"{TOP}/label".encode(), "1.1", [], b""))
    assert isinstance(read.body, bytes)
    app.extensions["restconf"].close()
    core.close()
    return found, read.body


def test_one_of_those_who_have_read_the_same_wins() -> None:
    bodies = [orjson.dumps({"conformance-shelf:shelf": {"label": f"of {number}"}}) for number in range(THREADS)]
    found, left = at_once([(TOP, body, [(b"If-Match", b"{etag}")]) for body in bodies])
    assert Counter(found) == {"204": 1, "412": THREADS - 1}
    assert orjson.loads(left)["conformance-shelf:label"].startswith("of ")


def test_one_of_those_who_create_the_same_wins() -> None:
    body = orjson.dumps({"conformance-shelf:read": [{"title": "new"}]})
    found, _ = at_once([(f"{TOP}/read=new", body, [(b"If-None-Match", b"*")])] * THREADS)
    assert Counter(found) == {"201": 1, "412": THREADS - 1}
