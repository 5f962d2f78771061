"""Changing what a deployment is made of while it lives: scaled, updated, relocated; made before it is broken.

The three differ in one thing only: which instances there shall be (`_planned`).  Instances that join are made beside
the others; when all of them run, those that leave end; if one does not come up, those that joined end and the others
were never touched.  Which is which stands in the deployment's state, with the occurrence, so that every step can be
taken again after a restart.  It must not know where a zone is, nor who carries an instance out.

ETSI GS MEC 010-2, clause 5.4 (scale, update); ETSI GS MEC 021 (relocation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nms.mec import capacity
from nms.mec.admission import CONTEXT, demand, requirement
from nms.mec.carriers import Part
from nms.mec.lifecycle import Run, Step
from nms.mec.observation import Observation
from nms.mec.onboarding import descriptor_of
from nms.mec.parts import Parts
from nms.mec.placement import extend
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import Members
from nms.mec.zones import Zones

#: Seconds that resources are held for an instance that joins.
HOLD = 300


class Revision:
    """The steps.

    Args:
        parts_of: the parts of a deployment in a scope, as its state shows them.
        shown: a part as the operator sees it, in a state.
        home: identifier of this domain.
    """

    def __init__(
        self,
        publisher: Publisher,
        zones: Zones,
        parts: Parts,
        parts_of: Callable[[Scope, str], list[Part]],
        shown: Callable[[Part, str], Members],
        observation: Observation,
        home: str,
    ) -> None:
        self._publisher = publisher
        self._zones = zones
        self._parts = parts
        self._parts_of = parts_of
        self._shown = shown
        self._observation = observation
        self._home = home

    def steps(self) -> Sequence[Step]:
        """Of every kind of change."""
        return [
            Step("what joins and what leaves is decided", self._plan),
            Step("instances that join run", self._make, self._unmake),
            Step("the context of users is with those that join", self._hand_on),
            Step("instances that leave are withdrawn", self._retire),
        ]

    # -- deciding

    async def _plan(self, run: Run) -> None:
        scope, deployment = run.scope, _deployment(run)
        path = f"{scope.base}/deployment[id='{deployment}']"
        entry = self._publisher.read(path) or {}
        state: Members = entry.get("state", {})
        instances: list[Members] = state.get("instance", [])
        if any(each.get("occurrence") == run.id for each in instances):
            return  # decided before a restart
        # What an occurrence has left that could not be undone ends with this one.
        gone = [each["id"] for each in instances if each.get("change") == "joining"]
        leaving, joining = self._planned(run, entry, [each for each in instances if each["id"] not in gone])
        first = max((int(each["id"]) for each in instances), default=0) + 1
        about = {"operational-state": "mec-types:stopped", "change": "joining", "occurrence": run.id}
        made = [{"id": str(first + number), **each, **about} for number, each in enumerate(joining)]
        ending = {"change": "leaving", "occurrence": run.id}
        kept = [{**each, **(ending if each["id"] in (*gone, *leaving) else {})} for each in instances]
        blank = {"instantiation-state": "mec-types:not-instantiated", "operational-state": "mec-types:stopped"}
        state = {**blank, **state, "instance": [*kept, *made]}
        self._publisher.state(f"{path}/state", state)
        if scope.own and made:
            shown = [self._shown(part, "processing") for part in self._changing(run, "joining")]
            self._publisher.state(f"{path}/state", {**state, "part": [*state.get("part", ()), *shown]})

    def _planned(self, run: Run, entry: Members, instances: Sequence[Members]) -> tuple[list[str], list[Members]]:
        """Identifiers of the instances that leave; zone, package and reasons of those that join."""
        package = entry["package"]
        if run.operation == "relocate":
            target, reason = run.wanted["target-zone"], run.wanted.get("reason", "relocated")
            moved = [each for each in instances if each["zone"] != target]
            joining = [{"zone": target, "package": each.get("package", package), "reason": [reason]} for each in moved]
            return [each["id"] for each in moved], joining
        descriptor = self._descriptor(run.scope, package)
        scale = int(requirement(descriptor, entry).get("scale", 1))
        stay = [each for each in instances if each.get("package", package) == package][:scale]
        leave = [each for each in instances if each not in stay]
        choices = extend(
            self._zones.candidates(run.scope),
            demand(descriptor, entry),
            scale - len(stay),
            [each["zone"] for each in stay],
            [each["zone"] for each in leave if each.get("package", package) != package],
            self._home,
        )
        run.reasons = [reason for choice in choices[:1] for reason in choice.reasons]
        joining = [{"zone": each.candidate.zone, "package": package, "reason": list(each.reasons)} for each in choices]
        return [each["id"] for each in leave], joining

    # -- carrying it out

    async def _make(self, run: Run) -> None:
        scope, deployment = run.scope, _deployment(run)
        entry = self._publisher.read(f"{scope.base}/deployment[id='{deployment}']") or {}
        for part in self._changing(run, "joining"):
            package = self._publisher.read(f"{scope.base}/package[id='{part.package}']") or {}
            descriptor = self._descriptor(scope, part.package)
            await self._parts.reserve(part, capacity.demand(descriptor), HOLD)
            await self._parts.hand_over(part, package, run.within)
            await self._parts.instantiate(part, entry, package, descriptor, run.within)
        await self._observation.report(scope, deployment)

    async def _hand_on(self, run: Run) -> None:
        """Each instance that leaves gives the context of its users to the one in its place (ETSI GS MEC 021)."""
        if not run.wanted.get("transfer-context", True):
            return
        deployment = _deployment(run)
        state = self._publisher.read(f"{run.scope.base}/deployment[id='{deployment}']/state") or {}
        endpoints = {each["id"]: each.get("endpoint", ()) for each in state.get("instance", ())}
        for leaves, joins in zip(self._changing(run, "leaving"), self._changing(run, "joining"), strict=False):
            able = self._descriptor(run.scope, leaves.package).get("user-context-transfer", {})
            if able.get("supported") and able.get("stateful") and endpoints[joins.id]:
                first = endpoints[joins.id][0]
                target = {"target-address": first["address"], "target-port": first.get("port")}
                target = {name: value for name, value in target.items() if value}
                await self._parts.transfer_context(leaves, target, joins)

    async def hand_over(self, run: Run) -> None:
        """The context of the users of a whole deployment goes where its entry says: somebody else's takes its place."""
        for part in self._parts_of(run.scope, run.subject):
            await self._parts.transfer_context(part, run.wanted[CONTEXT])
        state = self._publisher.read(f"{run.entry}/state") or {}
        self._publisher.state(f"{run.entry}/state", {**state, "context-transferred-at": self._publisher.now()})

    async def _retire(self, run: Run) -> None:
        await self._end(run, "leaving")

    async def _unmake(self, run: Run) -> None:
        await self._end(run, "joining")

    async def _end(self, run: Run, change: str) -> None:
        """Withdraw the instances that join, or leave; nothing happens to the others any more."""
        scope, deployment = run.scope, _deployment(run)
        path = f"{scope.base}/deployment[id='{deployment}']"
        entry = self._publisher.read(path) or {}
        ending = self._changing(run, change)
        for part in ending:
            await self._parts.terminate(part, None, entry.get("graceful-timeout"))
            await self._parts.release(part)
        gone = {part.id for part in ending}
        state = self._publisher.read(f"{path}/state")
        if state is None:
            return
        marks = ("change", "occurrence")
        kept = [
            {name: value for name, value in each.items() if name not in marks}
            for each in state.get("instance", ())
            if each["id"] not in gone
        ]
        parts = [each for each in state.pop("part", ()) if each["id"] not in gone]
        self._publisher.state(f"{path}/state", {**state, "instance": kept, **({"part": parts} if parts else {})})
        if kept:
            await self._observation.report(scope, deployment, told=False)
        else:
            self._observation.gone(scope, deployment, run.error)

    def _changing(self, run: Run, change: str) -> list[Part]:
        deployment = _deployment(run)
        state = self._publisher.read(f"{run.scope.base}/deployment[id='{deployment}']/state") or {}
        mine = {
            each["id"]
            for each in state.get("instance", ())
            if each.get("change") == change and each.get("occurrence") == run.id
        }
        return [part for part in self._parts_of(run.scope, deployment) if part.id in mine]

    def _descriptor(self, scope: Scope, package: str) -> Members:
        path = f"{scope.base}/package[id='{package}']"
        return descriptor_of(self._publisher.read(path), package, path)


def _deployment(run: Run) -> str:
    """The deployment that is changed: of a relocation the one that it names."""
    return str(run.wanted["deployment"]) if run.operation == "relocate" else run.subject
