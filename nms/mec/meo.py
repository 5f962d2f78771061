"""MEO, the MEC orchestrator (ETSI GS MEC 003 clause 7.1.1; ETSI GS MEC 010-2; Integration options, section 5.4).

It serves Mm1 over ``mec-system:system`` and Mx3 over the same model under each agreement: packages, deployments,
relocations.  It chooses the zone and delegates: to its own platform manager over Mm3 and infrastructure over Mm4, or to
a partner's orchestrator over Mx3.  A partner sees its own entries and identifiers only.  It must not know drivers, nor
how a partner is reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.admission import Admission, demand, revised
from nms.mec.carriers import Carriers, Part
from nms.mec.lifecycle import LifeCycle, Run, Step, reverse
from nms.mec.observation import Observation
from nms.mec.occurrence import plain
from nms.mec.onboarding import Onboarding, descriptor_of, usable
from nms.mec.partners import Partners
from nms.mec.parts import Parts, reference
from nms.mec.placement import choose
from nms.mec.plan import Planner
from nms.mec.provisioning import Provisioning
from nms.mec.publisher import Publisher, timestamp
from nms.mec.reference_points import Mm3, Mm4
from nms.mec.revision import Revision
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.session import Members
from nms.mec.slices import Slices
from nms.mec.zones import OWN, UNDER_AGREEMENT, Zones

DEPLOYMENT, RELOCATION, PACKAGE = "deployment", "relocation", "package"


class Meo:
    """The block.

    Args:
        domain: identifier of this domain.
        manager: its platform manager with its reference point; None for a broker.
        vims: its infrastructure managers.
        slices: of its infrastructure; None for a broker.
    """

    def __init__(
        self,
        publisher: Publisher,
        onboarding: Onboarding,
        domain: str,
        manager: tuple[str, Mm3] | None,
        vims: Mapping[str, Mm4],
        partners: Partners,
        slices: Slices | None,
    ) -> None:
        self._publisher = publisher
        self._onboarding = onboarding
        self._domain = domain
        self._manager_id = manager[0] if manager is not None else ""
        self._manager = manager[1] if manager is not None else None
        self._vims = vims
        self._partners = partners
        self.zones = Zones(publisher, domain, vims, partners)
        self.carriers = carriers = Carriers(self._manager, lambda zone: vims[self.zones.vim_of(zone)], partners)
        self._parts = Parts(carriers, onboarding.content, partners, slices)
        provisioning = Provisioning(publisher, onboarding, self._manager, vims, partners, self._parts)
        self._loop = asyncio.get_running_loop()
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self.observation = Observation(publisher, self.parts_of, self._parts, self._manager, self._busy)
        revision = Revision(publisher, self.zones, self._parts, self.parts_of, self._shown, self.observation, domain)
        reserved = Step("resources are reserved", self._reserve, self._release)
        prepared = Step("every part is prepared", self._prepare, self._terminate)
        carried = Step("instances run", self._instantiate)
        reported = Step("endpoints are reported", self._report)
        self.lifecycle = LifeCycle(
            publisher,
            [OWN.base, UNDER_AGREEMENT],
            {
                (PACKAGE, "onboard"): [
                    Step("content is here", onboarding.transfer),
                    Step("content is checked", onboarding.check_content),
                    Step("images are available", provisioning.provide, provisioning.withhold),
                    Step("package is known", provisioning.know),
                ],
                (PACKAGE, "delete-package"): [
                    Step("instances are gone", lambda run: self.lifecycle.idle(run.scope, DEPLOYMENT)),
                    Step("images are removed", provisioning.withhold),
                ],
                (DEPLOYMENT, "instantiate"): [
                    Step("zones are chosen", self._place),
                    reserved,
                    Step("package is handed over", self._hand_over),
                    prepared,
                    carried,
                    reported,
                ],
                (DEPLOYMENT, "terminate"): reverse(
                    [reserved, Step("instances run", self._instantiate, self._terminate)]
                ),
                (DEPLOYMENT, "start"): [Step("instances run", self._operate), reported],
                (DEPLOYMENT, "stop"): [Step("instances are stopped", self._operate), reported],
                (DEPLOYMENT, "heal"): [Step("what was lost runs again", self._make_again), reported],
                (DEPLOYMENT, "scale"): revision.steps(),
                (DEPLOYMENT, "update"): revision.steps(),
                (RELOCATION, "relocate"): revision.steps(),
                (DEPLOYMENT, "transfer-context"): [Step("the context of users has gone over", revision.hand_over)],
            },
            self._ended,
            about={RELOCATION: DEPLOYMENT},
        )
        self.planner = Planner(
            domain,
            lambda: self.zones.candidates(OWN),
            self._described,
            demand,
            partners,
        )
        self.admission = Admission(publisher, self.zones, onboarding, self.lifecycle)
        duties = {
            path: duty
            for base in (OWN.base, UNDER_AGREEMENT)
            for path, duty in (
                (f"{base}/{PACKAGE}", Duty(self.admission.packages, self._act_package)),
                (f"{base}/{DEPLOYMENT}", Duty(self.admission.deployments, self._act_deployment)),
                (f"{base}/{RELOCATION}", Duty(self.admission.relocations, self._act_relocation)),
            )
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties)

    async def start(self) -> None:
        """Show the zones, take up what was left unfinished, and watch."""
        await self.zones.refresh()
        self._watches = [vim.watch(lambda name, members: self.wake()) for vim in self._vims.values()]
        self.lifecycle.resume()
        for scope in (OWN, *self.zones.agreements()):
            known = {each["subject"] for each in self._publisher.entries(f"{scope.base}/operation-occurrence")}
            for name, operation in ((PACKAGE, "onboard"), (DEPLOYMENT, "instantiate")):
                for entry in self._publisher.entries(f"{scope.base}/{name}"):
                    if "state" not in entry and entry["id"] not in known:
                        wanted = self._publisher.read(f"{scope.base}/{name}[id='{entry['id']}']", config=True)
                        self.lifecycle.begin(Intent(scope, name, entry["id"], None, wanted, entry), operation)
            for entry in self._publisher.entries(f"{scope.base}/{DEPLOYMENT}"):
                if "prepared-until" in entry.get("state", {}):
                    self._arm(scope, entry["id"], entry["state"]["prepared-until"])
        await self.observation.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self.lifecycle.stop()

    async def close(self) -> None:
        """Stop; what runs runs on."""
        for watch in self._watches:
            watch.close()
        for timer in self._timers.values():
            timer.cancel()
        await self.observation.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self.lifecycle.close()

    def refresh(self) -> None:
        """Partners, their zones or their agreements have changed.  Called in the event loop."""
        self.wake()
        self.observation.refresh()

    def wake(self) -> None:
        """Zones may have changed, or who may see them.  Any thread."""
        self._loop.call_soon_threadsafe(self._refresh)

    def _refresh(self) -> None:
        self._stale = True
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._loop.create_task(self._keep_fresh())

    async def _keep_fresh(self) -> None:
        while self._stale:
            self._stale = False
            await self.zones.refresh()

    # -- what follows from a commit

    def _act_package(self, intent: Intent) -> None:
        if intent.new is None:
            self.lifecycle.begin(intent, "delete-package")
        elif intent.old is None:
            self._onboarding.created(intent)
            self.lifecycle.begin(intent, "onboard")

    def _act_deployment(self, intent: Intent) -> None:
        new, old = intent.new, intent.old
        if new is None:
            self.lifecycle.begin(intent, "terminate")
        elif old is None or (_phase(old), _phase(new)) == ("prepared", "confirmed"):
            self.lifecycle.begin(intent, "instantiate")
        else:
            if (operation := revised(old, new)) is not None:
                self.lifecycle.begin(intent, operation)
            if _desired(old) != _desired(new):
                self.lifecycle.begin(intent, "start" if _desired(new) == "started" else "stop")
        self.wake()

    def _act_relocation(self, intent: Intent) -> None:
        if intent.old is None and intent.new is not None:
            self.lifecycle.begin(intent, "relocate")

    # -- deployments

    async def _place(self, run: Run) -> None:
        held = self._publisher.read(f"{run.entry}/state") or {}
        if held.get("instance"):
            return  # chosen before a restart, or when it was prepared
        package = self._package(run)
        descriptor = descriptor_of(package, run.wanted["package"], run.entry)
        choices = choose(self.zones.candidates(run.scope), demand(descriptor, run.wanted), self._domain)
        run.reasons = list(choices[0].reasons)
        instances = [
            {
                "id": str(number),
                "zone": choice.candidate.zone,
                "operational-state": "mec-types:stopped",
                "package": run.wanted["package"],
                "reason": list(choice.reasons),
            }
            for number, choice in enumerate(choices, 1)
        ]
        state: Members = {
            "instantiation-state": "mec-types:not-instantiated",
            "operational-state": "mec-types:stopped",
            "instance": instances,
        }
        if run.scope.own:
            state["part"] = [self._shown(part, "processing") for part in self._of(run.scope, run.subject, state)]
        self._publisher.state(f"{run.entry}/state", state)

    async def _reserve(self, run: Run) -> None:
        descriptor = descriptor_of(self._package(run), run.wanted["package"], run.entry)
        amount = capacity.demand(descriptor)
        for part in self.parts_of(run.scope, run.subject):
            await self._parts.reserve(part, amount, run.wanted.get("hold-time", 300))

    async def _release(self, run: Run) -> None:
        for part in reversed(await self._left(run)):
            await self._parts.release(part)

    async def _hand_over(self, run: Run) -> None:
        package = self._package(run) or {}
        for part in self.parts_of(run.scope, run.subject):
            await self._parts.hand_over(part, package, run.within)

    async def _prepare(self, run: Run) -> None:
        """Nobody carries out a part before everybody has said that it can be: several are all or nothing."""
        parts = self.parts_of(run.scope, run.subject)
        if _phase(run.wanted) == "prepared" or len(parts) > 1:
            for part in parts:
                await self._parts.prepare(part, run.wanted, self._package(run) or {}, run.within)

    async def _instantiate(self, run: Run) -> None:
        if _phase(run.wanted) == "prepared":
            return
        package = self._package(run) or {}
        descriptor = descriptor_of(package, run.wanted["package"], run.entry)
        for part in self.parts_of(run.scope, run.subject):
            await self._parts.instantiate(part, run.wanted, package, descriptor, run.within)

    async def _terminate(self, run: Run) -> None:
        """The last part first; one that resists does not keep the others."""
        within = run.within if run.operation == "terminate" else None
        grace = (run.wanted or run.held).get("graceful-timeout")
        failures: list[RpcError] = []
        for part in reversed(await self._left(run)):
            try:
                await self._parts.terminate(part, within, grace)
            except RpcError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def heal(self, scope: Scope, deployment: str, parts: Collection[str]) -> None:
        """Have parts of a deployment made again that its carriers have lost.  In the event loop."""
        path = f"{scope.base}/{DEPLOYMENT}[id='{deployment}']"
        wanted, held = self._publisher.read(path, config=True), self._publisher.read(path)
        run = self.lifecycle.begin(Intent(scope, DEPLOYMENT, deployment, wanted, wanted, held), "heal")
        run.memo["lost"] = frozenset(parts)

    async def _make_again(self, run: Run) -> None:
        """What is left of a lost part goes first: its resources are given back, and asked for anew."""
        for part in self.parts_of(run.scope, run.subject):
            lost = run.memo.get("lost")  # gone after a restart: then its state tells
            if part.id in lost if lost is not None else not await self._parts.state(part):
                package = self._publisher.read(f"{run.scope.base}/{PACKAGE}[id='{part.package}']") or {}
                descriptor = descriptor_of(package, part.package, run.entry)
                await self._parts.terminate(part, None, 0)
                await self._parts.release(part)
                await self._parts.reserve(part, capacity.demand(descriptor), run.wanted.get("hold-time", 300))
                await self._parts.hand_over(part, package, run.within)
                await self._parts.instantiate(part, run.wanted, package, descriptor, run.within)

    async def _operate(self, run: Run) -> None:
        for part in self.parts_of(run.scope, run.subject):
            await self._parts.operate(part, _desired(run.wanted), run.within)

    async def _report(self, run: Run) -> None:
        if _phase(run.wanted) == "prepared":
            until = timestamp(self._publisher.store.clock() + timedelta(seconds=run.wanted.get("hold-time", 300)))
            held = self._publisher.read(f"{run.entry}/state") or {}
            self._publisher.state(f"{run.entry}/state", {**held, "prepared-until": until})
            self._arm(run.scope, run.subject, until)
            return
        await self.observation.report(run.scope, run.subject)
        self._use(run.scope)

    def _arm(self, scope: Scope, deployment: str, until: str) -> None:
        """Withdraw a prepared deployment when its time is over."""
        left = datetime.fromisoformat(until) - self._publisher.store.clock()
        key = (scope.base, deployment)
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = self._loop.call_later(max(0.0, left.total_seconds()), self._lapse, scope, deployment)

    def _lapse(self, scope: Scope, deployment: str) -> None:
        self._timers.pop((scope.base, deployment), None)
        wanted = self._publisher.read(f"{scope.base}/{DEPLOYMENT}[id='{deployment}']", config=True)
        if wanted is not None and _phase(wanted) == "prepared":
            held = self._publisher.read(f"{scope.base}/{DEPLOYMENT}[id='{deployment}']")
            self.lifecycle.begin(Intent(scope, DEPLOYMENT, deployment, wanted, None, held), "terminate")

    # -- parts

    def _busy(self, scope: Scope, deployment: str) -> bool:
        return self.lifecycle.busy(scope, DEPLOYMENT, deployment)

    def parts_of(self, scope: Scope, deployment: str) -> list[Part]:
        """The parts of a deployment, as its state shows them."""
        return self._of(
            scope, deployment, self._publisher.read(f"{scope.base}/{DEPLOYMENT}[id='{deployment}']/state") or {}
        )

    def _of(self, scope: Scope, deployment: str, state: Members) -> list[Part]:
        """What is recorded of a part tells where it is; a zone may have gone since, and its partner too."""
        recorded = {part["id"]: part for part in state.get("part", ())}
        parts = []
        for each in state.get("instance", ()):
            zone, held = self.zones.find(each["zone"]), recorded.get(each["id"], {})
            at = (zone.partner, zone.agreement, zone.remote_zone) if zone is not None else ("", "", "")
            if held.get("domain", self._domain) != self._domain:
                at = (held["domain"], held["agreement"], at[2])
            name = reference(scope, deployment, each["id"], at[0])
            parts.append(Part(scope, deployment, each["id"], each["zone"], name, *at, each.get("package", "")))
        return parts

    async def _left(self, run: Run) -> list[Part]:
        """The parts that a withdrawal has to look at.

        The entry takes its state along when it is removed: then what was held before tells, and after a restart, when
        nobody can tell, every place where a part might be.
        """
        if parts := self.parts_of(run.scope, run.subject):
            return parts
        if run.held:
            return self._of(run.scope, run.subject, run.held.get("state", {}))
        candidates = self._publisher.entries(f"{OWN.base}/zone")
        places = [(str(number), zone["id"]) for zone in candidates for number in range(1, 4)]
        found = self._of(
            run.scope, run.subject, {"instance": [{"id": number, "zone": zone} for number, zone in places]}
        )
        return [part for part in found if await self._parts.state(part)]

    def _shown(self, part: Part, state: str) -> Members:
        """For the operator: who carries the part out."""
        shown = {
            "id": part.id,
            "domain": part.partner or self._domain,
            "zone": part.zone,
            "reference": part.reference,
            "state": f"mec-types:{state}",
        }
        if part.partner:
            return {**shown, "agreement": part.agreement}
        return {**shown, "platform-manager": self._manager_id} if self._manager_id else shown

    def _package(self, run: Run) -> Members | None:
        return self._package_of(run.scope, run.wanted)

    def _package_of(self, scope: Scope, deployment: Members) -> Members | None:
        return self._publisher.read(f"{scope.base}/{PACKAGE}[id='{deployment['package']}']")

    def _described(self, package: str) -> tuple[Members, Members]:
        """A package of the domain's own, and its descriptor.  Raises `RpcError`: it cannot be used."""
        path = f"{OWN.base}/{PACKAGE}[id='{package}']"
        found = self._publisher.read(path)
        return found or {}, usable(found, package, path)

    # -- what is seen

    def _ended(self, run: Run) -> None:
        failed = run.state in ("failed", "failed-temp", "cancelled")
        if run.subject_type == PACKAGE and run.operation == "onboard" and failed:
            self._onboarding.failed(run)
            self._publisher.alarm(
                run.scope, run.subject, "onboarding-failed-alarm", "minor", run.error.get("detail", run.state)
            )
        elif run.subject_type == RELOCATION:
            state = {"state": f"mec-types:{run.state}", "occurrence": run.id}
            self._publisher.state(f"{run.entry}/state", {**state, **({"error": dict(run.error)} if run.error else {})})
        elif run.subject_type == DEPLOYMENT:
            if run.operation == "instantiate" and run.state in ("failed", "cancelled"):
                self.observation.gone(run.scope, run.subject, run.error)
            elif run.operation == "terminate" and run.state == "completed":
                self.observation.gone(run.scope, run.subject, {})
            self._use(run.scope)
        if not run.scope.own:
            self._publisher.state(
                f"{run.scope.agreement_path}/state/used", self.admission.used(run.scope), durable=False
            )
            self.wake()

    def _use(self, scope: Scope) -> None:
        """Show which packages have instances."""
        used = {
            each.get("package", deployment["package"])
            for deployment in self._publisher.entries(f"{scope.base}/{DEPLOYMENT}")
            if plain(deployment.get("state", {}).get("instantiation-state", "")) == "instantiated"
            for each in deployment["state"].get("instance", ())
        }
        for package in self._publisher.entries(f"{scope.base}/{PACKAGE}"):
            usage = f"mec-types:{'in-use' if package['id'] in used else 'not-in-use'}"
            if package.get("state", {}).get("usage-state", usage) != usage:
                self._publisher.state(f"{scope.base}/{PACKAGE}[id='{package['id']}']/state/usage-state", usage)
        self.wake()


def _phase(entry: Members) -> str:
    return str(entry.get("phase", "confirmed"))


def _desired(entry: Members) -> str:
    return str(entry.get("desired-state", "started"))
