"""All that a domain compares itself with (`nms.mec.reconcile`): drivers; partners, by what its blocks have there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nms.drivers import api
from nms.mec.below import AbsentSide, HeldSide, VimSide
from nms.mec.deployed import Deployed
from nms.mec.drift import Claimant, PartnerSide
from nms.mec.meo import Meo
from nms.mec.partners import Partners
from nms.mec.planes import Planes
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Side
from nms.mec.reference_points import Mm1
from nms.mec.steered import Steered
from nms.mec.vim import Vim


@dataclass(frozen=True, slots=True)
class Sides:
    """Finds those that there are now.

    Attributes:
        own: the orchestrator, and access to its deployments; None: there is none.
        steering: the platform's identifier, and where its traffic goes; None: there is none.
        managers: gives the infrastructure managers of this domain: identifier, block, driver.
        absent: gives those that should be at work and are not.
        held: drivers of names and of traffic.
    """

    publisher: Publisher
    partners: Partners
    own: tuple[Meo, Mm1] | None
    steering: tuple[str, Planes] | None
    managers: Callable[[], Iterable[tuple[str, Vim, api.Vim]]]
    absent: Callable[[], Iterable[AbsentSide]]
    held: Sequence[HeldSide]

    def all(self) -> list[Side]:
        """Drivers first."""
        vims = [
            VimSide(block.scope, name, self.publisher, driver, block.lifecycle)
            for name, block, driver in self.managers()
        ]
        return [*vims, *self.absent(), *self.held, *map(self._partner, dict.fromkeys(self._agreements()))]

    def _agreements(self) -> Iterator[tuple[str, str]]:
        """Those under which something is asked of a partner."""
        if self.own is not None:
            yield from self.partners.agreements()
        if self.steering is not None:
            yield from self.partners.steered()

    def _partner(self, key: tuple[str, str]) -> PartnerSide:
        claimants: list[Claimant] = []
        if self.own is not None and key in self.partners.agreements():
            meo, mm1 = self.own
            look, heal, edit = meo.observation.look, meo.heal, mm1.session.edit
            parts = meo.carriers, meo.lifecycle, meo.parts_of
            claimants.append(Deployed(key, self.publisher, self.partners, *parts, look, heal, edit))
        if self.steering is not None and key in self.partners.steered():
            platform, planes = self.steering
            claimants.append(Steered(key, self.publisher, self.partners, platform, planes.of))
        return PartnerSide(key, self.publisher, self.partners, claimants)
