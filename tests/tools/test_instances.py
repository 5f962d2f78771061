"""`nms model validate`, `tree`, `sample` and `diff`: instance files without a daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nms import cli
from nms.errors import ConfigError
from nms.model import edit, xml_edit
from nms.model import json as instance_json
from nms.model.constraints import validate
from nms.model.load import load
from nms.model.schema import Schema
from nms.model.values import Value
from tools.model.edit_config import edit_config
from tools.model.sample import sample
from tools.models import EXAMPLES, YANG, sources

MODULE = """module ex {
  yang-version 1.1;
  namespace urn:example:ex;
  prefix ex;
  container box {
    leaf label { type string; }
    container lid { presence closed; leaf colour { type string; } }
    leaf-list tag { type string; }
    leaf-list step { type string; ordered-by user; }
    list item {
      key "id side";
      leaf id { type string; }
      leaf side { type string; }
      leaf low { type uint8; }
      leaf high { type uint8; must ". >= ../low"; }
      list part { key n; ordered-by user; leaf n { type uint8; } leaf w { type uint8; } }
    }
    leaf weight { type uint8; config false; }
  }
  rpc weigh { input { leaf times { type uint8; mandatory true; } } }
  notification full { leaf at { type uint8; } }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ex.yang").write_text(MODULE)
    return tmp_path


@pytest.fixture
def schema(folder: Path) -> Schema:
    return load((folder,), ["ex"])


def run(folder: Path, text: str, *arguments: str) -> int:
    (folder / "data").write_text(text)
    return cli.main(["model", "validate", str(folder / "data"), "--path", str(folder), *arguments])


BAD_ITEM = """<box xmlns="urn:example:ex">
<item><id>a</id><side>l</side></item>
<item><id>b</id><side>l</side><low>2</low>
<high>1</high></item></box>"""
RPC = """<rpc message-id="1" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
<weigh xmlns="urn:example:ex"><times>1</times></weigh></rpc>"""
NOTIFICATION = """<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">
<eventTime>2026-01-01T00:00:00Z</eventTime><full xmlns="urn:example:ex"/></notification>"""
ITEM = '{"id": "a", "side": "l", "low": 1, "high": 2}'


@pytest.mark.parametrize(
    ("text", "kind", "line", "said"),
    [
        (f'{{"ex:box": {{"item": [\n{ITEM},\n{{"id": "b", "side": "l", "low": 3, "high": 2}}]}}}}', "data", 3, "high"),
        (f'{{"ex:box": {{"item": [\n{ITEM},\n{{"id": "b", "side": "l", "low": 300}}]}}}}', "data", 3, "300"),
        ('{"ex:box": {\n"lable": "x"}}', "data", 2, "lable"),
        ('{"ex:box": {\n"weight": 1}}', "config", 2, "state"),
        ('{"ex:box": \n{', "data", 2, "not JSON"),
        ('{"ex:weigh": {}}', "rpc", 1, "times"),
        ('{"ex:nothing": {}}', "rpc", 1, "nothing"),
        ('{"ex:full": {\n"at": "x"}}', "notification", 2, "uint8"),
        ("[]", "data", 1, "object"),
        (BAD_ITEM, "data", 4, "high"),
        ('<box xmlns="urn:example:ex">\n<label>', "data", 2, "not XML"),
        ('<data><box xmlns="urn:example:ex">\n<lable/></box></data>', "data", 2, "lable"),
        ('<weigh xmlns="urn:example:ex"><times>many</times></weigh>', "rpc", 1, "many"),
    ],
)  # fmt: skip
def test_a_fault_has_line_and_path(
    text: str, kind: str, line: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, text, "--module", "ex", "--type", kind) == 1
    (shown,) = capsys.readouterr().out.splitlines()
    assert f"data:{line}: " in shown
    assert said in shown


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f'{{"ex:box": {{"item": [{ITEM}], "weight": 1}}}}', "data"),
        ('{"ex:box": {"tag": ["a", "b"]}}', "config"),
        ('{"ex:weigh": {"times": 1}}', "rpc"),
        ('{"ex:full": {}}', "notification"),
        ('<box xmlns="urn:example:ex"><label>x</label></box>', "config"),
        (RPC, "rpc"),
        (NOTIFICATION, "notification"),
    ],
)  # fmt: skip
def test_valid(text: str, kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, text, "--type", kind) == 0
    assert capsys.readouterr().out == "valid\n"


def test_faults_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, '{"ex:box": {"item": [{"id": "a", "side": "l", "low": 2, "high": 1}]}}', "--json") == 1
    (fault,) = json.loads(capsys.readouterr().out)
    assert fault["path"] == "/ex:box/ex:item[ex:id='a'][ex:side='l']/ex:high"
    assert fault["error-app-tag"] == "must-violation"


