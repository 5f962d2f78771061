"""Runs the cases: see conftest.py for their form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES
from tests.conformance.restconf.server import Server

HERE = Path(__file__).parent
CASES = sorted(folder for folder in (HERE / "cases").iterdir() if folder.is_dir())
MODULES = ("conformance-shelf", "conformance-types", "conformance-more", "conformance-vault", "example-jukebox")
#: What is sent -> what comes back.
PAIRS = {".request": ".response", ".rpc.xml": ".reply.xml"}


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load([HERE / "models"], [*MODULES, *PROTOCOL_MODULES])


@pytest.fixture
def server(schema: Schema) -> Iterator[Server]:
    server = Server(schema)
    yield server
    server.close()


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder: Path, server: Server, request: pytest.FixtureRequest) -> None:
    asked = sorted((file, kind) for kind in PAIRS for file in folder.glob(f"*{kind}"))
    assert asked
    expected = {file.with_name(file.name.removesuffix(kind) + PAIRS[kind]) for file, kind in asked}
    regenerate = request.config.getoption("--regenerate", default=False)
    for file, kind in asked:
        answer = file.with_name(file.name.removesuffix(kind) + PAIRS[kind])
        got = server.message(file.read_bytes()) if kind == ".rpc.xml" else server.step(file.read_bytes())
        if regenerate:
            answer.write_bytes(got)
        assert got.decode() == answer.read_bytes().decode(), file.name
    assert {file for kind in PAIRS.values() for file in folder.glob(f"*{kind}")} == expected
