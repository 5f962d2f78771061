"""How `operational` follows `running` (RFC 8342 section 5.3): configuration is carried over, state stays where it is.

`operational` holds the configuration of `running` and, beside it, state.  Where it holds no state it *is* the very
object of `running`, so a change is carried over by descending only where running changed.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from nms.model import entries, tree
from nms.model.diff import Change
from nms.model.schema import Node
from nms.model.values import Key, Value


def rebase(node: Node, oper: Value | None, old: Value | None, new: Value | None) -> Value | None:
    """Operational instance `oper` of `node` after its configuration changed from `old` to `new`.

    A list entry or presence container that configuration deletes takes its state along; a container without
    presence means nothing by itself (RFC 7950 section 7.5.1), so state in it stays.  Entries that only operational
    holds are left alone.
    """
    if new is old:
        return oper
    if oper is old or oper is None:
        return new
    if node.kind == "list":
        return _rebase_list(node, oper, old, new)
    if node.kind not in ("container", "root"):
        return new
    if new is None and node.presence:
        return None
    return tree.close(node, _rebase_children(node, oper, old, new))


def _rebase_children(node: Node, oper: Value, old: Value | None, new: Value | None) -> Value:
    before = old if old is not None else node.blank
    after = new if new is not None else node.blank
    return tuple(
        rebase(child, o, b, a) if child.config else o
        for child, o, b, a in zip(node.children, oper, before, after, strict=True)
    )


def _rebase_list(node: Node, oper: Value, old: Value | None, new: Value | None) -> Value | None:
    empty = tree.no_entries(node)
    before = old if old is not None else empty
    after = new if new is not None else empty
    gone, come = entries.differences(before, after)
    changes: dict[Key, Value | None] = {}
    for key in gone.keys() | come.keys():
        entry = come.get(key)
        held = entries.get(oper, key)
        if entry is not None and held is not None:
            entry = _rebase_children(node, held, gone.get(key), entry)
        changes[key] = entry
    result = entries.update(oper, changes)
    if isinstance(result, entries.Ordered) and isinstance(after, entries.Ordered):
        known = set(after.order)
        result = entries.Ordered(result.tree, after.order + tuple(k for k in result.order if k not in known))
    return result if entries.size(result) else None


def overlay(node: Node, state: Value | None, config: Value | None) -> Value | None:
    """`config` with the nodes of `state` (state and the keys that lead to it) in it: how operational begins."""
    return rebase(node, state, None, config)


def forget(root_node: Node, state: Value, changes: Iterable[Change]) -> Value:
    """`state` without what lies in the list entries and presence containers that `changes` of configuration delete."""
    for change in changes:
        if change.new is None and change.node.kind in ("list", "container"):
            state = tree.remove(root_node, state, change.path) or root_node.blank
    return state
