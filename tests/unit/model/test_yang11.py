# ruff: noqa: E501 - a model stays on the lines that its author would give it
"""YANG 1.1, construct by construct: what a model says, and what becomes of data (RFC 7950; tags and paths of section 15)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.model import constraints, json
from nms.model.load import load
from nms.model.path import parse_path
from nms.model.schema import Schema

Verdict = list[tuple[str, str, str]]
VALID: Verdict = []


def module(name: str, body: str, head: str = "") -> str:
    return f'module {name} {{ yang-version 1.1; namespace "urn:{name}"; prefix {name}; {head} {body} }}'


def error(tag: str, path: str, app_tag: str = "") -> Verdict:
    return [(tag, app_tag, path)]


def unknown(path: str) -> Verdict:
    return error("unknown-element", path)


def invalid(path: str, app_tag: str = "") -> Verdict:
    return error("invalid-value", path, app_tag)


def must(path: str) -> Verdict:
    return error("operation-failed", path, "must-violation")


def missing(path: str) -> Verdict:
    return error("data-missing", path)


@dataclass(frozen=True)
class Construct:
    """A construct: the body of module m (and other modules), and instances with their verdicts.

    Attributes:
        others: file name -> text.
        wanted: modules to load beside m, as `load` takes them.
        whole: the data holds state too.
    """

    name: str
    body: str
    data: list[tuple[Any, Verdict]]
    head: str = ""
    others: dict[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] = ("m",)
    whole: bool = False


IDENTITIES = module(
    "i", "identity shape; identity colour; identity red { base colour; } identity ball { base shape; base red; }"
)
LIST = "list l { key k; leaf k { type string; } leaf v { type uint8; } }"

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
        "the first member of a union that fits takes the value (9.12)",
        'leaf u { type union { type uint8; type boolean; type enumeration { enum 300; } type string { pattern "[a-z]+"; } } }'
        " leaf-list mixed { type union { type uint8; type boolean; type decimal64 { fraction-digits 1; } } }",
        [
            *(({"m:u": value}, VALID) for value in (5, True, "300", "abc")),
            *(({"m:u": value}, invalid("/m:u")) for value in (256, "ABC", 1.5, None)),
            ({"m:mixed": [0, False, "0.0", 1, True, "1.0"]}, VALID),
        ],
    ),
    Construct(
        "a union with several defaults in its members' forms (9.12)",
        'leaf u { type union { type bits { bit up; bit on; } type int8; } default 7; } leaf test { type int8; must ". = ../u"; }',
        [
            ({"m:test": 7}, VALID),
            ({"m:test": 7, "m:u": "on up"}, error("operation-failed", "/m:test", "must-violation")),
        ],
    ),
    Construct(
        "identities across modules and of several bases (9.10)",
        "identity blue { base i:colour; } leaf c { type identityref { base i:colour; } }"
        " leaf both { type identityref { base i:colour; base i:shape; } } leaf test { type empty; must \"derived-from(../c, 'i:red')\"; }",
        [
            ({"m:c": "m:blue"}, VALID),
            ({"m:c": "blue"}, VALID),
            ({"m:c": "i:ball", "m:both": "i:ball", "m:test": [None]}, VALID),
            ({"m:both": "i:red"}, invalid("/m:both")),
            ({"m:c": "i:colour"}, invalid("/m:c")),
            ({"m:c": "red"}, invalid("/m:c")),
            ({"m:c": "i:red", "m:test": [None]}, error("operation-failed", "/m:test", "must-violation")),
        ],
        head="import i { prefix i; }",
        others={"i": IDENTITIES},
    ),
    Construct(
        "a leafref to a leafref, each with its own require-instance (9.9)",
        f'{LIST} leaf a {{ type leafref {{ path "/m:l/m:k"; }} }} leaf b {{ type leafref {{ path "../a"; }} }}'
        ' leaf loose { type leafref { path "../a"; require-instance false; } } leaf by-default { type leafref { path "../loose"; require-instance false; } default q; }',
        [
            ({"m:l": [{"k": "x"}], "m:a": "x", "m:b": "x"}, VALID),
            ({"m:l": [{"k": "x"}], "m:a": "x", "m:b": "y"}, error("data-missing", "/m:b", "instance-required")),
            ({"m:loose": "nowhere"}, VALID),
            ({"m:l": [{"k": "x"}], "m:a": "y"}, error("data-missing", "/m:a", "instance-required")),
        ],
    ),
    Construct(
        "names in a leafref's values are those of its own module, whatever it refers to (9.9, RFC 7951 section 6.8)",
        'identity blue { base i:colour; } leaf to { type leafref { path "/n:c"; require-instance false; } default "m:blue"; }'
        ' leaf is { type string; must ". = ../to"; } leaf u { type leafref { path "/n:u"; require-instance false; } default "m:blue"; }',
        [
            ({"m:is": "m:blue"}, VALID),
            ({"m:is": "m:blue", "m:to": "blue", "m:u": "blue"}, VALID),
            ({"m:is": "i:red", "m:to": "i:red"}, VALID),
            ({"m:to": "red"}, invalid("/m:to")),
        ],
        head="import i { prefix i; } import n { prefix n; }",
        others={
            "i": IDENTITIES,
            "n": module(
                "n",
                "leaf c { type identityref { base q:colour; } } leaf u { type union { type uint8; type identityref { base q:colour; } } }",
                "import i { prefix q; }",
            ),
        },
        wanted=("m", "n"),
    ),
    Construct(
        "a leafref to a union and to an instance-identifier wants its instance too (9.9.3)",
        "leaf u { type union { type uint8; type string; } } leaf to-u { type leafref { path ../u; } }"
        " leaf i { type instance-identifier { require-instance false; } } leaf to-i { type leafref { path ../i; } }"
        " leaf loose { type leafref { path ../i; require-instance false; } }",
        [
            ({"m:u": 3, "m:to-u": 3, "m:i": "/m:u", "m:to-i": "/m:u"}, VALID),
            ({"m:loose": "/m:u"}, VALID),
            ({"m:loose": "/gone:u"}, invalid("/m:loose")),
            ({"m:to-u": "a"}, error("data-missing", "/m:to-u", "instance-required")),
            ({"m:to-i": "/m:u"}, error("data-missing", "/m:to-i", "instance-required")),
        ],
    ),
    *(
        Construct(
            f"instance-identifiers name one instance {how}(9.13)",
            'list l { key "k j"; leaf k { type string; } leaf j { type uint8; } leaf v { type uint8; } } leaf-list w { type string; }'
            f" container s {{ config false; list e {{ leaf v {{ type string; }} }} }} leaf i {{ type instance-identifier {also} }}",
            [
                ({"m:l": [{"k": "x", "j": 1, "v": 1}], "m:i": "/m:l[k='x'][j='1']/v"}, VALID),
                ({"m:l": [{"k": "x", "j": 1}], "m:i": "/m:l[j='1'][k='x']"}, VALID),
                ({"m:w": ["a"], "m:i": "/m:w[.='a']"}, VALID),
                *(({"m:i": there}, absent) for there in ("/m:l[k='x'][j='1']/v", "/m:w[.='b']", "/m:s/e[1]/v")),
                *(
                    ({"m:l": [{"k": "x", "j": 1}], "m:w": ["a"], "m:i": nowhere}, invalid("/m:i"))
                    for nowhere in (
                        "m:l",
                        "/m:l",
                        "/m:l/v",
                        "/m:l[k='x']",
                        "/m:l[k='x'][j='a']",
                        "/m:l[1]",
                        "/m:l[n:k='x'][n:j='1']",
                        "/m:w",
                        "/m:s/e",
                        "/m:gone",
                        "/gone:l",
                    )
                ),
            ],
            others={"n": module("n", "leaf other { type string; }")},
            wanted=("m", "n"),
        )
        for how, also, absent in (
            ("that is there ", ";", error("data-missing", "/m:i", "instance-required")),
            ("that may be there ", "{ require-instance false; }", VALID),
        )
    ),
    Construct(
        "an instance-identifier of configuration refers to configuration, one of state to either (9.13)",
        "leaf i { type instance-identifier; } container s { config false; leaf i { type instance-identifier; } list e { leaf v { type string; } } }",
        [
            ({"m:s": {"e": [{"v": "a"}], "i": "/m:s/e[1]/v"}, "m:i": "/m:i"}, VALID),
            ({"m:s": {"e": [{"v": "a"}]}, "m:i": "/m:s/e[1]/v"}, error("data-missing", "/m:i", "instance-required")),
            ({"m:s": {"e": [{"v": "a"}], "i": "/m:s/e[2]"}}, error("data-missing", "/m:s/m:i", "instance-required")),
        ],
        whole=True,
    ),
    Construct(
        "an instance-identifier in a union leaves what names no instance to the next member (9.12)",
        "leaf i { type union { type instance-identifier; type string; } } leaf j { type union { type instance-identifier; type uint8; } }",
        [
            ({"m:i": "/m:gone", "m:j": 3}, VALID),
            ({"m:i": "/m:i", "m:j": "/m:i"}, VALID),
            ({"m:j": "/m:gone"}, error("data-missing", "/m:j", "instance-required")),
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
        "values of enums and positions of bits, given and assigned (9.6.4, 9.7.4)",
        "leaf e { type enumeration { enum a; enum b { value 7; } enum c; enum d { value -1; } } }"
        ' leaf v { type int8; must "enum-value(../e) = ."; }'
        ' leaf f { type bits { bit low; bit high { position 5; } bit next; } } leaf g { type string; must "bit-is-set(../f, .)"; }',
        [
            *(({"m:e": name, "m:v": value}, VALID) for name, value in (("a", 0), ("b", 7), ("c", 8), ("d", -1))),
            ({"m:e": "c", "m:v": 2}, error("operation-failed", "/m:v", "must-violation")),
            ({"m:f": "next low", "m:g": "next"}, VALID),
            ({"m:f": "next low", "m:g": "high"}, error("operation-failed", "/m:g", "must-violation")),
        ],
    ),
    Construct(
        "an empty leaf can be a key (9.11, new in 1.1)",
        'list l { key "k e"; leaf k { type string; } leaf e { type empty; } leaf v { type uint8; } }',
        [
            ({"m:l": [{"k": "a", "e": [None], "v": 1}, {"k": "b", "e": [None]}]}, VALID),
            ({"m:l": [{"k": "a"}]}, error("missing-element", "/m:l")),
        ],
    ),
    Construct(
        "restrictions: binary length, decimal64 range, patterns (9.2-9.4, 9.8)",
        'leaf b { type binary { length "2"; } } leaf d { type decimal64 { fraction-digits 2; range "-1.5..0 | 3.25"; } }'
        ' leaf p { type string { pattern "[a-z]*"; pattern "x.*" { modifier invert-match; error-app-tag no-x; error-message "not x"; } } }'
        ' leaf r { type uint8 { range "1..3" { error-app-tag "size"; } } } leaf t { type string { length "min..3 | 5"; } }',
        [
            ({"m:b": "AAA=", "m:d": "3.25", "m:p": "abc", "m:r": 3, "m:t": "12345"}, VALID),
            ({"m:b": "AAAA"}, invalid("/m:b")),
            ({"m:d": "0.5"}, invalid("/m:d")),
            ({"m:d": "-1.501"}, invalid("/m:d")),
            ({"m:p": "xa"}, invalid("/m:p", "no-x")),
            ({"m:p": "A"}, invalid("/m:p")),
            ({"m:r": 4}, invalid("/m:r", "size")),
            ({"m:t": "1234"}, invalid("/m:t")),
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
        "deref() follows leafrefs and instance-identifiers (10.3.1)",
        f'{LIST} leaf to {{ type leafref {{ path "/m:l/m:k"; }} must "deref(.)/../v > 5"; }}'
        ' leaf i { type instance-identifier { require-instance false; } must "deref(.)"; }'
        ' leaf loose { type leafref { path "/m:l/m:k"; require-instance false; } must "count(deref(.)) = count(../some)"; } leaf-list some { type uint8; }',
        [
            ({"m:l": [{"k": "a", "v": 6}, {"k": "b", "v": 1}], "m:to": "a"}, VALID),
            ({"m:l": [{"k": "a", "v": 6}, {"k": "b", "v": 1}], "m:to": "b"}, must("/m:to")),
            ({"m:l": [{"k": "a"}], "m:to": "a"}, must("/m:to")),
            ({"m:l": [{"k": "a"}], "m:i": "/m:l[k='a']"}, VALID),
            ({"m:l": [{"k": "a"}], "m:i": "/m:l[k='b']"}, must("/m:i")),
            ({"m:loose": "gone"}, VALID),
            ({"m:l": [{"k": "a"}], "m:loose": "a"}, must("/m:loose")),
            ({"m:l": [{"k": "a"}], "m:loose": "a", "m:some": [1]}, VALID),
        ],
    ),
    Construct(
        "re-match() takes the whole string, by XML Schema's rules (10.2.1)",
        'leaf s { type string; must "re-match(., \'[a-z]+\\\\d{1,2}\')" { error-message "a word and a number"; error-app-tag shape; } }',
        [
            ({"m:s": "ab12"}, VALID),
            ({"m:s": "ab123"}, error("operation-failed", "/m:s", "shape")),
            ({"m:s": " ab1"}, error("operation-failed", "/m:s", "shape")),
            ({"m:s": "ab\u0663"}, VALID),  # \d is any digit of Unicode
        ],
    ),
    Construct(
        "derived-from() and derived-from-or-self() (10.4)",
        "identity blue { base i:colour; } leaf c { type identityref { base i:colour; } } leaf u { type union { type identityref { base i:colour; } type string; } }"
        " leaf below { type empty; must \"derived-from(../c, 'i:red')\"; } leaf upto { type empty; must \"derived-from-or-self(../c, 'i:red')\"; }"
        " leaf any { type empty; must \"derived-from(../u, 'i:colour')\"; }",
        [
            ({"m:c": "i:ball", "m:below": [None], "m:upto": [None]}, VALID),
            ({"m:c": "i:red", "m:upto": [None]}, VALID),
            ({"m:c": "i:red", "m:below": [None]}, must("/m:below")),
            ({"m:c": "m:blue", "m:upto": [None]}, must("/m:upto")),
            ({"m:upto": [None]}, must("/m:upto")),
            ({"m:u": "m:blue", "m:any": [None]}, VALID),
            ({"m:u": "neither", "m:any": [None]}, must("/m:any")),
        ],
        head="import i { prefix i; }",
        others={"i": IDENTITIES},
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
        "canonical forms: bits, decimal64, binary, identities (9)",
        "leaf b { type bits { bit z { position 9; } bit a { position 1; } } } leaf d { type decimal64 { fraction-digits 3; } } leaf x { type binary; }"
        ' leaf j { type identityref { base i:colour; } } leaf is { type string; must ". = (../b | ../d | ../x | ../j)"; }'
        " leaf-list w { type decimal64 { fraction-digits 3; } }",
        [
            ({"m:b": "z a", "m:is": "a z"}, VALID),
            ({"m:b": "z a", "m:is": "z a"}, must("/m:is")),
            *(({"m:d": text, "m:is": is_}, VALID) for text, is_ in (("+01.50", "1.5"), ("7", "7.0"), ("-0", "0.0"))),
            ({"m:d": "1.50", "m:is": "1.50"}, must("/m:is")),
            ({"m:x": "AA ==", "m:is": "AA=="}, VALID),
            ({"m:j": "i:red", "m:is": "i:red"}, VALID),
            ({"m:w": ["1.0", "1.00"]}, error("operation-failed", "/m:w[.='1.0']", "data-not-unique")),
            ({"m:w": ["0.0", "-0.000"]}, error("operation-failed", "/m:w[.='0.0']", "data-not-unique")),
        ],
        head="import i { prefix i; }",
        others={"i": IDENTITIES},
    ),
    Construct(
        "unions of leafrefs: one member with an instance is enough (9.9, 9.12)",
        "leaf a { type string; } leaf n { type uint8; } leaf u { type union { type leafref { path ../a; } type leafref { path ../n; } type enumeration { enum none; } } }"
        " leaf loose { type union { type leafref { path ../n; require-instance false; } type leafref { path ../a; } } }",
        [
            *(({"m:a": "x", "m:n": 5, "m:u": value}, VALID) for value in ("x", 5, "none")),
            ({"m:a": "x", "m:u": "y"}, error("data-missing", "/m:u", "instance-required")),
            ({"m:n": 5, "m:u": 6}, error("data-missing", "/m:u", "instance-required")),
            ({"m:loose": 7}, VALID),
            ({"m:loose": "x"}, error("data-missing", "/m:loose", "instance-required")),
            ({"m:a": "x", "m:loose": "x"}, VALID),
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


def compiled(tmp_path: Path, construct: Construct) -> Schema:
    (tmp_path / "m.yang").write_text(module("m", construct.body, construct.head))
    for name, text in construct.others.items():
        (tmp_path / f"{name}.yang").write_text(text)
    return load([tmp_path], construct.wanted)


def verdict(schema: Schema, data: Any, *, whole: bool) -> Verdict:
    try:
        errors = constraints.validate(schema, json.decode(schema.root, data), config=not whole)
    except RpcError as one:
        errors = [one]
    return [(e.tag, e.app_tag, e.path) for e in errors]


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda c: c.name)
def test_a_construct_means_what_the_standard_says(tmp_path: Path, construct: Construct) -> None:
    schema = compiled(tmp_path, construct)
    found = [(data, verdict(schema, data, whole=construct.whole)) for data, _ in construct.data]
    assert found == construct.data


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
