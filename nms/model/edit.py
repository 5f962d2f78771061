"""NETCONF edit operations on immutable trees (RFC 6241 section 7.2, RFC 7950 sections 7.5.8 to 7.10.3).

An `Edit` names one instance and what to do with it.  Below the last explicit operation there is only a plain value, so
an ordinary merge of a large configuration is one `Edit` with one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import Final, Literal, NamedTuple

from nms.errors import RpcError
from nms.model import entries, tree
from nms.model.fault import Fault, two_cases
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Key, Value, alike

#: Edits of single values of user-ordered lists and leaf-lists in one request, times the values that these have.
MOST_PLACED: Final = 100_000_000
_MANY: Final = 1000

Op = Literal["merge", "replace", "create", "delete", "remove", "none"]


@dataclass(frozen=True, slots=True)
class Insert:
    """Where an entry of a user-ordered list or leaf-list goes (RFC 7950 section 7.8.6)."""

    where: Literal["first", "last", "before", "after"]
    anchor: Key | None = None


class Edit(NamedTuple):
    """One operation on one instance.

    Attributes:
        node: a data node.
        op: what to do with it; "none" only descends.
        key: of a list entry, or the value of a leaf-list entry.
        value: the leaf's value, or the whole subtree when `children` is None.
        children: edits below, when some of them have operations of their own.
        insert: place in a user-ordered list.
    """

    node: Node
    op: Op
    key: Key | None = None
    value: Value | None = None
    children: Sequence[Edit] | None = None
    insert: Insert | None = None


def at(
    path: InstancePath, op: Op, value: Value | None = None, insert: Insert | None = None, *, parents: Op = "none"
) -> Edit:
    """The edit that does `op` at `path`.

    Args:
        value: of the last step's node: the leaf's value, the container's or entry's tuple.
        parents: what to do above; "none" wants them to exist, "merge" makes them.
    """
    node, key = path[-1]
    edit = Edit(node, op, key, value, None, insert)
    for node, key in reversed(path[:-1]):
        edit = Edit(node, parents, key, None, (edit,))
    return edit


def apply(root_node: Node, root: Value | None, edits: Sequence[Edit]) -> Value:
    """`root` after `edits` in their order; the root is never None.

    Raises:
        RpcError: data-exists, data-missing, bad-attribute, too-big, with the path of the instance.
    """
    value = _apply_children(root_node, root, edits, ())
    return value if value is not None else root_node.blank


def _apply_children(parent: Node, held: Value | None, edits: Sequence[Edit], path: InstancePath) -> Value | None:
    slots = list(held) if held is not None else list(parent.blank)
    if len(edits) > _MANY:
        _check_places(slots, edits, path)
    for edit in edits:
        if edit.op not in ("delete", "remove"):
            _leave_other_cases(edit.node, slots)
        index = edit.node.index
        slots[index] = _EDITORS[edit.node.kind](edit, slots[index], (*path, (edit.node, edit.key)))
    return tree.close(parent, tuple(slots))


def _check_places(slots: Sequence[Value | None], edits: Sequence[Edit], path: InstancePath) -> None:
    """Refuse to put so many single values into their places that everybody would wait: each costs what the list has.

    Raises:
        RpcError: too-big.
    """
    single = Counter(edit.node for edit in edits if edit.key is not None and _is_ordered(edit.node))
    for node, count in single.items():
        held = slots[node.index]
        there = 0 if held is None else len(held) if node.kind == "leaf-list" else entries.size(held)
        if count * (there + count) > MOST_PLACED:
            message = f"{count} instances of {node.name} are edited one by one: send them in parts"
            raise RpcError("too-big", message, path=format_path((*path, (node, None))))


def _is_ordered(node: Node) -> bool:
    return node.kind == "leaf-list" or (node.kind == "list" and node.user_ordered)


def _leave_other_cases(node: Node, slots: list[Value | None], given: Value = None) -> None:
    """Data of one case removes that of the others (RFC 7950 section 7.9).

    Args:
        given: all that comes with it.

    Raises:
        Fault: bad-element; that has data of another case.
    """
    for choice, case in node.cases:
        for name, members in choice.cases.items():
            if name != case:
                for member in members:
                    if given is not None and given[member.index] is not None:
                        raise two_cases(member, choice)
                    slots[member.index] = None


def _exists(path: InstancePath) -> RpcError:
    return RpcError("data-exists", f"{path[-1][0].name} exists already", path=format_path(path))


def _missing(path: InstancePath) -> RpcError:
    return RpcError("data-missing", f"there is no such {path[-1][0].name}", path=format_path(path))


def _gone(edit: Edit, held: object, path: InstancePath) -> bool:
    """Check existence for `edit`; True if it removes what is held."""
    if edit.op == "create" and held is not None:
        raise _exists(path)
    if edit.op == "delete" and held is None:
        raise _missing(path)
    return edit.op in ("delete", "remove")


def _leaf(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    if _gone(edit, held, path):
        return None
    return _untouched(held, path) if edit.op == "none" else edit.value


def _untouched(held: Value | None, path: InstancePath, given: Value | None = None) -> Value | None:
    """What operation none leaves: its target, and all that is `given` below, must exist (RFC 6241 section 7.2)."""
    node, key = path[-1]
    if held is None and (node.kind != "container" or node.presence):
        raise _missing(path)
    if given is not None and (node.kind == "container" or (node.kind == "list" and key is not None)):
        below = held if held is not None else node.blank
        for child, value in zip(node.children, given, strict=True):
            if value is not None:
                for step, wanted in tree.members(child, value):
                    found = tree.get(below, (step,))
                    _untouched(found, (*path, step), wanted)
    return held


def _container(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    if _gone(edit, held, path):
        return None
    made = _inner(edit, held, path)
    return tree.close(edit.node, made) if made is not None else None


def _inner(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    """The container or entry after `edit`, which does not remove it."""
    fresh = edit.op in ("replace", "create")
    base = None if fresh else held
    if edit.children is not None:
        if base is None and edit.op == "none":
            if all(child.op == "remove" for child in edit.children):
                return None
            _untouched(base, path)
        if base is None and edit.node.kind == "list":
            base = tree.blank_entry(edit.node, edit.key)
        return _apply_children(edit.node, base, edit.children, path)
    if edit.op == "none":
        return _untouched(held, path, edit.value)
    return edit.value if base is None else _merged(edit.node, base, edit.value, path)


def _merged(node: Node, old: Value, new: Value, path: InstancePath) -> Value:
    try:
        return merge(node, old, new)
    except Fault as fault:
        raise fault.error(path) from None


def _list(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    node = edit.node
    if edit.key is None:
        return _whole_list(edit, held, path)
    old = entries.get(held, edit.key) if held is not None else None
    if _gone(edit, old, path):
        return tree.put_entry(node, held, edit.key, None)
    entry = _inner(edit, old, path)
    if entry is None:
        return held
    result = tree.put_entry(node, held, edit.key, entry)
    if edit.insert is not None and isinstance(result, entries.Ordered):
        try:
            result = entries.move(result, edit.key, edit.insert.where, edit.insert.anchor)
        except KeyError:
            raise _bad_anchor(path) from None
    return result


def _bad_anchor(path: InstancePath) -> RpcError:
    return RpcError(
        "bad-attribute",
        "the entry to insert before or after does not exist",
        app_tag="missing-instance",
        path=format_path(path),
        info={"bad-attribute": "key", "bad-element": path[-1][0].name},
    )


def _whole_list(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    """All entries of a list at once: `value` holds the entries given."""
    if _gone(edit, held, path):
        return None
    if edit.op == "none":
        return _untouched(held, path)
    if edit.op in ("replace", "create") or held is None:
        return edit.value
    if edit.value is None:
        return held
    try:
        return merge_entries(edit.node, held, edit.value)
    except Fault as fault:
        raise fault.error(path) from None


def _leaf_list(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    values: tuple[Value, ...] = held or ()
    if edit.key is None:
        if _gone(edit, held, path):
            return None
        if edit.op == "none":
            return _untouched(held, path)
        fresh: tuple[Value, ...] = edit.value or ()
        if edit.op in ("replace", "create"):
            return fresh or None
        return joined(values, fresh) or None
    present = edit.key if edit.key in values else None
    if _gone(edit, present, path):
        return entries.without(values, edit.key) or None if present is not None else held
    if edit.op == "none" and (present is None or edit.insert is None):
        return _untouched(held if present is not None else None, path)
    if edit.insert is None:
        return values if present is not None else (*values, edit.key)
    try:
        return entries.placed(values, edit.key, edit.insert.where, edit.insert.anchor)
    except KeyError:
        raise _bad_anchor(path) from None


def _any(edit: Edit, held: Value | None, path: InstancePath) -> Value | None:
    if _gone(edit, held, path):
        return None
    return _untouched(held, path) if edit.op == "none" else edit.value


_EDITORS = {
    "leaf": _leaf,
    "container": _container,
    "list": _list,
    "leaf-list": _leaf_list,
    "anydata": _any,
    "anyxml": _any,
}


def merge(node: Node, old: Value, new: Value) -> Value:
    """`new` merged into `old`, both instances of the container or list entry `node`; `old` if nothing changes.

    Raises:
        Fault: bad-element; `new` has data of two cases of a choice.
    """
    if alike(old, new):
        return old
    slots = list(old)
    for child, value in zip(node.children, new, strict=True):
        if value is None:
            continue
        if child.cases:
            _leave_other_cases(child, slots, new)
        held = slots[child.index]
        if held is None or child.kind in ("leaf", "anydata", "anyxml"):
            slots[child.index] = value
        elif child.kind == "container":
            slots[child.index] = merge(child, held, value)
        elif child.kind == "list":
            slots[child.index] = merge_entries(child, held, value)
        else:
            slots[child.index] = joined(held, value)
    return old if all(map(is_, slots, old)) else tuple(slots)


def joined(old: tuple[Value, ...], new: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values of a leaf-list with those of `new` that are not among them."""
    known = set(old)
    return old + tuple(value for value in new if value not in known)


def merge_entries(node: Node, old: entries.Entries, new: entries.Entries) -> entries.Entries:
    """The entries `new` of list `node` merged into `old`."""
    return entries.update(old, dict(entries.items(new)), partial(merge, node))
