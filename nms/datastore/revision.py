"""When each resource last changed, for entity-tags and Last-Modified of RFC 8040 section 3.4.1.

A trie along instance paths remembers the transactions that touched something; its size follows what changed since the
start, never what is stored, and is bounded per list: beyond that a list counts as written as a whole.  A resource
nothing touched is as old as its nearest ancestor that was written as a whole.  After a restart everything is as new as
the restart: a client fetches once more, it never misses a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nms.model.diff import Change, runs
from nms.model.path import InstancePath
from nms.model.values import Key

#: Entries of one list that have marks of their own.
_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Revision:
    """The transaction that last changed a resource."""

    txid: int
    time: datetime


@dataclass(slots=True)
class _Mark:
    """`latest`: last change at or below; `whole`: when the instance itself was last written as a whole."""

    latest: Revision
    whole: Revision | None = None
    below: dict[tuple[int, Key], _Mark] = field(default_factory=dict)


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
        for run in runs(changes):
            if len(run) > _MOST:
                self._list_written(run[0].path, revision)
            else:
                for change in run:
                    self._touch(change, revision)

    def _touch(self, change: Change, revision: Revision) -> None:
        above = mark = self._root
        mark.latest = revision
        for step in _steps(change.path):
            above = mark
            found = mark.below.get(step)
            if found is None:
                if len(mark.below) >= _MOST:
                    mark.whole, mark.below = revision, {}
                found = mark.below[step] = _Mark(revision)
            else:
                found.latest = revision
            mark = found
        mark.whole = revision
        mark.below = {}
        if change.new is None:
            # What is gone needs no mark: lists whose entries come and go would fill the memory.
            del above.below[step]

    def _list_written(self, path: InstancePath, revision: Revision) -> None:
        """So many entries of the list of the entry at `path` came or went that it counts as written as a whole."""
        node, _ = path[-1]
        self._touch(Change((*path[:-1], (node, None)), (), ()), revision)

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


def _steps(path: InstancePath) -> list[tuple[int, Key]]:
    """A whole list is the parent of its entries: (list, None) stands above (list, key)."""
    steps: list[tuple[int, Key]] = []
    for node, key in path:
        steps.append((node.index, None))
        if key is not None:
            steps.append((node.index, key))
    return steps
