# ruff: noqa: E501 - a model stays on the lines that its author would give it
"""YANG 1.1, type by type and function by function: what values there are (RFC 7950 sections 9 and 10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.model.constructs import (
    VALID,
    Construct,
    error,
    invalid,
    module,
    must,
    told,
)

IDENTITIES = module(
    "i", "identity shape; identity colour; identity red { base colour; } identity ball { base shape; base red; }"
)
LIST = "list l { key k; leaf k { type string; } leaf v { type uint8; } }"


CONSTRUCTS = [
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
]


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda c: c.name)
def test_a_type_means_what_the_standard_says(tmp_path: Path, construct: Construct) -> None:
    assert told(tmp_path, construct) == construct.data
