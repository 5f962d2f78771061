"""The datastores of RFC 8342 as pointers to immutable roots, and the state that is published beside configuration.

`running` is durable: what a commit confirmed is what the next start begins with.  `startup` therefore is no boot
configuration here and the :startup capability is not offered: it is a durable place to copy a configuration to and from
(RFC 6241 sections 7.3, 7.4).  `candidate` is shared (section 8.3) and None while it equals running.

Readers take a pointer and never wait; whoever changes a pointer holds `writer`.  How a change of `running` is made is
in `nms.datastore.commit`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from nms.datastore import changes as changeset
from nms.datastore import rebase as bases
from nms.datastore.confirm import Pending
from nms.datastore.journal import Image, Journal, Part, Record
from nms.datastore.lock import Locks
from nms.datastore.revision import Revision, Revisions
from nms.datastore.transaction import Accepted, Transaction
from nms.datastore.validation import Known, validate
from nms.errors import ConfigError, RpcError, RpcErrors
from nms.model import edit as edits_of
from nms.model import select, tree
from nms.model.diff import Change, diff
from nms.model.edit import Edit
from nms.model.path import format_path
from nms.model.schema import Node, Schema
from nms.model.values import Value

if TYPE_CHECKING:
    from nms.datastore.provider import Provider

#: Gives the current value of one container or leaf; called at each read that touches it, by any thread.
Source = Callable[[], Value | None]


@dataclass(slots=True)
class Store:
    """All datastores of one server.  Made by `open_store`.

    Attributes:
        writer: held by whoever changes anything; re-entrant, so that `apply` may publish state.
        candidate_changes: how many were made to candidate since it left running.
        life: names this run of the store in entity-tags: what was not durable has no tag that could come again.
        kept: the durable part of published state, without configuration.
        pending: the confirmed commit that waits for its confirmation.
        providers: asked and told of changes, in this order, each with the schema paths it watches.
        listeners: called with each transaction after the providers, under `writer`; `running` may be ahead of it.
        watchers: called with the changes of each publication of state, under `writer`.
        stumbles: called when a provider's `apply` raised: raise an alarm, reconcile.
        revisions: of each datastore's resources; operational's lie over running's.
        known: what is kept to validate changes of running; its `fallbacks` say which constraints are slow.
        accepted: transactions of running that are to become durable, and visible, together.
        grouping: a group is open: those that can share it do.
        committing: whoever is told of a change is being told, and must not make another one.
    """

    schema: Schema
    journal: Journal
    clock: Callable[[], datetime]
    life: str
    txid: int
    running: Value
    startup: Value
    operational: Value
    kept: Value
    revisions: dict[str, Revisions]
    candidate: Value | None = None
    candidate_changes: int = 0
    pending: Pending | None = None
    locks: Locks = field(default_factory=Locks)
    writer: threading.RLock = field(default_factory=threading.RLock)
    providers: list[tuple[Provider, tuple[str, ...]]] = field(default_factory=list)
    listeners: list[Callable[[Transaction], None]] = field(default_factory=list)
    watchers: list[Callable[[Sequence[Change]], None]] = field(default_factory=list)
    stumbles: list[Callable[[Provider, Transaction, Exception], None]] = field(default_factory=list)
    sources: list[tuple[tuple[Node, ...], Source]] = field(default_factory=list)
    committing: bool = False
    known: Known = field(default_factory=Known)
    accepted: list[Accepted] = field(default_factory=list)
    grouping: bool = False

    @property
    def head(self) -> Value:
        """The root that the next change of running starts from: `running` unless something waits to be durable."""
        return self.accepted[-1].tx.new if self.accepted else self.running

    def add_provider(self, provider: Provider) -> None:
        """Ask and tell `provider` of changes from now on; what is there already it reads from `running`.

        Raises:
            KeyError: one of its paths is not in the schema.
        """
        paths = tuple(self.schema.find(path).path for path in provider.paths)
        with self.writer:
            self.providers.append((provider, paths))

    def add_source(self, path: str, source: Source) -> None:
        """Let `source` compute the state at the schema path `path` (containers above a container or leaf) at each read.

        Raises:
            KeyError: the path is not in the schema.
            ValueError: it leads through a list.
        """
        route = tree.route(self.schema.find(path))
        if any(node.kind not in ("container", "leaf", "leaf-list") for node in route):
            raise ValueError(f"{path} leads through a list: publish such state instead")
        with self.writer:
            self.sources = [*self.sources, (route, source)]

    def publish(self, edits: Sequence[Edit], durable: bool = True) -> list[Change]:
        """Change state in `operational`: all of `edits` at once.  Gives the changes made.

        Args:
            durable: the state outlives the process.

        Raises:
            RpcError: data-missing or data-exists from the edits; invalid-value if they touch configuration.
        """
        with self.writer:
            after = edits_of.apply(self.schema.root, self.operational, edits)
            made = diff(self.schema.root, self.operational, after)
            for change in made:
                if tree.get(self.running, change.path) is not None:
                    where = format_path(change.path)
                    raise RpcError("invalid-value", "only running changes what is configured", path=where)
            if not made:
                return made
            now = self.clock()
            if durable:
                kept = changeset.apply(self.schema.root, self.kept, made)
                self.write([Record(self.txid + 1, now, {"state": made})], {"kept": kept})
                self.kept = kept
            else:
                self.txid += 1
            self.operational = after
            self.revisions["operational"].touch(made, Revision(self.txid, now))
            for watcher in self.watchers:
                watcher(made)
            return made

    def write(self, records: Sequence[Record], after: dict[str, Value]) -> None:
        """Journal the next transactions; `after` are the attributes as they will be."""
        last = records[-1]

        def image() -> Image:
            pending = after.get("pending", self.pending)
            running = after.get("running", self.running)
            undo = diff(self.schema.root, running, pending.saved) if pending is not None else []
            startup, kept = after.get("startup", self.startup), after.get("kept", self.kept)
            return Image(last.txid, last.time, running, startup, kept, undo)

        self.journal.append(records, image)
        self.txid = last.txid

    def root(self, datastore: str) -> Value:
        """The present root of a datastore; "intended" is running: nothing is templated or inactive (RFC 8342)."""
        if datastore == "candidate":
            candidate = self.candidate
            return self.running if candidate is None else candidate
        return {
            "running": self.running,
            "intended": self.running,
            "startup": self.startup,
            "operational": self.operational,
        }[datastore]

    def with_sources(self, root: Value, wanted: Callable[[Sequence[Node]], bool]) -> Value:
        """`root` of operational with the computed state in it whose route `wanted` accepts."""
        for route, source in self.sources:
            if wanted(route) and (value := source()) is not None:
                root = tree.put(self.schema.root, root, tuple((node, None) for node in route), value)
        return root

    def revision(self, datastore: str) -> Revisions:
        """The revisions of a datastore; candidate's are running's while they are equal."""
        if datastore == "intended" or (datastore == "candidate" and self.candidate is None):
            return self.revisions["running"]
        return self.revisions[datastore]

    def set_candidate(self, root: Value, changes: Sequence[Change]) -> None:
        """Point `candidate` to `root`, to which `changes` lead from where it is; with running's it follows running."""
        if root is self.running:
            self.candidate = None
            return
        self.candidate_changes = len(changes) + (self.candidate_changes if self.candidate is not None else 0)
        self.candidate = root
        # Not durable, hence no record; the txid moves on so that no entity-tag comes twice.
        self.txid += 1
        self.revisions["candidate"].touch(changes, Revision(self.txid, self.clock()))

    def set_startup(self, root: Value, changes: Sequence[Change]) -> None:
        """Make `root`, to which `changes` lead, the durable startup."""
        now = self.clock()
        self.write([Record(self.txid + 1, now, {"startup": changes})], {"startup": root})
        self.startup = root
        self.revisions["startup"].touch(changes, Revision(self.txid, now))

    def close(self) -> None:
        """Release the journal."""
        with self.writer:
            self.journal.close()


