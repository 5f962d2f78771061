"""`nms model check`: one broken module per code with the findings it must give, the forms of output, the exit codes.

The golden files beside the modules are written anew with MEC_NMS_GOLDEN=1.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from nms import cli
from nms.model.library import standard_path
from tools import check_yang
from tools.model.check import check
from tools.model.rules import RULES
from tools.models import YANG

BROKEN = Path(__file__).with_name("broken")
CASES = sorted(BROKEN.glob("*.yang"))


def place(case: Path, folder: Path) -> Path:
    """A case under the file name that its module wants, or that its first line says, with its example beside it."""
    text = case.read_text("utf-8")
    name = re.search(r"^module ([\w.-]+)", text, re.MULTILINE)
    assert name is not None
    revision = "@2026-01-01" if name[1].startswith("mec-") else ""
    said = re.match(r"// file: (\S+)", text)
    file = folder / (said[1] if said else f"{name[1]}{revision}.yang")
    file.write_text(text, "utf-8")
    for example in case.parent.glob(f"{case.stem}.*"):
        if example.suffix in (".json", ".xml"):
            (folder / "examples").mkdir()
            (folder / "examples" / f"{name[1]}{example.suffix}").write_bytes(example.read_bytes())
    return file


def test_every_code_has_a_broken_module() -> None:
    assert {case.name.partition("-")[0] for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_broken_module(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    owners = re.search(r"^// owners: (.+)", case.read_text("utf-8"), re.MULTILINE)
    findings = check([file], owners=owners[1].split() if owners else None)
    found = "".join(f"{finding}\n" for finding in findings)
    golden = case.with_suffix(".txt")
    if os.environ.get("MEC_NMS_GOLDEN") == "1":
        golden.write_text(found, "utf-8")
    assert found == golden.read_text("utf-8")
    assert case.name.partition("-")[0] in {finding.code for finding in findings}


def test_our_modules_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "check", str(YANG), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {finding["severity"] for finding in found} == {"note"}
    costs = {finding["code"] for finding in found}
    assert {"NMS501", "NMS502"} <= costs
    assert "NMS504" not in costs


def test_standard_modules_are_valid() -> None:
    files = [
        standard_path()[0] / f"ietf-{name}.yang" for name in ("interfaces", "netconf-acm", "yang-library", "alarms")
    ]
    codes = {finding.code for finding in check(files)}
    assert not {code for code in codes if code.startswith("NMS1")}
    assert {"NMS502", "NMS503"} <= codes


def test_sarif_names_rule_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place(BROKEN / "NMS105-range.yang", tmp_path)
    assert cli.main(["model", "check", str(file), "--sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    result = next(r for r in run["results"] if r["ruleId"] == "NMS105")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "NMS105"
    assert result["level"] == "error"
    place_ = result["locations"][0]["physicalLocation"]
    assert place_["artifactLocation"]["uri"] == file.as_uri()
    assert 'range "9..1"' in file.read_text().splitlines()[place_["region"]["startLine"] - 1]


def test_warnings_alone_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "check", str(place(BROKEN / "NMS303-units.yang", tmp_path))]) == 0
    assert "warning NMS303" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["no-such-file.yang"], ["."]], ids=["no file", "empty folder"])
def test_usage(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["model", "check", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"container c {}", b"module", b"submodule s { }", b"<x/>"])
def test_hostile_file(text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ex-a.yang"
    file.write_bytes(text)
    assert cli.main(["model", "check", str(file)]) in (1, 2)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert "ex-a.yang" in captured.out + captured.err


@pytest.mark.parametrize("code", RULES)
def test_explain(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "explain", code.lower()]) == 0
    shown = capsys.readouterr().out
    assert code in shown
    assert RULES[code].remedy in shown


def test_explain_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "explain", "NMS999"]) == 2
    assert "no code" in capsys.readouterr().err


def test_the_gate_says_code_and_family(tmp_path: Path) -> None:
    place(BROKEN / "NMS404-plural.yang", tmp_path)
    found = [finding for finding in check_yang.check(tmp_path) if finding.code == "LIST"]
    assert [finding.message for finding in found] == ["NMS404 list things: the name of one entry is wanted"]
