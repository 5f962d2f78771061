"""The zones that an orchestrator shows and chooses among: its own infrastructure's, and those of partners.

To the domain itself all of them; to a partner those that its agreement offers, without a word about where they really
are, and with no more left than its quota leaves.  It must not know deployments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.placement import Candidate, Place
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm4
from nms.mec.scope import Scope
from nms.mec.session import Members

OWN = Scope("/mec-system:system")
UNDER_AGREEMENT = "/mec-federation:federation/partner/agreement/mec-system:system"
#: Longest domain path that is shown where the agreement does not say (mec-federation: sharing/max-hops).
MAX_HOPS = 1
INNER = ("partner", "agreement", "remote-zone")


class Zones:
    """Publishes the lists zone.

    Args:
        domain: identifier of this domain.
        vims: its own infrastructure managers by their identifier.
    """

    def __init__(self, publisher: Publisher, domain: str, vims: Mapping[str, Mm4], partners: Partners) -> None:
        self._publisher = publisher
        self._domain = domain
        self._vims = vims
        self._partners = partners
        self._vim_of: dict[str, str] = {}

    def vim_of(self, zone: str) -> str:
        """The infrastructure manager of a zone of one's own.  Raises `RpcError`: data-missing (it is none)."""
        if zone not in self._vim_of:
            raise RpcError("data-missing", f"{zone} is no zone of this domain")
        return self._vim_of[zone]

    async def refresh(self) -> None:
        """Read again what there is and show it."""
        found: dict[str, Members] = {}
        for name, vim in self._vims.items():
            for zone in await vim.zones():
                self._vim_of[zone["id"]] = name
                state = zone.pop("state", {})
                zone.pop("admin-state", None)
                found[zone["id"]] = {**zone, **state}
        for zone in self._partners.zones():
            if self._domain not in zone.get("domain-path", ()):  # else it leads back to this domain
                found.setdefault(zone["id"], dict(zone))
        show(self._publisher, f"{OWN.base}/zone", found)
        for scope in self.agreements():
            agreement = self._publisher.read(scope.agreement_path) or {}
            shared: dict[str, Members] = {}
            for name in self.shared(scope) & found.keys():
                way = [self._domain, *found[name].get("domain-path", ())]
                if self._passed_on(scope, agreement, found[name], way):
                    shared[name] = abstracted(agreement, found[name]) | {"domain-path": way}
            show(self._publisher, f"{scope.base}/zone", shared)

    def _passed_on(self, scope: Scope, agreement: Members, zone: Members, way: Sequence[str]) -> bool:
        """Whether a zone may be shown to a partner: as often resold, and to whom, as both agreements permit."""
        terms = agreement.get("sharing", {})
        if len(way) > int(terms.get("max-hops", MAX_HOPS)) or scope.partner in way:
            return False
        own = "partner" not in zone
        return own or self._partners.resale(zone["partner"], zone["agreement"])

    def agreements(self) -> Sequence[Scope]:
        """Where partners are shown the system: agreements of boundary option 5 in which this domain is the provider."""
        path = "/mec-federation:federation/partner/agreement"
        agreements = [(scope, self._publisher.read(scope.base, config=True)) for scope in self._publisher.scopes(path)]
        return [
            Scope(f"{scope.base}/mec-system:system", scope.partner, scope.agreement)
            for scope, members in agreements
            if members is not None
            and plain(members["boundary-option"]) == "option-system"
            and members["role"] == "provider"
        ]

    def shared(self, scope: Scope, *, accepted: bool = False) -> frozenset[str]:
        """Zones that the agreement offers, or only those that are accepted too."""
        agreement = self._publisher.read(scope.agreement_path, config=True) or {}
        return frozenset(
            zone["id"]
            for zone in agreement.get("zone", ())
            if zone.get("offered", True) and (zone.get("accepted", False) or not accepted)
        )

    def candidates(self, scope: Scope) -> list[Candidate]:
        """Where something of a scope may be placed.

        What came from a partner is not sent back to it.
        """
        zones = self._publisher.entries(f"{OWN.base}/zone")
        if not scope.own:
            accepted = self.shared(scope, accepted=True)
            zones = [zone for zone in zones if zone["id"] in accepted and zone.get("partner") != scope.partner]
        return [candidate(zone) for zone in zones]

    def find(self, zone: str) -> Candidate | None:
        """A zone by its identifier."""
        members = self._publisher.read(f"{OWN.base}/zone[id='{zone}']")
        return None if members is None else candidate(members)


def abstracted(agreement: Mapping[str, Any], zone: Members) -> Members:
    """A zone as a partner sees it: nothing of where it really is, and no more left than the agreement's quota leaves.

    Args:
        agreement: its entry with its state.
        zone: entry of mec-system:system/zone, or of a vim's zones with its state beside it.
    """
    shown = {name: value for name, value in zone.items() if name not in INNER}
    quota, used = agreement.get("quota", {}), agreement.get("state", {}).get("used", {})
    for kind in ("total", "available"):
        if kind in shown:
            taken = used if kind == "available" else {}
            shown[kind] = {name: _least(name, value, quota, taken) for name, value in shown[kind].items()}
    return shown


def show(publisher: Publisher, path: str, entries: Mapping[str, Members]) -> None:
    """Make `entries`, by identifier, the list of state at `path`."""
    gone = [entry["id"] for entry in publisher.entries(path) if entry["id"] not in entries]
    for name in gone:
        publisher.state(f"{path}[id='{name}']", None, durable=False)
    for name, members in entries.items():
        publisher.state(f"{path}[id='{name}']", members, durable=False)


def _least(name: str, value: object, quota: Members, used: Members) -> object:
    """The amount, or what the quota leaves of it."""
    if name not in quota:
        return value
    left = max(Decimal(0), Decimal(str(quota[name])) - Decimal(str(used.get(name, 0))))
    least = min(Decimal(str(value)), left)
    if name == "cpu":
        return str(least.quantize(Decimal("0.001")))
    return int(least) if isinstance(value, int) else str(int(least))


def candidate(zone: Members) -> Candidate:
    """From an entry of mec-system:system/zone."""
    location = zone.get("location", {})
    place = None
    if "latitude" in location:
        place = Place(float(location["latitude"]), float(location["longitude"]))
    free: Resources | None = capacity.resources(zone["available"]) if "available" in zone else None
    return Candidate(
        zone=zone["id"],
        free=free,
        serves=plain(zone.get("state", "active")) == "active",
        architectures=frozenset(map(plain, zone.get("architecture", ()))),
        formats=frozenset(map(plain, zone.get("image-format", ()))),
        country=location.get("country", ""),
        place=place,
        latency=Decimal(zone["access-latency"]) if "access-latency" in zone else None,
        partner=zone.get("partner", ""),
        agreement=zone.get("agreement", ""),
        remote_zone=zone.get("remote-zone", ""),
    )
