# ruff: noqa: E501 - a model stays on the lines that its author would give it
"""Loading YANG: every standard module loads by itself, and what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nms.errors import ConfigError
from nms.model import library, load

STANDARD = sorted(
    file.stem
    for folder in library.standard_path()
    for file in folder.glob("*.yang")
    if not file.read_text("utf-8").lstrip().startswith("submodule")
)
HEAD = 'module m { yang-version 1.1; namespace "urn:m"; prefix m; revision 2026-11-23; '


@pytest.mark.parametrize("name", STANDARD)
def test_a_standard_module_loads_with_all_its_features(name: str) -> None:
    module = load.load([], [f"{name}:*"]).modules[name]
    assert module.implemented
    assert module.namespace


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        (None, "m", "'m' is not in"),
        ("module m {", "m", "is not a YANG module"),
        ("module n { namespace 'urn:n'; prefix n; }", "m", "is the module n, not m"),
        (HEAD + "feature f; }", "m:g", "no feature 'g' (features: f)"),
        (HEAD + "import nowhere { prefix n; } }", "m", "'nowhere' (wanted by m) is not in"),
        (HEAD + "leaf a { type leafref { path '/m:b'; } } }", "m", "leafref /m:a: its path /m:b leads to nothing"),
        (HEAD + "leaf a { type nonsense; } }", "m", "do not fit together"),
        (HEAD + "list l { key k; leaf k { type string; } unique z; } }", "m", "names 'z'"),
        (HEAD + "list l { key k; leaf z { type string; } } }", "m", "do not fit together"),
        (HEAD + "container c { default x; } }", "m", "do not fit together"),
        (HEAD + "leaf l { type; } }", "m", "`nms model check` tells where"),
        (HEAD + "leaf l { type uint8; default 300; } }", "m", "the default of /m:l does not fit its type: 300"),
        (HEAD + "typedef a { type b; } typedef b { type m:a; } }", "m", "typedef a of m is part of a circle"),
        (
            HEAD + "container c { typedef a { type a; } leaf l { type a; } } }",
            "m",
            "typedef a of m is part of a circle",
        ),
        (HEAD + "typedef a { type union { type a; } } leaf l { type a; } }", "m", "is part of itself"),
        (HEAD + "grouping g { container c { uses g; } } uses g; }", "m", "is part of itself"),
        (HEAD + "identity a { base b; } identity b { base a; } }", "m", "is part of itself"),
    ],
)
def test_what_is_wrong_with_a_module_is_one_line(tmp_path: Path, text: str | None, wanted: str, said: str) -> None:
    if text is not None:
        (tmp_path / "m.yang").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load.load([tmp_path], [wanted])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("leaf a { type leafref { path '../c'; } } container c;", "leads to a node that is no leaf"),
        ("leaf a { type leafref { path '../a'; } }", "/m:a is part of a circle"),
        ("leaf a { type leafref { path '../b'; } } leaf b { type leafref { path '../a'; } }", "part of a circle"),
        (
            "leaf a { type union { type string; type leafref { path '../b'; } } } leaf b { type leafref { path '../a'; } }",
            "part of a circle",
        ),
        ("leaf a { type leafref { path '../s'; } } leaf s { config false; type string; }", "cannot refer to the state"),
        ("feature f; leaf a { type leafref { path '../b'; } } leaf b { if-feature f; type string; }", "is off"),
        (
            "feature f; leaf a { type leafref { path '/c/b'; require-instance false; } } container c { if-feature f; leaf b { type string; } }",
            "is off",
        ),
        (
            "feature f; rpc r { input { leaf a { type leafref { path '/b'; } } } } choice c { if-feature f; leaf b { type string; } }",
            "is off",
        ),
    ],
)
def test_a_leafref_leads_to_a_leaf(tmp_path: Path, body: str, said: str) -> None:
    """RFC 7950 sections 9.9, 9.9.2 and 7.20.2: a leaf of the schema, without circles; of configuration if it is that."""
    (tmp_path / "m.yang").write_text(f"{HEAD} {body} }}")
    with pytest.raises(ConfigError) as caught:
        load.load([tmp_path], ["m"])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "leaf a { type leafref { path '../s'; require-instance false; } } leaf s { config false; type string; }",
        "rpc r { input { leaf a { type leafref { path '/s'; } } } } leaf s { config false; type string; }",
        "feature f; leaf a { if-feature f; type leafref { path '../b'; } } leaf b { if-feature f; type string; }",
        "leaf a { config false; type leafref { path '../s'; } } leaf s { config false; type string; }",
    ],
)
def test_what_a_leafref_may_refer_to(tmp_path: Path, body: str) -> None:
    (tmp_path / "m.yang").write_text(f"{HEAD} {body} }}")
    load.load([tmp_path], ["m"])


def test_a_module_may_deviate_from_itself(tmp_path: Path) -> None:
    (tmp_path / "m.yang").write_text(HEAD + "leaf l { type string; } deviation /l { deviate not-supported; } }")
    loaded = load.load([tmp_path], ["m"])
    assert loaded.modules["m"].deviations == ()  # RFC 8525: what deviates from it is another module
    assert loaded.root.children == ()


def test_unique_may_lead_through_a_choice(tmp_path: Path) -> None:
    text = (
        HEAD
        + "list l { key k; leaf k { type string; } choice c { case d { leaf u { type string; } } } unique c/d/u; } }"
    )
    (tmp_path / "m.yang").write_text(text)
    node = load.load([tmp_path], ["m"]).find("/m:l")
    assert [[leaf.name for leaf in path] for alternatives in node.unique for path in alternatives] == [["u"]]
