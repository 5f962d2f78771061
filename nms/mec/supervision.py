"""What a platform manager sees of what runs: faults and performance, and which infrastructure it can use (Mm2).

It listens at each place, compares now and then for what no notification has told, and raises alarms (RFC 8632).  It
must not start or end anything; what its owner has removed it has the platform serve no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.attention import Attention
from nms.mec.mep import RULE_CHANGED
from nms.mec.occurrence import plain, terminated
from nms.mec.places import Place, Places
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import RESYNC, Members
from nms.mec.vim import CHANGED as RESOURCE_CHANGED

CHANGED = "mec-platform-manager:app-instance-changed"
INSTANCE = "app-instance"
ALARM = "application-failed-alarm"
#: Error-tag of an instance that exists no more.
GONE = "data-missing"
#: Of an instance that runs, but that its platform does not serve.
UNSERVED = {"error-tag": "operation-failed", "detail": "the platform does not serve it any more"}


class Supervision:
    """Of one platform manager.

    Args:
        scope: the manager's own; `id` is its identifier.
        busy: whether work about an application instance is under way, which tells of it itself.
        came_back: told of an application instance that runs again after a fault: its address may be another one.
    """

    def __init__(
        self,
        publisher: Publisher,
        scope: Scope,
        id: str,
        places: Places,
        busy: Callable[[str], bool],
        came_back: Callable[[str], None],
    ) -> None:
        self._came_back = came_back
        self._publisher = publisher
        self.scope = scope
        self._id = id
        self._places = places
        self._busy = busy
        self._loop = asyncio.get_running_loop()
        self._attention = Attention()

    async def start(self) -> None:
        """Compare with what was known, and go on doing so."""
        for work in (self._look_after(), self._report_kpis()):
            self._attention.spawn(work)
        await self._show_vims()
        await self._compare()

    async def close(self) -> None:
        """Listen no more."""
        await self._attention.close()

    def refresh(self) -> None:
        """Places may have come or gone: listen at each.  Called in the event loop."""
        points = [point for place in self._places.all() for point in (place.mm6, place.mm5)]
        self._attention.listen_only({id(point): point for point in points}, self._told)

    # -- faults

    def _told(self, name: str, members: Members) -> None:
        if name == RESOURCE_CHANGED and members.get("resource-type") == "compute-instance":
            self._observe(members["resource"], *_seen(members["state"], members.get("error", {})))
        elif terminated(name, members) and members["subject-type"] == "compute-instance":
            self._observe(members["subject"], *_seen("terminated", {}))
        elif name == RULE_CHANGED:
            self._attention.spawn(self._check_service(members.get("application", "")))
        elif name == RESYNC:
            self._attention.spawn(self._compare())

    async def _look_after(self) -> None:
        """Compare now and then, for what no notification has told."""
        while True:
            await self._pause("fault-interval", 10)
            with contextlib.suppress(RpcError):
                await self._compare()

    async def _compare(self) -> None:
        for place in self._places.all():
            with contextlib.suppress(RpcError):  # one that does not answer keeps nobody from being looked after
                known = {compute_id(name) for name in self._known_at(place)}
                found = {each["id"]: each.get("state", {}) for each in await place.mm6.compute_instances()}
                for name, state in found.items():
                    if "operational-state" in state:
                        self._observe(name, plain(state["operational-state"]), state.get("error", {}))
                for name in known - found.keys():
                    self._observe(name, *_seen("terminated", {}))
        for instance in self._publisher.entries(f"{self.scope.base}/{INSTANCE}"):
            await self._check_service(instance["id"])

    def _known_at(self, place: Place) -> Iterator[str]:
        """Application instances that are at a place as far as is known, and to which nothing happens now."""
        for entry in self._publisher.entries(f"{self.scope.base}/{INSTANCE}"):
            there = plain(entry.get("state", {}).get("instantiation-state", "")) == "instantiated"
            if there and not self._busy(entry["id"]):
                with contextlib.suppress(RpcError):  # its place has just ended
                    if self._places.of(entry.get("zone", "")).mm6 is place.mm6:
                        yield entry["id"]

    async def _check_service(self, name: str) -> None:
        """Does the platform still serve what runs?  Its clients do not find it else."""
        if (entry := self._running(name)) is None:
            return
        with contextlib.suppress(RpcError):  # no answer: nothing is known, and nothing said
            served = await self._places.of(entry.get("zone", "")).mm5.application(name)
            wished = served is not None and served.get("desired-state", "started") == "started"
            found = wished and "error" not in (served or {}).get("state", {})
            if self._running(name) is not None:  # still
                self._observe(compute_id(name), "started", {}, served=found)

    def _running(self, name: str) -> Members | None:
        """An application instance that runs, and to which nothing happens now."""
        entry = self._publisher.read(f"{self.scope.base}/{INSTANCE}[id='{name}']") or {}
        running = plain(entry.get("state", {}).get("operational-state", "")) == "started"
        return entry if running and not self._busy(name) else None

    def _observe(self, compute: str, now: str, error: Mapping[str, str], *, served: bool | None = None) -> None:
        """An instance has changed without being told to; `served`: whether its platform serves it, None: as before."""
        name = instance_id(compute)
        entry = self._publisher.read(f"{self.scope.base}/{INSTANCE}[id='{name}']")
        if entry is None or "state" not in entry or self._busy(name):
            return
        state, said = entry["state"], dict(entry["state"].get("error", {}))
        lost = said.get("error-tag") == GONE
        if plain(state.get("instantiation-state", "")) != "instantiated" and not (lost and now == "started"):
            return
        if now == "started" and not error and (served is False or (served is None and said == UNSERVED)):
            error = UNSERVED
        before = plain(state["operational-state"])
        wanted = entry.get("desired-state", "started") == "started"
        if now == "started" and wanted and (before != now or said not in ({}, UNSERVED)):
            # Shown as soon as it can be used, which may be somewhere else than before.
            self._came_back(name)
            self._publisher.alarm(self.scope, name, ALARM, "major", "it runs again", cleared=True)
            return
        if before != now or said != dict(error):
            there = "not-instantiated" if error.get("error-tag") == GONE else "instantiated"
            changed = {"operational-state": f"mec-types:{now}", "instantiation-state": f"mec-types:{there}"}
            state = {**state, **changed, "error": dict(error)}
            if not error:
                del state["error"]
            self._publisher.state(f"{self.scope.base}/{INSTANCE}[id='{name}']/state", state)
            self.tell(name, state)
            if error:
                self._publisher.alarm(self.scope, name, ALARM, "major", error.get("detail", "it has ended"))
        if error.get("error-tag") == GONE:
            self._attention.spawn(self._unserve(name, entry.get("zone", "")))
        if now == "started" and not error:
            self._publisher.alarm(self.scope, name, ALARM, "major", "it runs again", cleared=True)

    async def _unserve(self, name: str, zone: str) -> None:
        """No client is sent to what its owner has removed."""
        with contextlib.suppress(RpcError):  # the platform is gone, too
            await self._places.of(zone).mm5.withdraw(name)

    def tell(self, id: str, state: Members) -> None:
        """Say what has become of an application instance."""
        names = ("instantiation-state", "operational-state", "endpoint", "error")
        told = {name: state[name] for name in names if name in state}
        self._publisher.notify(self.scope, CHANGED, {"platform-manager": self._id, "app-instance": id, **told})

    # -- performance

    async def _pause(self, interval: str, default: int) -> None:
        """Wait as long as is configured; a change while waiting counts."""
        begun = self._loop.time()
        while True:
            configuration = self._publisher.read(f"{self.scope.base}/configuration", config=True) or {}
            left = begun + configuration.get(interval, default) - self._loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 1.0))

    async def _report_kpis(self) -> None:
        while True:
            await self._pause("kpi-interval", 60)
            await self._show_vims()
            # One infrastructure is at several places where partners' platforms serve its instances (option 2).
            rows: dict[tuple[str, str], Members] = {}
            there = {each["id"] for each in self._publisher.entries(f"{self.scope.base}/{INSTANCE}")}
            for place in self._places.all():
                with contextlib.suppress(RpcError):
                    for row in await place.mm6.kpis():
                        if (name := instance_id(row["subject"])) in there:
                            rows[row["metric"], name] = {**row, "subject": name}
            self._publisher.measured(self.scope, list(rows.values()), there)

    async def _show_vims(self) -> None:
        """Show each infrastructure manager that can be told to run something, with what it has left."""
        for place in self._places.all():
            with contextlib.suppress(RpcError):
                zones = await place.mm6.zones()
                left = capacity.sum_of(capacity.resources(_left(zone)) for zone in zones)
                vim: dict[str, Any] = {
                    "zone": [zone["id"] for zone in zones],
                    "state": "mec-types:active",
                    "available": capacity.amounts(left),
                }
                self._publisher.state(f"{self.scope.base}/vim[id='{place.vim}']", vim, durable=False)


def _left(zone: Members) -> Members:
    """What a zone has left: beside its attributes where a partner shows it, in its state where it is one's own."""
    return zone.get("available") or zone.get("state", {}).get("available", {})  # type: ignore[no-any-return]


def _seen(state: str, error: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """The operational state of a compute instance, and its error, from what was told of it."""
    if state == "terminated":
        return "stopped", {"error-tag": GONE, "detail": "it does not exist any more"}
    return state, error


def compute_id(instance: str) -> str:
    """What the infrastructure calls an application instance."""
    return f"{instance}.1"


def instance_id(compute: str) -> str:
    """The application instance whose compute instance it is."""
    return compute.removesuffix(".1")
