"""The one path by which `running` changes, whoever asks (DESIGN: commit order).

validate -> prepare every concerned provider (abort in reverse on failure) -> journal, on stable storage -> swap the
pointers -> apply -> listeners (notifications).  After the journal there is no way back: a failed `apply` is reported
and reconciled, never rolled back.  The caller has asked NACM and the locks.

It has two halves: a transaction is *accepted* (validated and prepared, seen by nobody but the next writer), then
*settled* (all the rest).  In a group several are accepted before they are settled by one write to the journal, all or
none of them.  Only those that concern nobody else share a group: one that a provider watches, or that begins, confirms
or undoes a confirmed commit, first settles the group that is open and then is settled alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from nms.datastore import rebase as bases
from nms.datastore.confirm import Pending
from nms.datastore.journal import Part, Record
from nms.datastore.revision import Revision
from nms.datastore.store import Store
from nms.datastore.transaction import Accepted, Author, Then, Told, Transaction
from nms.errors import RpcError
from nms.model.diff import Change, diff
from nms.model.schema import Node
from nms.model.values import Value

if TYPE_CHECKING:
    from nms.datastore.provider import Provider

_log = logging.getLogger(__name__)

_NOT_FROM_INSIDE: Final = "configuration cannot be changed from inside prepare or apply, nor by a listener"


def commit(
    store: Store,
    new: Value,
    changes: Sequence[Change],
    author: Author,
    *,
    pending: Pending | None,
    restore: bool = False,
    then: Then | None = None,
) -> None:
    """Make `new` the root of `running`; outside a group that is done when this returns.

    Args:
        changes: the difference of `store.head` and `new`.
        pending: the confirmed commit that is pending afterwards (`store.pending` leaves it as it is).
        restore: go back to a configuration that was confirmed once: it is valid, and providers cannot refuse it.
        then: called when it is in force, or when the journal has failed.

    Raises:
        RpcError, RpcErrors: refused; nothing has changed.
    """
    with store.writer:
        if store.committing:
            raise RpcError("operation-failed", _NOT_FROM_INSIDE)
        told = _concerned(store, changes)
        alone = not store.grouping or bool(told) or pending is not None or store.pending is not None
        if alone:
            settle(store)
        if changes and not restore:
            store.known.validate(store.schema, store.head, new, changes)
        txid = store.txid + len(store.accepted) + 1
        tx = Transaction(txid, store.clock(), store.head, new, changes, author)
        _prepare(store, told, tx, restore)
        store.accepted.append(Accepted(tx, pending, told, store.known.indexes, [then] if then is not None else []))
        store.known.follow(tx.old, new, changes)
        if alone:
            settle(store)


def when_settled(store: Store, then: Then) -> None:
    """Call `then` when what has been accepted so far is in force: at once if nothing waits.  Under the writer lock."""
    if store.accepted:
        store.accepted[-1].then.append(then)
    else:
        then(None)


@contextmanager
def group(store: Store) -> Iterator[None]:
    """Let the transactions that are committed inside share one write to the journal, at the end.  Holds `writer`.

    Raises:
        RpcError: the journal failed; `then` of each of them was called with that.
    """
    with store.writer:
        store.grouping = True
        try:
            yield
        finally:
            store.grouping = False
            settle(store)


def settle(store: Store) -> None:
    """Bring into force what has been accepted.

    Raises:
        RpcError: the journal failed; store, indexes and candidate are as they were, and the providers have aborted.
    """
    accepted = store.accepted
    if not accepted:
        return
    kept = store.kept
    for one in accepted:
        kept = bases.forget(store.schema.root, kept, one.tx.changes)
    try:
        _journal(store, accepted, kept)
    except BaseException as error:
        _refuse(store, accepted, error)
        raise
    store.accepted = []
    store.committing = True
    try:
        _swap(store, accepted, kept)
        for one in accepted:
            _publish(store, one)
    finally:
        store.committing = False


def _concerned(store: Store, changes: Sequence[Change]) -> Told:
    """Providers with the changes at, above or below their paths."""
    nodes = {change.path[-1][0] for change in changes}
    told: list[tuple[Provider, Sequence[Change]]] = []
    for provider, watched in store.providers:
        own = {node for node in nodes if _watches(watched, node)}
        if own:
            told.append((provider, [change for change in changes if change.path[-1][0] in own]))
    return told


@cache
def _watches(watched: tuple[str, ...], node: Node) -> bool:
    return any(_related(node.path, mine) for mine in watched)


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _prepare(store: Store, told: Told, tx: Transaction, restore: bool) -> None:
    store.committing = True
    done: list[Provider] = []
    try:
        for provider, changes in told:
            try:
                provider.prepare(changes, tx)
            except RpcError as error:
                if not restore:
                    raise
                _log.error("transaction %d restores a configuration that %r refuses: %s", tx.txid, provider, error)
                continue
            done.append(provider)
    except BaseException:
        _abort(done, tx)
        raise
    finally:
        store.committing = False


def _abort(done: Sequence[Provider], tx: Transaction) -> None:
    for provider in reversed(done):
        try:
            provider.abort(tx)
        except Exception:  # noqa: BLE001 - the others must be aborted too, whatever one of them does
            _log.exception("transaction %d: %r failed to abort", tx.txid, provider)


def _journal(store: Store, accepted: Sequence[Accepted], kept: Value) -> None:
    root = store.schema.root
    records: list[Record] = []
    for one in accepted:
        parts: dict[Part, Sequence[Change]] = {}
        if one.tx.changes:
            parts["running"] = one.tx.changes
        if one.pending is not None or store.pending is not None:
            parts["undo"] = diff(root, one.tx.new, one.pending.saved) if one.pending is not None else ()
        if parts:
            records.append(Record(one.tx.txid, one.tx.time, parts))
    if records:
        store.write(records, {"running": store.head, "pending": accepted[-1].pending, "kept": kept})


def _refuse(store: Store, accepted: Sequence[Accepted], error: BaseException) -> None:
    store.accepted = []
    store.known.indexes = accepted[0].indexes
    for one in reversed(accepted):
        _abort([provider for provider, _ in one.told], one.tx)
    for one in accepted:
        for then in one.then:
            then(error)


def _swap(store: Store, accepted: Sequence[Accepted], kept: Value) -> None:
    operational = store.operational
    for one in accepted:
        operational = bases.rebase(store.schema.root, operational, one.tx.old, one.tx.new)
    last = accepted[-1]
    store.pending, store.kept, store.operational = last.pending, kept, operational
    store.running = last.tx.new
    if store.candidate is last.tx.new:
        store.candidate = None


def _publish(store: Store, one: Accepted) -> None:
    """Tell the world of one transaction, which is in force."""
    tx = one.tx
    if tx.changes:
        revision = Revision(tx.txid, tx.time)
        store.revisions["running"].touch(tx.changes, revision)
        if store.candidate is None:
            store.revisions["candidate"].reset(revision)
        _apply(store, one)
        for listener in store.listeners:
            try:
                listener(tx)
            except Exception:  # noqa: BLE001 - confirmed and durable: whoever listens cannot make it a failure
                _log.exception("transaction %d: a listener failed", tx.txid)
    for then in one.then:
        then(None)


def _apply(store: Store, one: Accepted) -> None:
    for provider, changes in one.told:
        try:
            provider.apply(changes, one.tx)
        except Exception as error:  # noqa: BLE001 - confirmed and durable: all that is left is to report and reconcile
            _log.exception("transaction %d: %r failed to apply", one.tx.txid, provider)
            for stumble in store.stumbles:
                stumble(provider, one.tx, error)
