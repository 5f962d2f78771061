"""Moving a deployment to another zone: made there before it is broken here (ETSI GS MEC 021).

Which instances are new is seen from their zone, so that every step can be taken again after a restart.  It must not
know where a zone is.
"""

from __future__ import annotations

from collections.abc import Callable

from nms.mec import capacity
from nms.mec.carriers import Part
from nms.mec.lifecycle import Run
from nms.mec.observation import Observation
from nms.mec.onboarding import descriptor_of
from nms.mec.parts import Parts
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope


class Relocation:
    """The steps."""

    def __init__(
        self,
        publisher: Publisher,
        parts: Parts,
        parts_of: Callable[[Scope, str], list[Part]],
        observation: Observation,
    ) -> None:
        self._publisher = publisher
        self._parts = parts
        self._parts_of = parts_of
        self._observation = observation

    async def move_in(self, run: Run) -> None:
        """As many instances as there are run in the target zone too."""
        scope, deployment, target = run.scope, run.wanted["deployment"], run.wanted["target-zone"]
        path = f"{scope.base}/deployment[id='{deployment}']"
        entry = self._publisher.read(path) or {}
        state = entry["state"]
        instances = state["instance"]
        if all(each["zone"] != target for each in instances):
            # Both are shown from now on, so that a restart knows what to end.
            first = max(int(each["id"]) for each in instances) + 1
            reason = [run.wanted.get("reason", "relocated")]
            moved = [{"id": str(first + number), "zone": target, "reason": reason} for number in range(len(instances))]
            self._publisher.state(f"{path}/state", {**state, "instance": [*instances, *moved]})
        package = self._publisher.read(f"{scope.base}/package[id='{entry['package']}']") or {}
        descriptor = descriptor_of(package, entry["package"], path)
        for part in self._parts_of(scope, deployment):
            if part.zone == target:
                await self._parts.reserve(part, capacity.demand(descriptor), 300)
                await self._parts.hand_over(part, package, run.within)
                await self._parts.instantiate(part, entry, package, descriptor, run.within)
        await self._observation.report(scope, deployment)

    async def move_out(self, run: Run) -> None:
        """Those elsewhere are withdrawn."""
        await self._keep(run, stay=lambda zone: bool(zone == run.wanted["target-zone"]))

    async def move_back(self, run: Run) -> None:
        """Those in the target zone are withdrawn."""
        await self._keep(run, stay=lambda zone: bool(zone != run.wanted["target-zone"]))

    async def _keep(self, run: Run, stay: Callable[[str], bool]) -> None:
        """Withdraw the instances of a deployment that shall not stay."""
        scope, deployment = run.scope, run.wanted["deployment"]
        for part in self._parts_of(scope, deployment):
            if not stay(part.zone):
                await self._parts.terminate(part)
                await self._parts.release(part)
        path = f"{scope.base}/deployment[id='{deployment}']/state"
        state = self._publisher.read(path) or {}
        kept = [each for each in state.get("instance", ()) if stay(each["zone"])]
        self._publisher.state(path, {**state, "instance": kept})
        await self._observation.report(scope, deployment)
