"""VIM, the virtualised infrastructure manager (ETSI GS MEC 003 clause 7.1.7).

It serves Mm4 (zones, hosts, images, reservations, to the orchestrator) and Mm6 (compute instances, to the platform
manager), both over ``mec-resource:infrastructure/vim``, and drives the infrastructure through `nms.drivers.api.Vim`
(Mm7).  It must not know what an application is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from nms.datastore.transaction import Transaction
from nms.drivers import api
from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.identities import Identities
from nms.mec.lifecycle import LifeCycle, Run, Step
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher, timestamp
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.session import DataEdit, ManagementSession, Members, members_at
from nms.mec.transfer import Transfers
from nms.model.path import parse_path

VIMS = "/mec-resource:infrastructure/vim"
CHANGED = "mec-resource:resource-changed"


class Vim:
    """The block for one entry of the list vim.

    Args:
        session: on the block's own entry, in which it keeps its inventory.
        kpi_interval: seconds between two measurements.
        identities: of applications at their platforms (Mp1); None: instances have none.
    """

    def __init__(
        self,
        publisher: Publisher,
        driver: api.Vim,
        transfers: Transfers,
        id: str,
        session: ManagementSession,
        kpi_interval: float = 10.0,
        identities: Identities | None = None,
    ) -> None:
        self._publisher = publisher
        self._driver = driver
        self._transfers = transfers
        self._content = transfers.store
        self._session = session
        self._kpi_interval = kpi_interval
        self._identities = identities
        self.scope = publisher.scope(f"{VIMS}[id='{id}']")
        self._loop = asyncio.get_running_loop()
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._measured: dict[str, tuple[float, float]] = {}
        self._measuring: asyncio.Task[None] | None = None
        compute, image = "compute-instance", "image"
        run = Step("instance runs", self._start, self._delete)
        self.lifecycle = LifeCycle(
            publisher,
            [VIMS],
            {
                (compute, "instantiate"): [run],
                (compute, "start"): [Step("instance runs", self._start)],
                (compute, "stop"): [Step("instance is stopped", self._stop)],
                (compute, "terminate"): [Step("instance is gone", self._delete)],
                (image, "onboard"): [Step("image is here", self._fetch)],
                (image, "delete-package"): [],
            },
            self._ended,
            self._mine,
        )
        duties = {
            f"{VIMS}/image": Duty(self._check_image, self._act_image),
            f"{VIMS}/reservation": Duty(self._check_room, self._act_reservation),
            f"{VIMS}/compute-instance": Duty(self._check_compute, self._act_compute),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties, self._mine)

    async def start(self) -> None:
        """Open the driver, say what there is, and take up what was left unfinished."""
        await self._driver.open(self._changed)
        await self._keep_inventory()
        wanted = {each["id"] for each in self._publisher.entries(f"{self.scope.base}/compute-instance")}
        for instance in await self._driver.list():
            if instance.id in wanted:
                self._changed(instance)
            else:  # the daemon ended between a removal and its carrying out
                await self._driver.delete(instance.id)
        await self.refresh()
        for reservation in self._publisher.entries(f"{self.scope.base}/reservation"):
            self._arm(reservation["id"])
        self.lifecycle.resume()
        known = {each["subject"] for each in self._publisher.entries(f"{self.scope.base}/operation-occurrence")}
        for name in ("image", "compute-instance"):
            for entry in self._publisher.entries(f"{self.scope.base}/{name}"):
                if "state" not in entry and entry["id"] not in known:
                    self.lifecycle.begin(self._intent(name, entry), "onboard" if name == "image" else "instantiate")
        self._measuring = self._loop.create_task(self._measure())

    async def close(self) -> None:
        """Let go; instances run on."""
        for timer in self._expiries.values():
            timer.cancel()
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)
        await self.lifecycle.close()
        await self._driver.close()

    async def _keep_inventory(self) -> None:
        """Zones and hosts are configuration, so that what is claimed of them can be checked in the same transaction."""
        hosts = await self._driver.hosts()
        edits = [DataEdit(f"/zone[id='{zone}']", "merge") for zone in sorted({host.zone for host in hosts})]
        for host in hosts:
            wish = {"zone": host.zone, "capacity": capacity.amounts(host.capacity.total)}
            edits.append(DataEdit(f"/host[id='{host.name}']", "merge", wish))
        gone = {each["id"] for each in self._publisher.entries(f"{self.scope.base}/host")} - {h.name for h in hosts}
        edits += [DataEdit(f"/host[id='{name}']", "remove") for name in sorted(gone)]
        await self._session.edit(edits)

    async def refresh(self) -> None:
        """Say what the zones and hosts have left."""
        left: dict[str, tuple[Resources, Resources]] = {}
        for host in await self._driver.hosts():
            free = host.capacity.free
            total, available = left.get(host.zone, (Resources(), Resources()))
            left[host.zone] = total + host.capacity.total, available + free
            state = {"state": "mec-types:active", "available": capacity.amounts(free)}
            self._publisher.state(f"{self.scope.base}/host[id='{host.name}']/state", state, durable=False)
        formats = [each["format"] for each in self._formats() if each["runs"]]
        for zone, (total, available) in left.items():
            members = self._publisher.read(f"{self.scope.base}/zone[id='{zone}']") or {}
            wish = members.get("admin-state", "enabled")
            shown = {"enabled": "active", "draining": "draining", "disabled": "down"}[wish]
            state = {
                "state": f"mec-types:{shown}",
                "image-format": formats,
                "total": capacity.amounts(total),
                "available": capacity.amounts(available),
            }
            self._publisher.state(f"{self.scope.base}/zone[id='{zone}']/state", state, durable=False)
        about = {"reachable": True, "image-format": self._formats()}
        self._publisher.state(f"{self.scope.base}/state", about, durable=False)

    # -- what a commit may ask

    def _mine(self, scope: Scope) -> bool:
        return scope == self.scope

    def _check_image(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.new is not None and "digest" not in intent.new:
                raise RpcError(
                    "invalid-value", f"image {intent.id} needs a digest", path=intent.scope.base + intent.path
                )
            if intent.new is not None and (reason := self._refusal(plain(intent.new["format"]))):
                raise RpcError("operation-not-supported", reason, path=intent.scope.base + intent.path)

    def _formats(self) -> list[Members]:
        """Entries of the list image-format."""
        return [
            {"format": f"mec-types:{name}", "runs": not lacking, **({"reason": lacking} if lacking else {})}
            for name, lacking in self._driver.formats().items()
        ]

    def _refusal(self, format: str) -> str:
        """Why no image of a format can be run here, in one line; empty: it can."""
        formats = self._driver.formats()
        runs = ", ".join(each for each, lacking in formats.items() if not lacking)
        reason = formats.get(format, f"this infrastructure runs {runs}")
        return reason and f"an image of format {format} cannot be run here: {reason}"

    def _check_compute(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.old is not None and intent.new is not None and _wish(intent.old) != _wish(intent.new):
                raise RpcError(
                    "operation-not-supported",
                    f"of compute instance {intent.id} only desired-state can change; remove it and make another",
                    path=intent.scope.base + intent.path,
                )
        self._check_room(wanted, tx)

    def _check_room(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        if all(intent.new is None for intent in wanted):
            return
        held = members_at(tx.new, parse_path(self._publisher.schema, self.scope.base)) or {}
        closed = {each["id"] for each in held.get("zone", ()) if each.get("admin-state", "enabled") != "enabled"}
        for intent in wanted:
            zone = (intent.new or {}).get("zone", "")
            if intent.old is None and zone in closed:
                raise RpcError(
                    "resource-denied", f"zone {zone} takes nothing new", path=intent.scope.base + intent.path
                )
        gone = capacity.lapsed(self._publisher.entries(f"{self.scope.base}/reservation"))
        full = capacity.overdrawn(capacity.totals(held.get("host", ())), capacity.claims(held, gone))
        if full is not None:
            where = f"zone {full}" if full else "any zone"
            first = next(intent for intent in wanted if intent.new is not None)
            raise RpcError("resource-denied", f"no room for {first.id} in {where}", path=first.scope.base + first.path)

    # -- what follows from a commit

    def _act_image(self, intent: Intent) -> None:
        self.lifecycle.begin(intent, "delete-package" if intent.new is None else "onboard")

    def _act_compute(self, intent: Intent) -> None:
        if intent.new is None:
            self.lifecycle.begin(intent, "terminate")
        elif intent.old is None:
            self.lifecycle.begin(intent, "instantiate")
        elif _desired(intent.old) != _desired(intent.new):
            self.lifecycle.begin(intent, "start" if _desired(intent.new) == "started" else "stop")

    def _act_reservation(self, intent: Intent) -> None:
        if intent.new is not None:
            now = self._publisher.store.clock()
            since = (intent.held or {}).get("state", {})
            state = {
                "state": "mec-types:confirmed" if intent.new.get("confirmed") else "mec-types:held",
                "held-at": since.get("held-at", timestamp(now)),
            }
            if "hold-time" in intent.new:
                until = timestamp(now + timedelta(seconds=intent.new["hold-time"]))
                state["expires-at"] = since.get("expires-at", until)
            self._publisher.state(f"{self.scope.base}{intent.path}/state", state)
        self._loop.call_soon_threadsafe(self._arm, intent.id)

    def _arm(self, reservation: str) -> None:
        """Wait for the end of a hold."""
        if (timer := self._expiries.pop(reservation, None)) is not None:
            timer.cancel()
        entry = self._publisher.read(f"{self.scope.base}/reservation[id='{reservation}']") or {}
        state = entry.get("state", {})
        if plain(state.get("state", "")) == "held" and "expires-at" in state:
            left = datetime.fromisoformat(state["expires-at"]) - self._publisher.store.clock().astimezone(UTC)
            self._expiries[reservation] = self._loop.call_later(
                max(0.0, left.total_seconds()), self._expire, reservation
            )

    def _expire(self, reservation: str) -> None:
        self._expiries.pop(reservation, None)
        path = f"{self.scope.base}/reservation[id='{reservation}']"
        entry = self._publisher.read(path) or {}
        # Confirmed meanwhile: the timer and the commit run in different threads.
        if plain(entry.get("state", {}).get("state", "")) == "held" and not entry.get("confirmed"):
            state = {**entry["state"], "state": "mec-types:expired"}
            self._publisher.state(f"{path}/state", state)
            self._tell("reservation", reservation, "expired")

    # -- steps

    async def _fetch(self, run: Run) -> None:
        digest, size, uri = run.wanted["digest"], int(run.wanted.get("size", 0)), run.wanted.get("source", "")
        await self._transfers.take_in(
            digest, uri, size, run.scope.partner, lambda arrived: run.within(100 * arrived // size if size else 0)
        )
        arrived = self._content.path(digest).stat().st_size
        state = {"state": "mec-types:onboarded", "bytes-transferred": str(arrived)}
        self._publisher.state(f"{run.entry}/state", state)

    async def _start(self, run: Run) -> None:
        spec = self._spec(run)
        wanted = run.wanted.get("desired-state", "started")
        instance = await (self._driver.start(spec) if wanted == "started" else self._driver.allocate(spec))
        await self.refresh()
        self._show(run.subject, instance)

    async def _stop(self, run: Run) -> None:
        self._show(run.subject, await self._driver.stop(run.subject, _grace(run)))

    async def _delete(self, run: Run) -> None:
        await self._driver.delete(run.subject, _grace(run))
        await self.refresh()
        self._tell("compute-instance", run.subject, "terminated")

    def _spec(self, run: Run) -> api.InstanceSpec:
        wanted = run.wanted
        image = self._publisher.read(f"{run.scope.base}/image[id='{wanted['image']}']") or {}
        ports = [each["port"] for each in wanted.get("port", ()) if "port" in each]
        return api.InstanceSpec(
            id=run.subject,
            image=self._content.path(image["digest"]),
            command=tuple(wanted.get("command", ())),
            resources=capacity.resources(wanted),
            zone=wanted.get("zone", ""),
            port=ports[0] if ports else None,
            environment={each["name"]: each.get("value", "") for each in wanted.get("environment", ())}
            | dict(self._identity_given(run.subject, wanted.get("mp1", {}))),
            slice=wanted.get("slice", ""),
            format=plain(image["format"]),
        )

    def _identity_given(self, id: str, platform: Members) -> Mapping[str, str]:
        """Environment in which an instance finds who it is; it is in no datastore."""
        return self._identities.environment(self._who(id), platform) if self._identities is not None else {}

    def _who(self, id: str) -> str:
        """An instance among those of all infrastructures of this domain."""
        return self.scope.inner("compute-instance", id)

    def _ended(self, run: Run) -> None:
        """A failure is seen at the entry too."""
        if run.state in ("failed", "failed-temp") and run.operation not in ("terminate", "delete-package"):
            if run.subject_type == "image":
                state: Members = {"state": "mec-types:failed", "error": dict(run.error)}
            else:
                state = {
                    "instantiation-state": "mec-types:not-instantiated",
                    "operational-state": "mec-types:stopped",
                    "error": dict(run.error),
                }
            self._publisher.state(f"{run.entry}/state", state)

    # -- what the infrastructure says of its own accord

    def _changed(self, instance: api.Instance) -> None:
        if self._publisher.read(f"{self.scope.base}/compute-instance[id='{instance.id}']") is None:
            return
        self._show(instance.id, instance)
        if instance.state == "failed":
            self._publisher.alarm(self.scope, instance.id, "application-failed-alarm", "major", instance.reason)

    def _show(self, id: str, instance: api.Instance) -> None:
        entry = self._publisher.read(f"{self.scope.base}/compute-instance[id='{id}']") or {}
        held = entry.get("state", {})
        running = instance.state == "started"
        state: Members = {
            "instantiation-state": "mec-types:instantiated",
            "operational-state": f"mec-types:{'started' if running else 'stopped'}",
            "zone": instance.zone,
            "address": [instance.address],
            "reason": [f"placed in zone {instance.zone}"],
        }
        if running:
            state["started-at"] = held.get("started-at", self._publisher.now())
        if entry.get("mp1") and self._identities is not None:
            state["identity"] = self._identities.identity(self._who(id))
        if instance.reason:
            state["error"] = {"error-tag": "operation-failed", "detail": instance.reason}
        self._publisher.state(f"{self.scope.base}/compute-instance[id='{id}']/state", state)
        self._tell("compute-instance", id, "started" if running else "stopped", instance.reason)
        if running:
            self._publisher.alarm(self.scope, id, "application-failed-alarm", "major", "it runs again", cleared=True)

    def _tell(self, kind: str, id: str, state: str, reason: str = "") -> None:
        told: Members = {"resource-type": kind, "resource": id, "state": state}
        if reason:
            told["error"] = {"error-tag": "operation-failed", "detail": reason}
        self._publisher.notify(self.scope, CHANGED, told)

    def _intent(self, name: str, entry: Members) -> Intent:
        wanted = self._publisher.read(f"{self.scope.base}/{name}[id='{entry['id']}']", config=True)
        return Intent(self.scope, name, entry["id"], None, wanted, entry)

    # -- indicators

    async def _measure(self) -> None:
        while True:
            began = self._publisher.now()
            await asyncio.sleep(self._kpi_interval)
            rows: list[Members] = []
            instances = await self._driver.list()
            for instance in instances:
                if instance.state == "started":
                    rows += await self._usage(instance, began)
            there = {instance.id for instance in instances}
            self._measured = {name: known for name, known in self._measured.items() if name in there}
            self._publisher.measured(self.scope, rows, there)

    async def _usage(self, instance: api.Instance, began: str) -> list[Members]:
        try:
            used = await self._driver.kpis(instance.id)
        except RpcError:  # deleted since it was listed
            self._measured.pop(instance.id, None)
            return []
        at, before = self._loop.time(), self._measured.get(instance.id)
        self._measured[instance.id] = (at, used.cpu_seconds)
        size = instance.resources
        found = {"memory-utilisation": _percent(used.memory / (1 << 20), size.memory)}
        if before is not None and at > before[0]:
            share = (used.cpu_seconds - before[1]) / (at - before[0])
            found["cpu-utilisation"] = _percent(share, size.millicpu / 1000)
        window = {"window-start": began, "window-end": self._publisher.now(), "samples": "1"}
        return [
            {"metric": f"mec-types:{metric}", "subject": instance.id, "value": value, **window}
            for metric, value in found.items()
        ]


def _percent(part: float, whole: float) -> str:
    return str(Decimal(100 * part / whole if whole else 0).quantize(Decimal("0.000001")))


def _wish(entry: Members) -> Members:
    free = ("desired-state", "graceful-timeout", "mp1")
    return {name: value for name, value in entry.items() if name not in free}


def _desired(entry: Members) -> str:
    return str(entry.get("desired-state", "started"))


def _grace(run: Run) -> float | None:
    """Seconds before force; None: as the driver is configured."""
    return (run.wanted or run.held).get("graceful-timeout")
