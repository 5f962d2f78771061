"""Where a platform manager can have an application run: which infrastructure, served by which platform.

The boundary can be cut between the manager and either of them (options 1 to 3): a zone of this domain is its own
infrastructure and platform, a zone that an agreement brought is the partner's infrastructure, platform, or both.  The
manager sees reference points and cannot tell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nms.errors import RpcError
from nms.mec.partners import Partners
from nms.mec.reference_points import Mm5, Mm6


@dataclass(frozen=True, slots=True)
class Place:
    """Infrastructure and platform for a zone.

    Attributes:
        vim, platform: their names; a partner's is the partner's.
        zone: as the infrastructure calls it; "": any.
        source: gives the URI where the infrastructure can pull an image of ours; None: it has the image.
        steered: (partner, agreement) of the data plane that the platform steers, where that is a partner's.
    """

    vim: str
    mm6: Mm6
    platform: str
    mm5: Mm5
    zone: str = ""
    source: Callable[[str], str] | None = None
    steered: tuple[str, str] | None = None


class Places:
    """All of them.

    Args:
        vim, platform: one's own, with their reference points; None where the domain runs none.
    """

    def __init__(self, vim: tuple[str, Mm6] | None, platform: tuple[str, Mm5] | None, partners: Partners) -> None:
        self._vim = vim
        self._platform = platform
        self._partners = partners

    def of(self, zone: str) -> Place:
        """The place of a zone as this domain calls it; "" is any of one's own.

        Raises:
            RpcError: invalid-value; there is no such place, or no longer.
        """
        found = next((each for each in self._partners.zones() if each["id"] == zone), None)
        if found is None:
            return self._joined(self._vim, self._platform, zone)
        return self._at(found["partner"], found["agreement"], found["remote-zone"])

    def all(self) -> Sequence[Place]:
        """One's own and one for each agreement that brings some, whatever their zones are called."""
        found = [self._joined(self._vim, self._platform, "")] if self._vim and self._platform else []
        for partner, agreement in self._partners.agreements():
            with contextlib.suppress(RpcError):  # the manager is the partner's, or it has just ended
                found.append(self._at(partner, agreement, ""))
        return found

    def _at(self, partner: str, agreement: str, zone: str) -> Place:
        """A place that the boundary runs through, by the agreement's option."""
        option = self._partners.option(partner, agreement)
        point = self._partners.point
        vim, platform = self._vim, self._platform
        if option in (1, 3):
            vim = partner, point(Mm6, partner, agreement)
        if option in (2, 3):
            platform = partner, point(Mm5, partner, agreement)
        if option not in (1, 2, 3):
            raise RpcError("invalid-value", f"{partner} manages zone {zone} itself")
        place = self._joined(vim, platform, zone)
        if option == 3:
            return replace(place, source=lambda digest: self._partners.source(partner, agreement, digest))
        return replace(place, steered=(partner, agreement)) if option == 1 else place

    @staticmethod
    def _joined(vim: tuple[str, Mm6] | None, platform: tuple[str, Mm5] | None, zone: str) -> Place:
        if vim is None or platform is None:
            lacking = "infrastructure" if vim is None else "platform"
            raise RpcError("invalid-value", f"this domain has no {lacking} for zone {zone or 'any'}")
        return Place(*vim, *platform, zone)
