"""Providers: whoever must agree to a change of configuration before it is made, and act on it afterwards.

The order of a commit is in `nms.datastore.commit`.  A provider never writes configuration from here; what follows
from a change re-enters through dispatch as a system principal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nms.datastore.transaction import Transaction
from nms.model.diff import Change


class Provider(Protocol):
    """Told of the changes at, above or below the schema nodes of `paths`.

    `prepare` and `apply` run under the writer lock: both are quick; slow work is started by `apply` and reports by
    `Store.publish`, which may be called from `apply` and from any thread.
    """

    paths: tuple[str, ...]

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Reserve and check; raise `RpcError` to refuse the whole transaction."""

    def abort(self, tx: Transaction) -> None:
        """Undo `prepare`: another provider refused or the journal could not be written."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """The change is confirmed and durable: act on it.  There is no way back."""
