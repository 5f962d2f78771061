"""The reference points between the blocks (ETSI GS MEC 003 clause 8; Mx3: Integration options, section 5.4).

Each is a small typed face of a `ManagementSession`: it writes an intent, follows the operation occurrence that the
intent has caused, and returns when that is completed.  Notifications carry the progress; a gap in their sequence
numbers, or silence, makes the follower read the occurrence again, so that lost, doubled or reordered ones do no harm.
Nothing here knows whether the other block is in this process or in another operator's domain.

| point | from - to | over the subtree |
| --- | --- | --- |
| `Mm1`, `Mx3` | OSS - MEO, MEO - MEO of another domain | mec-system:system |
| `Mm2` | OSS - MEPM | mec-platform-manager: configuration, faults, performance |
| `Mm3` | MEO - MEPM | mec-platform-manager: packages, application instances |
| `Mm4` | MEO - VIM | mec-resource: zones, images, reservations |
| `Mm5` | MEPM - MEP | mec-platform: applications with their rules |
| `Mm6` | MEPM - VIM | mec-resource: compute instances, and their images where the VIM is a partner's |
| `Mp2` | MEP - data plane | mec-resource: data-plane rules |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from nms.errors import RpcError
from nms.mec.occurrence import OCCURRENCE_CHANGED, TEMPORARY, Occurrence, Progress, occurrence_of, plain
from nms.mec.session import RESYNC, DataEdit, ManagementSession, Members, Sink, Watch

#: Without a notification for this long, the state is read again.  Seconds.
SILENCE = 2.0
#: Pauses before an edit is tried again that met a lock, which is held for a moment (RFC 6241 section 7.5).  Seconds.
LOCK_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


class _Events:
    """The notifications of a subtree as a queue that knows when it has missed one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, Members]] = asyncio.Queue()
        self._last: int | None = None

    def put(self, name: str, members: Members) -> None:
        """Take one in; repetitions and latecomers are dropped, a gap becomes RESYNC."""
        if "sequence" in members:
            number, last = int(members["sequence"]), self._last
            if last is not None and number <= last:
                return
            self._last = number
            if last is not None and number != last + 1:
                self.queue.put_nowait((RESYNC, {}))
        elif name == RESYNC:
            self._last = None
        self.queue.put_nowait((name, members))

    async def next(self) -> tuple[str, Members]:
        """The next one; RESYNC after `SILENCE`."""
        try:
            async with asyncio.timeout(SILENCE):
                return await self.queue.get()
        except TimeoutError:
            return RESYNC, {}


