"""Reading and rebuilding immutable trees by path: each change copies the nodes on its way and shares the rest."""

from __future__ import annotations

from collections.abc import Iterator

from nms.model import entries
from nms.model.path import InstancePath, Step
from nms.model.schema import Node
from nms.model.types import module_resolver
from nms.model.values import Value


def get(root: Value, path: InstancePath) -> Value | None:
    """The instance at `path` below `root` (the value of the node above the first step), or None."""
    value = root
    for node, key in path:
        if value is None:
            return None
        value = value[node.index]
        if key is not None and value is not None:
            value = _member(node, value, key)
    return value


def _member(node: Node, value: Value, key: Value) -> Value | None:
    if node.kind == "leaf-list":
        return key if key in value else None
    return entries.get(value, key)


def put(parent: Node, root: Value | None, path: InstancePath, value: Value | None) -> Value | None:
    """A copy of `root`, an instance of `parent`, in which `path` has `value`; missing parents are made.

    `value` None removes.  Parents that end up empty and are not presence containers become None.
    """
    if not path:
        return value
    node, key = path[0]
    slots = list(root) if root is not None else list(parent.blank)
    old = slots[node.index]
    if key is None:
        slots[node.index] = put(node, old, path[1:], value)
    elif node.kind == "leaf-list":
        slots[node.index] = _put_member(old or (), key, value)
    else:
        held = entries.get(old, key) if old is not None else None
        entry = put(node, held if held is not None else blank_entry(node, key), path[1:], value)
        slots[node.index] = put_entry(node, old, key, entry)
    return close(parent, tuple(slots))


def remove(parent: Node, root: Value | None, path: InstancePath) -> Value | None:
    """A copy of `root` without the instance at `path`; nothing happens when it is not there."""
    if root is None or get(root, path) is None:
        return root
    return put(parent, root, path, None)


def put_entry(node: Node, held: Value | None, key: Value, entry: Value | None) -> Value | None:
    """The entries `held` of list `node` with `key` set to `entry`, or without it."""
    if entry is None:
        if held is None or entries.get(held, key) is None:
            return held
        held = entries.remove(held, key)
        return held if entries.size(held) else None
    return entries.put(held if held is not None else no_entries(node), key, entry)


def no_entries(node: Node) -> entries.Entries:
    """An empty list of the right kind."""
    return entries.NONE_ORDERED if node.user_ordered else entries.NONE


def blank_entry(node: Node, key: Value) -> Value:
    """A list entry that has its keys only; keys kept as union text are parsed back."""
    slots: list[Value | None] = list(node.blank)
    for leaf, value in zip(node.keys, node.key_values(key) if node.keys else (), strict=True):
        assert leaf.type is not None
        union = leaf.type.base == "union"
        slots[leaf.index] = leaf.type.parse(str(value), module_resolver(leaf.module)) if union else value
    return tuple(slots)


def close(node: Node, value: Value) -> Value | None:
    """`value`, or None when it is an empty container without presence."""
    if value == node.blank and node.kind == "container" and not node.presence:
        return None
    return value


def _put_member(values: tuple[Value, ...], key: Value, value: Value | None) -> tuple[Value, ...] | None:
    if value is None:
        return tuple(v for v in values if v != key) or None
    return values if key in values else (*values, key)


def instances(node: Node, root: Value | None, route: tuple[Node, ...]) -> Iterator[tuple[InstancePath, Value]]:
    """All instances of the last node of `route` below `root`, an instance of `node`, with their paths.

    Args:
        route: schema nodes from a child of `node` down to the wanted one.
    """
    if root is None:
        return
    if not route:
        yield (), root
        return
    child = route[0]
    held = root[child.index]
    if held is None:
        return
    for step, value in members(child, held):
        for rest, found in instances(child, value, route[1:]):
            yield (step, *rest), found


def members(node: Node, held: Value) -> Iterator[tuple[Step, Value]]:
    """The instances of one schema node under one parent: entries of a list, values of a leaf-list, or the one value."""
    if node.kind == "list":
        for key, entry in entries.items(held):
            yield (node, key), entry
    elif node.kind == "leaf-list":
        for value in held:
            yield (node, value), value
    else:
        yield (node, None), held


def route(node: Node) -> tuple[Node, ...]:
    """Schema nodes from the root's child down to `node`."""
    return tuple(reversed(list(node.ancestors())))
