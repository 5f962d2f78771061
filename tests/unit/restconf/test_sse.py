"""Event streams: what is sent, when it ends, and that nothing is left behind."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from lxml import etree

from nms.model.schema import Schema
from nms.notify.streams import Notification
from nms.operations.request import Principal
from restconf import sse
from restconf.app import create_app
from restconf.service import Limits
from restconf.wsgi import call, connection_environ, environ
from tests.unit.restconf.listener import Raw, listening
from tests.unit.restconf.recording_core import EPOCH, RecordingCore

TIME = "2026-01-01T00:00:00Z"


@pytest.fixture
def address(core: RecordingCore) -> Iterator[tuple[str, int]]:
    with listening(core, limits=Limits(heartbeat=0.1)) as address:
        yield address


def opened(raw: Raw, path: str) -> str:
    """Ask for a stream; the answer's head."""
    ann = b64encode(b"ann:secret").decode()
    raw.send(
        f"GET {path} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nAuthorization: Basic {ann}\r\n\r\n".encode()
    )
    return raw.until(b"\r\n\r\n").decode()


def events(raw: Raw) -> Iterator[bytes]:
    """The data of each event; heartbeats are passed over."""
    while size := int(raw.until(b"\r\n"), 16):
        while len(raw.buffer) < size + 2:
            raw.buffer += raw.socket.recv(65536)
        chunk, raw.buffer = raw.buffer[:size], raw.buffer[size + 2 :]
        for item in chunk.split(b"\n\n")[:-1]:
            if item.startswith(b"data: "):
                yield b"\n".join(line.removeprefix(b"data: ") for line in item.splitlines())


def event(raw: Raw) -> bytes:
    """The next event, which comes alone."""
    return next(events(raw))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_xml_and_json(address: tuple[str, int], core: RecordingCore) -> None:
    alarm = core.schema.notifications["depot", "alarm"]
    with Raw(address) as as_xml, Raw(address) as as_json:
        head = opened(as_xml, "/restconf/streams/NETCONF")
        assert "200 OK" in head
        assert "Content-Type: text/event-stream" in head
        opened(as_json, "/restconf/streams/NETCONF/json")
        wait_for(lambda: core.subscribers() == 2)
        for text in ("a<b", "two\nlines"):
            core.publish(alarm, (text,))
            root = etree.fromstring(event(as_xml))
            assert root.tag == "{urn:ietf:params:xml:ns:netconf:notification:1.0}notification"
            assert root.findtext("{*}eventTime") == TIME
            assert root.findtext("{urn:depot}alarm/{urn:depot}text") == text
            assert orjson.loads(event(as_json)) == {
                "ietf-restconf:notification": {"eventTime": TIME, "depot:alarm": {"text": text}}
            }
    wait_for(lambda: not core.subscribers())  # the clients have gone


def test_notification_of_an_instance(address: tuple[str, int], core: RecordingCore) -> None:
    depot, bay = core.schema.find("/depot:depot"), core.schema.find("/depot:depot/depot:bay")
    with Raw(address) as as_xml, Raw(address) as as_json:
        opened(as_xml, "/restconf/streams/NETCONF/xml")
        opened(as_json, "/restconf/streams/NETCONF/json")
        wait_for(lambda: core.subscribers() == 2)
        core.publish(bay.notifications[0], ("noon",), ((depot, None), (bay, "a<")))
        (_, found) = etree.fromstring(event(as_xml))
        assert found.tag == "{urn:depot}depot"
        entry = found.find("{*}bay")
        assert entry is not None
        assert [(etree.QName(child).localname, child.text) for child in entry] == [("name", "a<"), ("full", None)]
        assert entry.findtext("{urn:depot}full/{urn:depot}since") == "noon"
        assert orjson.loads(event(as_json))["ietf-restconf:notification"]["depot:depot"] == {
            "bay": [{"name": "a<", "full": {"since": "noon"}}]
        }


