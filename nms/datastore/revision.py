"""When each resource last changed, for entity-tags and Last-Modified of RFC 8040 section 3.4.1.

A trie along instance paths remembers the transactions that touched something; its size follows what changed since the
start, never what is stored.  A resource nothing touched is as old as its nearest ancestor that was written as a whole.
After a restart everything is as new as the restart: a client fetches once more, it never misses a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nms.model.diff import Change
from nms.model.path import InstancePath
from nms.model.values import Key


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
    """The revisions of one datastore's resources.  Written under the writer lock, read without."""

    def __init__(self, start: Revision) -> None:
        self._root = _Mark(start, start)

    def touch(self, changes: Iterable[Change], revision: Revision) -> None:
        """Remember that `revision` made `changes`."""
        for change in changes:
            above = mark = self._root
            mark.latest = revision
            for node, key in change.path:
                # A whole list is the parent of its entries: (list, None) stands above (list, key).
                for step in ((node.index, None), (node.index, key)) if key is not None else ((node.index, None),):
                    above, mark = mark, mark.below.setdefault(step, _Mark(revision))
                    mark.latest = revision
            mark.whole = revision
            mark.below = {}
            if change.new is None:
                # What is gone needs no mark: lists whose entries come and go would fill the memory.
                del above.below[step]

    def reset(self, revision: Revision) -> None:
        """The whole datastore was replaced."""
        self._root = _Mark(revision, revision)

    def of(self, path: InstancePath) -> Revision:
        """The revision of the resource at `path`; () is the datastore."""
        mark = self._root
        whole = mark.latest
        if mark.whole is not None:
            whole = mark.whole
        for node, key in path:
            for step in ((node.index, None), (node.index, key)) if key is not None else ((node.index, None),):
                below = mark.below.get(step)
                if below is None:
                    return whole
                mark = below
                whole = mark.whole or whole
        return mark.latest
