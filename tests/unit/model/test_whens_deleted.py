"""A node goes when an edit makes its `when` false, unless the edit sets it (RFC 7950 sections 8.2 and 8.3.2)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from lxml import etree

from nms.model import constraints, edit, json, xml_edit
from nms.model.constraint_whens import without_false
from nms.model.load import load
from nms.model.schema import Schema
from nms.model.values import Value

MODEL = """module m { yang-version 1.1; namespace "urn:m"; prefix m;
  leaf mode { type string; default slow; }
  leaf fast { when "../mode = 'fast'"; type string; }
  leaf after { when "../fast"; type string; }
  container box { when "../mode = 'fast'"; leaf in { type string; } leaf also { when "../in"; type string; } }
  list l { key k; leaf k { type string; } leaf kind { type string; }
    leaf a { when "../kind = 'a'"; type string; } leaf b { when "../kind = 'b' and /m:mode = 'fast'"; type string; } }
  list whole { when "../mode = 'fast'"; key k; leaf k { type string; } }
  choice c { when "mode = 'fast'"; leaf one { type string; } container two { leaf deep { type string; } } }
  leaf-list w { when "../mode != 'none'"; type string; }
  leaf never { when "false()"; type string; }
  leaf plain { type string; }
}"""
HELD = {
    "m:mode": "fast",
    "m:fast": "x",
    "m:after": "y",
    "m:box": {"in": "i", "also": "o"},
    "m:l": [{"k": "1", "kind": "a", "a": "x"}, {"k": "2", "kind": "b", "b": "x"}],
    "m:whole": [{"k": "1"}],
    "m:one": "x",
    "m:w": ["x"],
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("whens")
    (folder / "m.yang").write_text(MODEL)
    return load([folder], ["m"])


def after(schema: Schema, held: dict[str, Any], config: str) -> tuple[Any, list[str]]:
    """What an edit makes of a configuration, and the tags of what is then wrong."""
    element = etree.fromstring(
        f'<config xmlns="urn:m" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">{config}</config>'
    )
    edits = xml_edit.decode_edit(schema, element, "merge")
    old = json.decode(schema.root, held)
    root = without_false(schema, old, edit.apply(schema.root, old, edits), edits)
    return members(schema, root), [error.tag for error in constraints.validate(schema, root)]


def members(schema: Schema, root: Value) -> Any:
    return orjson.loads(orjson.dumps(json.encode(schema.root, root)))


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in HELD.items() if name[2:] not in names} | {
        f"m:{name}": value for name, value in more.items()
    }


SLOW = without("fast", "after", "box", "whole", "one", mode="slow", l=[HELD["m:l"][0], {"k": "2", "kind": "b"}])  # type: ignore[index]


@pytest.mark.parametrize(
    ("config", "left"),
    [
        ("<plain>p</plain>", without(plain="p")),
        ("<mode>slow</mode>", SLOW),
        ('<mode nc:operation="delete"/>', {name: value for name, value in SLOW.items() if name != "m:mode"}),
        ('<fast nc:operation="remove"/>', without("fast", "after")),
        ('<box><in nc:operation="delete"/></box>', without("box")),
        ("<l><k>1</k><kind>b</kind></l>", without(l=[{"k": "1", "kind": "b"}, HELD["m:l"][1]])),  # type: ignore[index]
        ('<l nc:operation="delete"><k>1</k></l>', without(l=[HELD["m:l"][1]])),  # type: ignore[index]
        ("<mode>none</mode>", {name: value for name, value in (SLOW | {"m:mode": "none"}).items() if name != "m:w"}),
        ('<mode>slow</mode><box nc:operation="remove"/><w>y</w>', SLOW | {"m:w": ["x", "y"]}),
    ],
)
def test_what_a_when_no_longer_allows_is_deleted(schema: Schema, config: str, left: dict[str, Any]) -> None:
    assert after(schema, HELD, config) == (left, [])


@pytest.mark.parametrize(
    ("held", "config"),
    [
        (HELD, "<mode>slow</mode><fast>x</fast>"),
        (HELD, "<mode>slow</mode><box><in>j</in></box>"),
        (HELD, '<mode>slow</mode><whole nc:operation="replace"><k>1</k></whole>'),
        (HELD, "<mode>slow</mode><two><deep>d</deep></two>"),
        (HELD, "<l><k>1</k><kind>b</kind><a>z</a></l>"),
        ({}, "<never>x</never>"),
        ({"m:never": "x"}, "<mode>fast</mode>"),
    ],
)
def test_what_an_edit_sets_itself_is_refused(schema: Schema, held: dict[str, Any], config: str) -> None:
    assert after(schema, held, config)[1] == ["unknown-element"]