class ReferencePoint:
    """What all have in common: occurrences, alarms, indicators and notifications."""

    point: ClassVar[str]

    def __init__(self, session: ManagementSession) -> None:
        self.session = session

    async def occurrence(self, id: str) -> Occurrence | None:
        """An operation occurrence as it is now."""
        members = await self.session.get(f"/operation-occurrence[id='{id}']")
        return None if members is None else occurrence_of(members)

    async def latest(self, subject: str) -> Occurrence | None:
        """The newest operation occurrence about a package, deployment, instance or other entry."""
        found = [each for each in await self.occurrences() if each.subject == subject]
        return max(found, key=lambda each: each.start_time, default=None)

    async def occurrences(self) -> Sequence[Occurrence]:
        """All operation occurrences that are remembered."""
        return [occurrence_of(each) for each in await self._entries("operation-occurrence")]

    async def follow(self, id: str, progress: Progress | None = None) -> Occurrence:
        """Wait for the end of an operation occurrence; `progress` is called with each of its changes.

        Raises:
            RpcError: it failed, was cancelled, or waits for a decision (app_tag `TEMPORARY`); with its error-tag and
                detail.  data-missing: there is none.
        """
        async with self._events() as events:
            current = await self.occurrence(id)
            shown = None
            while True:
                if current is None:
                    raise RpcError("data-missing", f"operation occurrence {id} is not known")
                if progress is not None and current != shown:
                    progress(current)
                shown = current
                if current.ended:
                    if current.state != "completed":
                        raise current.failure()
                    return current
                name, members = await events.next()
                if name == RESYNC:
                    current = await self.occurrence(id)
                elif name == OCCURRENCE_CHANGED and members.get("occurrence") == id:
                    current = occurrence_of(members)

    async def cancel(self, id: str, mode: str = "graceful") -> None:
        """Cancel what is under way; what has been done is undone."""
        await self._act(id, "cancel", {"mode": mode})

    async def retry(self, id: str) -> None:
        """Try again what has failed for the time being."""
        await self._act(id, "retry", {})

    async def fail(self, id: str) -> None:
        """Give up what has failed for the time being; what has been done is undone."""
        await self._act(id, "fail", {})

    async def alarms(self) -> Sequence[Members]:
        """Alarms (RFC 8632 names)."""
        return await self._entries("alarm")

    async def kpis(self) -> Sequence[Members]:
        """Indicators."""
        return await self._entries("kpi")

    def watch(self, sink: Sink) -> Watch:
        """Notifications of the other side; after `RESYNC` read the state again."""
        return self.session.watch(sink)

    async def _edit(self, edits: Sequence[DataEdit]) -> None:
        """Edit, as soon as nobody holds a lock.

        Raises:
            RpcError: the other side's; in-use or lock-denied (app_tag `TEMPORARY`) when a lock is held for long.
        """
        for pause in (*LOCK_PAUSES, None):
            try:
                return await self.session.edit(edits)
            except RpcError as error:
                if error.tag not in ("in-use", "lock-denied"):
                    raise
                if pause is None:
                    raise RpcError(error.tag, error.message, path=error.path, app_tag=TEMPORARY) from error
            await asyncio.sleep(pause)

    async def _act(self, id: str, action: str, input: Mapping[str, Any]) -> None:
        await self.session.invoke(f"/operation-occurrence[id='{id}']", action, input)

    async def _entries(self, name: str) -> Sequence[Members]:
        found = await self.session.get(f"/{name}")
        entries: Sequence[Members] = found[name] if found is not None else ()
        return entries

    @asynccontextmanager
    async def _events(self) -> AsyncIterator[_Events]:
        events = _Events()
        handle = self.session.watch(events.put)
        try:
            yield events
        finally:
            handle.close()

    async def _carry_out(
        self, edit: DataEdit, subject: str, operations: Sequence[str], progress: Progress | None
    ) -> Occurrence | None:
        """Write an intent and follow what it causes; None if there was nothing to do.

        Writing the same intent again (after a lost answer) follows what the first one caused; where that waits for
        a decision it is retried.
        """
        await self._edit([edit])
        found = await self.latest(subject)
        if found is None or found.operation not in operations:
            return None
        if found.state == "failed-temp":
            await self.retry(found.id)
        return await self.follow(found.id, progress)

    async def _end(self, path: str, subject: str, progress: Progress | None, grace: int | None) -> None:
        """Remove the entry at `path` once it says how long its application gets to end."""
        if grace is not None:
            held = await self.session.get(path, "config")
            if held is not None and held.get("graceful-timeout") != grace:
                await self.session.edit([DataEdit(path, "merge", {"graceful-timeout": grace})])
        await self._carry_out(DataEdit(path, "remove"), subject, ("terminate",), progress)

    async def _settle(self, path: str, settled: Callable[[Members], bool]) -> Members:
        """Wait until the state of the entry at `path` is as wished; for what has no operation occurrences."""
        async with self._events() as events:
            while True:
                members = await self.session.get(path)
                if members is None:
                    raise RpcError("data-missing", f"{path} was removed while it was waited for")
                state = members.get("state", {})
                if "error" in state:
                    raise _error(state["error"])
                if settled(state):
                    return members
                await events.next()


