"""What an orchestrator sees of its deployments: state, faults and indicators from below, told to whoever asked for it.

It listens at Mm3 and at each Mx3 that has a part, compares when something was missed, and tells each scope of its own
deployments in its own words.  It must not start or end anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from nms.errors import RpcError
from nms.mec.attention import Attention
from nms.mec.carriers import Part
from nms.mec.occurrence import plain, terminated
from nms.mec.parts import SAID, Parts, said
from nms.mec.publisher import ALARM, KPIS, Publisher
from nms.mec.reference_points import Mm3, ReferencePoint
from nms.mec.scope import Scope
from nms.mec.session import RESYNC, Members
from nms.mec.zones import OWN, UNDER_AGREEMENT

CHANGED = "mec-system:deployment-changed"
INSTANCE_CHANGED = "mec-platform-manager:app-instance-changed"
FAILED = "application-failed-alarm"


#: Of an instance that shall run, does not, and has not failed.
_STOPPED = {"error-tag": "operation-failed", "detail": "it was stopped, and nobody here has asked for that"}


class Observation:
    """Follows the parts of all deployments.

    Args:
        parts_of: the parts of a deployment in a scope.
        busy: whether work about a deployment is under way, which tells of it itself.
    """

    def __init__(
        self,
        publisher: Publisher,
        parts_of: Callable[[Scope, str], list[Part]],
        parts: Parts,
        manager: Mm3 | None,
        busy: Callable[[Scope, str], bool],
    ) -> None:
        self._busy = busy
        self._publisher = publisher
        self._parts_of = parts_of
        self._parts = parts
        self._manager = manager
        self._attention = Attention()

    async def start(self) -> None:
        """Listen, and compare with what was known."""
        if self._manager is not None:
            self._listen(("", ""), self._manager)
        for part in self._all():
            self._attend(part)
        await self._compare()

    async def close(self) -> None:
        """Listen no longer."""
        await self._attention.close()

    # -- listening

    def refresh(self) -> None:
        """Agreements may have come or gone, or their sessions been replaced: what runs there is looked at."""
        for part in self._all():
            if part.partner and self._attend(part):
                self.look(part)

    def look(self, part: Part) -> None:
        """Something has become of a part that nobody has told of."""
        self._attention.spawn(self._follow(part))

    def _attend(self, part: Part) -> bool:
        """Listen where the part is; whether there is somebody, or nobody, new."""
        return self._listen(*self._parts.teller(part))

    def _listen(self, key: tuple[str, str], point: ReferencePoint | None) -> bool:
        return self._attention.listen(key, point, lambda name, members: self._told(key, name, members))

    def _told(self, key: tuple[str, str], name: str, members: Members) -> None:
        if name in (INSTANCE_CHANGED, CHANGED) or terminated(name, members):
            called = members.get("app-instance") or members.get("deployment") or members.get("subject", "")
            part = self._part(key, called)
            if part is not None:
                self.look(part)
        elif name == ALARM and key[0]:
            part = self._part(key, members.get("resource", ""))
            if part is not None:
                self._alarm(part, members)
        elif name == KPIS:
            self._report_kpis(key, members.get("kpi", ()))
        elif name == RESYNC:
            self._attention.spawn(self._compare())

    # -- state

    async def _compare(self) -> None:
        for part in self._all():
            await self._follow(part)

    async def _follow(self, part: Part) -> None:
        """Take over what has become of a part without our doing."""
        if self._busy(part.scope, part.deployment):
            return
        if not self._state(part.scope, part.deployment).get("instance"):
            return  # nothing of it exists: it has not been made, or was ended
        with contextlib.suppress(RpcError):  # no answer: what was known stays, the next comparison tells
            await self.report(part.scope, part.deployment)

    async def report(self, scope: Scope, deployment: str, *, told: bool = True) -> None:
        """Show a deployment as its parts are now; of one that runs at a partner who does not answer, what was known.

        Args:
            told: whether what is shown already was told of, too.

        Raises:
            RpcError: a part cannot be asked, and nothing is known of it.
        """
        path = f"{scope.base}/deployment[id='{deployment}']/state"
        held = self._state(scope, deployment)
        instances: list[Members] = []
        shown: list[Members] = []
        failure: Members = {}
        left = False
        names = {each["id"]: each for each in held.get("part", ())}
        wanted = (self._publisher.read(f"{scope.base}/deployment[id='{deployment}']", config=True) or {}).get(
            "desired-state", "started"
        )
        for part in self._parts_of(scope, deployment):
            self._attend(part)
            known = next(each for each in held["instance"] if each["id"] == part.id)
            try:
                state = await self._parts.state(part)
            except RpcError:
                if not part.partner or plain(known["operational-state"]) != "started":
                    raise
                instances.append(known)
                left = True
                if part.id in names:
                    shown.append(names[part.id])
                    failure = names[part.id].get("error", failure)
                continue
            now = {"zone": part.zone, "operational-state": state.get("operational-state", "mec-types:stopped")}
            instance = {name: value for name, value in known.items() if name != "endpoint"} | now
            if (version := self._version(scope, known.get("package", ""))) is not None:
                instance["software-version"] = version
            if "endpoint" in state:
                instance["endpoint"] = state["endpoint"]
            instances.append(instance)
            there = plain(state.get("instantiation-state", "")) == "instantiated"
            left = left or there
            error = state.get("error", {}) if there else state.get("error") or self._parts.lost(part)
            if there and not error and wanted == "started" and plain(now["operational-state"]) == "stopped":
                error = _STOPPED
            if error:
                failure = dict(error) if scope.own else said(error)
            if part.id in names:
                carried = {**names[part.id], "state": f"mec-types:{'failed' if error else 'completed'}"}
                shown.append({**carried, **({"error": error} if error else {})})
        running = all(plain(each["operational-state"]) == "started" for each in instances)
        state = {
            "instantiation-state": f"mec-types:{'instantiated' if left else 'not-instantiated'}",
            "operational-state": f"mec-types:{'started' if running else 'stopped'}",
            "instance": instances,
        }
        if "context-transferred-at" in held:
            state["context-transferred-at"] = held["context-transferred-at"]
        if running:
            state["started-at"] = held.get("started-at", self._publisher.now())
        if shown:
            state["part"] = shown
        if failure:
            state["error"] = failure
        if not told or {**held, "started-at": ""} != {**state, "started-at": ""}:
            self._publisher.state(path, state)
            self._tell(scope, deployment, state)
        text = failure.get("detail", "it runs again")
        self._publisher.alarm(scope, deployment, FAILED, "major", text, cleared=not failure)

    def gone(self, scope: Scope, deployment: str, error: Mapping[str, str]) -> None:
        """Show a deployment of which nothing exists (any more)."""
        state: Members = {
            "instantiation-state": "mec-types:not-instantiated",
            "operational-state": "mec-types:stopped",
            **({"error": dict(error)} if error else {}),
        }
        if self._publisher.read(f"{scope.base}/deployment[id='{deployment}']", config=True) is not None:
            self._publisher.state(f"{scope.base}/deployment[id='{deployment}']/state", state)
        self._tell(scope, deployment, state)
        self._publisher.alarm(scope, deployment, FAILED, "major", "it is terminated", cleared=True)

    def _tell(self, scope: Scope, deployment: str, state: Members) -> None:
        names = ("instantiation-state", "operational-state", "error")
        told = {name: state[name] for name in names if name in state}
        keep = ("id", "zone", "operational-state", "package", "software-version", "endpoint")
        instances = [{name: each[name] for name in keep if name in each} for each in state.get("instance", ())]
        self._publisher.notify(scope, CHANGED, {"deployment": deployment, **told, "instance": instances})

    def _version(self, scope: Scope, package: str) -> str | None:
        """Version of the software in a package."""
        path = f"{scope.base}/package[id='{package}']/state/descriptor"
        return (self._publisher.read(path) or {}).get("software-version") if package else None

    def _state(self, scope: Scope, deployment: str) -> Members:
        return self._publisher.read(f"{scope.base}/deployment[id='{deployment}']/state") or {}

    # -- faults and indicators

    def _alarm(self, part: Part, alarm: Members) -> None:
        """A partner's alarm about a part is one of ours about the deployment."""
        self._publisher.alarm(
            part.scope,
            part.deployment,
            plain(alarm.get("alarm-type-id", FAILED)),
            alarm.get("perceived-severity", "major"),
            alarm.get("alarm-text", "") if part.scope.own else SAID["operation-failed"],
            cleared=alarm.get("is-cleared", False),
        )

    def _report_kpis(self, key: tuple[str, str], rows: Any) -> None:
        told: dict[tuple[Scope, str, str], list[Members]] = {}
        for row in rows:
            part = self._part(key, row["subject"])
            if part is not None:
                told.setdefault((part.scope, part.deployment, row["metric"]), []).append(row)
        for scope in {scope for scope, _, _ in told}:
            if self._publisher.shares(scope, "share-kpis"):
                mine = [
                    {**_mean(found), "subject": deployment}
                    for (whose, deployment, _), found in told.items()
                    if whose == scope
                ]
                there = {each["id"] for each in self._publisher.entries(f"{scope.base}/deployment")}
                self._publisher.measured(scope, mine, there)

    # -- who is who

    def _all(self) -> list[Part]:
        scopes = [OWN, *self._publisher.scopes(UNDER_AGREEMENT)]
        return [
            part
            for scope in scopes
            for entry in self._publisher.entries(f"{scope.base}/deployment")
            for part in self._parts_of(scope, entry["id"])
        ]

    def _part(self, key: tuple[str, str], reference: str) -> Part | None:
        """The part that somebody below calls so."""
        found = (each for each in self._all() if each.reference == reference)
        return next((each for each in found if self._parts.teller(each)[0] == key), None)


def _mean(rows: Sequence[Members]) -> Members:
    """One indicator of a deployment out of those of its instances, which are all of one size."""
    value = sum((Decimal(row["value"]) for row in rows), Decimal()) / len(rows)
    samples = sum(int(row.get("samples", 1)) for row in rows)
    return {**rows[0], "value": str(value.quantize(Decimal("0.000001"))), "samples": str(samples)}