def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["no-file", "--module", "ietf-interfaces"], ["no-file"], ["x", "--module", "nothing"]):
        assert cli.main(["model", "validate", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("broken", ["list item {", "container lid {", "type uint8;"])
@pytest.mark.parametrize("command", ["sample", "validate", "tree", "compat"])
def test_a_module_that_is_not_valid_is_one_line(
    broken: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ex.yang").write_text(MODULE.replace(broken, f"{broken.split()[0]}{broken[-1]}", 1))
    (folder / "data").write_text("{}")
    arguments = {
        "sample": ["ex", "--path", str(folder)],
        "validate": [str(folder / "data"), "--path", str(folder)],
        "tree": [str(folder)],
        "compat": [str(folder), str(folder)],
    }
    assert cli.main(["model", command, *arguments[command]]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_tree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "tree", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "+--rw item* [id side]" in shown
    assert "+---x weigh" in shown
    assert cli.main(["model", "tree", str(folder), "--at", "/box/item", "--depth", "3"]) == 0
    assert "label" not in capsys.readouterr().out
    assert cli.main(["model", "tree", str(folder), "--at", "/nothing"]) == 2


@pytest.mark.parametrize("name", [name for name in sources() if name != "mec-types"])
def test_sample_of_our_modules_is_valid(name: str) -> None:
    schema = load((YANG,), [name])
    value = sample(schema, name)
    again = instance_json.decode(schema.root, instance_json.plain(schema.root, value))
    assert validate(schema, again, config=False) == []
    assert any(child.module == name for top in schema.root.children for child in top.walk())


def test_sample_is_shown_in_both_encodings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "sample", "ex", "--path", str(folder)]) == 0
    item = json.loads(capsys.readouterr().out)["ex:box"]["item"][0]
    assert item["high"] >= item["low"]
    assert cli.main(["model", "sample", "ex", "--path", str(folder), "--xml"]) == 0
    assert etree.fromstring(capsys.readouterr().out).tag == "data"


def test_sample_needs_identities() -> None:
    with pytest.raises(ConfigError, match="--module"):
        sample(load((), ["ietf-interfaces"]), "ietf-interfaces")
    schema = load((), ["ietf-interfaces", "iana-if-type"])
    assert "interface" in str(instance_json.plain(schema.root, sample(schema, "ietf-interfaces")))


def item(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "side": "l", **members}


def part(number: int, **members: Any) -> dict[str, Any]:
    return {"n": number, **members}


STATES: list[dict[str, Any]] = [
    {},
    {"label": "one", "tag": ["a", "b"], "step": ["a", "b", "c"]},
    {"label": "two", "lid": {}, "tag": ["b", "c"], "step": ["c", "a"]},
    {"lid": {"colour": "red"}, "item": [item("a", low=1), item("b", part=[part(1), part(2), part(3)])]},
    {"item": [item("b", low=2, part=[part(3), part(1, w=5), part(4)]), item("c")]},
    {"item": [item("a", low=1, high=2, part=[part(2), part(1)]), item("b", part=[part(3)])]},
]


def plain(schema: Schema, value: Value) -> dict[str, Any]:
    """A box with its tags in the order of the alphabet: the system orders them."""
    box: dict[str, Any] = instance_json.plain(schema.root, value).get("ex:box", {})
    return {name: sorted(held) if name == "tag" else held for name, held in box.items()}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_diff_leads_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any], schema: Schema) -> None:
    old, new = (instance_json.decode(schema.root, {"ex:box": box}) for box in (before, after))
    config = edit_config(schema, old, new)
    if config is None:
        assert before == after
        return
    edits = xml_edit.decode_edit(schema, etree.fromstring(etree.tostring(config)))
    result = edit.apply(schema.root, old, edits)
    assert plain(schema, result) == plain(schema, new)


def test_diff_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old.json").write_text('{"ex:box": {"label": "one", "item": [{"id": "a", "side": "l"}]}}')
    (folder / "new.xml").write_text('<box xmlns="urn:example:ex"><label>two</label></box>')
    arguments = ["--path", str(folder)]
    assert cli.main(["model", "diff", str(folder / "old.json"), str(folder / "new.xml"), *arguments]) == 0
    shown = capsys.readouterr().out
    assert '<label nc:operation="replace">two</label>' in shown
    assert '<item nc:operation="delete">' in shown
    (folder / "new.xml").write_text("<box")
    assert cli.main(["model", "diff", str(folder / "old.json"), str(folder / "new.xml"), *arguments]) == 1
    assert "new.xml:1" in capsys.readouterr().err


def test_our_examples_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "validate", *map(str, sorted(EXAMPLES.glob("*.json"))), "--path", str(YANG)]) == 0


RUNNING = (
    '<box xmlns="urn:example:ex"><label>a</label><item><id>a</id><side>l</side><low>2</low><high>3</high></item></box>'
)
EDIT = """<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><edit-config><target><running/></target>
{default}<config><box xmlns="urn:example:ex" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">
{edit}
</box></config></edit-config></rpc>"""


@pytest.mark.parametrize(
    ("edit", "default", "said"),
    [
        ("<label>b</label>", "", "valid"),
        ("<item nc:operation='delete'><id>a</id><side>l</side></item>", "", "valid"),
        ("<item nc:operation='create'><id>a</id><side>l</side></item>", "", "data:3: data-exists"),
        ("<item nc:operation='delete'><id>b</id><side>l</side></item>", "", "data:3: data-missing"),
        ("<item><id>a</id><side>l</side><low>9</low></item>", "", "operation-failed the condition"),
        ("<weight>3</weight>", "", "data:3: unknown-element weight is state"),
        ("<item nc:operation='twist'><id>a</id><side>l</side></item>", "", "bad-attribute"),
        ("<lid/>", "<default-operation>none</default-operation>", "data:3: data-missing"),
        ("<lid/>", "<default-operation>some</default-operation>", "default-operation is merge, replace or none"),
    ],
)
def test_an_edit_is_judged_by_what_it_changes(
    folder: Path, capsys: pytest.CaptureFixture[str], edit: str, default: str, said: str
) -> None:
    (folder / "running.xml").write_text(RUNNING)
    text = EDIT.format(edit=edit, default=default)
    code = run(folder, text, "--type", "edit", "--onto", str(folder / "running.xml"))
    assert said in capsys.readouterr().out
    assert code == (said != "valid")


def test_an_edit_wants_a_valid_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "<config/>", "--type", "edit") == 2
    (folder / "running.xml").write_text('<box xmlns="urn:example:ex"><nothing/></box>')
    assert run(folder, "<config/>", "--type", "edit", "--onto", str(folder / "running.xml")) == 2
    assert "running.xml:1: the configuration to edit is not valid" in capsys.readouterr().err
