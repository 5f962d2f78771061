"""The sides that a domain compares itself with (`nms.mec.reconcile`): partners, and drivers below its infrastructure.

What a partner should hold is said by `Claimant`s, the blocks that ask things of it; what a driver should run are the
compute instances of its manager.  What is under way is no difference: its occurrence tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nms.drivers import api
from nms.mec.entry import Entry, from_uri
from nms.mec.lifecycle import LifeCycle
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference, differences
from nms.mec.scope import Intent, Scope, agreement_path
from nms.mec.session import Members

_LEDGER = "/mec-federation:federation/orphan"
_COMPUTE = "compute-instance"


class Claimant(Protocol):
    """Whoever here has something at a partner under one agreement."""

    def claims(self, entry: Entry) -> bool:
        """Whether an entry of that kind could only be there because of it."""

    def intended(self) -> Mapping[Entry, bool]:
        """What the partner should hold, and whether it was known to and nothing happens to it now."""

    def quiet(self) -> bool:
        """Whether nothing is under way that could be of what the partner shows, and of nobody's intent any more."""

    def notice(self, found: Sequence[Entry]) -> None:
        """These are missing, or not as agreed: what was known of them may be old."""

    async def repair(self, missing: Sequence[Entry]) -> None:
        """Have it there again; returns when that has begun.  Raises `RpcError`."""

    async def adopt(self, found: Difference, shown: Mapping[Entry, Members]) -> str:
        """See `nms.mec.reconcile.Side.adopt`; `shown` is all that the partner does."""


@dataclass(slots=True)
class PartnerSide:
    """A partner under one agreement."""

    key: tuple[str, str]
    publisher: Publisher
    partners: Partners
    claimants: Sequence[Claimant]
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
        before, known, quiet = self._intended(), self.partners.agreed(*self.key), self._quiet()
        self._shown = await self.partners.shown(*self.key)
        after, agreed = self._intended(), self.partners.agreed(*self.key)
        # What has changed meanwhile is compared next time.
        intended = {
            each: before.get(each, False) and after.get(each, False) and known.get(each) == agreed.get(each)
            for each in {*before, *after}
        }
        listed = set(self._ledger())
        shown = {entry: members for entry, members in self._shown.items() if entry not in listed}
        settled = quiet and self._quiet()
        found = [
            each
            for each in differences(intended, shown, agreed)
            if each.intended or (settled and self._claimant(each.entry) is not None)
        ]
        for claimant in self.claimants:
            claimant.notice([each.entry for each in found if each.intended and claimant.claims(each.entry)])
        return found

    async def repair(self, found: Sequence[Difference]) -> None:
        """See `Side`."""
        for each in found:
            if not each.intended:
                why = "it was there though nobody here has asked for it"
                self.partners.orphan(*self.key, *each.entry, why)
        if changed := [each.entry for each in found if each.changes]:
            await self.partners.restore(*self.key, changed)
        for claimant in self.claimants:
            missing = [each.entry for each in found if not each.shown and claimant.claims(each.entry)]
            if missing:
                await claimant.repair(missing)

    async def adopt(self, found: Difference) -> str:
        """See `Side`."""
        claimant = self._claimant(found.entry)
        return "nobody here knows what it is" if claimant is None else await claimant.adopt(found, self._shown)

    def _claimant(self, entry: Entry) -> Claimant | None:
        return next((each for each in self.claimants if each.claims(entry)), None)

    def _intended(self) -> dict[Entry, bool]:
        return {entry: known for each in self.claimants for entry, known in each.intended().items()}

    def _quiet(self) -> bool:
        return all(each.quiet() for each in self.claimants)

    def _ledger(self) -> Iterator[Entry]:
        """What is known to be left there: it is asked for already."""
        for orphan in self.publisher.entries(_LEDGER):
            if (orphan["partner"], orphan["agreement"]) == self.key:
                yield from_uri(orphan["path"])


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
        shown: dict[Entry, Members] = {
            self._entry(each): {} for each in listed if each.state not in gone or not intended.get(self._entry(each))
        }
        known: dict[Entry, Members] = {self._entry(each): {} for each in listed if self._ended_here(each.id)}
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
