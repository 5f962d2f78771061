"""Schema coverage: what is touched is told, what is not is named, and the workers' parts are put together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nms.model import json as codec
from nms.model.constraint_check import Check
from nms.model.constraints import validate
from nms.model.load import load
from nms.model.schema import Schema
from tools.coverage.record import Record, watch
from tools.coverage.report import main, untouched
from tools.models import ROOT

MODEL = """
module ex-cover {
  yang-version 1.1; namespace "urn:ex:cover"; prefix c;
  list box {
    key id; unique label; max-elements 3;
    must "id != 'no'";
    leaf id { type string; }
    leaf label { type string; }
    leaf size { type uint8; mandatory true; }
    leaf next { type leafref { path "../../box/id"; } }
    leaf extra { when "../size > 5"; type string; }
  }
  rpc shut { input { leaf hard { type boolean; } } }
  notification fell;
}
"""


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    (tmp_path / "ex-cover.yang").write_text(MODEL)
    return load([tmp_path], ["ex-cover"])


def lacking(schema: Schema, *boxes: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    record = Record()
    end = watch(record)
    try:
        for held in boxes:
            validate(schema, codec.decode(schema.root, {"ex-cover:box": held}))
    finally:
        end()
    again = Record()
    again.add(json.loads(json.dumps(record.plain())))
    rows = untouched(schema, again, {"ex-cover"})
    return {(row["what"], row["path"].rpartition(":")[2]): row["missing"] for row in rows if row["missing"]}


def test_nothing_is_touched_at_first(schema: Schema) -> None:
    found = lacking(schema)
    assert found["nodes", "size"] == found["rpcs", "shut"] == found["notifications", "fell"] == "never"
    for what, name in (
        ("must", "box"),
        ("unique", "box"),
        ("when", "extra"),
        ("leafref", "next"),
        ("mandatory", "size"),
    ):
        assert found[what, name] == "never evaluated"


def test_one_side_of_a_constraint_is_not_enough(schema: Schema) -> None:
    good = [{"id": "a", "size": 9, "extra": "x", "next": "a", "label": "one"}]
    found = lacking(schema, good)
    assert not [key for key in found if key[0] == "nodes"]
    sides = {found[key] for key in found if key[0] not in ("rpcs", "notifications", "parameters")}
    assert sides == {"never false"}
    bad = [
        {"id": "no", "size": 1, "extra": "x", "next": "b", "label": "one"},
        {"id": "c", "label": "one"},
        *({"id": str(n), "size": 1} for n in range(3)),
    ]
    found = lacking(schema, good, bad)
    assert {what for what, _ in found} == {"rpcs", "notifications", "parameters"}


def test_the_engine_is_left_as_it_was() -> None:
    before = dict(vars(Check))
    watch(Record())()
    assert {name: before[name] for name in ("must", "when", "absent")} == {
        name: vars(Check)[name] for name in ("must", "when", "absent")
    }


def test_workers_are_put_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = tmp_path / "test_two.py"
    tests.write_text(
        "import pytest\n"
        "from nms.model import json\n"
        "from nms.model.constraints import validate\n"
        "from tests.federation.site import schema\n"
        "@pytest.mark.parametrize('top', ['mec-system:system', 'mec-platform:platforms'])\n"
        "def test_it(top):\n"
        "    inner = {'package': [{'id': 'p'}]} if 'system' in top else {'platform': [{'id': 'm'}]}\n"
        "    validate(schema(), json.decode(schema().root, {top: inner}))\n"
    )
    file = tmp_path / "seen.json"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-p", "tools.coverage.plugin"]
    subprocess.run(
        [*command, "--yang-coverage", str(file), f"--rootdir={tmp_path}", str(tests)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    seen = json.loads(file.read_text())["nodes"]
    assert "/mec-system:system/mec-system:package/mec-system:id" in seen
    assert "/mec-platform:platforms/mec-platform:platform/mec-platform:id" in seen
    assert main([str(file), "--all"]) == 0
    shown = capsys.readouterr().out
    assert "mec-system" in shown
    assert "never evaluated" in shown
    assert main([str(file), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert any(row["path"].endswith("mec-system:package") and not row["missing"] for row in rows)
    file.write_text("[]")
    assert main([str(file)]) == 2
