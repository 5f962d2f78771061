"""What an orchestrator needs of the federation: zones of partners, and the reference point to their orchestrators.

The federation implements it; a domain without partners has `NoPartners`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nms.errors import RpcError
from nms.mec.reference_points import Mx3
from nms.mec.session import Members


class Partners(Protocol):
    """Called in the event loop."""

    def zones(self) -> Sequence[Members]:
        """Zones that may be deployed to, as entries of mec-system:system/zone with partner, agreement and remote-zone.

        Those of a partner that does not answer stay in the list, with state ``mec-types:down``.  The orchestrator's
        `refresh` is called when the list has changed.
        """

    def mx3(self, partner: str, agreement: str) -> Mx3:
        """The reference point, the same object each time.  Raises `RpcError`: data-missing (no such agreement)."""

    def source(self, partner: str, agreement: str, digest: str) -> str:
        """URI where that partner can pull a package of ours.  Raises `RpcError`."""

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """List what exists at a partner and could not be withdrawn; the federation tries on.

        Args:
            name: of the list that it is in there: package, deployment.
            subject: its identifier there.
        """

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """It is wanted again: no orphan any more."""


class NoPartners:
    """Nobody."""

    def zones(self) -> Sequence[Members]:
        """None."""
        return ()

    def mx3(self, partner: str, agreement: str) -> Mx3:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def source(self, partner: str, agreement: str, digest: str) -> str:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """Nothing can be left at nobody."""

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """Nothing was left at nobody."""
