"""What a management session sends and reads, as XML of our models: filters, configurations, actions (RFC 6241, 7950).

Pure; knows neither sessions nor what the data mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lxml import etree

from nms.errors import RpcError
from nms.mec.session import DataEdit, Members, members_at, value_at
from nms.model import json, tree, xml
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Node, Schema
from nms.model.values import Value
from nms.operations.request import Content

BASE: Final = xml.NETCONF_NS
_OPERATION: Final = f"{{{BASE}}}operation"


def config_element(schema: Schema, base: str, edits: Sequence[DataEdit]) -> etree._Element:
    """The <config> of an <edit-config> that makes all of `edits`.

    Raises:
        RpcError: invalid-value ...; a path or the data do not fit the schema.
    """
    config = etree.Element(f"{{{BASE}}}config", nsmap={"nc": BASE})
    for edit in edits:
        path = parse_path(schema, base + edit.path)
        if edit.operation == "remove":
            target = _nest(config, path)
        else:
            target = _target(etree.fromstring(xml.encode_instance(path, value_at(path, edit.data))), path)
            _nest(config, path[:-1]).append(target)
        target.set(_OPERATION, edit.operation)
    return config


def filter_element(schema: Schema, path: str) -> etree._Element:
    """An element whose child is the subtree filter for the instance, or the whole list, at `path`."""
    holder = etree.Element("filter")
    _nest(holder, parse_path(schema, path))
    return holder


def action_element(schema: Schema, path: str, action: str, input: Mapping[str, Any]) -> tuple[Node, etree._Element]:
    """The schema node of an action and the <action> that calls it at `path` (RFC 7950 section 7.15.2).

    Raises:
        RpcError: operation-not-supported; there is no such action.
    """
    where = parse_path(schema, path)
    node = next((each for each in where[-1][0].actions if each.name == action), None)
    if node is None:
        raise RpcError("operation-not-supported", f"there is no action {action} at {path}")
    wrapper = etree.Element(f"{{{xml.YANG_NS}}}action", nsmap={None: xml.YANG_NS})
    element = etree.SubElement(_nest(wrapper, where), node.tag)
    given = next(child for child in node.children if child.kind == "input")
    encoded = xml.encode(given, json.decode(given, dict(input), where))
    # The input's children take their namespace from the action's element.
    holder = etree.fromstring(f'<a xmlns="{node.namespace}">'.encode() + encoded + b"</a>")
    element.extend(list(holder))
    return node, wrapper


def tree_of(schema: Schema, data: etree._Element) -> Value:
    """The root value that a <data> element holds; what our models do not have is an error.

    Raises:
        RpcError: unknown-element, invalid-value ...; the partner speaks other models.
    """
    return xml.decode(schema.root, data)


def members_of(schema: Schema, root: Value, path: str, content: Content = "all") -> Members | None:
    """The members of the instance at `path` below `root`, or None; see `ManagementSession.get`."""
    where = parse_path(schema, path)
    if content == "nonconfig":
        root = _state_only(schema.root, root)
    return members_at(root, where)


def holds(edit: DataEdit, present: Members | None) -> bool:
    """Is what the edit asked for there (or, for remove, gone)?  Members that the other side added do not matter."""
    if edit.operation == "remove":
        return present is None
    return present is not None and (edit.data is None or _within(edit.data, present))


def _within(asked: Any, present: Any) -> bool:
    if isinstance(asked, Mapping):
        bare = (
            {name.rpartition(":")[2]: value for name, value in present.items()} if isinstance(present, Mapping) else {}
        )
        return all(
            name.rpartition(":")[2] in bare and _within(value, bare[name.rpartition(":")[2]])
            for name, value in asked.items()
        )
    if isinstance(asked, list):
        return isinstance(present, list) and all(any(_within(each, it) for it in present) for each in asked)
    return str(asked).rpartition(":")[2] == str(present).rpartition(":")[2]


def _nest(parent: etree._Element, path: InstancePath) -> etree._Element:
    """Elements for the steps of `path` below `parent`, list entries with their keys; gives the innermost.

    What is there is used again: an instance stands in a document once.
    """
    for node, key in path:
        keys = list(etree.fromstring(_keys(node, key))) if key is not None and node.kind == "list" else []
        wanted = [(each.tag, each.text) for each in keys]
        found = next((each for each in parent.findall(node.tag) if _shown_keys(each, len(keys)) == wanted), None)
        if found is None:
            found = etree.SubElement(parent, node.tag, nsmap={None: node.namespace})
            found.extend(keys)
        parent = found
    return parent


def _shown_keys(element: etree._Element, count: int) -> list[tuple[object, str | None]]:
    return [(each.tag, each.text) for each in element[:count]]


def _keys(node: Node, key: Any) -> bytes:
    """The key leafs of an entry inside one element of its list's namespace."""
    inner = xml.encode(node, tree.blank_entry(node, key))
    return f'<k xmlns="{node.namespace}">'.encode() + inner + b"</k>"


def _target(element: etree._Element, path: InstancePath) -> etree._Element:
    """The element of the last step of `path` in what `encode_instance` made."""
    for node, _ in path[1:]:
        element = next(child for child in element if child.tag == node.tag)
    return element


def _state_only(node: Node, value: Value) -> Value:
    """`value` without configuration, apart from what leads to state."""
    slots: list[Value | None] = list(value)
    for child in node.children:
        held = value[child.index]
        if held is None or not child.config or child in node.keys:
            continue
        if child.kind == "container":
            slots[child.index] = tree.close(child, _state_only(child, held))
        elif child.kind == "list":
            kept = held
            for (_, key), entry in list(tree.members(child, held)):
                kept = tree.put_entry(child, kept, key, _state_only(child, entry))
            slots[child.index] = kept
        else:
            slots[child.index] = None
    return tuple(slots)
