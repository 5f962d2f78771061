"""`nms model compat`: each kind of difference has its class, across typedefs, groupings, augments and git revisions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nms import cli
from nms.errors import ConfigError
from tools.model.change import KINDS, next_version, overall
from tools.model.compat import compare
from tools.model.edition import open_edition

HEAD = "  yang-version 1.1;\n  namespace urn:example:{name};\n  prefix {name};\n"
OLD_DATE, NEW_DATE = "2026-01-01", "2026-02-01"


def module(name: str, body: str, date: str, head: str = "") -> str:
    """A module's text."""
    return f"module {name} {{\n{HEAD.format(name=name)}{head}  revision {date};\n{body}\n}}\n"


def write(folder: Path, body: str, date: str, head: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"ex@{date}.yang"
    file.write_text(module("ex", body, date, head))
    return file


def codes(tmp_path: Path, old: str, new: str) -> dict[str, str]:
    """code -> class of what differs between two bodies that lie in one folder."""
    before, after = (write(tmp_path, body, date) for body, date in ((old, OLD_DATE), (new, NEW_DATE)))
    changes = compare(open_edition(str(before)), open_edition(str(after)))
    return {change.code: change.kind for change in changes}


def leaf(type_: str = "type string;", more: str = "") -> str:
    return f"leaf a {{ {type_} {more} }}"


LIST = "list l {{ key {key}; leaf a {{ type string; }} leaf b {{ type string; }} {more} }}"
TYPEDEF = "typedef t {{ type uint8 {{ range '{range}'; }} }} leaf a {{ type t; }}"
ENUM = "type enumeration {{ {} }}"
IDENTITIES = "identity base; identity other; identity one {{ {} }} leaf a {{ type identityref {{ base base; }} }}"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (leaf(), "", "node-removed"),
        ("", leaf(), "node-added"),
        ("container c;", "container c { leaf a { type string; mandatory true; } }", "mandatory-added"),
        ("container c;", "container c { container d { leaf a { type string; mandatory true; } } }", "mandatory-added"),
        ("container c;", "container c { choice h { mandatory true; leaf a { type string; } } }", "mandatory-added"),
        ("container c;", "container c { presence x; }", "presence-changed"),
        ("rpc r { input { leaf a { type string; } } }", "rpc r { input { leaf a { type string; mandatory true; } } }",
         "mandatory-added"),
        ("rpc r;", "", "node-removed"),
        ("notification n;", "", "node-removed"),
        (leaf(more="mandatory true;"), leaf(), "mandatory-removed"),
        (leaf(), "leaf-list a { type string; }", "kind-changed"),
        (leaf(), "choice h { case c { leaf a { type string; } } }", "choice-changed"),
        (leaf(), leaf(more="config false;"), "config-to-state"),
        (leaf(more="config false;"), leaf(), "state-to-config"),
        (leaf(), leaf(more="default x;"), "default-added"),
        (leaf(more="default x;"), leaf(more="default y;"), "default-changed"),
        ("typedef t { type string; default x; } leaf a { type t; }",
         "typedef t { type string; default y; } leaf a { type t; }", "default-changed"),
        ("leaf-list a { type string; }", "leaf-list a { type string; max-elements 3; }", "elements-narrowed"),
        ("leaf-list a { type string; max-elements 3; }", "leaf-list a { type string; max-elements 4; }",
         "elements-expanded"),
        (leaf(), leaf(more="must \". != 'x'\";"), "must-added"),
        (leaf(more="must \". != 'x'\";"), leaf(more="must \". = 'x'\";"), "must-changed"),
        (leaf(more="must \". != 'x'\";"), leaf(), "must-removed"),
        (leaf(), leaf(more="when \"../b\";") + "leaf b { type string; }", "when-added"),
        ("grouping g { leaf a { type string; } } leaf b { type string; } uses g;",
         "grouping g { leaf a { type string; } } leaf b { type string; } uses g { when b; }", "when-added"),
        (LIST.format(key="a", more=""), LIST.format(key="b", more=""), "key-changed"),
        (LIST.format(key="a", more=""), LIST.format(key="a", more="unique b;"), "unique-added"),
        (LIST.format(key="a", more=""), LIST.format(key="a", more="ordered-by user;"), "order-changed"),
        (leaf(), leaf(more="units s;"), "units-added"),
        (leaf(more="units s;"), leaf(more="units ms;"), "units-changed"),
        (leaf(), leaf(more="status deprecated;"), "status-advanced"),
        (leaf(more="status deprecated;"), leaf(), "status-reverted"),
        (leaf("type uint8;"), leaf("type uint16;"), "type-changed"),
        (TYPEDEF.format(range="1..9"), TYPEDEF.format(range="1..5"), "range-narrowed"),
        (TYPEDEF.format(range="1..5"), TYPEDEF.format(range="1..9"), "range-expanded"),
        (leaf(), leaf("type string { length 1..9; }"), "range-narrowed"),
        (leaf("type decimal64 { fraction-digits 2; }"), leaf("type decimal64 { fraction-digits 2; range '0..1'; }"),
         "range-narrowed"),
        (leaf(), leaf("type string { pattern 'a*'; }"), "pattern-added"),
        (leaf("type string { pattern 'a*'; }"), leaf(), "pattern-removed"),
        (leaf(ENUM.format("enum x; enum y;")), leaf(ENUM.format("enum x;")), "value-removed"),
        (leaf(ENUM.format("enum x; enum y;")), leaf(ENUM.format("enum y; enum x;")), "value-renumbered"),
        (leaf(ENUM.format("enum x;")), leaf(ENUM.format("enum x; enum y;")), "value-added"),
        (leaf("type bits { bit x; bit y; }"), leaf("type bits { bit y; }"), "value-removed"),
        (leaf("type leafref { path ../b; require-instance false; }") + "leaf b { type string; }",
         leaf("type leafref { path ../b; }") + "leaf b { type string; }", "reference-required"),
        (leaf("type leafref { path ../b; }") + "leaf b { type string; } leaf c { type string; }",
         leaf("type leafref { path ../c; }") + "leaf b { type string; } leaf c { type string; }", "type-changed"),
        (leaf("type union { type uint8; type string; }"),
         leaf("type union { type uint8 { range 1..2; } type string; }"),
         "range-narrowed"),
        (IDENTITIES.format("base base;"), IDENTITIES.format("").replace("identity one {  }", ""), "identity-removed"),
        (IDENTITIES.format("base base;"), IDENTITIES.format("base other;"), "base-removed"),
        (IDENTITIES.format("base base;"), IDENTITIES.format("base base;") + "identity two;", "identity-added"),
        ("feature f;", "", "statement"),
        ("feature f; " + leaf(), "feature f; " + leaf(more="if-feature f;"), "statement"),
        ("grouping g;", "", "statement"),
        ("typedef t { type string; }", "", "statement"),
        ("", "feature f;", "feature-added"),
        (leaf(more="description One;"), leaf(more="description Two;"), "text"),
    ],
)  # fmt: skip
def test_kind(old: str, new: str, code: str, tmp_path: Path) -> None:
    found = codes(tmp_path, old, new)
    assert code in found
    assert found[code] == KINDS[code][0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("leaf a { type uint8 { range '1..9'; } }", TYPEDEF.format(range="1..9")),
        (leaf(), "grouping g { leaf a { type string; } } uses g;"),
        (leaf("type uint8;"), leaf("type uint8 { range min..max; }")),
        (leaf("type uint8 { range '1..5'; }"), leaf("type uint8 { range '1..3 | 4..5'; }")),
    ],
    ids=["typedef", "grouping", "whole range", "same range"],
)
def test_the_same_in_other_words_breaks_nobody(old: str, new: str, tmp_path: Path) -> None:
    assert "breaking" not in codes(tmp_path, old, new).values()


