"""The partners as this domain's orchestrator sees them: abstract zones to choose from, and an Mx3 to deploy over.

A partner's zones appear in our own system as candidates, under names of our own, only while the agreement is active and
the partner answers: what cannot be reached is never shown as ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nms.errors import RpcError
from nms.federation.link import Link
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mx3, plain
from nms.mec.scope import agreement_path
from nms.mec.session import Members

ZONE: Final = "/mec-system:system/zone"


class Zones:
    """What is injected into the orchestrator as its `partners`."""

    def __init__(self, publisher: Publisher, links: Mapping[tuple[str, str], Link]) -> None:
        self._publisher = publisher
        self._links = links

    def zones(self) -> list[Members]:
        """Entries of /mec-system:system/zone for what partners offer, with partner, agreement and remote-zone."""
        return [zone for link in list(self._links.values()) for zone in self._offered(link)]

    def mx3(self, partner: str, agreement: str) -> Mx3:
        """The reference point to a partner's orchestrator.

        Raises:
            RpcError: data-missing; there is no such agreement.
        """
        link = self._links.get((partner, agreement))
        if link is None:
            raise RpcError("data-missing", f"there is no agreement {agreement} with {partner}")
        return link.mx3

    def parts(self, partner: str, agreement: str) -> list[tuple[str, str]]:
        """("deployment", identifier there) of what our deployments have at a partner, as far as is recorded."""
        found = []
        for deployment in self._publisher.entries("/mec-system:system/deployment"):
            for part in deployment.get("state", {}).get("part", ()):
                if (part.get("domain"), part.get("agreement")) == (partner, agreement) and "reference" in part:
                    found.append(("deployment", part["reference"]))
        return found

    def publish(self) -> None:
        """Show the partners' zones in our own system, and no others than those that there are."""
        wanted = {zone["id"]: zone for zone in self.zones()}
        for shown in self._publisher.entries(ZONE):
            if "partner" in shown and shown["id"] not in wanted:
                self._publisher.state(f"{ZONE}[id='{shown['id']}']", None, durable=False)
            elif wanted.get(shown["id"]) == shown:
                del wanted[shown["id"]]
        for name, zone in wanted.items():
            self._publisher.state(f"{ZONE}[id='{name}']", zone, durable=False)

    def _offered(self, link: Link) -> list[Members]:
        partner, agreement = link.id
        entry = self._publisher.read(agreement_path(partner, agreement)) or {}
        active = plain(entry.get("state", {}).get("federation-state", "")) == "active"
        if not active or not link.reachable or entry.get("role") != "consumer":
            return []
        accepted = {zone["id"] for zone in entry.get("zone", ()) if zone.get("accepted", False)}
        return [self._ours(zone, partner, agreement) for zone in link.subtree.get("zone", ()) if zone["id"] in accepted]

    def _ours(self, zone: Mapping[str, Any], partner: str, agreement: str) -> Members:
        return {
            **zone,
            "id": f"{partner}.{zone['id']}"[:128],
            "partner": partner,
            "agreement": agreement,
            "remote-zone": zone["id"],
        }
