# ruff: noqa: E501 - a model stays on the lines that its author would give it
"""What is reported of values that nobody set (RFC 6243; in use by RFC 7950 sections 7.5.1, 7.6.1, 7.7.2 and 7.9.3)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from nms.model import defaults, json
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.model.values import Value

MODEL = """module m { yang-version 1.1; namespace "urn:m"; prefix m;
  leaf plain { type uint8; default 1; }
  leaf mode { type string; default slow; }
  leaf speed { when "../mode = 'fast'"; type uint8; default 9; }
  leaf after { when "../speed"; type uint8; default 3; }
  leaf-list w { type uint8; default 1; default 2; }
  container box { when "../mode != 'none'"; leaf in { type uint8; default 5; } leaf set { type uint8; } }
  container here { presence p; leaf in { type uint8; default 5; } }
  choice c { default one;
    case one { leaf a { type uint8; default 1; } leaf a2 { when "../plain = 2"; type uint8; default 7; } }
    case two { when "mode = 'fast'"; leaf b { type uint8; } leaf d { type uint8; default 4; } } }
  list l { key k; leaf k { type string; } leaf v { type uint8; default 6; } leaf mine { when "../k = /m:mode"; type uint8; default 8; } }
  list u { key k; ordered-by user; leaf k { type string; } container deep { leaf v { type uint8; default 6; } } }
}"""
ALWAYS = {"m:plain": 1, "m:mode": "slow", "m:w": [1, 2], "m:box": {"in": 5}, "m:a": 1}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("defaults")
    (folder / "m.yang").write_text(MODEL)
    return load([folder], ["m"])


def members(schema: Schema, root: Value) -> Any:
    return orjson.loads(orjson.dumps(json.encode(schema.root, root)))


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ALWAYS.items() if name not in names}


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        ({}, ALWAYS),
        ({"m:mode": "fast"}, {**ALWAYS, "m:mode": "fast", "m:speed": 9, "m:after": 3}),
        ({"m:mode": "none"}, {**without("m:box"), "m:mode": "none"}),
        ({"m:plain": 2}, {**ALWAYS, "m:plain": 2, "m:a2": 7}),
        (
            {"m:mode": "fast", "m:b": 1},
            {**without("m:a"), "m:mode": "fast", "m:speed": 9, "m:after": 3, "m:b": 1, "m:d": 4},
        ),
        ({"m:here": {}}, {**ALWAYS, "m:here": {"in": 5}}),
        ({"m:box": {"set": 1}}, {**ALWAYS, "m:box": {"in": 5, "set": 1}}),
        ({"m:w": [7]}, {**ALWAYS, "m:w": [7]}),
        (
            {"m:l": [{"k": "slow"}, {"k": "x", "v": 1}]},
            {**ALWAYS, "m:l": [{"k": "slow", "v": 6, "mine": 8}, {"k": "x", "v": 1}]},
        ),
        (
            {"m:u": [{"k": "b"}, {"k": "a"}]},
            {**ALWAYS, "m:u": [{"k": "b", "deep": {"v": 6}}, {"k": "a", "deep": {"v": 6}}]},
        ),
    ],
)
def test_report_all_reports_what_is_in_use(schema: Schema, held: dict[str, Any], shown: dict[str, Any]) -> None:
    root = defaults.apply(schema, json.decode(schema.root, held), (), "report-all")
    assert members(schema, root) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/m:l[k='fast']", {"m:l": [{"k": "fast", "v": 6, "mine": 8}, {"k": "x"}]}),
        ("/m:l", {"m:l": [{"k": "fast", "v": 6, "mine": 8}, {"k": "x", "v": 6}]}),
        ("/m:box", {"m:l": [{"k": "fast"}, {"k": "x"}], "m:box": {"in": 5}}),
        ("/m:here", {"m:l": [{"k": "fast"}, {"k": "x"}]}),
        ("/m:l[k='gone']", {"m:l": [{"k": "fast"}, {"k": "x"}]}),
        ("/m:plain", {"m:l": [{"k": "fast"}, {"k": "x"}]}),
    ],
)
def test_an_instance_is_shown_with_its_defaults(schema: Schema, path: str, shown: dict[str, Any]) -> None:
    """Whens of what is within look at the whole datastore."""
    root = json.decode(schema.root, {"m:mode": "fast", "m:l": [{"k": "fast"}, {"k": "x"}]})
    root = defaults.apply(schema, root, parse_path(schema, path), "report-all")
    assert members(schema, root) == {"m:mode": "fast", **shown}


def test_trim_leaves_out_what_is_as_by_default(schema: Schema) -> None:
    held = {
        "m:plain": 1,
        "m:speed": 8,
        "m:w": [1, 2],
        "m:box": {"in": 5},
        "m:here": {"in": 5},
        "m:l": [{"k": "x", "v": 6}],
    }
    root = json.decode(schema.root, held)
    trimmed = members(schema, defaults.apply(schema, root, (), "trim"))
    assert trimmed == {"m:speed": 8, "m:here": {}, "m:l": [{"k": "x"}]}
    assert defaults.apply(schema, root, (), "explicit") is root
