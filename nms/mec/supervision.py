"""What a platform manager sees of what runs: faults and performance, and which infrastructure it can use (Mm2).

It listens at each place, compares now and then for what no notification has told, and raises alarms (RFC 8632).  It
must not start or end anything; what its owner has removed it has the platform serve no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.occurrence import plain, terminated
from nms.mec.places import Places
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm6
from nms.mec.scope import Scope
from nms.mec.session import RESYNC, Members, Watch
from nms.mec.vim import CHANGED as RESOURCE_CHANGED
from nms.mec.vim import KPIS

CHANGED = "mec-platform-manager:app-instance-changed"
INSTANCE = "app-instance"
ALARM = "application-failed-alarm"
#: Error-tag of an instance that exists no more.
GONE = "data-missing"


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
        self._watches: dict[int, tuple[Mm6, Watch]] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Compare with what was known, and go on doing so."""
        for work in (self._look_after(), self._report_kpis()):
            task = self._loop.create_task(work)
            self._tasks.add(task)
        await self._show_vims()
        await self._compare()

    async def close(self) -> None:
        """Listen no more."""
        for _, watch in self._watches.values():
            watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refresh(self) -> None:
        """Places may have come or gone: listen at each.  Called in the event loop."""
        points = {id(place.mm6): place.mm6 for place in self._places.all()}
        for key in self._watches.keys() - points.keys():
            self._watches.pop(key)[1].close()
        for key in points.keys() - self._watches.keys():
            self._watches[key] = (points[key], points[key].watch(self._told))

    # -- faults

    def _told(self, name: str, members: Members) -> None:
        if name == RESOURCE_CHANGED and members.get("resource-type") == "compute-instance":
            self._observe(members["resource"], *_seen(members["state"], members.get("error", {})))
        elif terminated(name, members) and members["subject-type"] == "compute-instance":
            self._observe(members["subject"], *_seen("terminated", {}))
        elif name == RESYNC:
            self._spawn(self._compare())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_after(self) -> None:
        """Compare now and then, for what no notification has told."""
        while True:
            await self._pause("fault-interval", 10)
            with contextlib.suppress(RpcError):
                await self._compare()

    async def _compare(self) -> None:
        for place in self._places.all():
            with contextlib.suppress(RpcError):  # one that does not answer keeps nobody from being looked after
                for instance in await place.mm6.compute_instances():
                    state = instance.get("state", {})
                    if "operational-state" in state:
                        self._observe(instance["id"], plain(state["operational-state"]), state.get("error", {}))

    def _observe(self, compute: str, now: str, error: Mapping[str, str]) -> None:
        """An instance has changed without being told to."""
        name = instance_id(compute)
        entry = self._publisher.read(f"{self.scope.base}/{INSTANCE}[id='{name}']")
        if entry is None or "state" not in entry or self._busy(name):
            return
        state = entry["state"]
        if plain(state.get("instantiation-state", "")) != "instantiated":
            return
        if now == "started" and "error" in state:
            self._came_back(name)
        if plain(state["operational-state"]) != now or dict(state.get("error", {})) != dict(error):
            state = {**state, "operational-state": f"mec-types:{now}"}
            state.pop("error", None)
            if error:
                state["error"] = dict(error)
            self._publisher.state(f"{self.scope.base}/{INSTANCE}[id='{name}']/state", state)
            self.tell(name, state)
        if error.get("error-tag") == GONE:
            self._spawn(self._unserve(name, entry.get("zone", "")))
        if now == "started":
            self._publisher.alarm(self.scope, name, ALARM, "major", "it runs again", cleared=True)
        elif error:
            self._publisher.alarm(self.scope, name, ALARM, "major", error.get("detail", "it has ended"))

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
            rows: list[Members] = []
            for place in self._places.all():
                with contextlib.suppress(RpcError):
                    rows += [{**row, "subject": instance_id(row["subject"])} for row in await place.mm6.kpis()]
            for row in rows:
                key = f"[metric='{row['metric']}'][subject='{row['subject']}']"
                self._publisher.state(f"{self.scope.base}/kpi{key}", row, durable=False)
            self._publisher.notify(self.scope, KPIS, {"kpi": rows})

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
