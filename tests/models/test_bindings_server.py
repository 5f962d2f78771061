"""Each example goes from the bindings into a server, as XML by edit-config, and comes back to them the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import etree

import bindings
from nms.mec.session import SYSTEM
from nms.model import json as instance_json
from nms.model import xml_edit
from nms.model.schema import Node
from nms.operations.dispatch import Core
from nms.operations.request import EditConfig, Get
from tests.federation.site import schema
from tools import compile_yang
from tools.models import EXAMPLES, sources


def configuration(node: Node, members: dict[str, Any]) -> dict[str, Any]:
    """What of an instance is configuration: a server takes no more from a client."""
    found = {}
    for name, held in members.items():
        module, _, local = name.rpartition(":")
        child = node.child(local, module or None)
        assert child is not None, name
        if not child.config:
            continue
        if child.kind == "container":
            if inner := configuration(child, held):
                found[name] = inner
            elif child.presence:
                found[name] = {}
        else:
            found[name] = [configuration(child, entry) for entry in held] if child.kind == "list" else held
    return found


NOTHING_TO_SEND = {"mec-types", "mec-nms-validation"}  # no data; state only


@pytest.mark.parametrize("name", [name for name in sources() if name not in NOTHING_TO_SEND])
def test_example_survives_a_server(name: str) -> None:
    compile_yang.ensure()
    loaded = schema()
    tree = configuration(loaded.root, json.loads((EXAMPLES / f"{name}.json").read_text()))
    assert tree
    modules = sorted({member.partition(":")[0] for member in tree})
    sent = b"".join(bindings.to_xml(bindings.from_json(module, json.dumps(tree))) for module in modules)
    core = Core.create(loaded)
    session = core.open_session(SYSTEM, "test", "", lambda reason: None)
    try:
        edits = xml_edit.decode_edit(loaded, etree.fromstring(b"<config>" + sent + b"</config>"))
        core.dispatch(session, EditConfig("running", edits))
        reply = core.dispatch(session, Get("running"))
        assert reply.node is not None
        held = json.dumps(instance_json.plain(reply.node, reply.data))
    finally:
        core.close_session(session)
        core.close()
    back: dict[str, Any] = {}
    for module in modules:
        back |= json.loads(bindings.to_json(bindings.from_json(module, held)))
    assert plain(back) == plain(tree)


def plain(members: dict[str, Any]) -> Any:
    """In the server's order of lists that have none of their own."""
    return instance_json.plain(schema().root, instance_json.decode(schema().root, members))
