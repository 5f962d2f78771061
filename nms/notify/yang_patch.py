"""Changes as the edits of a YANG Patch (RFC 8072 section 2.5), which push-change-update holds (RFC 8641 section 3.7).

The edits are applied in their order.  Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from nms.model import entries
from nms.model.content import instance
from nms.model.diff import Change
from nms.model.path import InstancePath, resource_path
from nms.model.schema import Node
from nms.model.values import Key, Value

Operation = Literal["create", "delete", "insert", "move", "replace"]


@dataclass(frozen=True, slots=True)
class PatchEdit:
    """One edit.

    Attributes:
        value: of the instance at `path`; None for delete and move.
        where: of an entry of a user-ordered list; an insert without it goes last.
        after: the key of the entry or value that `where` speaks of.
    """

    operation: Operation
    path: InstancePath
    value: Value | None = None
    where: Literal["", "first", "after"] = ""
    after: Key | None = None


def edits(changes: Iterable[Change], excluded: Collection[str] = ()) -> list[PatchEdit]:
    """The edits that lead from the old instances of `changes` to the new, without those whose operation is excluded."""
    found: dict[tuple[InstancePath, str], PatchEdit] = {}
    for change in changes:
        for edit in _edits(change):
            inserted = found.pop((edit.path, "insert"), None) if edit.operation == "move" else None
            if inserted is not None:  # it comes to its place at once, when the one before it is there
                edit = replace(edit, operation="insert", value=inserted.value)
            found[edit.path, edit.operation] = edit
    return [edit for edit in found.values() if edit.operation not in excluded]


def _edits(change: Change) -> Iterator[PatchEdit]:
    path, old, new = change
    node, key = path[-1]
    if node.kind == "leaf-list":
        yield from _leaf_list(path, old or (), new or ())
    elif node.kind == "list" and key is None and node.user_ordered and old is not None and new is not None:
        kept = [k for k in old.order if entries.get(new, k) is not None]
        known = set(kept)
        yield from _moves(path, [*kept, *(k for k in new.order if k not in known)], list(new.order))
    elif new is None:
        yield PatchEdit("delete", path)
    elif old is None:
        yield PatchEdit("insert" if node.kind == "list" and node.user_ordered else "create", path, new)
    else:
        yield PatchEdit("replace", path, new)


def _leaf_list(path: InstancePath, old: tuple[Value, ...], new: tuple[Value, ...]) -> Iterator[PatchEdit]:
    node = path[-1][0]
    above = path[:-1]
    for value in old:
        if value not in new:
            yield PatchEdit("delete", (*above, (node, value)))
    come = [value for value in new if value not in old]
    for value in come:
        yield PatchEdit("insert" if node.user_ordered else "create", (*above, (node, value)), value)
    if node.user_ordered:
        yield from _moves(path, [*(value for value in old if value in new), *come], list(new))


def _moves(path: InstancePath, order: list[Key], wanted: list[Key]) -> Iterator[PatchEdit]:
    """The moves that bring `order` into the `wanted` one, each entry after the one that precedes it there.

    The most entries that are in their order already stay where they are.
    """
    node = path[-1][0]
    position = {key: i for i, key in enumerate(order)}
    staying = set(_longest_rise([position[key] for key in wanted]))
    for i, key in enumerate(wanted):
        if position[key] not in staying:
            previous = None if i == 0 else wanted[i - 1]
            yield PatchEdit("move", (*path[:-1], (node, key)), None, "after" if i else "first", previous)


def _longest_rise(numbers: list[int]) -> Iterator[int]:
    """The numbers of a longest increasing subsequence of distinct `numbers`, last one first."""
    ends: list[int] = []  # the smallest last number of a rise of each length
    before: dict[int, int | None] = {}
    for number in numbers:
        i = bisect_left(ends, number)
        before[number] = ends[i - 1] if i else None
        ends[i : i + 1] = [number]
    last = ends[-1] if ends else None
    while last is not None:
        yield last
        last = before[last]


def patch(node: Node, patch_id: str, wanted: Iterable[PatchEdit]) -> Value:
    """The value of container `node`, ietf-yang-patch's yang-patch."""
    listed = node.child("edit")
    assert listed is not None
    pairs = [(f"edit-{i}", _entry(listed, f"edit-{i}", edit)) for i, edit in enumerate(wanted, 1)]
    members = {"patch-id": patch_id, "edit": entries.from_values(pairs, ordered=True)}
    return tuple(members.get(child.name) for child in node.children)


def _entry(node: Node, name: str, edit: PatchEdit) -> Value:
    members: dict[str, Value] = {
        "edit-id": name,
        "operation": edit.operation,
        "target": resource_path(edit.path),
    }
    if edit.where:
        members["where"] = edit.where
    if edit.where == "after":
        members["point"] = resource_path((*edit.path[:-1], (edit.path[-1][0], edit.after)))
    if edit.operation not in ("delete", "move"):
        members["value"] = instance(edit.path[-1], edit.value)
    return tuple(members.get(child.name) for child in node.children)
