"""The sides that a domain compares itself with (`nms.mec.reconcile`): partners, and drivers below its infrastructure.

What a partner should hold of a deployment follows from the boundary option (`nms.mec.carriers`); what a driver should
run are the compute instances of its manager.  What is under way is no difference: its occurrence tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from nms.drivers import api
from nms.mec.carriers import Carriers, Part
from nms.mec.lifecycle import ENDED, LifeCycle
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.parts import subject
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference, Entry, differences
from nms.mec.scope import Intent, Scope, agreement_path
from nms.mec.session import DataEdit, Members
from nms.mec.zones import OWN, UNDER_AGREEMENT

_LEDGER = "/mec-federation:federation/orphan"
_COMPUTE = "compute-instance"
#: Lists below an agreement that hold what was handed over, and wishes that are over: no workloads.
_NO_WORKLOADS = ("package", "image", "slice", "relocation")


@dataclass(slots=True)
class PartnerSide:
    """A partner under one agreement.

    Attributes:
        parts_of: the parts of a deployment, as its state shows them.
        heal: has the given parts (identifiers) of a deployment made again.
        edit: changes this domain's own deployments.
    """

    key: tuple[str, str]
    publisher: Publisher
    partners: Partners
    carriers: Carriers
    lifecycle: LifeCycle
    parts_of: Callable[[Scope, str], list[Part]]
    heal: Callable[[Scope, str, Collection[str]], None]
    edit: Callable[[Sequence[DataEdit]], Awaitable[None]]
    _owners: dict[Entry, Part] = field(default_factory=dict)
    _shown: Mapping[Entry, Members] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """See `Side`."""
        return agreement_path(*self.key)

    @property
    def name(self) -> str:
        """See `Side`."""
        return "/".join(self.key)

    async def compare(self) -> Sequence[Difference] | None:
        """See `Side`; nothing is compared under an agreement that is not in force."""
        state = self.publisher.read(f"{self.base}/state") or {}
        if plain(state.get("federation-state", "")) != "active":
            return None
        before, quiet = self._intended(), self._quiet()
        self._shown = await self.partners.shown(*self.key)
        after = self._intended()
        # What has changed meanwhile is compared next time.
        intended = {each: before.get(each, False) and after.get(each, False) for each in {*before, *after}}
        found = differences(intended, self._shown.keys() - set(self._ledger()), ())
        settled = quiet and self._quiet()
        return [each for each in found if not each.shown or (settled and _workload(each.entry))]

    async def repair(self, found: Sequence[Difference]) -> None:
        """See `Side`."""
        lost: dict[tuple[Scope, str], set[str]] = {}
        for each in found:
            if each.shown:
                why = "it was there though nobody here has asked for it"
                self.partners.orphan(*self.key, *each.entry, why)
            else:
                part = self._owners[each.entry]
                lost.setdefault((part.scope, part.deployment), set()).add(part.id)
        for (scope, deployment), parts in lost.items():
            self.heal(scope, deployment, parts)

    async def adopt(self, found: Difference) -> str:
        """See `Side`."""
        if found.shown:
            return await self._take_on(found.entry)
        part = self._owners[found.entry]
        if not part.scope.own:
            return f"{part.scope.partner} has asked for it and has to decide"
        await self.edit([DataEdit(f"/deployment[id='{part.deployment}']", "remove")])
        return ""

    async def _take_on(self, entry: Entry) -> str:
        """Intend a deployment that the partner shows."""
        kind, name = entry
        if kind != "mec-system:system/deployment":
            return f"{kind} {name} cannot be told in a deployment of this domain"
        there = self._shown[entry]
        zones = [zone for zone in self.partners.zones() if (zone["partner"], zone["agreement"]) == self.key]
        zone = next((zone["id"] for zone in zones if zone["remote-zone"] == there.get("zone")), None)
        package = self.publisher.read(f"{OWN.base}/package[id='{there['package']}']", config=True)
        if zone is None or package is None:
            return f"its {'zone' if zone is None else 'package'} is not known here"
        names = ("name", "dns-name", "desired-state", "package", "requirement")
        wish = {each: there[each] for each in names if each in there}
        await self.edit([DataEdit(f"/deployment[id='{name}']", "create", {**wish, "zone": zone})])
        return ""

    def _intended(self) -> dict[Entry, bool]:
        """What the partner should hold, and whether it was known to."""
        found: dict[Entry, bool] = {}
        self._owners = {}
        for scope in (OWN, *self.publisher.scopes(UNDER_AGREEMENT)):
            for entry in self.publisher.entries(f"{scope.base}/deployment"):
                steady = _steady(entry) and not self.lifecycle.busy(scope, "deployment", entry["id"])
                for part in self.parts_of(scope, entry["id"]):
                    if (part.partner, part.agreement) == self.key:
                        for kind in self.carriers.of(part).held:
                            each = (kind, subject(kind, part.reference))
                            stopped = kind.endswith("/application") and entry.get("desired-state") == "stopped"
                            found[each] = steady and not stopped
                            self._owners[each] = part
        return found

    def _quiet(self) -> bool:
        """Whether nothing is under way that could be of what the partner shows, and of nobody's deployment any more."""
        scopes = (OWN, *self.publisher.scopes(UNDER_AGREEMENT))
        return all(
            plain(each["state"]) in ENDED
            for scope in scopes
            for each in self.publisher.entries(f"{scope.base}/operation-occurrence")
        )

    def _ledger(self) -> Iterator[Entry]:
        """What is known to be left there: it is asked for already."""
        for orphan in self.publisher.entries(_LEDGER):
            if (orphan["partner"], orphan["agreement"]) == self.key:
                kind, _, name = orphan["path"].removeprefix("/").rpartition("=")
                yield kind, unquote(name)


