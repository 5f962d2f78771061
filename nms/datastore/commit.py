"""The one path by which `running` changes, whoever asks (DESIGN: commit order).

validate -> prepare every concerned provider (abort in reverse on failure) -> journal, on stable storage -> swap the
pointers -> apply -> listeners (notifications).  After the journal there is no way back: a failed `apply` is reported
and reconciled, never rolled back.  The caller has asked NACM and the locks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nms.datastore import rebase as bases
from nms.datastore.confirm import Pending
from nms.datastore.journal import Part
from nms.datastore.revision import Revision
from nms.datastore.store import Store
from nms.datastore.transaction import Author, Transaction
from nms.errors import RpcError
from nms.model.diff import Change, diff
from nms.model.values import Value

if TYPE_CHECKING:
    from nms.datastore.provider import Provider

_log = logging.getLogger(__name__)


def commit(
    store: Store, new: Value, author: Author, *, pending: Pending | None, restore: bool = False
) -> Transaction | None:
    """Make `new` the root of `running`; None if that changes nothing.  Holds `store.writer` throughout.

    Args:
        pending: the confirmed commit that is pending afterwards (`store.pending` leaves it as it is).
        restore: go back to a configuration that was confirmed once: it is valid, and providers cannot refuse it.

    Raises:
        RpcError, RpcErrors: refused; nothing has changed.
    """
    with store.writer:
        if store.committing:
            raise RpcError("operation-failed", "a provider changes configuration inside prepare or apply")
        changes = diff(store.schema.root, store.running, new)
        if changes and not restore:
            store.known.validate(store.schema, store.running, new, changes)
        tx = Transaction(store.txid + 1, store.clock(), store.running, new, changes, author)
        store.committing = True
        try:
            told = _concerned(store, changes)
            _prepare(told, tx, restore)
            try:
                _journal(store, tx, pending)
            except BaseException:
                _abort([provider for provider, _ in told], tx)
                raise
            _swap(store, tx, pending)
            if not changes:
                return None
            _apply(store, told, tx)
        finally:
            store.committing = False
        for listener in store.listeners:
            try:
                listener(tx)
            except Exception:  # noqa: BLE001 - confirmed and durable: whoever listens cannot make it a failure
                _log.exception("transaction %d: a listener failed", tx.txid)
        return tx


Told = Sequence[tuple["Provider", Sequence[Change]]]


def _concerned(store: Store, changes: Sequence[Change]) -> Told:
    """Providers with the changes at, above or below their paths."""
    nodes = {change.path[-1][0] for change in changes}
    told: list[tuple[Provider, Sequence[Change]]] = []
    for provider, watched in store.providers:
        own = {node for node in nodes if any(_related(node.path, mine) for mine in watched)}
        if own:
            told.append((provider, [change for change in changes if change.path[-1][0] in own]))
    return told


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _prepare(told: Told, tx: Transaction, restore: bool) -> None:
    done: list[Provider] = []
    for provider, changes in told:
        try:
            provider.prepare(changes, tx)
        except BaseException as error:
            if restore and isinstance(error, RpcError):
                _log.error("transaction %d restores a configuration that %r refuses: %s", tx.txid, provider, error)
                continue
            _abort(done, tx)
            raise
        done.append(provider)


def _abort(done: Sequence[Provider], tx: Transaction) -> None:
    for provider in reversed(done):
        try:
            provider.abort(tx)
        except Exception:  # noqa: BLE001 - the others must be aborted too, whatever one of them does
            _log.exception("transaction %d: %r failed to abort", tx.txid, provider)


def _journal(store: Store, tx: Transaction, pending: Pending | None) -> None:
    parts: dict[Part, Sequence[Change]] = {}
    if tx.changes:
        parts["running"] = tx.changes
    if pending is not None or store.pending is not None:
        parts["undo"] = diff(store.schema.root, tx.new, pending.saved) if pending is not None else ()
    if parts:
        kept = bases.forget(store.schema.root, store.kept, tx.changes)
        store.write(parts, tx.time, {"running": tx.new, "pending": pending, "kept": kept})


def _swap(store: Store, tx: Transaction, pending: Pending | None) -> None:
    store.pending = pending
    if not tx.changes:
        return
    root = store.schema.root
    store.kept = bases.forget(root, store.kept, tx.changes)
    store.operational = bases.rebase(root, store.operational, tx.old, tx.new)
    store.known.follow(tx.old, tx.new, tx.changes)
    store.running = tx.new
    if store.candidate is tx.new:
        store.candidate = None
    revision = Revision(tx.txid, tx.time)
    store.revisions["running"].touch(tx.changes, revision)
    store.revisions["operational"].touch(tx.changes, revision)
    if store.candidate is None:
        store.revisions["candidate"].reset(revision)


def _apply(store: Store, told: Told, tx: Transaction) -> None:
    for provider, changes in told:
        try:
            provider.apply(changes, tx)
        except Exception as error:  # noqa: BLE001 - confirmed and durable: all that is left is to report and reconcile
            _log.exception("transaction %d: %r failed to apply", tx.txid, provider)
            for stumble in store.stumbles:
                stumble(provider, tx, error)
