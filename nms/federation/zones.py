"""The partners as the orchestrator sees them (`nms.mec.partners.Partners`): zones to choose from, Mx3 to deploy over.

A partner's zones are candidates under names of our own while the agreement is active.  What cannot be reached is shown
as down, never as ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nms.errors import RpcError
from nms.federation.link import Link
from nms.federation.options import CONTAINERS, INTENTS, RULES
from nms.federation.orphans import Orphans
from nms.mec.agreed import HOSTED
from nms.mec.entry import Entry, entry_of, path_of
from nms.mec.occurrence import plain
from nms.mec.partners import P
from nms.mec.platform_instance import NAME
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mp2
from nms.mec.requested import REQUESTED
from nms.mec.scope import agreement_path
from nms.mec.session import DataEdit, Members
from nms.mec.windows import RESOURCES


class Zones:
    """What is injected into the orchestrator.

    Args:
        packages: URI of the folder that our packages are served in; "" where none are.
    """

    def __init__(
        self, publisher: Publisher, links: Mapping[tuple[str, str], Link], orphans: Orphans, packages: str
    ) -> None:
        #: Called in the event loop when zones or joined platforms have changed: the domain's `refresh`.
        self.changed: Callable[[], None] = lambda: None
        self._publisher = publisher
        self._links = links
        self._orphans = orphans
        self._packages = packages
        self._last: tuple[list[Members], dict[tuple[str, str], bool]] = ([], {})

    def zones(self) -> list[Members]:
        """See `nms.mec.partners.Partners.zones`."""
        return [zone for link in list(self._links.values()) for zone in self._offered(link)]

    def option(self, partner: str, agreement: str) -> int:
        """See `nms.mec.partners.Partners.option`."""
        link = self._links.get((partner, agreement))
        return 0 if link is None else link.option.number

    def point(self, kind: type[P], partner: str, agreement: str) -> P:
        """See `nms.mec.partners.Partners.point`."""
        link = self._links.get((partner, agreement))
        if link is None:
            raise RpcError("data-missing", f"there is no agreement {agreement} with {partner}")
        return link.point(kind)

    def resale(self, partner: str, agreement: str) -> bool:
        """See `nms.mec.partners.Partners.resale`; the provider's own entry of the agreement says so."""
        link = self._links.get((partner, agreement))
        return link is not None and bool((link.theirs or {}).get("sharing", {}).get("resale", False))

    def agreements(self) -> list[tuple[str, str]]:
        """See `nms.mec.partners.Partners.agreements`."""
        return [key for key, link in list(self._links.items()) if link.role == "consumer"]

    def steered(self) -> list[tuple[str, str]]:
        """See `nms.mec.partners.Partners.steered`."""
        return [key for key, link in list(self._links.items()) if Mp2.point in link.points]

    def held(self, partner: str, agreement: str) -> list[tuple[str, str]]:
        """See `nms.mec.partners.Partners.held`."""
        link = self._links.get((partner, agreement))
        return [] if link is None else link.held()

    async def shown(self, partner: str, agreement: str) -> dict[tuple[str, str], Members]:
        """See `nms.mec.partners.Partners.shown`."""
        link = self._links.get((partner, agreement))
        theirs = None if link is None else await link.session.get("", "config")
        if link is None or theirs is None:
            raise RpcError("data-missing", f"there is no agreement {agreement} with {partner}")
        found = (
            (container, name, entry)
            for container in link.served
            for name in (*INTENTS[container], *RULES.get(container, ()))
            for entry in theirs.get(container, {}).get(name, ())
        )
        return {entry_of(f"{container}/{name}", entry): entry for container, name, entry in found}

    def agreed(self, partner: str, agreement: str) -> dict[Entry, Members]:
        """See `nms.mec.partners.Partners.agreed`."""
        link = self._links.get((partner, agreement))
        return {} if link is None else link.written.entries()

    async def restore(self, partner: str, agreement: str, entries: Sequence[Entry]) -> None:
        """See `nms.mec.partners.Partners.restore`."""
        link = self._links.get((partner, agreement))
        if link is None:
            raise RpcError("data-missing", f"there is no agreement {agreement} with {partner}")
        agreed = link.written.entries()
        await link.session.edit([DataEdit(path_of(entry), "replace", agreed[entry]) for entry in entries])

    def accept(self, partner: str, agreement: str, entry: Entry, content: Members) -> None:
        """See `nms.mec.partners.Partners.accept`."""
        if (link := self._links.get((partner, agreement))) is not None:
            link.written.note([DataEdit(path_of(entry), "replace", content)])

    def source(self, partner: str, agreement: str, digest: str) -> str:
        """See `nms.mec.partners.Partners.source`.  Raises `RpcError`: operation-not-supported (nothing is served)."""
        if not self._packages:
            raise RpcError("operation-not-supported", "packages are served by [restconf] with TLS, which is not there")
        return f"{self._packages}/{digest}"

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        """See `nms.mec.partners.Partners.orphan`."""
        self._orphans.record(partner, agreement, name, subject, reason)

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        """See `nms.mec.partners.Partners.reclaim`."""
        self._orphans.returned(partner, agreement, name, subject)

    def parts(
        self, partner: str, agreement: str, served: Sequence[str] = (CONTAINERS["mec-system"],)
    ) -> list[tuple[str, str]]:
        """(list, identifier there) of what our deployments have at a partner, as far as is recorded.

        Args:
            served: containers in which the partner serves us.
        """
        return [
            subject
            for package, part in self._recorded()
            if (part["domain"], part["agreement"]) == (partner, agreement)
            for subject in _subjects(part["reference"], package, served)
        ]

    def carriers(self) -> set[tuple[str, str]]:
        """(partner, agreement) of all that carry a part of our deployments, as far as is recorded."""
        return {(part["domain"], part["agreement"]) for _, part in self._recorded()}

    def _recorded(self) -> Iterator[tuple[str, Members]]:
        """(package, part) for each part at a partner of a deployment that has not come to its end."""
        for deployment in self._publisher.entries("/mec-system:system/deployment"):
            for part in deployment.get("state", {}).get("part", ()):
                if "agreement" in part and "reference" in part and plain(part["state"]) != "failed":
                    yield deployment["package"], part

    def peers(self) -> dict[tuple[str, str], bool]:
        """See `nms.mec.partners.Partners.peers`."""
        states = {key: self._state(*key) for key, link in list(self._links.items()) if link.joined}
        return {
            key: state == "active" and self._links[key].reachable
            for key, state in states.items()
            if state in ("active", "suspended")
        }

    def _state(self, partner: str, agreement: str) -> str:
        found = self._publisher.read(f"{agreement_path(partner, agreement)}/state") or {}
        return plain(found.get("federation-state", ""))

    def look(self) -> None:
        """Tell the domain if zones or joined platforms have changed."""
        now = self.zones(), self.peers()
        if now != self._last:
            self._last = now
            self.changed()

    def _offered(self, link: Link) -> list[Members]:
        partner, agreement = link.id
        entry = self._publisher.read(agreement_path(partner, agreement)) or {}
        active = plain(entry.get("state", {}).get("federation-state", "")) == "active"
        if not active or entry.get("role") != "consumer" or not _has_room(entry):
            return []
        shown = {zone["id"]: zone for zone in self._zones_of(link)}
        accepted = [zone["id"] for zone in entry.get("zone", ()) if zone.get("accepted", False)]
        # After a restart the partner's zones are known by name before it has answered.
        known = [shown.get(zone) if link.answered else {"id": zone} for zone in accepted]
        return [_ours(zone, link, partner, agreement) for zone in known if zone is not None]

    def _zones_of(self, link: Link) -> Iterator[Members]:
        """Zones as the partner shows them; under option 2 they are our own, which its platform serves."""
        for container in ("mec-system:system", "mec-resource:resources"):
            if container in link.served:
                yield from link.subtree(container).get("zone", ())
                return
        for vim in self._publisher.entries(f"{_INFRASTRUCTURE}/vim"):
            for zone in vim.get("zone", ()):
                yield {name: value for name, value in zone.items() if name not in _OWN} | zone.get("state", {})


