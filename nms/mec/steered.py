"""What a platform has in force in a partner's data plane (Mp2; options 1 and 2), and should have.

It must not know how a partner is asked, nor how a rule comes about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nms.drivers import api
from nms.errors import RpcError
from nms.mec.entry import RULE, Entry
from nms.mec.mep import PLATFORMS
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference
from nms.mec.session import Members
from nms.mec.steering import RemotePlane


@dataclass(frozen=True, slots=True)
class Steered:
    """A `Claimant` (`nms.mec.drift`): the rules of a platform's applications under one agreement.

    Attributes:
        platform: identifier.
        plane_of: gives the data plane that carries an application's traffic.
    """

    key: tuple[str, str]
    publisher: Publisher
    partners: Partners
    platform: str
    plane_of: Callable[[str], api.DataPlane]

    def claims(self, entry: Entry) -> bool:
        """See `Claimant`."""
        return entry[0] == RULE

    def intended(self) -> dict[Entry, bool]:
        """See `Claimant`."""
        found: dict[Entry, bool] = {}
        for application in self._applications():
            plane = self.plane_of(application["id"])
            if not isinstance(plane, RemotePlane) or plane.key != self.key:
                continue
            serving = application.get("desired-state", "started") == "started"
            for rule in application.get("traffic-rule", ()):
                if serving and rule.get("desired-state", "active") == "active":
                    known = plain(rule.get("state", {}).get("state", "")) == "active"
                    found[RULE, f"{application['id']}/{rule['id']}"] = known and _settled(application)
        return found

    def quiet(self) -> bool:
        """See `Claimant`."""
        return all(map(_settled, self._applications()))

    def notice(self, found: Sequence[Entry]) -> None:
        """See `Claimant`: nothing is known of a rule but what was agreed."""

    async def repair(self, missing: Sequence[Entry]) -> None:
        """See `Claimant`: they are put in force again."""
        agreed = self.partners.agreed(*self.key)
        if unknown := [subject for kind, subject in missing if (kind, subject) not in agreed]:
            raise RpcError("operation-failed", f"what was asked for as {unknown[0]} is not known any more")
        await self.partners.restore(*self.key, missing)

    async def adopt(self, found: Difference, shown: Mapping[Entry, Members]) -> str:
        """See `Claimant`."""
        return "the rules of the data plane are those of the applications, and who asks for these has to decide"

    def _applications(self) -> Sequence[Members]:
        return self.publisher.entries(f"{PLATFORMS}[id='{self.platform}']/application")


def _settled(application: Members) -> bool:
    """Whether the platform is done with it."""
    state = application.get("state", {})
    return state.get("ready") is True or "error" in state or plain(state.get("operational-state", "")) == "stopped"
