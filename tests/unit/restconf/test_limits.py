"""What one client may send and be sent at once (`restconf.service.Limits`)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import orjson
import pytest

from nms.config import load
from nms.errors import ConfigError
from nms.operations.request import Principal
from restconf.http1 import Connection
from restconf.service import Limits
from tests.unit.restconf.listener import Raw, listening, request
from tests.unit.restconf.recording_core import RecordingCore

CHUNKED = b"Content-Type: application/yang-data+json\r\nTransfer-Encoding: chunked\r\n\r\n"
BAYS = "/restconf/data/depot:depot/bay"


def stock(bays: int) -> bytes:
    entries = [{"name": f"bay-{i:05}", "label": ["x" * 60]} for i in range(bays)]
    return orjson.dumps({"ietf-restconf:data": {"depot:depot": {"bay": entries}}})


def test_an_answer_that_is_too_big_is_refused_and_a_page_of_it_is_not(core: RecordingCore) -> None:
    with listening(core, limits=Limits(answer=10_000)) as address, Raw(address) as raw:
        raw.send(request("PUT", "/restconf/data", stock(500)))
        assert raw.answer()[0] == 204
        raw.send(request("GET", BAYS))
        status, _, body = raw.answer()
        (error,) = orjson.loads(body)["ietf-restconf:errors"]["error"]
        assert (status, error["error-type"], error["error-tag"]) == (400, "protocol", "too-big")
        raw.send(request("GET", f"{BAYS}?limit=50&offset=450"))
        status, _, body = raw.answer()
        assert (status, [bay["name"] for bay in orjson.loads(body)["depot:bay"]][-1]) == (200, "bay-00499")


def test_a_large_answer_goes_out_whole_whoever_reads_it_how(core: RecordingCore) -> None:
    with listening(core) as address, Raw(address) as raw:
        raw.send(request("PUT", "/restconf/data", stock(20_000)))
        assert raw.answer()[0] == 204
        # three at once: the later ones must wait for the one that the client has not read yet
        raw.send(request("GET", BAYS) * 2 + request("GET", "/restconf/yang-library-version"))
        for _ in range(2):
            status, headers, body = raw.answer()
            assert (status, len(body)) == (200, int(headers["content-length"]))
            assert len(orjson.loads(body)["depot:bay"]) == 20_000
        assert raw.answer()[0] == 200
        raw.send(request("GET", BAYS, b"", "Connection: close"))
        assert len(orjson.loads(raw.answer()[2])["depot:bay"]) == 20_000
        assert raw.closed()


class Shelf:
    """Takes packages."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def read(self, principal: Principal, digest: str) -> Path:
        raise AssertionError

    def write(self, principal: Principal, digest: str, content: BinaryIO) -> Path:
        self.sizes.append(len(content.read()))
        return Path()


def test_packages_may_be_larger_than_data(core: RecordingCore) -> None:
    shelf = Shelf()
    core.files = shelf
    limits = Limits(body=1000, package=5000)
    for target, size, status in (
        ("/packages/ab", 4000, 204),
        ("/packages/ab", 6000, 413),
        ("/restconf/data", 2000, 413),
        ("/restconf/data/../packages/ab", 2000, 413),
    ):
        with listening(core, limits=limits) as address, Raw(address) as raw:
            raw.send(request("PUT", target, b"x" * size))
            assert (raw.answer()[0], target, size) == (status, target, size)
    assert shelf.sizes == [4000]


def test_a_body_in_chunks_of_a_byte_takes_its_size(core: RecordingCore) -> None:
    body = stock(2_000)
    with listening(core) as address, Raw(address) as raw:
        raw.send(request("PUT", "/restconf/data").replace(b"\r\n\r\n", b"\r\n" + CHUNKED))
        raw.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert raw.answer()[0] == 204
        raw.send(request("GET", BAYS))
        assert len(orjson.loads(raw.answer()[2])["depot:bay"]) == 2_000


def test_small_parts_of_a_body_are_kept_together() -> None:
    service: Any = SimpleNamespace(limits=Limits(), loop=SimpleNamespace(time=lambda: 0.0))
    reader = Connection(service).reader
    reader.message.method = "PUT"
    for byte in b"x" * 10_000:
        reader.on_body(bytes((byte,)))
    assert (len(reader.message.parts), b"".join(reader.message.parts)) == (2, b"x" * 10_000)


def test_requests_that_wait_are_bounded_by_their_size(core: RecordingCore) -> None:
    """A client that sends on before it is answered is not read from; every request is answered in the end."""
    paused: list[int] = []

    class Watched(Connection):
        def _read_or_not(self) -> None:
            super()._read_or_not()
            if not self.reading and not self.asking:
                paused.append(len(self.waiting))

    body = stock(150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("restconf.server.Connection", Watched)
        with listening(core, limits=Limits(body=20_000)) as address, Raw(address) as raw:
            # the first is slow, as its password is to be checked
            raw.send(request("PUT", "/restconf/data", body) * 20)
            assert [raw.answer()[0] for _ in range(20)] == [204] * 20
    assert min(paused) < 5  # by the number alone there may be more


def test_the_limits_are_configured(core: RecordingCore, tmp_path: Path) -> None:
    with listening(core, max_request=1000, max_answer=100) as address:
        for sent, status in (
            (request("PUT", "/restconf/data", b"x" * 1001), 413),
            (request("GET", "/restconf/data/ietf-yang-library:yang-library"), 404),
            (request("PUT", "/restconf/data", stock(5)), 204),
            (request("GET", "/restconf/data"), 400),
        ):
            with Raw(address) as raw:
                raw.send(sent)
                assert raw.answer()[0] == status


def configured(folder: Path, line: str) -> Any:
    file = folder / "nms.toml"
    file.write_text(
        '[domain]\nid = "a.example"\n[store]\npath = ":memory:"\n'
        f'[restconf]\nlisten = "127.0.0.1:8080"\ninsecure = true\n{line}\n'
    )
    return load(file).restconf


def test_sizes_are_written_with_their_unit(tmp_path: Path) -> None:
    assert configured(tmp_path, 'max-request = "8 MiB"').max_request == 8 * 1024 * 1024
    assert configured(tmp_path, 'max-answer = "64KiB"').max_answer == 64 * 1024
    assert configured(tmp_path, "").max_answer is None
    with pytest.raises(ConfigError, match=r"max-request.*MiB"):
        configured(tmp_path, 'max-request = "8 GB"')
