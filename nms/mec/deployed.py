"""What the deployments of a domain have at a partner, and what is done about it when it is not there any more.

What a partner should hold of a deployment follows from the boundary option (`nms.mec.carriers`).  What it shows can be
adopted as far as a deployment can say it: there is one, it is started or stopped, of that package, in that zone.  It
must not know how a partner is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.carriers import Carriers, Part
from nms.mec.entry import Entry
from nms.mec.lifecycle import ENDED, LifeCycle
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.parts import subject
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, Members
from nms.mec.zones import OWN, UNDER_AGREEMENT

_DEPLOYMENT: Final = "mec-system:system/deployment"
_MANAGED: Final = "mec-platform-manager:platform-manager/app-instance"
_APPLICATION: Final = "mec-platform:platform/application"
_COMPUTE: Final = "mec-resource:resources/compute-instance"
_RESERVATION: Final = "mec-resource:resources/reservation"
#: Boundary option -> list whose entry tells most of a part: what else a partner holds of it comes and goes with it.
_FOREMOST: Final = {1: _COMPUTE, 2: _APPLICATION, 3: _COMPUTE, 4: _MANAGED, 5: _DEPLOYMENT}
#: Lists below an agreement whose entries come from deployments only; what was handed over is no workload.
_WORKLOADS: Final = frozenset({*_FOREMOST.values(), _RESERVATION})
#: Members of an entry that a deployment can say as well.
_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    _DEPLOYMENT: ("name", "desired-state", "graceful-timeout"),
    _MANAGED: ("name", "desired-state", "graceful-timeout"),
    _COMPUTE: ("desired-state", "graceful-timeout"),
    _APPLICATION: ("desired-state", "graceful-timeout"),
}


@dataclass(slots=True)
class Deployed:
    """A `Claimant` (`nms.mec.drift`): the parts of deployments under one agreement.

    Attributes:
        parts_of: the parts of a deployment, as its state shows them.
        look: has what became of a part shown.
        heal: has the given parts (identifiers) of a deployment made again.
        edit: changes this domain's own deployments.
    """

    key: tuple[str, str]
    publisher: Publisher
    partners: Partners
    carriers: Carriers
    lifecycle: LifeCycle
    parts_of: Callable[[Scope, str], list[Part]]
    look: Callable[[Part], None]
    heal: Callable[[Scope, str, Collection[str]], None]
    edit: Callable[[Sequence[DataEdit]], Awaitable[None]]
    _owners: dict[Entry, Part] = field(default_factory=dict)

    def claims(self, entry: Entry) -> bool:
        """See `Claimant`: all workloads."""
        return entry[0] in _WORKLOADS

    def intended(self) -> dict[Entry, bool]:
        """See `Claimant`."""
        found: dict[Entry, bool] = {}
        self._owners = {}
        for scope in (OWN, *self.publisher.scopes(UNDER_AGREEMENT)):
            for entry in self.publisher.entries(f"{scope.base}/deployment"):
                steady = _steady(entry) and not self.lifecycle.busy(scope, "deployment", entry["id"])
                for part in self.parts_of(scope, entry["id"]):
                    if (part.partner, part.agreement) == self.key:
                        for kind in self.carriers.of(part).held:
                            each = (kind, subject(kind, part.reference))
                            stopped = kind == _APPLICATION and entry.get("desired-state") == "stopped"
                            found[each] = steady and not stopped
                            self._owners[each] = part
        return found

    def quiet(self) -> bool:
        """See `Claimant`."""
        scopes = (OWN, *self.publisher.scopes(UNDER_AGREEMENT))
        return all(
            plain(each["state"]) in ENDED
            for scope in scopes
            for each in self.publisher.entries(f"{scope.base}/operation-occurrence")
        )

    def notice(self, found: Sequence[Entry]) -> None:
        """See `Claimant`."""
        for part in dict.fromkeys(self._owners[entry] for entry in found):
            self.look(part)

    async def repair(self, missing: Sequence[Entry]) -> None:
        """See `Claimant`: the parts are made again; what the platform alone has lost is asked of it again."""
        lost: dict[tuple[Scope, str], dict[str, list[Entry]]] = {}
        for entry in missing:
            part = self._owners[entry]
            lost.setdefault((part.scope, part.deployment), {}).setdefault(part.id, []).append(entry)
        agreed = self.partners.agreed(*self.key)
        for (scope, deployment), parts in lost.items():
            entries = [entry for each in parts.values() for entry in each]
            if all(entry[0] == _APPLICATION and entry in agreed for entry in entries):
                await self.partners.restore(*self.key, entries)  # the instances run on
            else:
                self.heal(scope, deployment, parts)

    async def adopt(self, found: Difference, shown: Mapping[Entry, Members]) -> str:
        """See `Claimant`."""
        if not found.intended:
            return await self._take_on(found.entry, shown)
        part = self._owners[found.entry]
        if not part.scope.own:
            return f"{part.scope.partner} has asked for it and has to decide"
        if len(self.parts_of(part.scope, part.deployment)) > 1:
            return f"deployment {part.deployment} has other instances, and cannot say that of one of them"
        path = f"/deployment[id='{part.deployment}']"
        if not found.shown:
            await self.edit([DataEdit(path, "remove")])
            return ""
        unsaid = [name for name in found.changes if name not in _SAID.get(found.entry[0], ())]
        if unsaid:
            return f"a deployment cannot say {', '.join(unsaid)}"
        edits = [_as_shown(f"{path}/{name}", now) for name, (_, now) in found.changes.items()]
        self.partners.accept(*self.key, found.entry, shown[found.entry])
        await self.edit(edits)
        return ""

    # -- taking on what nobody here has asked for (any more)

    async def _take_on(self, entry: Entry, shown: Mapping[Entry, Members]) -> str:
        """Have a deployment of what the partner shows."""
        foremost = _FOREMOST[self.partners.option(*self.key)]
        name = entry[1].removesuffix(".1") if entry[0] == _COMPUTE else entry[1]
        there = shown.get((foremost, subject(foremost, name)))
        if there is None:
            return f"there is no {foremost.rpartition('/')[2]} that it belongs to"
        held = self.publisher.read(f"{OWN.base}/deployment[id='{name}']", config=True)
        try:
            wish = self._wish(foremost, name, there, shown)
        except RpcError as error:
            return error.message
        if held is None:
            await self.edit([DataEdit(f"/deployment[id='{name}']", "create", wish)])
        elif held.get("zone") != wish["zone"]:
            return f"there is another deployment {name}"
        return ""

    def _wish(self, kind: str, name: str, there: Members, shown: Mapping[Entry, Members]) -> Members:
        """The deployment that an entry was, or could have been, made of.  Raises `RpcError`: none could."""
        zones = [zone for zone in self.partners.zones() if (zone["partner"], zone["agreement"]) == self.key]
        found = [each["id"] for each in zones if kind == _APPLICATION or each["remote-zone"] == there.get("zone")]
        if len(found) != 1:  # an application does not say where its instance is
            raise RpcError("data-missing", "its zone is not known here")
        package = self._package(kind, there)
        if package is None:
            raise RpcError("data-missing", "its package is not known here")
        option = self.partners.option(*self.key)
        reserved = there.get("reservation") == name and (_RESERVATION, name) in shown
        if option in (1, 4) and not reserved:
            raise RpcError("data-missing", "it has no reservation, as every instance of a deployment does")
        if kind == _COMPUTE and capacity.resources(there) != capacity.demand(package["state"]["descriptor"]):
            raise RpcError("invalid-value", f"it is not what package {package['id']} asks for")
        served = shown.get((_APPLICATION, name), {}) if kind == _COMPUTE else there
        rule: Members = next(iter(served.get("dns-rule", ())), {})
        wish = {"package": package["id"], "zone": found[0]}
        wish |= {each: there[each] for each in (*_SAID[kind], "dns-name", "requirement") if each in there}
        return {**wish, **({"dns-name": rule["domain-name"]} if rule.get("domain-name") else {})}

    def _package(self, kind: str, there: Members) -> Members | None:
        """The package of this domain's own that an entry is made of; None: none, or not one only."""

        def made(package: Members) -> bool:
            descriptor = package.get("state", {}).get("descriptor", {})
            if kind == _APPLICATION:
                return bool(descriptor.get("name") == there.get("name"))
            if kind == _COMPUTE:
                return bool(descriptor.get("sw-image", {}).get("checksum", {}).get("value") == there["image"])
            return there["package"] in ((package["digest"],) if kind == _MANAGED else (package["id"],))

        found = [each for each in self.publisher.entries(f"{OWN.base}/package") if made(each)]
        return found[0] if len(found) == 1 else None


def _as_shown(path: str, now: Any) -> DataEdit:
    """The edit that makes a leaf of a deployment what is shown; absent, it is by default."""
    if now is None:
        return DataEdit(path, "remove")
    return DataEdit(path, "replace", "stopped" if now == "terminated" else now)


def _steady(deployment: Members) -> bool:
    """Whether a deployment was carried out and has not failed to be."""
    return bool(deployment.get("state", {}).get("instance")) and deployment.get("phase", "confirmed") == "confirmed"