def open_store(schema: Schema, journal: Journal, clock: Callable[[], datetime], initial: Value | None = None) -> Store:
    """The store as the journal knows it; `initial` is the configuration that a new one starts from.

    State in `initial` is left out.

    A confirmed commit that was pending is undone: the process restarted before it was confirmed (RFC 6241, section
    8.4.1).

    Raises:
        ConfigError: the journal cannot be used, or what it holds is not valid under the present YANG modules.
        RpcError, RpcErrors: `initial` is not valid.
    """
    now = clock()
    blank = schema.root.blank
    image = journal.load(schema) or Image(0, now, blank, blank, blank, ())
    parts: dict[Part, Sequence[Change]] = {}
    running = image.running
    if image.undo:
        running = changeset.apply(schema.root, running, image.undo)
        parts = {"running": image.undo, "undo": ()}
    elif image.txid == 0 and initial is not None:
        running = select.content(schema.root, initial, "config")
        validate(schema, running)
        parts = {"running": diff(schema.root, blank, running)}
    if image.models_changed:
        try:
            validate(schema, running)
        except (RpcError, RpcErrors) as error:
            first = error.errors[0] if isinstance(error, RpcErrors) else error
            raise ConfigError(f"the stored configuration breaks the present YANG modules: {first}") from None
    begun = Revision(image.txid + 1, now)
    revisions = {name: Revisions(begun) for name in ("running", "candidate", "startup")}
    revisions["operational"] = Revisions(begun, under=revisions["running"])
    store = Store(
        schema=schema,
        journal=journal,
        clock=clock,
        life=secrets.token_hex(4),
        txid=image.txid,
        running=running,
        startup=image.startup,
        operational=bases.overlay(schema.root, image.state, running),
        kept=image.state,
        revisions=revisions,
    )
    # Also without changes: the start has a txid of its own, so that entity-tags move on with it.
    store.write([Record(begun.txid, now, parts)], {})
    return store
