"""Packages by digest: ranges, refusals, uploads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import pytest
from flask.testing import FlaskClient

from nms.errors import RpcError
from nms.model import load
from nms.operations.request import Principal
from restconf.app import create_app
from tests.unit.restconf.recording_core import RecordingCore

CONTENT = bytes(range(256)) * 8
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Folder:
    """Files of one folder, for the user `reader` to read and `writer` to write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, principal: Principal, digest: str) -> Path:
        if principal.name != "reader":
            raise RpcError("access-denied", f"{principal.name} may not read packages")
        if not (self.folder / digest).is_file():
            raise RpcError("data-missing", "no such package", status=404)
        return self.folder / digest

    def write(self, principal: Principal, digest: str, content: BinaryIO) -> Path:
        found = content.read()
        if hashlib.sha256(found).hexdigest() != digest:
            raise RpcError("invalid-value", "the content has another digest")
        (self.folder / digest).write_bytes(found)
        return self.folder / digest


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    core = RecordingCore(load.load([Path(__file__).parent / "models"], []))
    core.files = Folder(tmp_path)
    app = create_app(core, lambda environ: Principal(environ["HTTP_USER"]) if "HTTP_USER" in environ else None)
    return app.test_client()


def test_what_was_put_comes_back_whole_and_in_ranges(client: FlaskClient, tmp_path: Path) -> None:
    reader = {"User": "reader"}
    assert client.put(f"/packages/{DIGEST}", data=CONTENT, headers={"User": "writer"}).status_code == 204
    assert (tmp_path / DIGEST).read_bytes() == CONTENT
    assert client.get(f"/packages/{DIGEST}", headers=reader, buffered=True).data == CONTENT
    part = client.get(f"/packages/{DIGEST}", headers={**reader, "Range": "bytes=100-199"}, buffered=True)
    assert (part.status_code, part.data) == (206, CONTENT[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
    assert (
        client.get(f"/packages/{DIGEST}", headers={**reader, "Range": "bytes=9999-"}, buffered=True).status_code == 416
    )


@pytest.mark.parametrize(
    ("user", "digest", "status"), [("reader", "0" * 64, 404), ("stranger", DIGEST, 403), (None, DIGEST, 401)]
)
def test_refusals(client: FlaskClient, user: str | None, digest: str, status: int) -> None:
    answer = client.get(f"/packages/{digest}", headers={"User": user} if user else {})
    assert answer.status_code == status
    assert b"error-tag" in answer.data


def test_an_upload_with_another_digest_is_refused_and_leaves_nothing(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.put(f"/packages/{DIGEST}", data=b"other", headers={"User": "writer"})
    assert answer.status_code == 400
    assert not (tmp_path / DIGEST).exists()
