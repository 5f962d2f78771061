"""What the blocks of a domain need of the federation: zones of partners, and the reference points that end there.

The federation implements it; a domain without partners has `NoPartners`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from nms.errors import RpcError
from nms.mec.entry import Entry
from nms.mec.reference_points import ReferencePoint
from nms.mec.session import Members

P = TypeVar("P", bound=ReferencePoint)


class Partners(Protocol):
    """Called in the event loop."""

    def zones(self) -> Sequence[Members]:
        """Zones that may be deployed to, as entries of mec-system:system/zone with partner, agreement and remote-zone.

        Those of a partner that does not answer stay in the list, with state ``mec-types:down``.  The orchestrator's
        `refresh` is called when the list has changed.
        """

    def option(self, partner: str, agreement: str) -> int:
        """Number of the agreement's boundary option; 0: there is no such agreement."""

    def point(self, kind: type[P], partner: str, agreement: str) -> P:
        """A reference point that ends at a partner, the same object each time.

        Raises:
            RpcError: data-missing; there is no such agreement, or the point does not cross its boundary.
        """

    def resale(self, partner: str, agreement: str) -> bool:
        """Whether what a partner offers under an agreement may be offered to third domains."""

    def agreements(self) -> Sequence[tuple[str, str]]:
        """(partner, agreement) of all under which something is asked of the partner."""

    def peers(self) -> Mapping[tuple[str, str], bool]:
        """(partner, agreement) of all whose platform and ours are joined over Mp3; whether it can be used now.

        Not while the partner does not answer, nor while the agreement is suspended.  The domain's `refresh` is called
        when they have changed.
        """

    def held(self, partner: str, agreement: str) -> Collection[tuple[str, str]]:
        """(list below the agreement, identifier there) of what we have at a partner, as was read last."""

    async def shown(self, partner: str, agreement: str) -> Mapping[Entry, Members]:
        """The same with its configuration there, asked for now.

        Raises:
            RpcError: data-missing; there is no such agreement, here or there.  Or the partner does not answer.
        """

    def steered(self) -> Sequence[tuple[str, str]]:
        """(partner, agreement) of all under which our platform steers the partner's data plane (Mp2)."""

    def agreed(self, partner: str, agreement: str) -> Mapping[Entry, Members]:
        """What the partner took of us last, entry by entry, with its content then."""

    async def restore(self, partner: str, agreement: str, entries: Sequence[Entry]) -> None:
        """Have `entries` be at the partner what it took last, in one transaction.

        Raises:
            RpcError: data-missing (there is no such agreement), or the partner's.
        """

    def accept(self, partner: str, agreement: str, entry: Entry, content: Members) -> None:
        """What the partner shows of an entry is agreed from now on."""

    def source(self, partner: str, agreement: str, digest: str) -> str:
        """URI where that partner can pull a package of ours.  Raises `RpcError`."""

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """List what exists at a partner and could not be withdrawn; the federation tries on.

        Args:
            name: of the list that it is in there, below the agreement: ``mec-system:system/deployment``.
            subject: its identifier there.
        """

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """It is wanted again: no orphan any more."""


class NoPartners:
    """Nobody."""

    def zones(self) -> Sequence[Members]:
        """None."""
        return ()

    def option(self, partner: str, agreement: str) -> int:
        """There is none."""
        return 0

    def point(self, kind: type[P], partner: str, agreement: str) -> P:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def resale(self, partner: str, agreement: str) -> bool:
        """There is nothing to resell."""
        return False

    def agreements(self) -> Sequence[tuple[str, str]]:
        """None."""
        return ()

    def peers(self) -> Mapping[tuple[str, str], bool]:
        """None."""
        return {}

    def held(self, partner: str, agreement: str) -> Collection[tuple[str, str]]:
        """Nothing."""
        return ()

    async def shown(self, partner: str, agreement: str) -> Mapping[Entry, Members]:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def steered(self) -> Sequence[tuple[str, str]]:
        """None."""
        return ()

    def agreed(self, partner: str, agreement: str) -> Mapping[Entry, Members]:
        """Nothing."""
        return {}

    async def restore(self, partner: str, agreement: str, entries: Sequence[Entry]) -> None:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def accept(self, partner: str, agreement: str, entry: Entry, content: Members) -> None:
        """Nobody shows anything."""

    def source(self, partner: str, agreement: str, digest: str) -> str:
        """There is none."""
        raise RpcError("data-missing", f"there is no partner {partner}")

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """Nothing can be left at nobody."""

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """Nothing was left at nobody."""