def lodged(agreement: Members) -> list[tuple[str, str]]:
    """(list, identifier there) of what our platform may have at the consumer of an agreement (option 2)."""
    if agreement["role"] != "provider" or HOSTED not in agreement:
        return []
    return [(f"{RESOURCES.container}/{name}", NAME) for name in ("compute-instance", "image")]


def _subjects(reference: str, package: str, served: Sequence[str]) -> list[tuple[str, str]]:
    """(list, identifier) of what a part takes at a partner."""
    found = {
        "mec-system:system": (("deployment", reference), ("package", package)),
        "mec-platform-manager:platform-manager": (("app-instance", reference),),
        "mec-platform:platform": (("application", reference),),
        "mec-resource:resources": (("compute-instance", f"{reference}.1"), ("reservation", reference)),
    }
    return [(f"{container}/{name}", subject) for container in served for name, subject in found[container]]


_INFRASTRUCTURE = "/mec-resource:infrastructure"
#: Of a zone of our own infrastructure: what the list of zones that may be deployed to has in another place.
_OWN = ("state", "admin-state")


def _has_room(agreement: Members) -> bool:
    """Whether the slice is there that is asked for under the agreement, if one is: nothing can move into it later."""
    wanted = agreement.get(REQUESTED)
    return wanted is None or plain(wanted.get("state", {}).get("state", "")) == "active"


def _ours(zone: Mapping[str, Any], link: Link, partner: str, agreement: str) -> Members:
    state = {"state": "mec-types:down"} if not link.reachable or link.out_of_service else {}
    ours = {"id": f"{partner}.{zone['id']}"[:128], "partner": partner, "agreement": agreement}
    return {**zone, **state, **ours, "remote-zone": zone["id"]}
