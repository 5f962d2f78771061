"""The only door to data: every read is filtered and every change checked here (RFC 8341), whoever the front end is.

It joins who asks (`nacm`), what is locked (`datastore.lock`) and the one commit path (`datastore.commit`).  Operations
know the datastores by this module alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Protocol

from nms.access.nacm import MODULE, Policy, Principal, View, access_denied, compile_policy
from nms.datastore import confirm
from nms.datastore import lock as locks
from nms.datastore.commit import commit, group, when_settled
from nms.datastore.journal import Journal
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.store import Store, open_store
from nms.datastore.transaction import Author, Transaction
from nms.errors import RpcError
from nms.model import tree
from nms.model.diff import Change, diff
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Node
from nms.model.state import refuse_state
from nms.model.values import Value

__all__ = ["Author", "Guard", "Journal", "MemoryJournal", "Store", "Transaction", "open_store"]

#: Told of a change: the roots before and after, and why it could not be made durable.
Changed = Callable[[Value, Value, BaseException | None], None]
#: Is computed state at this route (schema nodes from the top) needed?
Wanted = Callable[[Sequence[Node]], bool]


class Session(Protocol):
    """Who asks: `nms.operations.request.Session` is one."""

    @property
    def id(self) -> int: ...
    @property
    def principal(self) -> Principal: ...
    @property
    def source_host(self) -> str: ...


class Guard:
    """Access to one store for sessions."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.schema = store.schema
        self.denied_operations = 0
        self.denied_data_writes = 0
        self.denied_notifications = 0
        self._views: dict[Principal, View] = {}
        self._policy = compile_policy(self.schema, store.running)
        self._prepared = self._policy
        self.paths: tuple[str, ...] = ()
        if self.schema.root.child("nacm", MODULE) is not None:
            self.paths = (f"/{MODULE}:nacm",)
            store.add_provider(self)
            for name in ("denied-operations", "denied-data-writes", "denied-notifications"):
                store.add_source(f"/{MODULE}:nacm/{name}", partial(getattr, self, name.replace("-", "_")))

    # ------------------------------------------------------------ the guard as provider of /nacm

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Refuse rules that mean nothing."""
        self._prepared = compile_policy(self.schema, tx.new)

    def abort(self, tx: Transaction) -> None:
        """Forget the refused rules."""
        self._prepared = self._policy

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """From now on the new rules bind."""
        self._policy, self._views = self._prepared, {}

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        return self._policy

    def view(self, principal: Principal) -> View:
        """What binds `principal` now."""
        views = self._views
        view = views.get(principal)
        if view is None:
            view = views[principal] = self._policy.view(principal)
        return view

    # ------------------------------------------------------------ operations, actions, notifications

    def check_execute(self, principal: Principal, rpc: Node | None, path: InstancePath = ()) -> None:
        """May `principal` invoke the rpc or action?  None: an operation without a schema node is permitted.

        Raises:
            RpcError: access-denied.
        """
        if rpc is not None and not self.view(principal).may_execute(rpc, path):
            self.denied_operations += 1
            raise access_denied(f"the operation {rpc.module}:{rpc.name}", path)

    def may_receive(self, principal: Principal, notification: Node, path: InstancePath = ()) -> bool:
        """May `principal` be sent the notification?"""
        permitted = self.view(principal).may_receive(notification, path)
        if not permitted:
            self.denied_notifications += 1
        return permitted

    # ------------------------------------------------------------ reading

    def sees_all(self, principal: Principal) -> bool:
        """May `principal` read whatever there is?"""
        return self.view(principal).sees_all(self.schema.root)

    def may_read(self, principal: Principal, path: InstancePath) -> bool:
        """May `principal` know whether there is an instance at `path`?"""
        return self.view(principal).may_read(path)

    def sees(self, principal: Principal, datastore: str, path: InstancePath) -> bool:
        """Is there an instance at `path` that `principal` may know of: itself, or for what may be read inside it?"""
        root = self.store.root(datastore)
        value = tree.get(root, path)
        if value is None or self.may_read(principal, path):
            return value is not None
        alone = tree.put(self.schema.root, self.schema.root.blank, path, value)
        return alone is not None and tree.get(self.view(principal).prune(self.schema.root, alone), path) is not None

    def read(
        self,
        principal: Principal,
        datastore: str,
        wanted: Wanted | None = None,
        shape: Callable[[Value], Value] = lambda root: root,
    ) -> Value:
        """The root of a datastore as `principal` may see it, computed state in operational included.

        Args:
            wanted: which routes of computed state are needed; None for all.
            shape: changes the root before it is pruned.
        """
        root = self.store.root(datastore)
        if datastore == "operational":
            root = self.store.with_sources(root, wanted or (lambda route: True))
        return self.view(principal).prune(self.schema.root, shape(root))

    def computes(self, route: Sequence[Node]) -> bool:
        """Is state at, above or below `route` (schema nodes from the top) computed at each read?"""
        sources = [source for source, _ in self.store.sources]
        return any(all(a is b for a, b in zip(source, route, strict=False)) for source in sources)

    def version(self, datastore: str, path: InstancePath = ()) -> tuple[str, datetime]:
        """Entity-tag (without quotes) and time of last change of a resource.

        Take it before reading: a change in between then makes the tag too old, never too new.
        """
        revision = self.store.revision(datastore).of(path)
        return f"{self.store.life}-{revision.txid:x}", revision.time

    # ------------------------------------------------------------ changing

    def change(
        self,
        session: Session,
        target: str,
        make: Callable[[Value], Value],
        source: str,
        *,
        check: Callable[[], None] | None = None,
        test: bool = False,
        validated: bool = True,
        judged: bool = True,
        then: Changed = lambda before, after, error: None,
    ) -> None:
        """Change `target` to what `make` gives for its present root, all or nothing.

        Args:
            source: the operation, for the record.
            check: the precondition, tested under the writer lock.
            test: only see whether it would be accepted.
            validated: whether a change of candidate or startup must be valid as well; running always is.
            judged: whether NACM must permit each changed node.
            then: called under the writer lock with the roots before and after, and what the journal said if it failed;
                at the latest when this returns or, in a `group`, when that ends.

        Raises:
            RpcError, RpcErrors: access-denied, in-use, what `make` and `check` raise, violations.
        """
        store = self.store
        if target not in ("running", "candidate", "startup"):
            raise RpcError("invalid-value", f"{target} cannot be written", type="protocol")
        with store.writer:
            store.locks.check(target, session.id)
            before = store.head if target == "running" else store.root(target)
            if check is not None:
                check()
            try:
                after = make(before)
            except RpcError as error:
                raise self.discreet(session.principal, error) from None
            changes = diff(self.schema.root, before, after)
            refuse_state(changes)
            if judged:
                self._check_write(session.principal, changes)
            if not changes:
                when_settled(store, partial(then, before, before))
                return
            if test or (target != "running" and validated):
                self.validate(after)
            told = partial(then, before, after)
            if target == "running" and not test:
                commit(store, after, changes, _author(session, source), pending=store.pending, then=told)
                return
            if not test:
                set_root = store.set_candidate if target == "candidate" else store.set_startup
                set_root(after, changes)
            told(None)

    def group(self) -> AbstractContextManager[None]:
        """Let the changes of running inside become durable together: one is seen by the next, by others at the end.

        `change` without `check` and `test` is all that may be done inside; what another method does is never grouped.

        Raises:
            RpcError: the journal failed; `then` of all of them was told.
        """
        return group(self.store)

    def _check_write(self, principal: Principal, changes: Sequence[Change]) -> None:
        denied = self.view(principal).denied_write(changes)
        if denied is not None:
            raise self._denied_write(principal, denied)

    def _denied_write(self, principal: Principal, path: InstancePath) -> RpcError:
        """The refusal; its path ends above the first entry that the principal cannot read, whose keys are data."""
        self.denied_data_writes += 1
        hidden = (
            i for i, (_, key) in enumerate(path) if key is not None and not self.may_read(principal, path[: i + 1])
        )
        return access_denied("the data", path[: next(hidden, len(path))])

    def discreet(self, principal: Principal, error: RpcError) -> RpcError:
        """`error` of an edit, or access-denied where it would tell whether a hidden instance exists."""
        if error.tag in ("data-exists", "data-missing") and error.path and not self.view(principal).free:
            path = parse_path(self.schema, error.path)
            if not self.may_read(principal, path):
                return self._denied_write(principal, path)
        return error

    def validate(self, root: Value) -> None:
        """Check the constraints of a configuration, by what it changes of running.

        Raises:
            RpcError, RpcErrors: the violations.
        """
        store = self.store
        with store.writer:
            # `known` belongs to the head, which in a group is ahead of running.
            changes = diff(self.schema.root, store.head, root)
            store.known.validate(self.schema, store.head, root, changes)

    # ------------------------------------------------------------ commit, RFC 6241 sections 8.3 and 8.4

    def commit(
        self, session: Session, *, confirmed: bool, timeout: int, persist: str | None, persist_id: str | None
    ) -> None:
        """Make candidate the running configuration; `timeout` in seconds.

        Raises:
            RpcError, RpcErrors: in-use, access-denied, invalid-value, violations, a provider's refusal.
        """
        store = self.store
        with store.writer:
            for target in ("running", "candidate"):
                store.locks.check(target, session.id)
            confirm.check_owner(store.pending, session.id, persist_id)
            new = store.root("candidate")
            changes = diff(self.schema.root, store.running, new)
            self._check_write(session.principal, changes)
            pending = None
            if confirmed:
                pending = confirm.begin(store.pending, store.running, session.id, store.clock(), timeout, persist)
            commit(store, new, changes, _author(session, "commit"), pending=pending)
            store.candidate = None

    def cancel_commit(self, session: Session, persist_id: str | None) -> None:
        """Undo the pending confirmed commit (section 8.4.4.1).

        Raises:
            RpcError: invalid-value; none is pending, or `persist_id` is not its own.  in-use; it is another session's.
        """
        with self.store.writer:
            if self.store.pending is None:
                raise RpcError("invalid-value", "no confirmed commit is pending", type="protocol")
            confirm.check_owner(self.store.pending, session.id, persist_id)
            self._roll_back(_author(session, "cancel-commit"))

    def _roll_back(self, author: Author) -> None:
        pending = self.store.pending
        assert pending is not None
        changes = diff(self.schema.root, self.store.running, pending.saved)
        commit(self.store, pending.saved, changes, author, pending=None, restore=True)

    def tick(self, now: datetime) -> bool:
        """Undo a confirmed commit whose time is over; True if there was one."""
        with self.store.writer:
            pending = self.store.pending
            if pending is None or not pending.is_over(now):
                return False
            self._roll_back(Author("", "rollback"))
            return True

    def deadline(self) -> datetime | None:
        """When `tick` has something to do next."""
        pending = self.store.pending
        return pending.deadline if pending is not None else None

    @property
    def candidate_changes(self) -> int:
        """How many changes candidate holds, those counted that undo one another."""
        return self.store.candidate_changes if self.store.candidate is not None else 0

    def discard(self, session: Session) -> None:
        """Make candidate equal running again (section 8.3.4.2)."""
        with self.store.writer:
            self.store.locks.check("candidate", session.id)
            self.store.candidate = None

    # ------------------------------------------------------------ locks, RFC 6241 section 7.5

    def lock(self, session: Session, target: str) -> None:
        """Lock a datastore.

        Raises:
            RpcError: lock-denied; it is locked, a modified candidate, or another's confirmed commit is pending.
        """
        store = self.store
        with store.writer:
            held = store.locks.held.get(target)
            if held is None and target == "candidate" and store.candidate is not None:
                raise locks.denied("candidate has changes that are neither committed nor discarded", 0)
            pending = store.pending
            if held is None and target == "running" and pending is not None and pending.session_id != session.id:
                raise locks.denied("another session's confirmed commit is pending", pending.session_id)
            store.locks.grant(target, session.id, store.clock())

    def unlock(self, session: Session, target: str) -> None:
        """Unlock a datastore; what was changed in candidate under its lock is discarded.

        Raises:
            RpcError: operation-failed; the session does not hold the lock.
        """
        with self.store.writer:
            self.store.locks.release(target, session.id)
            if target == "candidate":
                self.store.candidate = None

    def end(self, session: Session) -> bool:
        """Release what an ended session holds; True if its pending confirmed commit was rolled back (section 8.4.1)."""
        store = self.store
        with store.writer:
            for target in store.locks.of(session.id):
                self.unlock(session, target)
            pending = store.pending
            if pending is None or pending.persist is not None or pending.session_id != session.id:
                return False
            self._roll_back(Author("", "rollback"))
            return True

    def held_locks(self) -> dict[str, locks.Lock]:
        """Present locks by datastore, for monitoring."""
        return dict(self.store.locks.held)

    def exists(self, datastore: str, path: InstancePath) -> bool:
        """Is there an instance at `path`?"""
        return tree.get(self.store.root(datastore), path) is not None


def _author(session: Session, source: str) -> Author:
    return Author(session.principal.name, source, session.id, session.source_host)