def test_a_typedef_of_another_module_counts_where_it_is_used(tmp_path: Path) -> None:
    head = "  import ty { prefix ty; }\n"
    for name, limit, date in (("old", 9, OLD_DATE), ("new", 5, NEW_DATE)):
        write(tmp_path / name, "leaf a { type ty:t; }", OLD_DATE, head)
        body = f"typedef t {{ type uint8 {{ range '1..{limit}'; }} }}"
        (tmp_path / name / f"ty@{date}.yang").write_text(module("ty", body, date))
    changes = compare(open_edition(str(tmp_path / "old")), open_edition(str(tmp_path / "new")))
    assert overall(changes) == "breaking"
    assert {change.path for change in changes if change.code == "range-narrowed"} == {"/ex:a", "typedef t"}


def test_command_shows_class_label_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = write(tmp_path, leaf(), OLD_DATE), write(tmp_path, "\n" + leaf("type uint8;"), NEW_DATE)
    assert cli.main(["model", "compat", str(old), str(new)]) == 1
    shown = capsys.readouterr().out
    assert f"{new}:7: breaking type-changed" in shown
    assert shown.endswith("breaking: the next revision is a major one\n")
    assert cli.main(["model", "compat", str(old), str(old), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found == {"class": "none", "label": "none", "versions": {}, "modules": {"ex": "none"}, "changes": []}


def test_against_a_git_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    write(tmp_path / "yang", leaf(), OLD_DATE)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "yang" / f"ex@{OLD_DATE}.yang").unlink()
    write(tmp_path / "yang", leaf() + " leaf b { type string; }", NEW_DATE)
    assert cli.main(["model", "compat", "HEAD:yang", "yang"]) == 0
    assert "compatible node-added" in capsys.readouterr().out
    assert cli.main(["model", "compat", "nothing:yang", "yang"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", ["module ex {", "module ex { leaf a; }", ""])
def test_a_broken_side_is_one_line(text: str, tmp_path: Path) -> None:
    good = write(tmp_path / "good", leaf(), OLD_DATE)
    bad = tmp_path / "ex.yang"
    bad.write_text(text)
    with pytest.raises(ConfigError):
        compare(open_edition(str(good)), open_edition(str(bad)))


def test_version() -> None:
    assert [next_version("1.2.3", kind) for kind in ("breaking", "compatible", "editorial", "none")] == [
        "2.0.0", "1.3.0", "1.2.4", "1.2.3",
    ]  # fmt: skip
