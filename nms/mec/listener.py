"""Hearing of changes of configuration without a say in them: what follows from them is somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nms.datastore.transaction import Transaction
from nms.model.diff import Change


class Listener:
    """A provider that hears of changes and refuses none, as where other agreements mean that other zones are offered.

    Args:
        changed: called in the committing thread.
        paths: of whose changes.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        paths: tuple[str, ...] = ("/mec-federation:federation/partner/agreement",),
    ) -> None:
        self.paths = paths
        self._changed = changed

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Whether they are allowed is the business of others."""

    def abort(self, tx: Transaction) -> None:
        """Nothing was done."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """They have happened."""
        self._changed()