class _Packages(ReferencePoint):
    """Points over which packages are on-boarded."""

    async def onboard(self, id: str, package: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """On-board a package (members of the list package: source, digest, size ...); gives its state."""
        await self._carry_out(DataEdit(f"/package[id='{id}']", "replace", package), id, ("onboard",), progress)
        return (await self.package(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def offboard(self, id: str, progress: Progress | None = None) -> None:
        """Remove a package; refused while it is in use."""
        await self._carry_out(DataEdit(f"/package[id='{id}']", "remove"), id, ("delete-package",), progress)

    async def package(self, id: str) -> Members | None:
        """A package with its state."""
        return await self.session.get(f"/package[id='{id}']")

    async def packages(self) -> Sequence[Members]:
        """All packages."""
        return await self._entries("package")


class System(_Packages):
    """A whole MEC system: what Mm1 and Mx3 have in common, which is all."""

    async def zones(self) -> Sequence[Members]:
        """Zones, abstract, with what is left in them."""
        return await self._entries("zone")

    async def deployment(self, id: str) -> Members | None:
        """A deployment with its state."""
        return await self.session.get(f"/deployment[id='{id}']")

    async def deployments(self) -> Sequence[Members]:
        """All deployments."""
        return await self._entries("deployment")

    async def instantiate(self, id: str, deployment: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Deploy an application (members of the list deployment); gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "replace", deployment)
        await self._carry_out(edit, id, ("instantiate", "start", "stop", "scale", "update"), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def confirm(self, id: str, progress: Progress | None = None) -> Members:
        """Carry a prepared deployment out; gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", {"phase": "confirmed"})
        await self._carry_out(edit, id, ("instantiate",), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def scale(self, id: str, instances: int, progress: Progress | None = None) -> None:
        """Have a deployment of so many instances; with so many already nothing happens."""
        await self.revise(id, {"requirement": {"scale": instances}}, progress)

    async def update(self, id: str, package: str, progress: Progress | None = None) -> None:
        """Have a deployment made of another package, the new instances before the old ones end.

        Raises `RpcError`: they did not come up, the old ones run on.
        """
        await self.revise(id, {"package": package}, progress)

    async def revise(self, id: str, changes: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Change what a deployment is made of (members of the list deployment); gives its state."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", changes)
        await self._carry_out(edit, id, ("scale", "update"), progress)
        return (await self.deployment(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> None:
        """Have a deployment "started" or "stopped"."""
        edit = DataEdit(f"/deployment[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)

    async def terminate(self, id: str, progress: Progress | None = None, grace: int | None = None) -> None:
        """Withdraw a deployment, gracefully within so many seconds (None: as it says); an unknown one is no error."""
        await self._end(f"/deployment[id='{id}']", id, progress, grace)

    async def relocate(
        self, id: str, deployment: str, target_zone: str, reason: str = "", progress: Progress | None = None
    ) -> None:
        """Move a deployment to another zone; `id` is the wish's own."""
        wish = {"deployment": deployment, "target-zone": target_zone, **({"reason": reason} if reason else {})}
        await self._carry_out(DataEdit(f"/relocation[id='{id}']", "create", wish), id, ("relocate",), progress)


class Mm1(System):
    """OSS - MEO: instantiate, terminate, relocate applications."""

    point = "mm1"


class Mx3(System):
    """MEO - MEO of two domains: interconnection of whole MEC systems."""

    point = "mx3"


class Mm2(ReferencePoint):
    """OSS - MEPM: configuration, faults and performance of the platform manager."""

    point = "mm2"

    async def configuration(self) -> Members:
        """Configuration of the managed platform."""
        return await self.session.get("/configuration") or {}

    async def configure(self, configuration: Mapping[str, Any]) -> None:
        """Change it (members of the container configuration)."""
        await self._edit([DataEdit("/configuration", "merge", configuration)])


class Mm3(_Packages):
    """MEO - MEPM: application life cycle, rules and requirements."""

    point = "mm3"

    async def vims(self) -> Sequence[Members]:
        """Infrastructure managers that may be chosen, with their zones."""
        return await self._entries("vim")

    async def app_instance(self, id: str) -> Members | None:
        """An application instance with its state."""
        return await self.session.get(f"/app-instance[id='{id}']")

    async def app_instances(self) -> Sequence[Members]:
        """All application instances."""
        return await self._entries("app-instance")

    async def instantiate(self, id: str, app_instance: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Make an application instance (members of the list app-instance); gives its state."""
        edit = DataEdit(f"/app-instance[id='{id}']", "replace", app_instance)
        await self._carry_out(edit, id, ("instantiate", "start", "stop", "configure"), progress)
        return (await self.app_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> None:
        """Have it "started" or "stopped"."""
        edit = DataEdit(f"/app-instance[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)

    async def terminate(self, id: str, progress: Progress | None = None, grace: int | None = None) -> None:
        """Withdraw an application instance, as `System.terminate` does a deployment; an unknown one is no error."""
        await self._end(f"/app-instance[id='{id}']", id, progress, grace)


class _Images(ReferencePoint):
    """Points over which software images are handed to an infrastructure manager."""

    async def image(self, id: str) -> Members | None:
        """A software image that the manager holds, with its state."""
        return await self.session.get(f"/image[id='{id}']")

    async def add_image(self, id: str, image: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Have the manager hold a software image (members of the list image)."""
        await self._carry_out(DataEdit(f"/image[id='{id}']", "replace", image), id, ("onboard",), progress)

    async def remove_image(self, id: str, progress: Progress | None = None) -> None:
        """Have it forget the image."""
        await self._carry_out(DataEdit(f"/image[id='{id}']", "remove"), id, ("delete-package",), progress)


class Mm4(_Images):
    """MEO - VIM: zones and hosts, images, reservations."""

    point = "mm4"

    async def zones(self) -> Sequence[Members]:
        """Zones; what they have left is in ``state``."""
        return await self._entries("zone")

    async def reserve(self, id: str, zone: str, amount: Mapping[str, Any], hold_time: int) -> None:
        """Hold resources for `hold_time` seconds; what is confirmed stays so.  Raises `RpcError`: resource-denied."""
        wish = {"zone": zone, "amount": dict(amount), "hold-time": hold_time}
        await self._write_reservation(id, wish, ("held", "confirmed"))

    async def confirm(self, id: str) -> None:
        """Keep held resources until they are released.  Raises `RpcError`: the hold is over."""
        await self._write_reservation(id, {"confirmed": True}, ("confirmed", "expired"))

    async def _write_reservation(self, id: str, wish: Members, until: Sequence[str]) -> None:
        path = f"/reservation[id='{id}']"
        await self._edit([DataEdit(path, "merge", wish)])
        state = (await self._settle(path, lambda state: plain(state.get("state", "")) in until)).get("state", {})
        if plain(state["state"]) == "expired":
            raise RpcError("operation-failed", f"the hold of reservation {id} is over")

    async def release(self, id: str) -> None:
        """Give reserved resources back; an unknown reservation is no error."""
        await self._edit([DataEdit(f"/reservation[id='{id}']", "remove")])


class Mm5(ReferencePoint):
    """MEPM - MEP: applications with their traffic and DNS rules, and their life cycle towards the platform."""

    point = "mm5"

    async def dns_zone(self) -> str:
        """Zone that names of a single label lie in; "" when the platform has none."""
        configuration = await self.session.get("/configuration") or {}
        return str(configuration.get("dns-zone", ""))

    async def application(self, id: str) -> Members | None:
        """An application with its state."""
        return await self.session.get(f"/application[id='{id}']")

    async def serve(self, id: str, application: Mapping[str, Any]) -> Members:
        """Have the platform serve an application (members of the list application); gives it with its state.

        Raises `RpcError`: what made a rule fail.
        """
        await self._edit([DataEdit(f"/application[id='{id}']", "replace", application)])
        return await self._settle(f"/application[id='{id}']", lambda state: state.get("ready") is True)

    async def withdraw(self, id: str) -> None:
        """Have it end service: rules and records first, then the entry; an unknown one is no error."""
        if await self.session.get(f"/application[id='{id}']", "config") is None:
            return
        await self._edit([DataEdit(f"/application[id='{id}']", "merge", {"desired-state": "terminated"})])
        await self._settle(
            f"/application[id='{id}']", lambda state: plain(state.get("operational-state", "")) == "stopped"
        )
        await self._edit([DataEdit(f"/application[id='{id}']", "remove")])


class Mp2(ReferencePoint):
    """MEP - data plane: traffic rules of applications."""

    point = "mp2"

    async def activate(self, application: str, rule: Mapping[str, Any]) -> None:
        """Put a rule (members of the list data-plane-rule) in force.  Raises `RpcError`: what made it fail."""
        path = f"/data-plane-rule[instance='{application}'][id='{rule['id']}']"
        await self._edit([DataEdit(path, "replace", dict(rule))])
        await self._settle(path, lambda state: plain(state.get("state", "")) == "active")

    async def deactivate(self, application: str, rule: str) -> None:
        """Take a rule out of force; an unknown one is no error."""
        await self._edit([DataEdit(f"/data-plane-rule[instance='{application}'][id='{rule}']", "remove")])


def _error(members: Mapping[str, str]) -> RpcError:
    return Occurrence("", state="failed", error=members).failure()


class Mm6(_Images):
    """MEPM - VIM: virtual resources of an application instance."""

    point = "mm6"

    async def zones(self) -> Sequence[Members]:
        """Zones; what they have left is in ``state``."""
        return await self._entries("zone")

    async def compute_instance(self, id: str) -> Members | None:
        """A compute instance with its state."""
        return await self.session.get(f"/compute-instance[id='{id}']")

    async def compute_instances(self) -> Sequence[Members]:
        """All compute instances."""
        return await self._entries("compute-instance")

    async def allocate(self, id: str, compute: Mapping[str, Any], progress: Progress | None = None) -> Members:
        """Have a compute instance (members of the list compute-instance) made and started; gives its state."""
        edit = DataEdit(f"/compute-instance[id='{id}']", "replace", compute)
        await self._carry_out(edit, id, ("instantiate", "start", "stop"), progress)
        return (await self.compute_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def operate(self, id: str, desired_state: str, progress: Progress | None = None) -> Members:
        """Have it "started" or "stopped"; gives its state."""
        edit = DataEdit(f"/compute-instance[id='{id}']", "merge", {"desired-state": desired_state})
        await self._carry_out(edit, id, ("start", "stop", "instantiate"), progress)
        return (await self.compute_instance(id) or {}).get("state", {})  # type: ignore[no-any-return]

    async def release(self, id: str, progress: Progress | None = None) -> None:
        """Stop it and give its resources back; an unknown one is no error."""
        await self._carry_out(DataEdit(f"/compute-instance[id='{id}']", "remove"), id, ("terminate",), progress)
