"""The generated classes and their face: every example goes through them and comes out the same."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

import bindings
from nms.model import json as instance_json
from nms.model import xml as instance_xml
from nms.model.load import load, standard_path
from nms.model.schema import Schema
from tools import compile_yang
from tools.models import EXAMPLES, YANG, sources

TREES = [
    pytest.param(name, member.partition(":")[0], {member: tree}, id=f"{name}-{member}")
    for name in sources()
    for member, tree in json.loads((EXAMPLES / f"{name}.json").read_text()).items()
]


@pytest.fixture(scope="module", autouse=True)
def generated() -> None:
    compile_yang.ensure()


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load((YANG, *standard_path()), list(sources()))


@pytest.mark.parametrize(("name", "module", "tree"), TREES)
def test_example_survives_json(name: str, module: str, tree: dict[str, Any]) -> None:
    assert json.loads(bindings.to_json(bindings.from_json(module, json.dumps(tree)))) == tree


@pytest.mark.parametrize(("name", "module", "tree"), TREES)
def test_example_survives_xml(name: str, module: str, tree: dict[str, Any]) -> None:
    text = bindings.to_xml(bindings.from_json(module, json.dumps(tree)))
    assert json.loads(bindings.to_json(bindings.from_xml(module, text))) == tree


@pytest.mark.parametrize(("name", "module", "tree"), TREES)
def test_xml_is_the_servers(name: str, module: str, tree: dict[str, Any], schema: Schema) -> None:
    text = bindings.to_xml(bindings.from_json(module, json.dumps(tree)))
    root = etree.fromstring(b"<root>" + text + b"</root>")
    there = instance_json.plain(schema.root, instance_xml.decode(schema.root, root))
    assert there == instance_json.plain(schema.root, instance_json.decode(schema.root, tree))


def test_payload_is_built_by_attributes() -> None:
    module = bindings.build("mec-system")
    module.system.package.add("p").size = 7
    deployment = module.system.deployment.add("d")
    deployment.package = "p"
    deployment.requirement.max_latency = "15.5"
    deployment.acceptable_zone.append("z")
    assert json.loads(bindings.to_json(module)) == {
        "mec-system:system": {
            "package": [{"id": "p", "size": "7"}],
            "deployment": [
                {"id": "d", "package": "p", "acceptable-zone": ["z"], "requirement": {"max-latency": "15.5"}}
            ],
        }
    }
    assert json.loads(bindings.to_json(deployment))["mec-system:deployment"][0]["id"] == "d"
    assert bindings.to_xml(deployment).startswith(b'<deployment xmlns="urn:mec-nms:yang:mec-system"><id>d</id>')


def test_what_is_absent_is_not_written() -> None:
    assert bindings.to_json(bindings.build("mec-system")) == "{}"
    assert bindings.to_xml(bindings.build("mec-system")) == b""


def test_notification_is_read_and_written() -> None:
    event = bindings.notification("mec-federation", "operation-occurrence-changed")
    event.agreement, event.sequence, event.state = "x", 18446744073709551615, "failed-temp"
    event.error.title = "no <capacity> & no zone"
    again = bindings.notification_from_xml("mec-federation", bindings.to_xml(event))
    assert (again.sequence, again.state, again.error.title) == (2**64 - 1, "failed-temp", "no <capacity> & no zone")
    assert bindings.to_json(again) == bindings.to_json(event)


def test_other_modules_members_are_left_out() -> None:
    text = '{"mec-order:orders": {"order": []}, "mec-system:system": {"package": [{"id": "p"}]}}'
    assert list(bindings.from_json("mec-system", text).system.package) == ["p"]
    system = '<system xmlns="urn:mec-nms:yang:mec-system"><package><id>p</id></package></system>'
    assert list(bindings.from_xml("mec-system", f'<data><a xmlns="urn:b"/>{system}</data>').system.package) == ["p"]


def test_identity_is_understood_by_any_prefix() -> None:
    text = (
        '<system xmlns="urn:mec-nms:yang:mec-system" xmlns:q="urn:mec-nms:yang:mec-types"><package><id>p</id>'
        "<operational-state>q:disabled</operational-state></package></system>"
    )
    assert bindings.from_xml("mec-system", text).system.package["p"].operational_state == "disabled"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"mec-system:system": 3}', "/system: an object"),
        ('{"mec-system:system": {"nothing": 3}}', "/system/nothing: the model has no such node"),
        ('{"mec-system:system": {"package": [{"name": "x"}]}}', "/system/package: an entry without its key id"),
        ('{"mec-system:system": {"package": [{"id": "a b"}]}}', "/system/package: 'a b' is not allowed"),
        ('{"mec-system:system": {"package": [{"id": "a", "size": "x"}]}}', "/system/package/size: 'x'"),
        ('{"mec-system:system": {"package": [{"id": "a"}, {"id": "a"}]}}', "/system/package: 'a'"),
        ('{"mec-system:system": {"package": [{"id": "a", "operational-state": "b"}]}}', "operational-state: 'b'"),
        ('{"mec-system:system": {"package": []}, "mec-system:other": 1}', "/mec-system:other"),
    ],
)
def test_a_bad_payload_is_refused_by_place(text: str, where: str) -> None:
    with pytest.raises(bindings.BindingError, match=where.replace("mec-system:other", "other")):
        bindings.from_json("mec-system", text)


@pytest.mark.parametrize(
    "text", [b"", b"<a", b'<system xmlns="urn:mec-nms:yang:mec-system"><nothing/></system>', b"\xff\xfe"]
)
def test_a_bad_xml_payload_is_refused(text: bytes) -> None:
    with pytest.raises(bindings.BindingError):
        bindings.from_xml("mec-system", text)


def test_missing_classes_name_the_way_out() -> None:
    with pytest.raises(bindings.BindingsMissing, match="make bindings"):
        bindings.build("mec-nothing")
    with pytest.raises(bindings.BindingsMissing, match="make bindings"):
        bindings.notification("mec-system", "nothing")


def test_generation_is_a_no_op_until_a_model_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, target = tmp_path / "yang", tmp_path / "generated_again"
    models.mkdir()
    for name in ("mec-types", "mec-app-descriptor"):
        file = sources()[name]
        (models / file.name).write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)

    def names() -> set[str]:
        """Of the leafs and containers at the top, as this process imports them."""
        module = import_module("generated_again.mec_app_descriptor").mec_app_descriptor()
        return set(module.app_descriptor._pyangbind_elements)

    assert compile_yang.ensure(target, models)
    assert not compile_yang.ensure(target, models)
    assert "info_name" in names()
    changed = models / sources()["mec-app-descriptor"].name
    changed.write_text(changed.read_text().replace("leaf info-name {", "leaf other-name {"))
    assert compile_yang.ensure(target, models)
    assert {"info_name", "other_name"} & names() == {"other_name"}
