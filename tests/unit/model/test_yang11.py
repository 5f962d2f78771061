# ruff: noqa: E501 - a model stays on the lines that its author would give it
"""YANG 1.1, statement by statement: what a model says, and what becomes of data (RFC 7950 sections 5, 7 and 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nms.model import constraints, json
from nms.model.path import parse_path
from tests.unit.model.constructs import (
    VALID,
    Construct,
    Verdict,
    compiled,
    error,
    invalid,
    missing,
    module,
    must,
    told,
    unknown,
)

CONSTRUCTS = [
    Construct(
        "submodules see each other's definitions (5.1)",
        "container c { uses g; }",
        [
            ({"m:c": {"x": 3}, "m:s": 1}, VALID),
            ({"m:c": {"x": 9}}, invalid("/m:c/m:x")),
            ({"m:s": "a"}, invalid("/m:s")),
        ],
        head="include one; include two;",
        others={
            "one": "submodule one { yang-version 1.1; belongs-to m { prefix m; } grouping g { leaf x { type t; } } }",
            "two": 'submodule two { yang-version 1.1; belongs-to m { prefix m; } typedef t { type uint8 { range "0..5"; } }'
            " leaf s { type m:t; } }",
        },
    ),
    Construct(
        "deviate not-supported, add, replace, delete (7.20.3)",
        "leaf gone { type string; } leaf-list some { type string; } leaf kind { type string; }"
        ' leaf free { type uint8; must "false()"; } leaf late { type string; } leaf dflt { type string; default a; }'
        ' list rows { key k; unique v; leaf k { type string; } leaf v { type string; } } leaf test { type empty; must "../dflt"; }'
        ' leaf-list n { type uint8; default 1; default 2; } leaf left { type uint8; must ". = ../n and count(../n) = 1"; }',
        [
            ({"m:late": "x", "m:left": 2}, VALID),
            ({"m:late": "x", "m:kind": 7, "m:free": 1, "m:some": ["a"]}, VALID),
            ({"m:late": "x", "m:gone": "x"}, unknown("")),
            ({"m:late": "x", "m:kind": "a"}, invalid("/m:kind")),
            ({}, missing("/m:late")),
            ({"m:late": "x", "m:some": ["a", "b"]}, error("operation-failed", "/m:some", "too-many-elements")),
            ({"m:late": "x", "m:rows": [{"k": "a", "v": "x"}, {"k": "b", "v": "x"}]}, VALID),
            ({"m:late": "x", "m:test": [None]}, error("operation-failed", "/m:test", "must-violation")),
            ({"m:late": "bad"}, error("operation-failed", "/m:late", "must-violation")),
        ],
        others={
            "d": module(
                "d",
                "deviation /m:gone { deviate not-supported; }"
                " deviation /m:some { deviate add { max-elements 1; } }"
                " deviation /m:kind { deviate replace { type uint8; } }"
                ' deviation /m:free { deviate delete { must "false()"; } }'
                " deviation /m:late { deviate add { mandatory true; must \". != 'bad'\"; } }"
                " deviation /m:dflt { deviate delete { default a; } }"
                " deviation /m:rows { deviate delete { unique m:v; } }"
                " deviation /m:n { deviate delete { default 1; } }",
                "import m { prefix m; }",
            )
        },
        wanted=("m", "d"),
    ),
    Construct(
        "if-feature expressions (7.20.2)",
        'feature a; feature b; feature c; leaf both { if-feature "a and b"; type string; }'
        ' leaf either { if-feature "b or c"; type string; } leaf without { if-feature "not c"; type string; }'
        ' leaf grouped { if-feature "(a or c) and not (b and c)"; type string; } leaf plain { if-feature c; type string; }'
        ' leaf e { type enumeration { enum on; enum off { if-feature "c"; } } }',
        [
            ({"m:both": "", "m:either": "", "m:without": "", "m:grouped": "", "m:e": "on"}, VALID),
            ({"m:plain": ""}, unknown("")),
            ({"m:e": "off"}, invalid("/m:e")),
        ],
        wanted=("m:a,b",),
    ),
    Construct(
        "uses with refine and augment (7.13)",
        "grouping g { container in { leaf a { type uint8; default 1; } leaf b { type string; } leaf-list l { type string; }"
        " container p { leaf z { type string; mandatory true; } } } }"
        ' uses g { refine in/a { default 5; must ". > 2" { error-app-tag low; } } refine in/b { mandatory true; }'
        ' refine in/l { min-elements 1; max-elements 2; } refine in/p { presence "here"; } augment in { leaf more { type uint8; } } }'
        ' leaf test { type empty; must "../in/a = 5"; }',
        [
            ({"m:in": {"b": "x", "l": ["a"], "more": 1}, "m:test": [None]}, VALID),
            ({"m:in": {"b": "x", "l": ["a"], "a": 2}}, error("operation-failed", "/m:in/m:a", "low")),
            ({"m:in": {"l": ["a"]}}, missing("/m:in/m:b")),
            ({"m:in": {"b": "x"}}, error("operation-failed", "/m:in/m:l", "too-few-elements")),
            ({"m:in": {"b": "x", "l": ["a"], "p": {}}}, missing("/m:in/m:p/m:z")),
        ],
    ),
    Construct(
        "augments in any order, one below the other (7.17)",
        "container c;",
        [({"m:c": {"n:d": {"e": 1}}}, VALID), ({"m:c": {"n:d": {"e": "x"}}}, invalid("/m:c/n:d/n:e"))],
        others={
            "n": module(
                "n",
                'augment "/m:c/n:d" { leaf e { type uint8; } } augment /m:c { container d; }',
                "import m { prefix m; }",
            )
        },
        wanted=("m", "n"),
    ),
    Construct(
        "anydata and anyxml hold what they like (7.10, 7.11)",
        "anydata d; anyxml x; container c { anydata must { mandatory true; } presence p; }",
        [({"m:d": {"any": [1, {"thing": None}]}, "m:x": [1, "two"]}, VALID), ({"m:c": {}}, missing("/m:c/m:must"))],
    ),
    Construct(
        "state: keyless lists, and the same value twice in a leaf-list (7.7, 7.8.2)",
        "container s { config false; list e { leaf what { type string; mandatory true; } } leaf-list v { type uint8; } }"
        " leaf-list conf { type uint8; }",
        [
            ({"m:s": {"e": [{"what": "a"}, {"what": "a"}], "v": [1, 1]}}, VALID),
            ({"m:s": {"e": [{}]}}, missing("/m:s/m:e[1]/m:what")),
            ({"m:conf": [1, 1]}, error("operation-failed", "/m:conf[.='1']", "data-not-unique")),
        ],
        whole=True,
    ),
    Construct(
        "user-ordered lists and leaf-lists keep their order (7.7.7)",
        "leaf-list w { type string; ordered-by user; } list l { key k; ordered-by user; leaf k { type string; } }"
        " leaf test { type empty; must \"../w[1] = 'z' and ../l[last()]/k = 'a'\"; }",
        [
            ({"m:w": ["z", "a"], "m:l": [{"k": "b"}, {"k": "a"}], "m:test": [None]}, VALID),
            (
                {"m:w": ["a", "z"], "m:l": [{"k": "b"}, {"k": "a"}], "m:test": [None]},
                error("operation-failed", "/m:test", "must-violation"),
            ),
        ],
    ),
    Construct(
        "leaf-list defaults are in use while no entry is (7.7.2)",
        'leaf-list w { type uint8; default 1; default 2; } leaf test { type uint8; must "count(../w) = ."; }',
        [
            ({"m:test": 2}, VALID),
            ({"m:test": 1, "m:w": [7]}, VALID),
            ({"m:test": 2, "m:w": [7]}, error("operation-failed", "/m:test", "must-violation")),
        ],
    ),
    Construct(
        "a default case, and the outer case of a nested choice (7.9.3)",
        "choice c { default one; case one { leaf a { type string; default x; } } case two { leaf b { type string; }"
        ' leaf d { type string; default y; } choice in { leaf e { type string; } } } } leaf test { type string; must ". = ../a or . = ../d"; }',
        [
            ({"m:test": "x"}, VALID),
            ({"m:test": "x", "m:b": ""}, error("operation-failed", "/m:test", "must-violation")),
            ({"m:test": "y", "m:b": ""}, VALID),
            ({"m:test": "y", "m:e": ""}, VALID),
            ({"m:a": "", "m:b": ""}, error("bad-element", "/m:b")),
        ],
    ),
    Construct(
        "obsolete and deprecated nodes are nodes (7.21.2)",
        "leaf old { status obsolete; type uint8; } leaf odd { status deprecated; type uint8; }",
        [({"m:old": 1, "m:odd": 1}, VALID), ({"m:odd": "x"}, invalid("/m:odd"))],
    ),
    Construct(
        "min-elements and max-elements, unbounded among them (7.7.5, 7.7.6)",
        "container c { presence p; leaf-list a { type uint8; min-elements 2; max-elements unbounded; }"
        " list b { key k; max-elements 1; leaf k { type uint8; } } }",
        [
            ({"m:c": {"a": list(range(50))}}, VALID),
            ({"m:c": {"a": [1]}}, error("operation-failed", "/m:c/m:a", "too-few-elements")),
            ({"m:c": {}}, error("operation-failed", "/m:c/m:a", "too-few-elements")),
            (
                {"m:c": {"a": [1, 2], "b": [{"k": 1}, {"k": 2}]}},
                error("operation-failed", "/m:c/m:b", "too-many-elements"),
            ),
        ],
    ),
    Construct(
        "unique through choices, containers and defaults (7.8.3)",
        'list l { key k; unique "c/x/a in/b"; leaf k { type string; } choice c { case x { leaf a { type string; default q; } } }'
        " container in { leaf b { type union { type uint8; type boolean; } } } }"
        " list s { key k; unique c/a/a; leaf k { type string; } choice c { leaf a { type string; } } }",
        [
            ({"m:l": [{"k": "1", "in": {"b": 0}}, {"k": "2", "in": {"b": False}}]}, VALID),
            (
                {"m:s": [{"k": "1", "a": "x"}, {"k": "2", "a": "x"}]},
                error("operation-failed", "/m:s[m:k='2']", "data-not-unique"),
            ),
        ],
    ),
    Construct(
        "when on uses, augment, choice and case looks from the parent (7.21.5)",
        "leaf on { type string; } grouping g { leaf u { type string; } }"
        " container p { leaf on { type string; } uses g { when on; } choice c { when on; leaf d { type string; } case e { when \"on = 'e'\"; leaf f { type string; mandatory true; } leaf h { type string; } } } }"
        " augment /m:p { when \"on = 'a'\"; leaf a { type string; mandatory true; } }",
        [
            ({"m:p": {"on": "x", "u": "1", "d": "1"}}, VALID),
            ({"m:on": "x", "m:p": {"u": "1"}}, unknown("/m:p/m:u")),
            ({"m:on": "x", "m:p": {"d": "1"}}, unknown("/m:p/m:d")),
            ({"m:p": {"on": "e", "f": "1"}}, VALID),
            ({"m:p": {"on": "x", "f": "1"}}, unknown("/m:p/m:f")),
            ({"m:p": {"on": "e", "h": "1"}}, missing("/m:p/m:f")),
            ({"m:p": {"on": "a"}}, missing("/m:p/m:a")),
            ({"m:p": {"on": "a", "a": "1"}}, VALID),
            ({"m:p": {"a": "1"}}, unknown("/m:p/m:a")),
        ],
    ),
    Construct(
        "a must on a container without presence counts though nothing is in it (7.5.3)",
        'leaf off { type empty; } container c { must "x or ../off"; leaf x { type string; } }'
        " list l { key k; leaf k { type string; } container in { must \"../k != 'bad'\"; } }"
        ' choice h { container one { must "false()"; leaf y { type string; } } leaf two { type string; } }',
        [
            ({"m:off": [None]}, VALID),
            ({"m:c": {"x": "1"}}, VALID),
            ({}, must("/m:c")),
            ({"m:off": [None], "m:l": [{"k": "bad"}]}, must("/m:l[m:k='bad']/m:in")),
            ({"m:off": [None], "m:two": "1"}, VALID),
            ({"m:off": [None], "m:one": {"y": "1"}}, must("/m:one")),
        ],
    ),
    Construct(
        "unique counts values in use by default, and no entry that lacks one (7.8.3)",
        'list l { key k; unique "a b"; leaf k { type string; } leaf a { type string; } leaf b { when "../k != \'q\'"; type string; default z; } }',
        [
            ({"m:l": [{"k": "1"}, {"k": "2"}]}, VALID),
            (
                {"m:l": [{"k": "1", "a": "x"}, {"k": "2", "a": "x", "b": "z"}]},
                error("operation-failed", "/m:l[m:k='2']", "data-not-unique"),
            ),
            ({"m:l": [{"k": "1", "a": "x"}, {"k": "2", "a": "x", "b": "y"}]}, VALID),
            ({"m:l": [{"k": "1", "a": "x"}, {"k": "q", "a": "x"}]}, VALID),
        ],
    ),
    Construct(
        "min-elements and max-elements wait for their when and their case (7.7.5, 8.1)",
        'leaf m { type string; } leaf-list w { when "../m"; type string; min-elements 1; max-elements 1; }'
        " choice c { case a { leaf-list x { type string; min-elements 2; } leaf z { type string; } } leaf b { type string; } }",
        [
            ({"m:b": "1"}, VALID),
            ({"m:m": "1", "m:w": ["a"]}, VALID),
            ({"m:m": "1"}, error("operation-failed", "/m:w", "too-few-elements")),
            ({"m:m": "1", "m:w": ["a", "b"]}, error("operation-failed", "/m:w", "too-many-elements")),
            ({"m:w": ["a"]}, unknown("/m:w")),
            ({"m:z": "1"}, error("operation-failed", "/m:x", "too-few-elements")),
        ],
    ),
    Construct(
        "yang-data and structures are ignored (RFC 8040 section 8, RFC 8791)",
        "rc:yang-data x { container problem { leaf a { type string; } } } sx:structure y { leaf b { type uint8; } } leaf c { type uint8; }",
        [({"m:c": 1}, VALID), ({"m:problem": {}}, unknown("")), ({"m:b": 1}, unknown(""))],
        head="import ietf-restconf { prefix rc; } import ietf-yang-structure-ext { prefix sx; }",
        others={
            "ietf-yang-structure-ext": "module ietf-yang-structure-ext { yang-version 1.1; prefix sx;"
            ' namespace "urn:ietf:params:xml:ns:yang:ietf-yang-structure-ext"; extension structure { argument name; } }'
        },
    ),
]


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda c: c.name)
def test_a_construct_means_what_the_standard_says(tmp_path: Path, construct: Construct) -> None:
    assert told(tmp_path, construct) == construct.data


OPERATIONS = Construct(
    "actions and notifications in data (7.15, 7.16)",
    "list l { key k; leaf k { type string; } leaf max { type uint8; default 5; }"
    ' action set { input { leaf to { type uint8; mandatory true; must ". <= ../../max"; } } output { leaf done { type boolean; mandatory true; } } }'
    " notification changed { leaf to { type uint8; must \"../../k != 'quiet'\"; } } }",
    [],
)


@pytest.mark.parametrize(
    ("node", "key", "value", "expected"),
    [
        ("/m:l/set/input", "a", {"to": 5}, VALID),
        ("/m:l/set/input", "a", {"to": 6}, error("operation-failed", "/m:l[m:k='a']/m:set/m:to", "must-violation")),
        ("/m:l/set/input", "b", {"to": 6}, VALID),
        ("/m:l/set/input", "a", {}, error("missing-element", "/m:l[m:k='a']/m:set/m:to")),
        ("/m:l/set/output", "a", {}, missing("/m:l[m:k='a']/m:set/m:done")),
        ("/m:l/changed", "a", {"to": 1}, VALID),
        (
            "/m:l/changed",
            "quiet",
            {"to": 1},
            error("operation-failed", "/m:l[m:k='quiet']/m:changed/m:to", "must-violation"),
        ),
    ],
)
def test_actions_and_notifications_belong_to_their_entry(
    tmp_path: Path, node: str, key: str, value: Any, expected: Verdict
) -> None:
    schema = compiled(tmp_path, OPERATIONS)
    root = json.decode(schema.root, {"m:l": [{"k": "a"}, {"k": "b", "max": 9}, {"k": "quiet"}]})
    found = schema.find(node)
    body = json.decode(found, {f"m:{name}": inner for name, inner in value.items()})
    errors = constraints.validate_value(schema, found, body, root, parent=parse_path(schema, f"/m:l[m:k='{key}']"))
    assert [(e.tag, e.app_tag, e.path) for e in errors] == expected
