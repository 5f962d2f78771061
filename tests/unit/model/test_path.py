"""Instance-identifiers: what has been parsed is remembered, as much as is reasonable, and never a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nms.errors import RpcError
from nms.model import load, path
from nms.model.schema import Schema

MODEL = """
module m {
  yang-version 1.1; namespace "urn:m"; prefix m; revision 2026-11-23;
  list item { key name; leaf name { type string; } leaf-list note { type string; } }
}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "m.yang").write_text(MODEL)
    return load.load([folder], ["m"])


def test_what_is_asked_for_again_is_the_same(schema: Schema) -> None:
    text = "/m:item[name='a']/note"
    found = path.parse_path(schema, text)
    assert path.parse_path(schema, text) is found
    assert path.format_path(found) == "/m:item[m:name='a']/m:note"


@pytest.mark.parametrize("text", ["/m:item[name='a'", "/m:nothing", "/m:item[other='a']"])
def test_a_mistake_is_one_each_time(schema: Schema, text: str) -> None:
    for _ in range(2):
        with pytest.raises(RpcError):
            path.parse_path(schema, text)


def test_what_is_remembered_is_bounded(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "_REMEMBERED", 5)
    for number in range(100):
        (step,) = path.parse_path(schema, f"/m:item[name='{number}']")
        assert step[1] == str(number)
        assert len(schema.parsed_paths) <= 5
    before = dict(schema.parsed_paths)
    (step,) = path.parse_path(schema, f"/m:item[name='{'x' * 1000}']")
    assert step[1] == "x" * 1000
    assert schema.parsed_paths == before
