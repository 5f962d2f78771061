"""When each resource last changed, for entity-tags and Last-Modified of RFC 8040 section 3.4.1.

A trie along instance paths remembers the transactions that touched something; its size follows what changed since the
start, never what is stored, and is bounded per list: beyond that a list counts as written as a whole.  A resource
nothing touched is as old as its nearest ancestor that was written as a whole.  After a restart everything is as new as
the restart: a client fetches once more, it never misses a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from nms.model.diff import Change, by_parent
from nms.model.path import InstancePath
from nms.model.values import Key

#: A child by its place in its parent's schema node, and the key of a list's entry.
_Step: TypeAlias = tuple[int, Key]

#: Entries of one list that have marks of their own.
_MOST: Final = 4096


class Revision(NamedTuple):
    """The transaction that last changed a resource."""

    txid: int
    time: datetime


@dataclass(slots=True)
class _Mark:
    """`latest`: last change at or below; `whole`: when the instance itself was last written as a whole."""

    latest: Revision
    whole: Revision | None = None
    below: dict[_Step, _Mark] = field(default_factory=dict)

    def touched(self, step: _Step, revision: Revision) -> _Mark:
        """The mark one step below, where or below which `revision` changed something."""
        found = self.below.get(step)
        if found is None:
            if len(self.below) >= _MOST:
                self.whole, self.below = revision, {}
            found = self.below[step] = _Mark(revision)
        else:
            found.latest = revision
        return found

    def write(self, steps: Sequence[_Step], revision: Revision, *, gone: bool) -> None:
        """`revision` wrote the instance below."""
        above = mark = self
        for step in steps:
            above, mark = mark, mark.touched(step, revision)
        mark.whole, mark.below = revision, {}
        if gone:
            # What is gone needs no mark: lists whose entries come and go would fill the memory.
            del above.below[steps[-1]]


class Revisions:
    """The revisions of one datastore's resources.  Written under the writer lock, read without.

    Args:
        under: those of the datastore that this one lies over: what changes there changes here.
    """

    def __init__(self, start: Revision, under: Revisions | None = None) -> None:
        self._root = _Mark(start, start)
        self._under = under

    def touch(self, changes: Iterable[Change], revision: Revision) -> None:
        """Remember that `revision` made `changes`."""
        for above, group in by_parent(changes):
            some = list(group)
            if len(some) > _MOST:  # their lists count as written as a whole
                some = [Change((*above, (node, None)), (), ()) for node in {change.node for change in some}]
            self._root.latest = revision
            parent = self._root
            for step in _steps(above):
                parent = parent.touched(step, revision)
            for change in some:
                parent.write(_steps(change.path[-1:]), revision, gone=change.new is None)

    def reset(self, revision: Revision) -> None:
        """The whole datastore was replaced."""
        self._root = _Mark(revision, revision)

    def of(self, path: InstancePath) -> Revision:
        """The revision of the resource at `path`; () is the datastore."""
        own = self._own(path)
        if self._under is None:
            return own
        return max(own, self._under.of(path), key=lambda revision: revision.txid)

    def _own(self, path: InstancePath) -> Revision:
        mark = self._root
        whole = mark.latest
        if mark.whole is not None:
            whole = mark.whole
        for step in _steps(path):
            below = mark.below.get(step)
            if below is None:
                return whole
            mark = below
            whole = mark.whole or whole
        return mark.latest


def _steps(path: InstancePath) -> list[_Step]:
    """A whole list is the parent of its entries: (list, None) stands above (list, key)."""
    steps: list[_Step] = []
    for node, key in path:
        steps.append((node.index, None))
        if key is not None:
            steps.append((node.index, key))
    return steps
