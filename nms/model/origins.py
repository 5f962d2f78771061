"""Configuration by where it comes from: the origin filters of <get-data> (RFC 8526 section 3.1.1).

An instance's origin is what `nms.model.annotated` tells of it.  State has none and is not affected.
"""

from __future__ import annotations

from collections.abc import Collection

from nms.model import entries, tree
from nms.model.annotated import Basis
from nms.model.path import Step
from nms.model.schema import Node
from nms.model.values import Value


def of(node: Node, value: Value, basis: Basis, wanted: Collection[str]) -> Value:
    """The part of an instance of `node` that comes from one of the identities `wanted`, and its state.

    Args:
        basis: of the instance.
        wanted: as ``ietf-origin:intended``.
    """
    return _below(node, value, basis, wanted) or node.blank


def _below(node: Node, value: Value, basis: Basis, wanted: Collection[str]) -> Value | None:
    """The instance with what is wanted of it, None where that is nothing."""
    slots: list[Value | None] = list(node.blank)
    for child, held in zip(node.children, value, strict=True):
        if held is not None and child not in node.keys:
            slots[child.index] = held if not child.config else _chosen(child, held, basis, wanted)
    itself = basis.origin in wanted and (node.kind == "list" or node.presence)
    if not itself and all(slot is None for slot in slots):
        return None
    for leaf in node.keys:
        slots[leaf.index] = value[leaf.index]
    return tuple(slots)


def _chosen(node: Node, held: Value, above: Basis, wanted: Collection[str]) -> Value | None:
    """What is wanted of all that one parent holds of `node`."""
    kept: list[tuple[Step, Value]] = []
    for step, one in tree.members(node, held):
        basis = above.below(*step)
        part = _below(node, one, basis, wanted) if node.kind in ("container", "list") else one
        if part is not None and (node.kind in ("container", "list") or basis.origin in wanted):
            kept.append((step, part))
    if not kept:
        return None
    if node.kind == "list":
        return entries.from_values([(key, entry) for (_, key), entry in kept], ordered=node.user_ordered)
    return tuple(value for _, value in kept) if node.kind == "leaf-list" else kept[0][1]
