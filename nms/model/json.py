"""JSON in and out (RFC 7951).

Encoders give objects for `orjson.dumps`; list entries are remembered per leaf of the list's tree as `orjson.Fragment`s,
so that reading again costs a join.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from nms.model import anydata, codegen, codegen_json, entries
from nms.model.codegen_json import member_name as member_name
from nms.model.codegen_source import Unexpected
from nms.model.fault import Fault, invalid, missing_key, twice, unknown
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.types import InvalidValue, module_resolver
from nms.model.values import Key, Scalar, Value


def encode(node: Node, value: Value | None) -> dict[str, Any]:
    """The members of an instance of `node`, ready for `orjson.dumps`; empty for None."""
    if value is None:
        return {}
    members: dict[str, Any] = {}
    for child, held in zip(node.children, value, strict=True):
        if held is not None:
            members[member_name(child)] = _ENCODERS[child.kind](child, held)
    return members


def dumps(node: Node, value: Value | None) -> bytes:
    """The text of `encode`."""
    return orjson.dumps(encode(node, value))


def plain(node: Node, value: Value | None) -> dict[str, Any]:
    """`encode` as plain Python objects, without fragments."""
    members: dict[str, Any] = orjson.loads(dumps(node, value))
    return members


def encode_value(node: Node, value: Value) -> Any:
    """The value of one data node: of a list its array, of a leaf its scalar."""
    return _ENCODERS[node.kind](node, value)


def encode_entry(node: Node, entry: Value) -> dict[str, Any]:
    """One entry of list `node`."""
    return codegen.of(node).encode_json(entry)


def entry_encoder(node: Node) -> Callable[[Value], dict[str, Any]]:
    """`encode_entry` of list `node`, for many entries."""
    return codegen.of(node).encode_json


def _leaf(node: Node, value: Value) -> Any:
    assert node.type is not None
    return node.type.to_json(value)


def _leaf_list(node: Node, values: Value) -> Any:
    return [_leaf(node, value) for value in values]


def _list(node: Node, held: entries.Entries) -> Any:
    if isinstance(held, entries.Ordered):
        return list(map(codegen.of(node).encode_json, entries.values(held)))
    return codegen_json.remembered(codegen.of(node), held)


def _any(node: Node, value: Value) -> Any:
    return anydata.to_json(value, node.names)


_ENCODERS: Final = {
    "leaf": _leaf,
    "leaf-list": _leaf_list,
    "container": encode,
    "list": _list,
    "anydata": _any,
    "anyxml": _any,
}


def decode(node: Node, members: Any, base: InstancePath = ()) -> Value:
    """The value of `node` from an object.

    Args:
        base: path of the instance, for errors.

    Raises:
        RpcError: unknown-element, missing-element, bad-element, invalid-value; with the path.
    """
    try:
        return _decode_entry(node, members) if node.kind == "list" else _decode(node, members)
    except Fault as fault:
        raise fault.error(base) from None


def decode_member(parent: Node, name: str, value: Any, base: InstancePath = ()) -> tuple[Node, Value]:
    """One member of an instance of `parent`: its schema node and value (of a list its entries).

    Raises:
        RpcError: as `decode`.
    """
    try:
        child = _child_node(parent, name)
        return child, _decode_value(child, value)
    except Fault as fault:
        raise fault.error(base) from None


def _child_node(node: Node, name: str) -> Node:
    module, _, local = name.rpartition(":")
    child = node.child(local, module or node.module)
    if child is None:
        raise unknown(name, node.name or "the datastore")
    return child


def _decode(node: Node, members: Any) -> Value:
    if not isinstance(members, dict):
        raise Fault("invalid-value", f"{node.name or 'the datastore'} is a JSON object")
    slots: list[Value | None] = list(node.blank)
    for name, value in members.items():
        if name.startswith("@"):  # RFC 7952 metadata: none of ours is kept
            continue
        child = _child_node(node, name)
        if slots[child.index] is not None:
            raise twice(child.name).at(child)
        slots[child.index] = _decode_value(child, value)
    for leaf in node.keys:
        if slots[leaf.index] is None:
            raise missing_key(node, leaf)
    return tuple(slots)


def _decode_value(node: Node, value: Any) -> Value | None:
    try:
        if node.kind == "leaf":
            return _decode_leaf(node, value)
        if node.kind == "container":
            inner = _decode(node, value)
            return inner if node.presence or inner != node.blank else None
        if node.kind in ("anydata", "anyxml"):
            return anydata.from_json(value)
        if not isinstance(value, list):
            raise Fault("invalid-value", f"{node.name} is a JSON array")
        if node.kind == "leaf-list":
            return tuple(_decode_leaf(node, item) for item in value) or None
    except Fault as fault:
        raise fault.at(node) from None
    held: dict[Key, Value] = {}
    for item in value:
        try:
            entry = _decode_entry(node, item)
        except Fault as fault:
            raise fault.at(node, _key_if_any(node, item)) from None
        key = node.key_of(entry) if node.keys else len(held)
        if key in held:
            raise twice(node.name).at(node, key)
        held[key] = entry
    return entries.from_mapping(held, ordered=node.user_ordered) if held else None


def _decode_entry(node: Node, item: Any) -> Value:
    try:
        return codegen.of(node).decode_json(item)
    except (Unexpected, InvalidValue):  # what it is, and whether it is an error, is found out by interpreting
        return _decode(node, item)


def _key_if_any(node: Node, item: Any) -> Key | None:
    try:
        return node.make_key([_decode_leaf(leaf, item[leaf.name]) for leaf in node.keys]) if node.keys else None
    except (Fault, KeyError, TypeError):
        return None


def _decode_leaf(node: Node, value: Any) -> Scalar:
    assert node.type is not None
    try:
        return node.type.from_json(value, module_resolver(node.module))
    except InvalidValue as error:
        raise invalid(error) from None
