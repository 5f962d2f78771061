"""A partner as a side that a domain compares itself with (`nms.mec.reconcile`).

What a partner should hold is said by `Claimant`s, the blocks that ask things of it.  What is under way is no
difference: its occurrence tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nms.mec.entry import Entry, from_uri
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference, differences
from nms.mec.scope import agreement_path
from nms.mec.session import Members

_LEDGER = "/mec-federation:federation/orphan"


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
