"""What a change makes worth checking: a tree of marks in the shape of the instances, no larger than the change.

A mark stands for an instance; below it are slots, one per child schema node that something is to be checked of.  It
says what to check and not how: `nms.model.constraint_change` evaluates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from nms.model import entries
from nms.model.diff import Change, by_parent
from nms.model.path import InstancePath, Step
from nms.model.schema import Node
from nms.model.values import Key, Value

#: In a slot's rules: the when, the number of elements, and what is wanted of an absent node.
SHALLOW: Final = object()


class Mark:
    """What to check at one instance: everything, or some rules of its own and what the slots say."""

    __slots__ = ("rules", "slots", "whole")

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole
        self.rules: set[object] = set()
        self.slots: dict[Node, Slot] = {}

    def slot(self, node: Node) -> Slot:
        """The slot of a child schema node."""
        found = self.slots.get(node)
        if found is None:
            found = self.slots[node] = Slot()
        return found


class Slot:
    """What to check of one schema node's instances below one parent instance.

    Attributes:
        marks: by key of a list; None stands for the one instance, or for all values of a leaf-list.
    """

    __slots__ = ("marks", "rules", "whole")

    def __init__(self) -> None:
        self.whole = False
        self.rules: set[object] = set()
        self.marks: dict[Key | None, Mark] = {}

    def mark(self, key: Key | None = None) -> Mark:
        """The mark of one instance."""
        found = self.marks.get(key)
        if found is None:
            found = self.marks[key] = Mark()
        return found


class _Place(NamedTuple):
    """An instance: its mark, what it was and what it is."""

    mark: Mark
    old: Value
    new: Value


def mark_changes(top: Mark, changes: Iterable[Change], old: Value, new: Value) -> None:
    """Mark what was created or changed, and the numbers and presence of what is on the way there.

    Args:
        old, new: the roots before and after.
    """
    for above, some in by_parent(changes):
        parent = _on_the_way(_Place(top, old, new), above)
        if parent is not None:
            for change in some:
                _enter(parent, change.path[-1], changed=True)


def _on_the_way(place: _Place, path: InstancePath) -> _Place | None:
    """The place at `path` below one, marked as `_enter` does."""
    here: _Place | None = place
    for step in path:
        if here is None:
            return None
        here = _enter(here, step)
    return here


def _enter(parent: _Place, step: Step, *, changed: bool = False) -> _Place | None:
    """Mark the instance at `step`; None: all of it is marked, or it is not there any more."""
    node, key = step
    mark, old, new = parent
    slot = mark.slot(node)
    if slot.whole:
        return None
    old, new = old[node.index], new[node.index]
    if old is None:
        slot.whole = True
        return None
    if node.kind == "list":
        slot.rules.add(SHALLOW)
        if new is None or key is None:
            slot.whole = slot.whole or not node.keys
            return None
        old, new = entries.get(old, key), entries.get(new, key)
    elif changed:
        slot.whole = True
        return None
    elif new is None:
        slot.rules.add(SHALLOW)
    if new is None:
        return None
    mark = slot.mark(key if node.kind == "list" else None)
    if old is None or changed:
        mark.whole = True
    return None if mark.whole else _Place(mark, old, new)


def mark_all(mark: Mark, value: Value, route: Sequence[Node], slot: Node | None, rule: object) -> None:
    """Mark all instances for `rule` that `route` leads to from an instance, or their slot of child node `slot`.

    Containers without presence and leafs with a default count as instances: whether they are in use is seen later.
    """
    if not route:
        (mark if slot is None else mark.slot(slot)).rules.add(rule)
        return
    node, rest = route[0], route[1:]
    below = mark.slot(node)
    if below.whole:
        return
    held = value[node.index]
    if held is None:
        if node.default is not None or (node.kind == "container" and not node.presence):
            mark_all(below.mark(), node.blank, rest, slot, rule)
    elif node.kind != "list":
        mark_all(below.mark(), held, rest, slot, rule)
    else:
        for key, entry in entries.items(held):
            one = below.mark(key)
            if not one.whole:
                mark_all(one, entry, rest, slot, rule)


def mark_below(
    mark: Mark, value: Value, path: InstancePath, route: Sequence[Node], slot: Node | None, rule: object
) -> None:
    """`mark_all` for the instances that `route` leads to from the one at `path`."""
    for node, key in path:
        below = mark.slot(node)
        if below.whole:
            return
        value = value[node.index]
        if value is not None and node.kind == "list" and key is not None:
            value = entries.get(value, key)
        if value is None:
            if node.kind != "container" or node.presence:
                return
            value = node.blank
        mark = below.mark(key if node.kind == "list" else None)
        if mark.whole:
            return
    mark_all(mark, value, route, slot, rule)
