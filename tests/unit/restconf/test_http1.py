"""HTTP/1.1 itself, against a real listener: what a client may do to it."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from restconf.service import Limits
from tests.unit.restconf.listener import ANN, Raw, listening, request
from tests.unit.restconf.recording_core import RecordingCore

LIMITS = Limits(
    head=4096, body=200_000, anonymous_body=1000, head_time=0.5, body_grace=0.5, idle_time=30.0, linger_time=0.5
)


@pytest.fixture
def address(core: RecordingCore) -> Iterator[tuple[str, int]]:
    with listening(core, limits=LIMITS) as address:
        yield address


@pytest.fixture
def raw(address: tuple[str, int]) -> Iterator[Raw]:
    with Raw(address) as raw:
        yield raw


def motto(core: RecordingCore) -> object:
    return core.config.get("depot:motto")


def put(value: str) -> bytes:
    return request("PUT", "/restconf/data/depot:motto", orjson.dumps({"depot:motto": value}))


def test_keep_alive(raw: Raw, core: RecordingCore) -> None:
    for value, status in (("a", 201), ("b", 204), ("c", 204)):
        raw.send(put(value))
        got, headers, _ = raw.answer()
        assert (got, motto(core)) == (status, value)
        assert "date" in headers
        assert "connection" not in headers


def test_pipelined_requests_are_answered_in_order(raw: Raw, core: RecordingCore) -> None:
    # rpcs go to threads, edits are answered in the loop: the order must not depend on that
    core.answers["count"] = lambda invoke: (len(invoke.input[0]),)
    call = request("POST", "/restconf/operations/depot:count", b'{"depot:input":{"what":"xyz"}}')
    raw.send(put("one") + call + put("two") + request("GET", "/restconf/data/depot:motto") + call * 40)
    answers = [raw.answer() for _ in range(44)]
    assert [status for status, _, _ in answers] == [201, 200, 204, 200, *[200] * 40]
    assert orjson.loads(answers[3][2]) == {"depot:motto": "two"}
    assert all(orjson.loads(body) == {"depot:output": {"total": "3"}} for _, _, body in answers[4:])
    assert motto(core) == "two"


def test_what_compacts_the_journal_leaves_the_loop(
    raw: Raw, core: RecordingCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_thread(message: bytes) -> bool:
        raw.send(message)
        raw.answer()
        return core.threads[-1] != core.threads[0]

    raw.send(put("first"))  # the password is checked in a thread, the change is made in the loop
    assert raw.answer()[0] == 201
    assert not in_thread(put("a"))
    monkeypatch.setattr(core.writer, "compacts_soon", lambda: True)
    assert in_thread(put("b"))
    assert not in_thread(request("GET", "/restconf/data/depot:depot/bay=none"))


def test_byte_by_byte(raw: Raw, core: RecordingCore) -> None:
    for byte in put("slow"):
        raw.send(bytes([byte]))
    assert (raw.answer()[0], motto(core)) == (201, "slow")


def test_chunked_body(raw: Raw, core: RecordingCore) -> None:
    raw.send(
        b"PUT /restconf/data/depot:motto HTTP/1.1\r\nHost: h\r\n"
        + ANN
        + b"Content-Type: application/yang-data+json\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"depot:\r\n'
    )
    raw.send(b'd\r\nmotto":"many"\r\n1\r\n}\r\n0\r\n\r\n')
    assert (raw.answer()[0], motto(core)) == (201, "many")


def test_expect_continue(raw: Raw, core: RecordingCore) -> None:
    whole = put("asked").replace(b"Host:", b"Expect: 100-continue\r\nHost:")
    head, _, body = whole.partition(b"\r\n\r\n")
    raw.send(head + b"\r\n\r\n")
    assert raw.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.send(body)
    assert (raw.answer()[0], motto(core)) == (201, "asked")


def test_http_1_0_and_connection_close(address: tuple[str, int], core: RecordingCore) -> None:
    for lines in (b"GET /restconf HTTP/1.0\r\n", b"GET /restconf HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"):
        with Raw(address) as raw:
            raw.send(lines + ANN + b"\r\n")
            status, headers, _ = raw.answer()
            assert (status, headers["connection"], raw.closed()) == (200, "close", True)


def test_upgrade_is_declined(raw: Raw) -> None:
    raw.send(request("GET", "/restconf", b"", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
    assert raw.answer()[0] == 200


def test_absolute_target(raw: Raw) -> None:
    raw.send(request("GET", "http://here/restconf/yang-library-version"))
    assert raw.answer()[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET /restconf HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /restconf HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 2000 + b"\r\n", 431),
        (request("PUT", "/restconf/data", b"x")[:-1].replace(b"Length: 1", b"Length: 200001") + b"x" * 1000, 413),
        (request("PUT", "/restconf/data", b"x").replace(ANN, b"")[:-1].replace(b"Length: 1", b"Length: 2000"), 401),
        (b"GET /restconf HTTP/1.1\r\n\r\n", 400),
        (b"GET /restconf HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n", 400),
        (b"GET /restconf HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /restconf HTTP/1.1\r\nHost: h\r\n", 408),
        (request("PUT", "/restconf/data", b"xx")[:-1], 408),
    ],
)
def test_what_cannot_be_served_is_refused_and_closed(raw: Raw, core: RecordingCore, sent: bytes, status: int) -> None:
    before = core.root
    raw.send(sent)
    got, headers, _ = raw.answer()
    assert (got, headers["connection"], raw.closed()) == (status, "close", True)
    assert core.root is before


def test_answers_before_a_refusal_are_not_lost(raw: Raw, core: RecordingCore) -> None:
    raw.send(put("kept") + b"nonsense\r\n\r\n")
    assert [raw.answer()[0], raw.answer()[0], motto(core)] == [201, 400, "kept"]


def test_endless_chunks_are_cut(raw: Raw) -> None:
    raw.send(b"PUT /restconf/data HTTP/1.1\r\nHost: h\r\n" + ANN + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    raw.send(chunk * 4)
    assert raw.answer()[0] == 413


def test_a_header_with_an_underscore_forges_nothing(raw: Raw) -> None:
    raw.send(b"GET /restconf HTTP/1.1\r\nHost: h\r\nrestconf.client_chain: x\r\nAuthorization_: x\r\n\r\n")
    assert raw.answer()[0] == 401


def test_a_broken_handler_ends_the_request_only(
    raw: Raw, core: RecordingCore, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(invoke: object) -> object:
        raise ZeroDivisionError

    core.answers["close"] = broken
    raw.send(request("POST", "/restconf/operations/depot:close"))
    status, _, body = raw.answer()
    assert (status, orjson.loads(body)["ietf-restconf:errors"]["error"][0]["error-tag"]) == (500, "operation-failed")
    assert b"ZeroDivision" not in body
    assert "ZeroDivisionError" in caplog.text
    raw.send(request("GET", "/restconf"))
    assert raw.answer()[0] == 200


def test_too_many_connections(core: RecordingCore) -> None:
    with listening(core, limits=Limits(connections=2)) as address, Raw(address) as one, Raw(address) as two:
        for raw in (one, two):
            raw.send(request("GET", "/restconf"))
            assert raw.answer()[0] == 200
        with Raw(address) as three:
            assert three.closed()
        one.send(request("GET", "/restconf"))
        assert one.answer()[0] == 200
