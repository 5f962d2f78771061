"""Selecting parts of a tree: paths, XPath filters, fields, depth, config or state; subtree filters are in `subtree`.

Each function gives a tree of the same shape with the rest left out.  What is wholly selected is shared with the
original, so that remembered encodings stay valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from nms.errors import RpcError
from nms.model import entries
from nms.model import xpath as xpaths
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.model.values import Key, Value


def union(node: Node, one: Value, other: Value) -> Value:
    """Both of two parts of the same instances."""
    if one is other:
        return one
    if node.kind == "list":
        merged: dict[Key, Value | None] = {}
        for key, entry in entries.items(other):
            held = entries.get(one, key)
            merged[key] = entry if held is None else union_slots(node, held, entry)
        return entries.update(one, merged)
    if node.kind == "container":
        return union_slots(node, one, other)
    if node.kind == "leaf-list":
        return one + tuple(v for v in other if v not in one)
    return one


def union_slots(node: Node, one: Value, other: Value) -> Value:
    return tuple(
        b if a is None else a if b is None else union(child, a, b)
        for child, a, b in zip(node.children, one, other, strict=True)
    )


# ---------------------------------------------------------------- paths and XPath


def path(schema: Schema, root: Value, wanted: InstancePath, levels: int | None = None) -> Value:
    """The instance at `wanted`, down to `levels`, with its ancestors (their keys only)."""
    return paths(schema, root, [wanted], levels)


def paths(schema: Schema, root: Value, wanted: Iterable[InstancePath], levels: int | None = None) -> Value:
    """The instances at several paths with their ancestors; paths to nothing are passed over.

    Args:
        levels: of each instance, which is level 1; None: all of it.
    """
    result: Value | None = None
    for one in wanted:
        if not one:
            return root if levels is None else depth(schema.root, root, levels)
        found = _along(schema.root, root, one, levels)
        if found is not None:
            result = found if result is None else union_slots(schema.root, result, found)
    return result if result is not None else schema.root.blank


def _along(node: Node, value: Value, rest: InstancePath, levels: int | None) -> Value | None:
    child, key = rest[0]
    held = value[child.index]
    if held is None:
        return None
    if key is None or child.kind in ("leaf", "anydata", "anyxml"):
        part = within(child, held, levels) if len(rest) == 1 else _along(child, held, rest[1:], levels)
    elif child.kind == "leaf-list":
        part = (key,) if key in held else None
    else:
        entry = entries.get(held, key)
        if entry is None:
            return None
        if len(rest) == 1:
            inner = entry if levels is None else depth(child, entry, levels)
        else:
            inner = _along(child, entry, rest[1:], levels)
        part = None if inner is None else entries.single(key, inner, ordered=child.user_ordered)
    if part is None:
        return None
    slots: list[Value | None] = list(node.blank)
    for leaf in node.keys:
        slots[leaf.index] = value[leaf.index]
    slots[child.index] = part
    return tuple(slots)


def xpath(
    schema: Schema,
    root: Value,
    expression: str,
    namespaces: Mapping[str, str],
    levels: int | None = None,
    work: int = xpaths.BUDGET,
) -> Value:
    """What an XPath filter selects from `root` (RFC 6241 section 8.9), down to `levels`.

    Args:
        work: what it may spend.

    Raises:
        RpcError: invalid-value; the expression is malformed or gives no node set.  resource-denied; it takes too much.
    """
    found = xpaths.compile_text(schema, expression, namespaces).nodeset(root, work)
    return paths(schema, root, found, levels)


# ---------------------------------------------------------------- fields, RFC 8040 section 4.8.3

_FIELD: Final = re.compile(r"(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)|([;/()])")


class _Fields(dict["Node", "_Fields"]):
    """Wanted children by node; empty = all of it."""


def fields(node: Node, value: Value, expression: str, levels: int | None = None) -> Value:
    """The parts of an instance of `node` that a `fields` expression names, keys of its list entries included.

    Args:
        levels: of each part, which is level 1 itself (RFC 8040 section 4.8.2); None: all.

    Raises:
        RpcError: invalid-value, with the offset and what was expected.
    """
    wanted, at = _parse_fields(node, expression, 0)
    if at < len(expression):
        raise _bad_fields(expression, at, "end of expression")
    return _keep(node, value, wanted, levels)


def _bad_fields(expression: str, at: int, expected: str) -> RpcError:
    return RpcError("invalid-value", f"fields={expression!r} at offset {at}: expected {expected}", type="protocol")


def _parse_fields(node: Node, expression: str, at: int) -> tuple[_Fields, int]:
    wanted = _Fields()
    while True:
        target, at = _parse_field_path(node, expression, at, wanted)
        if at < len(expression) and expression[at] == "(":
            inner, at = _parse_fields(target[0], expression, at + 1)
            if at >= len(expression) or expression[at] != ")":
                raise _bad_fields(expression, at, "')'")
            target[1].update(inner)
            at += 1
        if at >= len(expression) or expression[at] != ";":
            return wanted, at
        at += 1


def _parse_field_path(node: Node, expression: str, at: int, wanted: _Fields) -> tuple[tuple[Node, _Fields], int]:
    while True:
        match = _FIELD.match(expression, at)
        if match is None or match[2] is None:
            raise _bad_fields(expression, at, "a name")
        child = node.child(match[2], match[1])
        if child is None:
            raise _bad_fields(expression, at, f"a child of {node.name or 'the datastore'}, not {match[0]!r}")
        wanted = wanted.setdefault(child, _Fields())
        node, at = child, match.end()
        if at >= len(expression) or expression[at] != "/":
            return (node, wanted), at
        at += 1


def _keep(node: Node, value: Value, wanted: _Fields, levels: int | None) -> Value:
    if not wanted:
        return depth(node, value, levels) if levels is not None and node.kind in ("container", "list") else value
    slots: list[Value | None] = list(node.blank)
    for leaf in node.keys:
        slots[leaf.index] = value[leaf.index]
    for child, below in wanted.items():
        held = value[child.index]
        if held is None:
            continue
        if child.kind == "list":
            kept = ((key, _keep(child, entry, below, levels)) for key, entry in entries.items(held))
            slots[child.index] = entries.from_values(kept, ordered=child.user_ordered)
        else:
            slots[child.index] = _keep(child, held, below, levels) if child.kind == "container" else held
    return tuple(slots)


# ---------------------------------------------------------------- depth and content


def depth(node: Node, value: Value, levels: int) -> Value:
    """`value` down to `levels`, where the instance itself is level 1 (RFC 8040 section 4.8.2); keys stay."""
    slots: list[Value | None] = list(node.blank)
    for leaf in node.keys:
        slots[leaf.index] = value[leaf.index]
    if levels > 1:
        for child, held in zip(node.children, value, strict=True):
            if held is not None:
                slots[child.index] = _map(child, held, lambda n, v: depth(n, v, levels - 1))
    return tuple(slots)


def within(node: Node, held: Value, levels: int | None) -> Value:
    """What a parent holds of `node`, each instance down to `levels`; None: all of it."""
    return held if levels is None else _map(node, held, lambda n, v: depth(n, v, levels))


def _map(node: Node, held: Value, change: Callable[[Node, Value], Value]) -> Value:
    """Apply `change` to each inner instance of `node` under one parent."""
    if node.kind == "list":
        return entries.from_values(((k, change(node, e)) for k, e in entries.items(held)), ordered=node.user_ordered)
    return change(node, held) if node.kind == "container" else held


def content(node: Node, value: Value, which: Literal["config", "nonconfig"]) -> Value:
    """The configuration, or the state with the ancestors and keys it needs (RFC 8040 section 4.8.1)."""
    return _content(node, value, which == "config") or node.blank


def _content(node: Node, value: Value, config: bool) -> Value | None:
    slots: list[Value | None] = list(node.blank)
    for child, held in zip(node.children, value, strict=True):
        if held is None:
            continue
        if not child.config or not child.holds_state:  # all of one kind: shared or left out as a whole
            slots[child.index] = held if child.config == config else None
        elif child.kind == "list":
            kept = [(k, part) for k, e in entries.items(held) if (part := _content(child, e, config)) is not None]
            slots[child.index] = entries.from_values(kept, ordered=child.user_ordered) if kept else None
        else:
            slots[child.index] = _content(child, held, config)
    if all(slot is None for slot in slots):
        return value if config and node.presence else None
    for leaf in node.keys:
        slots[leaf.index] = value[leaf.index]
    return tuple(slots)
