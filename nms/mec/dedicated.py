"""Infrastructure managers that slices have of their own, on demand (Table 3 of the paper, comment on options 1 and 3).

Such a manager is one more entry of the list vim: a part of the hosts, lent by the domain's own manager, where a
reservation stands for it, and a VIM with a driver of its own.  The entry is the truth: it is found again after a
restart, and the manager is there as long as it is.  Who asks for a manager, and what for, it must not know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from nms.datastore.transaction import Transaction
from nms.drivers import api
from nms.drivers.api import Resources
from nms.errors import ConfigError, RpcError
from nms.mec import capacity
from nms.mec.occurrence import TEMPORARY
from nms.mec.publisher import Publisher
from nms.mec.reference_point import ReferencePoint
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, LocalSession, Members
from nms.mec.vim import VIMS, Vim
from nms.model import tree
from nms.model.diff import Change
from nms.model.path import parse_path

_log = logging.getLogger(__name__)

INFRASTRUCTURE = "/mec-resource:infrastructure"
_ALARM = "infrastructure-alarm"
#: Lists of intents at a manager; what uses others first.
_INTENTS = ("compute-instance", "reservation", "image")
#: Attributes of a zone that its part has too.
_PASSING = ("id", "state", "admin-state")


class _Infrastructure(ReferencePoint):
    """The whole of it, in one transaction."""

    point = "inner"

    async def write(self, edits: Sequence[DataEdit]) -> None:
        """Make all edits, as soon as nobody holds a lock."""
        await self._edit(edits)


@dataclass(frozen=True, slots=True)
class Manager:
    """One that is at work."""

    vim: Vim
    driver: api.Vim
    session: LocalSession


class Managers:
    """Those of one domain, by identifier in the list vim.

    Args:
        infrastructure, own: the domain's own manager, whose infrastructure it is, by identifier and block.
        lender: its driver.
        local: gives a session on this domain's core.
        make: makes the block of a manager: (identifier, driver, session on its entry).
    """

    def __init__(
        self,
        publisher: Publisher,
        infrastructure: str,
        own: Vim,
        lender: api.Vim,
        local: Callable[[str], LocalSession],
        make: Callable[[str, api.Vim, LocalSession], Vim],
    ) -> None:
        self._publisher = publisher
        self._own = own
        self._own_path = f"/vim[id='{infrastructure}']"
        self._lender = lender
        self._local = local
        self._make = make
        self._infrastructure = local(INFRASTRUCTURE)
        self._point = _Infrastructure(self._infrastructure)
        #: Replaced as a whole: commits read it in any thread.
        self._running: Mapping[str, Manager] = {}
        self._asked: Sequence[Vim] = ()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._lending = asyncio.Lock()
        self.paths = own.provider.paths
        self.provider = self.lifecycle = self

    async def start(self) -> None:
        """Take up those that are configured; one that cannot be taken up keeps nobody else from working."""
        for name in sorted(self.configured()):
            try:
                await self._open(name)
            except RpcError as error:
                _log.error("infrastructure manager %s is not there: %s", name, error.message)

    async def close(self) -> None:
        """Let go; what runs runs on."""
        for name in tuple(self._running):
            await self._release(name)
        self._infrastructure.close()

    def configured(self) -> set[str]:
        """All that should be at work."""
        found = self._publisher.read(INFRASTRUCTURE, config=True) or {}
        return {
            each["id"]
            for each in found.get("vim", ())
            if any(slice_.get("dedicated-vim") for slice_ in each.get("slice", ()))
        }

    def running(self) -> Mapping[str, Manager]:
        """Those at work."""
        return self._running

    def absent(self) -> set[str]:
        """Those that could not be taken up."""
        return self.configured() - self._running.keys()

    async def take_up(self, name: str) -> None:
        """Try it again with one that could not be taken up.  Raises `RpcError`: it still cannot."""
        async with self._turn(name), self._lending:
            if name in self.absent():
                await self._open(name)

    def act(self, scope: Scope, occurrence: str, action: str) -> None:
        """Have an operation occurrence of any manager cancelled, retried or failed; see `LifeCycle.act`."""
        vims = (self._own, *(each.vim for each in self._running.values()))
        vim = next((each for each in vims if each.scope == scope), self._own)
        vim.lifecycle.act(scope, occurrence, action)

    # -- coming and going

    async def instantiate(self, name: str, label: str, slice_: Members, zones: Collection[str]) -> None:
        """Have a manager for one slice, with equal parts of the quota in each zone; one that is there stays.

        Args:
            label: name for people.
            slice_: entry of its list slice.

        Raises:
            RpcError: operation-not-supported (the infrastructure cannot be divided), resource-denied (no room), those
                of the driver.
        """
        async with self._turn(name):
            held = self._publisher.read(_base(name), config=True)
            if held is not None and held.get("slice") != [slice_]:  # one that could not be ended when it should have
                await self._end(name)
                held = None
            async with self._lending:  # what one is given the next one finds taken
                if held is None:
                    await self._lend(name, label, slice_, sorted(zones))
                if name not in self._running:
                    await self._open(name)
            await self._own.refresh()

    async def terminate(self, name: str) -> None:
        """End a manager, and whatever is still in it; an unknown one is no error."""
        async with self._turn(name):
            await self._end(name)

    async def _lend(self, name: str, label: str, slice_: Members, zones: Sequence[str]) -> None:
        divisible = self._divisible()
        room = {zone: [host for host in await divisible.hosts() if host.zone == zone] for zone in zones}
        amount = capacity.resources(slice_.get("quota", {}))
        own = self._publisher.read(self._own.scope.base, config=True) or {}
        entry: Members = {"name": label, "slice": [slice_], "zone": [], "host": []}
        entry |= {"driver": own["driver"]} if "driver" in own else {}
        edits: list[DataEdit] = []
        for zone, share in zip(zones, capacity.split(amount, len(zones)), strict=True):
            parts = capacity.carve(share, {host.name: host.capacity.free for host in room[zone]})
            if parts is None:
                raise RpcError("resource-denied", f"there is no room for {label} in zone {zone}")
            attributes: Members = next((each for each in own.get("zone", ()) if each["id"] == zone), {})
            entry["zone"].append({"id": zone} | {leaf: attributes[leaf] for leaf in attributes if leaf not in _PASSING})
            entry["host"] += [
                {"id": host, "zone": zone, "capacity": capacity.amounts(part)} for host, part in parts.items()
            ]
            set_aside = {"zone": zone, "amount": capacity.amounts(share), "hold-time": 1, "confirmed": True}
            path = f"{self._own_path}/reservation[id='{self._reservation(name, zone)}']"
            edits.append(DataEdit(path, "create", set_aside))
        await self._point.write([*edits, DataEdit(f"/vim[id='{name}']", "create", entry)])

    async def _end(self, name: str) -> None:
        edits: list[DataEdit] = []
        if self._publisher.read(_base(name), config=True) is not None:
            if name not in self._running:
                await self._open(name)  # whatever runs in it can only be ended by its driver
            await self._empty(self._running[name])
            await self._release(name)
            await self._divisible().discard(name)  # before it can be seen that there is room again
            edits.append(DataEdit(f"/vim[id='{name}']", "remove"))
        own = self._publisher.read(self._own.scope.base, config=True) or {}
        set_aside = {self._reservation(name, zone["id"]) for zone in own.get("zone", ())}
        gone = [each["id"] for each in own.get("reservation", ()) if each["id"] in set_aside]
        edits += [DataEdit(f"{self._own_path}/reservation[id='{each}']", "remove") for each in gone]
        if edits:
            await self._point.write(edits)
            await self._own.refresh()

    async def _empty(self, manager: Manager) -> None:
        scope = manager.vim.scope
        held = self._publisher.read(scope.base, config=True) or {}
        left = [DataEdit(f"/{kind}[id='{each['id']}']", "remove") for kind in _INTENTS for each in held.get(kind, ())]
        if left:
            await manager.session.edit(left)
        for kind in _INTENTS:
            await manager.vim.lifecycle.idle(scope, kind)
        for instance in await manager.driver.list():
            await manager.driver.delete(instance.id)

    async def _open(self, name: str) -> None:
        """Take up the manager whose entry there is.  Raises `RpcError`."""
        entry = self._publisher.read(_base(name), config=True) or {}
        hosts = [
            api.Host(each["id"], each["zone"], api.Capacity(capacity.resources(each.get("capacity", {})), Resources()))
            for each in entry.get("host", ())
        ]
        session = self._local(_base(name))
        try:
            driver = self._divisible().dedicated(name, hosts)
            vim = self._make(name, driver, session)
            self._running = {**self._running, name: Manager(vim, driver, session)}
            await vim.start()
        except (RpcError, ConfigError, OSError) as error:
            why = error.message if isinstance(error, RpcError) else str(error)
            if name in self._running:
                await self._release(name)
            else:
                session.close()
            self._publisher.state(f"{_base(name)}/state", {"reachable": False, "last-error": why}, durable=False)
            self._publisher.alarm(Scope(_base(name)), name, _ALARM, "critical", why)
            passing = isinstance(error, RpcError) and error.tag in ("in-use", "lock-denied")
            raise RpcError("operation-failed", why, app_tag=TEMPORARY if passing else "") from error
        self._publisher.alarm(Scope(_base(name)), name, _ALARM, "critical", "it is there again", cleared=True)

    async def _release(self, name: str) -> None:
        manager = self._running[name]
        self._running = {each: found for each, found in self._running.items() if each != name}
        await manager.vim.close()
        manager.session.close()

    def _divisible(self) -> api.Divisible:
        if not isinstance(self._lender, api.Divisible):
            raise RpcError("operation-not-supported", "this infrastructure has one manager for everybody")
        return self._lender

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    @staticmethod
    def _reservation(name: str, zone: str) -> str:
        """What stands for a manager's part of a zone at the domain's own."""
        return Scope(_base(name)).inner("reservation", zone)

    # -- provider of what is asked of any of them

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Let each check what is asked of it; an entry stays as long as its manager is at work."""
        self._asked = ()
        try:
            for vim, mine in self._concerned(changes):
                if tree.get(tx.new, parse_path(self._publisher.schema, vim.scope.base)) is None:
                    raise RpcError("in-use", "the manager serves a slice, and goes with it", path=vim.scope.base)
                vim.provider.prepare(mine, tx)
                self._asked = (*self._asked, vim)
        except BaseException:
            self.abort(tx)
            raise

    def abort(self, tx: Transaction) -> None:
        """Undo `prepare`."""
        for vim in self._asked:
            vim.provider.abort(tx)
        self._asked = ()

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Let each begin."""
        asked, self._asked = self._asked, ()
        for vim in asked:
            vim.provider.apply(changes, tx)

    def _concerned(self, changes: Sequence[Change]) -> Iterator[tuple[Vim, Sequence[Change]]]:
        """Each manager with the changes of its entry, or above it."""
        for name, manager in self._running.items():
            mine = [change for change in changes if len(change.path) < 2 or change.path[1][1] == name]
            if mine:
                yield manager.vim, mine


def _base(name: str) -> str:
    return f"{VIMS}[id='{name}']"