def _steady(deployment: Members) -> bool:
    """Whether a deployment was carried out and has not failed to be."""
    return bool(deployment.get("state", {}).get("instance")) and deployment.get("phase", "confirmed") == "confirmed"


def _workload(entry: Entry) -> bool:
    return entry[0].rpartition("/")[2] not in _NO_WORKLOADS


@dataclass(slots=True)
class DriverSide:
    """The driver below an infrastructure manager (Mm7).

    Attributes:
        scope: the manager's own.
    """

    scope: Scope
    id: str
    publisher: Publisher
    driver: api.Vim
    lifecycle: LifeCycle

    @property
    def base(self) -> str:
        """See `Side`."""
        return self.scope.base

    @property
    def name(self) -> str:
        """See `Side`."""
        return self.id

    async def compare(self) -> Sequence[Difference] | None:
        """See `Side`."""
        before = self._intended()
        listed = await self.driver.list()
        after = self._intended()
        intended = {each: before.get(each, False) and after.get(each, False) for each in {*before, *after}}
        gone = ("failed", "stopped")
        shown = {
            (_COMPUTE, each.id) for each in listed if each.state not in gone or not intended.get(self._entry(each))
        }
        known = {self._entry(each) for each in listed if self._ended_here(each.id)}
        found = differences(intended, shown, known)
        return [each for each in found if not self.lifecycle.busy(self.scope, _COMPUTE, each.entry[1])]

    async def repair(self, found: Sequence[Difference]) -> None:
        """See `Side`: what has ended is started, what nobody has asked for is deleted."""
        for each in found:
            name = each.entry[1]
            if each.shown:
                await self.driver.delete(name)
                continue
            path = f"{self.scope.base}/{_COMPUTE}[id='{name}']"
            wanted = self.publisher.read(path, config=True)
            if wanted is not None:
                held = self.publisher.read(path)
                self.lifecycle.begin(Intent(self.scope, _COMPUTE, name, wanted, wanted, held), "start")

    async def adopt(self, found: Difference) -> str:
        """See `Side`."""
        return "who has asked for a compute instance has to decide about it"

    @staticmethod
    def _entry(instance: api.Instance) -> Entry:
        return _COMPUTE, instance.id

    def _ended_here(self, name: str) -> bool:
        found = self.publisher.entries(f"{self.scope.base}/operation-occurrence")
        return any((each["subject-type"], each["subject"]) == (_COMPUTE, name) for each in found)

    def _intended(self) -> dict[Entry, bool]:
        """Compute instances that are asked for, and whether they were known to run."""
        found: dict[Entry, bool] = {}
        for entry in self.publisher.entries(f"{self.scope.base}/{_COMPUTE}"):
            made = plain(entry.get("state", {}).get("instantiation-state", "")) == "instantiated"
            wanted = entry.get("desired-state", "started") == "started"
            busy = self.lifecycle.busy(self.scope, _COMPUTE, entry["id"])
            found[_COMPUTE, entry["id"]] = made and wanted and not busy
        return found


def partner_sides(
    keys: Callable[[], Sequence[tuple[str, str]]], made: Callable[[tuple[str, str]], PartnerSide]
) -> Callable[[], list[PartnerSide]]:
    """The sides of all agreements under which something is asked of a partner; each stays the same object."""
    known: dict[tuple[str, str], PartnerSide] = {}

    def sides() -> list[PartnerSide]:
        for key in keys():
            if key not in known:
                known[key] = made(key)
        return [known[key] for key in keys()]

    return sides
