"""The difference of two trees, found in time that follows the change: what both share is not entered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from nms.model import entries
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.values import Key, Value, alike

#: Entries of one list that come and go together from which on their place in the difference is noted.
_LONG: Final = 64


class Change(NamedTuple):
    """One changed instance.

    Attributes:
        path: a leaf, leaf-list or anydata whose value changed, or the topmost list entry or presence container that
            was created or deleted.  A path that ends in a list without a key says that the order of a user-ordered
            list or anything in a keyless one changed; `old` and `new` are all its entries then.
        old, new: value before and after; None for created and deleted.
    """

    path: InstancePath
    old: Value | None
    new: Value | None

    @property
    def node(self) -> Node:
        """The schema node of the instance."""
        return self.path[-1][0]


class Changes(list[Change]):
    """A difference, and the places in it of `runs` that are long: looking at each change again would take its time."""

    def __init__(self) -> None:
        super().__init__()
        self.long: list[slice] = []


def diff(root: Node, old: Value | None, new: Value | None) -> Changes:
    """Changes that lead from `old` to `new`, both instances of `root`, in schema order."""
    found = Changes()
    _children(root, old, new, (), found)
    return found


def _children(node: Node, old: Value | None, new: Value | None, path: InstancePath, found: Changes) -> None:
    if old is new:
        return
    before = old if old is not None else node.blank
    after = new if new is not None else node.blank
    for child, was, now in zip(node.children, before, after, strict=True):
        if was is now:
            continue
        if child.kind == "list":
            _list(child, was, now, path, found)
        elif child.kind == "container" and (not child.presence or (was is not None and now is not None)):
            _children(child, was, now, (*path, (child, None)), found)
        elif not alike(was, now):
            found.append(Change((*path, (child, None)), was, now))


def _list(node: Node, old: Value | None, new: Value | None, path: InstancePath, found: Changes) -> None:
    none = entries.NONE_ORDERED if node.user_ordered else entries.NONE
    before, after = old if old is not None else none, new if new is not None else none
    gone, come = entries.differences(before, after)
    if not node.keys:
        if gone or come:
            found.append(Change((*path, (node, None)), old, new))
        return
    if isinstance(after, entries.Ordered) and len(come) > 1:
        come = {key: come[key] for key in after.order if key in come}  # new ones are put at the end one by one
    begin = len(found)
    found += [Change((*path, (node, key)), entry, None) for key, entry in gone.items() if key not in come]
    if len(found) - begin == len(gone):
        found += [Change((*path, (node, key)), None, entry) for key, entry in come.items()]
        if len(found) - begin >= _LONG:
            found.long.append(slice(begin, len(found)))
    else:
        for key, entry in come.items():
            was = gone.get(key)
            if was is None:
                found.append(Change((*path, (node, key)), None, entry))
            else:
                _children(node, was, entry, (*path, (node, key)), found)
    if isinstance(before, entries.Ordered) and isinstance(after, entries.Ordered) and _moved(before, after):
        found.append(Change((*path, (node, None)), before, after))


def by_parent(changes: Iterable[Change]) -> Iterator[tuple[InstancePath, Iterator[Change]]]:
    """`changes` in their order, those that stand together below one parent instance behind its path.

    Most edits change leafs of one entry: what has to be found on the way to it is found once.  As in
    `itertools.groupby`, a group is there until the next one is asked for.
    """
    return groupby(changes, _parent)


def _parent(change: Change) -> InstancePath:
    return change.path[:-1]


def runs(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """`changes` in their order, where those that create or delete entries of one list one after another stand together.

    No key comes twice in a run, so its order only matters among new entries of a user-ordered list.
    """
    if not isinstance(changes, Changes):
        yield from _runs(changes)
        return
    done = 0
    for place in changes.long:
        yield from _runs(changes[done : place.start])
        yield changes[place]
        done = place.stop
    yield from _runs(changes[done:])


def _runs(changes: Iterable[Change]) -> Iterator[list[Change]]:
    run: list[Change] = []
    keys: set[Key] = set()
    for change in changes:
        if run and _continues(run[0], change) and change.path[-1][1] not in keys:
            run.append(change)
        else:
            if run:
                yield run
            run = [change]
            keys.clear()
        keys.add(change.path[-1][1])
    if run:
        yield run


def _continues(first: Change, change: Change) -> bool:
    node, key = change.path[-1]
    return (
        node.kind == "list"
        and key is not None
        and first.path[-1][0] is node
        and first.path[-1][1] is not None
        and first.path[:-1] == change.path[:-1]
    )


def _moved(before: entries.Ordered, after: entries.Ordered) -> bool:
    """Is the new order other than the old one with entries taken out and new ones put at the end?"""
    if before.order is after.order:
        return False
    kept = [key for key in before.order if entries.get(after, key) is not None]
    return list(after.order[: len(kept)]) != kept
