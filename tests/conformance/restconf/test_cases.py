"""Runs the cases: see conftest.py for their form."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal
from restconf.app import create_app

HERE = Path(__file__).parent
CASES = sorted(folder for folder in (HERE / "cases").iterdir() if folder.is_dir())
#: Headers that RFC 8040 speaks of; entity-tags differ between stores and are only noted to be there.
SHOWN = ("Allow", "Accept-Patch", "Content-Type", "ETag", "Last-Modified", "Location", "WWW-Authenticate")


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load([HERE / "models"], ["conformance-shelf", "example-jukebox", *PROTOCOL_MODULES])


@pytest.fixture
def client(schema: Schema) -> Iterator[FlaskClient]:
    core = Core.create(schema, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    core.register("conformance-shelf", "add", lambda session, invoke: (sum(invoke.input[0] or ()),))
    core.register("example-jukebox", "play", lambda session, invoke: None)
    app = create_app(
        core,
        lambda environ: (
            Principal("ann", recovery=True) if environ.get("HTTP_AUTHORIZATION") == "Basic YW5uOng=" else None
        ),
    )
    with app.test_client() as client:
        yield client
    app.extensions["restconf"].close()
    core.close()


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder: Path, client: FlaskClient, request: pytest.FixtureRequest) -> None:
    asked = sorted(folder.glob("*.request"))
    assert asked
    for file in asked:
        expected = file.with_suffix(".response")
        got = _exchange(client, file.read_bytes())
        if request.config.getoption("--regenerate", default=False):
            expected.write_bytes(got)
        assert got.decode() == expected.read_bytes().decode(), file.name


def _exchange(client: FlaskClient, text: bytes) -> bytes:
    head, _, body = text.partition(b"\n\n")
    line, *lines = head.decode().splitlines()
    method, target = line.split(" ")
    headers = dict(item.split(": ", 1) for item in lines)
    headers = {"Authorization": "Basic YW5uOng="} | headers
    answer = client.open(target, method=method, headers=headers, data=body.rstrip(b"\n"))
    shown = [f"{name}: {answer.headers[name]}" for name in SHOWN if name in answer.headers and name != "ETag"]
    if "ETag" in answer.headers:
        shown.append("ETag: present")
    return "\n".join([str(answer.status_code), *shown, "", ""]).encode() + answer.data + b"\n"
