"""YANG-Push (RFC 8641): the updates of one subscription to a datastore, periodic and on-change.

An on-change subscription is told of each change of its datastore, under the writer lock; what it costs follows the size
of the change (see `nms.notify.selection`).  While an update is not due yet (dampening, a synchronisation under way) it
keeps a pointer to the root as it was: what is pushed then is the difference of two roots, so changes that undo each
other are none.  Old and new root are pruned by the same rules before the filter looks: a hidden change is no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nms.errors import RpcError
from nms.model.content import children
from nms.model.diff import Change, diff
from nms.model.schema import Node
from nms.model.values import EMPTY, Value
from nms.notify import yang_patch
from nms.notify.refusal import PUSH
from nms.notify.schedule import dampened_until, next_update
from nms.notify.selection import Selection, narrowed
from nms.notify.streams import Notification
from nms.notify.subscription import RESOURCES, Subscription
from nms.notify.terms import build
from nms.operations.context import Context
from nms.operations.request import Principal

#: Datastores that change by commits and publications, and so can be pushed on change.
ON_CHANGE: Final = frozenset(("running", "intended", "operational"))


class Push:
    """What feeds one subscription to a datastore.

    Attributes:
        due: when `tick` has something to push.
    """

    def __init__(
        self, context: Context, principal: Principal, subscription: Subscription, selection: Selection, now: datetime
    ) -> None:
        datastore = subscription.terms.datastore
        assert datastore is not None
        self.datastore = datastore
        self.subscription = subscription
        self.due: datetime | None = None
        self._context = context
        self._schema = context.schema
        self._principal = principal
        self._base: Value | None = None  # the root that the receiver knows, while changes wait
        self._last: datetime | None = None
        self._syncing = False
        self._incomplete = False  # changes were lost
        self._patches = 0
        self.modified(selection, now)

    def modified(self, selection: Selection, now: datetime) -> None:
        """The terms of the subscription are others now; under the writer lock."""
        self.selection = selection
        terms = self.subscription.terms
        if terms.period is not None:
            self.due = next_update(terms.anchor or now, terms.period, now)

    def selected(self, root: Value) -> Value:
        """What the receiver may see of its selection in `root`, as <get-data> would give it.

        Raises:
            RpcError: resource-denied; the filter takes too much.
        """
        store = self._context.guard.store
        if self.datastore == "operational":
            ends = self.selection.ends
            tops = None if ends is None else {(*one.ancestors(),)[-1] for one in ends}
            root = store.with_sources(root, lambda route: tops is None or route[0] in tops)
        view = self._context.guard.view(self._principal)
        return self.selection.of(view.prune(self._schema.root, root))

    # ------------------------------------------------------------ push-update

    def begin(self) -> Value:
        """Hold changes back until `sync` has pushed what they change; gives the root as it is now."""
        store = self._context.guard.store
        with store.writer:
            self._syncing = True
            self._base = store.root(self.datastore)
            return self._base

    def sync(self, content: Value | None, now: datetime) -> None:
        """Push `content`, all of the selection (None: nothing), then what has changed since `begin`."""
        self._update(content, now)
        with self._context.guard.store.writer:
            self._syncing = False
            self._flush(now)

    def resync(self, now: datetime) -> None:
        """Push all of the selection."""
        self.sync(self._affordable(self.begin(), now), now)

    def _affordable(self, root: Value, now: datetime) -> Value | None:
        try:
            return self.selected(root)
        except RpcError:
            self.subscription.suspend(RESOURCES, now)
            return None

    def _update(self, content: Value | None, now: datetime) -> None:
        if content is not None:
            members: dict[str, Any] = {"datastore-contents": children(self._schema.root, content)}
            if self._send("push-update", members, now):
                self._last, self._incomplete = now, False

    def _send(self, name: str, members: dict[str, Any], now: datetime) -> bool:
        node = self._node(name)
        if not self.subscription.permits(node):
            return False
        value = build(node, {"id": self.subscription.id} | members)
        return self.subscription.event(Notification(node, (), value, now))

    def _node(self, name: str) -> Node:
        return self._schema.notifications[PUSH, name]

    # ------------------------------------------------------------ push-change-update

    def changed(self, old: Value, new: Value, changes: Mapping[Node, Sequence[Change]], now: datetime) -> None:
        """The datastore went from `old` to `new` by `changes`, here by schema node; under the writer lock."""
        wanted = self.selection
        concerned = [c for node in changes if wanted.concerns(node) for c in changes[node] if not wanted.passes_by(c)]
        if not concerned:
            return
        if self.subscription.reason:
            self._incomplete = True
        elif self._base is not None:
            pass  # what waits is the difference to the base, whatever it is in the end
        elif (until := dampened_until(self._last, self.subscription.terms.dampening, now)) is not None:
            self._base, self.due = old, until
        else:
            self._push(old, new, concerned, now)

    def _flush(self, now: datetime) -> None:
        base, self._base = self._base, None
        if not self.subscription.terms.on_change:
            return
        self.due = None
        current = self._context.guard.store.root(self.datastore)
        if base is None or base is current:
            return
        changes = by_node(diff(self._schema.root, base, current))
        self.changed(base, current, changes, now)

    def _push(self, old: Value, new: Value, changes: Sequence[Change], now: datetime) -> None:
        view, root_node = self._context.guard.view(self._principal), self._schema.root
        if self.selection.local:
            old = narrowed(self._schema, old, self.selection, changes)
            new = narrowed(self._schema, new, self.selection, changes)
        try:
            before, after = (self.selection.of(view.prune(root_node, root)) for root in (old, new))
        except RpcError:
            self._incomplete = True
            self.subscription.suspend(RESOURCES, now)
            return
        edits = yang_patch.edits(diff(root_node, before, after), self.subscription.terms.excluded)
        if edits:
            self._patch(edits, now)

    def _patch(self, edits: Sequence[yang_patch.PatchEdit], now: datetime) -> None:
        node = self._node("push-change-update")
        container = node.child("datastore-changes")
        assert container is not None
        self._patches += 1
        patch = yang_patch.patch(container.children[0], str(self._patches), edits)
        members: dict[str, Any] = {"datastore-changes": (patch,)}
        if self._incomplete:
            members["incomplete-update"] = EMPTY
        if self._send("push-change-update", members, now):
            self._last, self._incomplete = now, False
        else:
            self._incomplete = True

    # ------------------------------------------------------------ time

    def resumed(self, now: datetime) -> None:
        """The subscription goes on: bring the receiver up to date, or tell it that it is not."""
        terms = self.subscription.terms
        if terms.on_change and terms.sync_on_start:
            self.resync(now)
        elif terms.on_change and self._incomplete:
            self._patch((), now)

    def tick(self, now: datetime) -> None:
        """Push what is due."""
        if self.due is None or now < self.due:
            return
        if self.subscription.terms.on_change:
            with self._context.guard.store.writer:
                if not self._syncing:
                    self._flush(now)
        else:
            if not self.subscription.reason:
                root = self._context.guard.store.root(self.datastore)
                self._update(self._affordable(root, now), now)
            period = self.subscription.terms.period
            assert period is not None
            self.due = next_update(self.due, period, now)


def by_node(changes: Iterable[Change]) -> dict[Node, list[Change]]:
    """`changes` by the schema node of the changed instance."""
    found: dict[Node, list[Change]] = {}
    for change in changes:
        found.setdefault(change.node, []).append(change)
    return found
