"""Drivers as sides that a domain compares itself with (`nms.mec.reconcile`; Mm7, Mp2).

`VimSide`: what a driver of infrastructure should run are the compute instances of its manager.  `HeldSide`: what a
driver of names or of traffic should have is what the blocks of this domain have put there (`nms.mec.in_force`).
`AbsentSide`: a manager whose driver could not be opened.  What is under way is no difference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nms.drivers import api
from nms.errors import RpcError
from nms.mec.entry import Entry
from nms.mec.in_force import InForce, Kept
from nms.mec.lifecycle import LifeCycle
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.reconcile import Difference, differences
from nms.mec.scope import Intent, Scope
from nms.mec.session import Members

_COMPUTE = "compute-instance"


@dataclass(frozen=True, slots=True)
class AbsentSide:
    """A manager that should be at work and is not: it is tried again now and then.

    Attributes:
        take_up: raises `RpcError`: it still cannot be.
    """

    base: str
    name: str
    take_up: Callable[[str], Awaitable[None]]

    async def compare(self) -> Sequence[Difference] | None:
        """See `Side`: its alarm tells what keeps it."""
        with contextlib.suppress(RpcError):
            await self.take_up(self.name)
        return None

    async def repair(self, found: Sequence[Difference]) -> None:
        """See `Side`: nothing was found."""

    async def adopt(self, found: Difference) -> str:
        """See `Side`: nothing was found."""
        return ""


class Listing(Protocol):
    """A driver that tells what it has."""

    async def listed(self) -> Mapping[Entry, Members]:
        """All of it.  Raises `RpcError`: it does not answer."""

    async def remove(self, entry: Entry) -> None:
        """Have it no more.  Raises `RpcError`."""


@dataclass(frozen=True, slots=True)
class HeldSide:
    """A driver of names or of traffic.

    Attributes:
        holders: of all blocks that put something there.
    """

    base: str
    name: str
    driver: Listing
    holders: Sequence[InForce[Any]]

    async def compare(self) -> Sequence[Difference] | None:
        """See `Side`; what could not be taken away before is taken away first, whatever the policy says."""
        for each in self.holders:
            await each.resume()
        before, turns = self._kept(), self._turns()
        shown = await self.driver.listed()
        after = self._kept()
        # What has changed meanwhile is compared next time.
        intended = {entry: after[entry].known and before.get(entry) == after[entry] for entry in after}
        settled = None not in turns and turns == self._turns()
        agreed = {entry: kept.members for entry, kept in after.items()}
        found = [each for each in differences(intended, shown, agreed) if each.intended or settled]
        seen = {entry: entry in shown for entry, sure in intended.items() if sure}
        for holder in self.holders:
            holder.notice(seen)
        return found

    async def repair(self, found: Sequence[Difference]) -> None:
        """See `Side`: what is missing or otherwise is put there again, what nobody has asked for is removed."""
        for each in found:
            if not each.intended:
                await self.driver.remove(each.entry)
        for holder in self.holders:
            await holder.renew({each.entry for each in found if each.intended})

    async def adopt(self, found: Difference) -> str:
        """See `Side`."""
        return "who has asked for an application has to decide about its names and its traffic"

    def _kept(self) -> dict[Entry, Kept]:
        return {entry: kept for each in self.holders for entry, kept in each.kept().items()}

    def _turns(self) -> list[int | None]:
        return [each.turn() for each in self.holders]


@dataclass(slots=True)
class VimSide:
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
