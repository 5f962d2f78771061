"""Our modules and the standard ones beside them: clean, loadable, each with an example that validates."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nms.model.load import load, standard_path
from tools import check_yang
from tools.models import EXAMPLES, YANG, sources

PROTOCOL_MODULES = [
    "iana-crypt-hash", "ietf-alarms", "ietf-datastores", "ietf-netconf", "ietf-netconf-acm",
    "ietf-netconf-monitoring", "ietf-netconf-nmda", "ietf-netconf-notifications", "ietf-netconf-with-defaults",
    "ietf-origin", "ietf-restconf", "ietf-restconf-monitoring", "ietf-subscribed-notifications",
    "ietf-x509-cert-to-name", "ietf-yang-library", "ietf-yang-metadata", "ietf-yang-patch", "ietf-yang-push",
]  # fmt: skip


def test_every_module_of_the_mission_is_here() -> None:
    technical = {"mec-types", "mec-app-descriptor", "mec-resource", "mec-platform", "mec-platform-manager"}
    business = {"mec-catalogue", "mec-sla", "mec-pricing", "mec-order"}
    others = {"mec-system", "mec-federation", "mec-management", "mec-nms-validation"}
    assert set(sources()) == technical | business | others


def test_modules_and_examples_are_clean() -> None:
    assert list(map(str, check_yang.check())) == []


def test_standard_modules_load_beside_ours() -> None:
    loaded = load((YANG, *standard_path()), [*sources(), *(f"{name}:*" for name in PROTOCOL_MODULES)]).modules
    assert {*PROTOCOL_MODULES, *sources()} <= set(loaded)


@pytest.mark.parametrize("name", sources())
def test_example_validates(name: str, errors: Callable[[Any], list[str]]) -> None:
    data = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert errors(data) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A few modules of yang/ and their examples, to spoil."""
    (tmp_path / "examples").mkdir()
    for name in ("mec-types", "mec-app-descriptor", "mec-federation", "mec-order"):
        shutil.copy(sources()[name], tmp_path)
        (tmp_path / "examples" / f"{name}.json").write_text("{}")
    shutil.copy(EXAMPLES / "mec-order.json", tmp_path / "examples")
    return tmp_path


def test_the_copy_is_clean(copy: Path) -> None:
    assert list(map(str, check_yang.check(copy))) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("mec-order", "container orders {", "container Orders {", "lint"),
        ("mec-order", "container orders {", "container orders ", "lint"),
        ("mec-order", "revision 2026-11-23 {", "revision 2026-11-22 {", "FILE"),
        ("mec-order", '"urn:mec-nms:yang:mec-order"', '"urn:mec-nms:yang:order"', "NAME"),
        ("mec-order", "prefix mord;", "prefix mecorder;", "NAME"),
        ("mec-order", "list context {", "list contexts {", "LIST"),
        ("mec-order", 'key "source destination";', 'key "destination source";', "LIST"),
        ("mec-federation", 'units "seconds";', "", "UNIT"),
        ("mec-federation", "(. = ../../domain/id)", "(. = //mfed:domain/mfed:id)", "PATH"),
    ],
)
def test_checker_finds_a_planted_mistake(copy: Path, name: str, old: str, new: str, code: str) -> None:
    file = sources(copy)[name]
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    found = [finding for finding in check_yang.check(copy) if finding.code == code]
    assert found
    assert re.match(r".*:\d+: \w+ .+", str(found[0]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda example: example.unlink(),
        lambda example: example.write_text("{"),
        lambda example: example.write_text('{"mec-order:orders": {"order": [{"id": "x"}]}}'),
        lambda example: example.write_text('{"mec-order:orders": {"ordre": []}}'),
    ],
    ids=["missing", "not JSON", "mandatory nodes missing", "unknown node"],
)
def test_checker_finds_a_bad_example(copy: Path, spoil: Callable[[Path], None]) -> None:
    spoil(copy / "examples" / "mec-order.json")
    assert "DATA" in {finding.code for finding in check_yang.check(copy)}