def test_replay_then_end(address: tuple[str, int], core: RecordingCore) -> None:
    alarm = core.schema.notifications["depot", "alarm"]
    for i in range(3000):
        core.publish(alarm, (str(i),))
    with Raw(address) as raw:
        opened(raw, "/restconf/streams/NETCONF?start-time=2026-01-01T00:00:00Z&stop-time=2026-01-01T02:00:00%2B01:00")
        core.core.tick(EPOCH + timedelta(hours=2))
        *sent, complete, end = events(raw)  # to the end of the stream
        texts = [etree.fromstring(item).findtext("{*}alarm/{*}text") for item in sent]
        assert texts == [str(i) for i in range(3000)]
        assert b"<replayComplete " in complete
        assert b"<notificationComplete " in end
        assert raw.closed()
    wait_for(lambda: not core.sessions)


def test_heartbeat(address: tuple[str, int], core: RecordingCore) -> None:
    with Raw(address) as raw:
        opened(raw, "/restconf/streams/NETCONF")
        assert raw.until(b"\n\n") == b"4\r\n: \n\n"


def test_a_client_that_is_too_slow_is_cut_off(schema: Schema) -> None:
    alarm = schema.notifications["depot", "alarm"]
    streams = sse.OpenStreams(10, 1000)
    stream = sse.EventStream("json", streams)
    streams.add(stream)
    stream.begin()
    for i in range(2000):
        stream.put(Notification(alarm, (), (str(i),), EPOCH))
    data = b""
    while not stream.ended:
        data += stream.take()
    sent = data.split(b"\n\n")[:-1]
    assert len(sent) == 1000  # an unbroken beginning, then the end
    assert b'"text":"999"' in sent[-1]
    stream.close()
    assert not streams


def test_any_wsgi_server_can_iterate(schema: Schema) -> None:
    stream = sse.EventStream("xml", sse.OpenStreams(10, 1000))
    stream.put(Notification(schema.notifications["depot", "alarm"], (), ("x",), EPOCH))
    stream.end()
    assert [part[:20] for part in stream] == [b": \n\n", b"data: <notification "]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/restconf/streams/NOTHING", "text/event-stream", 404),
        ("/restconf/streams/NETCONF/yaml", "text/event-stream", 404),
        ("/restconf/streams/NETCONF", "application/yang-data+json", 406),
        ("/restconf/streams/NETCONF?depth=1", "*/*", 400),
        ("/restconf/streams/NETCONF?stop-time=2026-01-01T00:00:00Z", "*/*", 400),
    ],
)
def test_refusals_leave_no_session(
    client: FlaskClient, core: RecordingCore, path: str, accept: str, status: int
) -> None:
    assert client.get(path, headers={"Accept": accept}).status_code == status
    assert core.sessions == {}


def test_streams_are_capped(core: RecordingCore) -> None:
    client = create_app(core, lambda environ: Principal("ann", recovery=True), Limits(streams=2)).test_client()
    held = [client.get("/restconf/streams/NETCONF") for _ in range(2)]
    refused = client.get("/restconf/streams/NETCONF")
    assert (refused.status_code, core.subscribers()) == (503, 2)
    held[0].close()
    assert client.get("/restconf/streams/NETCONF").status_code == 200


def test_head_leaves_no_stream_open(core: RecordingCore) -> None:
    app = create_app(core, lambda environ: Principal("ann", recovery=True), Limits(streams=1))
    base = connection_environ("http", ("h", 80), "192.0.2.1", ())
    for _ in range(3):
        answer = call(app, environ(base, "HEAD", b"/restconf/streams/NETCONF", "1.1", [], b""))
        assert (answer.status[:3], answer.body) == ("200", b"")
    assert (core.subscribers(), core.sessions) == (0, {})


def test_filter_reaches_the_core_with_its_prefixes(client: FlaskClient, core: RecordingCore) -> None:
    client.get("/restconf/streams/NETCONF?filter=/depot:alarm%5Btext='x'%5D")
    request: Any = core.requests[-1]
    assert request.filter.select == "/depot:alarm[text='x']"
    assert request.filter.namespaces["depot"] == request.filter.namespaces["d"] == "urn:depot"
