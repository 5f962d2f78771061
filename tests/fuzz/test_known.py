"""Each explained difference by its least case: what the RFC's text says, which is ours, and what libyang says.

Where a newer libyang agrees, its row in `known` can go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.model import constraints
from nms.model import json as json_codec
from nms.model.load import load
from tests.fuzz.known import KNOWN
from tests.fuzz.oracle import Oracle

TYPES = """
  identity round; identity colour; identity ball { base round; base colour; } identity red { base colour; }
"""

#: Name of the row; statements of module `fa`; its data; whether it is valid.
CASES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("several-bases", "leaf x { type identityref { base round; base colour; } }", {"fa:x": "fa:red"}, False),
    (
        "union-of-several-bases",
        "leaf x { type union { type identityref { base round; base colour; } type uint8; } }",
        {"fa:x": "fa:red"},
        False,
    ),
    (
        "outer-case",
        """container c { must "d = 1"; choice outer { case a { leaf d { type uint8; default 1; }
           choice inner { leaf x { type string; } leaf y { type string; } } } leaf b { type string; } } }""",
        {"fa:c": {"x": "a"}},
        True,
    ),
    (
        "deref-of-dangling",
        """leaf to { type string; } leaf x { type leafref { path "/to"; require-instance false; }
           must "not(deref(.))"; }""",
        {"fa:to": "a", "fa:x": "b"},
        True,
    ),
    ("root-is-no-element", 'leaf x { type string; must "not(ancestor::*)"; }', {"fa:x": "a"}, True),
    (
        "key-equal-to-nothing",
        """list l { key k; leaf k { type string; } } leaf none { type string; }
           leaf x { type string; must "/l[k=/none]"; }""",
        {"fa:l": [{"k": ""}], "fa:x": "a"},
        False,
    ),
    (
        "when-on-a-default-under-a-when",
        """container t { leaf c { when "../p/b"; type string; }
           container p { presence p; leaf b { when "false()"; type string; default on; } } }""",
        {"fa:t": {"p": {}, "c": "a"}},
        False,
    ),
    ("rounding", 'leaf x { type decimal64 { fraction-digits 1; } must "floor(.) = -2"; }', {"fa:x": "-1.5"}, True),
    (
        "default-at-the-top-under-a-when",
        """leaf a { type string; } leaf b { when "../a"; type uint8; default 3; }
           leaf x { type leafref { path "/b"; } }""",
        {"fa:a": "a", "fa:x": 3},
        True,
    ),
    (
        "default-at-the-top-under-a-when",
        """container c { when "true()"; leaf a { type uint8; default 2; } } leaf x { type instance-identifier; }""",
        {"fa:x": "/fa:c/a"},
        True,
    ),
    (
        "position-within-a-step",
        """list a { key k; leaf k { type string; } list b { key k; leaf k { type string; } } }
           leaf x { type string; must "/a/b[position() = 2]"; }""",
        {"fa:a": [{"k": "1", "b": [{"k": "1"}]}, {"k": "2", "b": [{"k": "2"}]}], "fa:x": "a"},
        False,
    ),
    (
        "rounding",
        'leaf a { type int8; } leaf x { when "round(../a) = -1"; type string; }',
        {"fa:a": -1, "fa:x": "a"},
        True,
    ),
    (
        "internal-error",
        """container c { leaf a { type string; } leaf-list l { type instance-identifier { require-instance false; } } }
           leaf x { type instance-identifier { require-instance false; } }""",
        {"fa:x": "/fa:c/l[.='/fa:c/a']"},
        True,
    ),
    (
        "literal-of-a-union",
        """leaf x { type union { type decimal64 { fraction-digits 2; } type uint8; } must ". != '8'"; }""",
        {"fa:x": 8},
        False,
    ),
    (
        "a-module-of-libyang's-own",
        'list x { config false; leaf a { type string; } must "count(/*) = 1"; }',
        {"fa:x": [{"a": "a"}]},
        True,
    ),
]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    found = Oracle()
    yield found
    found.close()


@pytest.mark.parametrize(("name", "body", "data", "valid"), CASES, ids=[case[0] for case in CASES])
def test_each_side_says_what_the_row_says(
    oracle: Oracle, tmp_path: Path, name: str, body: str, data: dict[str, Any], valid: bool
) -> None:
    module = f'module fa {{ yang-version 1.1; namespace "urn:fa"; prefix fa; {TYPES} {body} }}'
    (tmp_path / "fa.yang").write_text(module, encoding="utf-8")
    assert oracle.load(tmp_path, [("fa", [])]) == ""
    theirs = oracle.verdict(json.dumps(data), xml=False, state=True)
    assert (_ours(tmp_path, data), not theirs) == (valid, not valid)


def _ours(folder: Path, data: dict[str, Any]) -> bool:
    schema = load([folder], ["fa"])
    try:
        root = json_codec.decode(schema.root, data)
    except RpcError:
        return False
    return constraints.validate(schema, root, config=False) == []


def test_no_row_is_without_a_case() -> None:
    assert {row.name for row in KNOWN} == {case[0] for case in CASES}
