"""What changes in the datastores, brought to the subscriptions that are pushed each change (RFC 8641).

A commit changes its datastore and operational at once, published state changes operational only; what a provider
publishes during a commit is told with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from nms.access.guard import Transaction
from nms.model.diff import Change
from nms.model.schema import Node
from nms.model.values import Value
from nms.operations.context import Context
from nms.operations.push import Push, by_node

#: (push, root before, root after, changes by schema node, when)
Tell: TypeAlias = Callable[[Push, Value, Value, Mapping[Node, Sequence[Change]], datetime], None]


class ChangeFeed:
    """A listener and a watcher of the store.

    Args:
        pushes: those who are pushed each change.
        tell: tells one of them.
    """

    def __init__(self, context: Context, pushes: Callable[[], Sequence[Push]], tell: Tell) -> None:
        self._clock = context.clock
        self._store = context.guard.store
        self._pushes = pushes
        self._tell = tell
        self._operational = self._store.operational
        self._published: list[Change] = []  # during the commit under way

    def committed(self, tx: Transaction) -> None:
        """A transaction of running is in force; under the writer lock."""
        published, self._published = self._published, []
        before, self._operational = self._operational, self._store.operational
        pushes = self._pushes()
        if not pushes:
            return
        configured, everything = by_node(tx.changes), by_node([*tx.changes, *published])
        for push in pushes:
            if push.datastore == "operational":
                self._tell(push, before, self._operational, everything, tx.time)
            else:
                self._tell(push, tx.old, tx.new, configured, tx.time)

    def published(self, changes: Sequence[Change]) -> None:
        """State was published; under the writer lock."""
        if self._store.committing:  # by a provider
            self._published += changes
            return
        before, self._operational = self._operational, self._store.operational
        pushes = [push for push in self._pushes() if push.datastore == "operational"]
        if pushes:
            now, changed = self._clock(), by_node(changes)
            for push in pushes:
                self._tell(push, before, self._operational, changed, now)
