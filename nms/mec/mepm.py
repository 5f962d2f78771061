"""MEPM, the MEC platform manager (ETSI GS MEC 003 clause 7.1.4; ETSI GS MEC 010-2).

It serves Mm3 (packages and application instances, to the orchestrator) and Mm2 (configuration, faults, performance, to
the operations system) over ``mec-platform-manager:platform-managers/platform-manager``.  It has the infrastructure run
an instance over Mm6 and the platform serve it over Mm5, and cannot tell where those are.  It must not know drivers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.lifecycle import LifeCycle, Run, Step, reverse
from nms.mec.occurrence import TEMPORARY, plain
from nms.mec.onboarding import Onboarding, descriptor_of, usable
from nms.mec.places import Place, Places
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm5
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.served_names import ServedNames, rules
from nms.mec.session import Members, members_at
from nms.mec.supervision import INSTANCE, Supervision, compute_id
from nms.model.path import parse_path

CONTEXT = "user-context-transfer"
#: Seconds that an application has for the context of its users.
PATIENCE = 30.0

_log = logging.getLogger(__name__)

MANAGERS = "/mec-platform-manager:platform-managers/platform-manager"


class Mepm:
    """The block for one entry of the list platform-manager.

    Args:
        places: which infrastructure runs an instance in a zone, and which platform serves it.
    """

    def __init__(
        self,
        publisher: Publisher,
        onboarding: Onboarding,
        id: str,
        places: Places,
    ) -> None:
        self._publisher = publisher
        self._onboarding = onboarding
        self._places = places
        self.scope = publisher.scope(f"{MANAGERS}[id='{id}']")
        self._names = ServedNames(publisher, self.scope, places)
        runs = Step("instance runs", self._allocate, self._release)
        served = Step("rules and records are active", self._serve, self._withdraw)
        reported = Step("endpoints are reported", self._report)
        self.lifecycle = LifeCycle(
            publisher,
            [MANAGERS],
            {
                ("package", "onboard"): [
                    Step("content is here", onboarding.transfer),
                    Step("content is checked", onboarding.check_content),
                    Step("package is known", self._know),
                ],
                ("package", "delete-package"): [Step("its image is nowhere else", self._take_back)],
                (INSTANCE, "instantiate"): [runs, served, reported],
                (INSTANCE, "terminate"): reverse([runs, served]),
                (INSTANCE, "start"): [Step("instance runs", self._operate), served, reported],
                (INSTANCE, "stop"): [
                    Step("rules and records are withdrawn", self._withdraw),
                    Step("instance is stopped", self._operate),
                    reported,
                ],
                (INSTANCE, "transfer-context"): [Step("the context of users has gone over", self._transfer_context)],
                (INSTANCE, "configure"): [Step("rules and records are as wished", self._serve), reported],
            },
            self._ended,
            self._mine,
        )
        self.supervision = Supervision(
            publisher,
            self.scope,
            id,
            places,
            lambda name: self.lifecycle.busy(self.scope, INSTANCE, name),
            self._came_back,
        )
        duties = {
            f"{MANAGERS}/package": Duty(self._check_packages, self._act_package),
            f"{MANAGERS}/{INSTANCE}": Duty(self._check_instances, self._act_instance),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties, self._mine)

    async def start(self) -> None:
        """Take up what was left unfinished, and watch."""
        self.refresh()
        self.lifecycle.resume()
        known = {each["subject"] for each in self._publisher.entries(f"{self.scope.base}/operation-occurrence")}
        for name, operation in (("package", "onboard"), (INSTANCE, "instantiate")):
            for entry in self._publisher.entries(f"{self.scope.base}/{name}"):
                if "state" not in entry and entry["id"] not in known:
                    wanted = self._publisher.read(f"{self.scope.base}/{name}[id='{entry['id']}']", config=True)
                    self.lifecycle.begin(Intent(self.scope, name, entry["id"], None, wanted, entry), operation)
        await self.supervision.start()

    async def close(self) -> None:
        """Stop; instances run on."""
        await self.supervision.close()
        await self.lifecycle.close()

    def refresh(self) -> None:
        """Places may have come or gone: listen at each.  Called in the event loop."""
        self.supervision.refresh()

    # -- what a commit may ask

    def _mine(self, scope: Scope) -> bool:
        return scope == self.scope

    def _check_packages(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        held = members_at(tx.new, parse_path(self._publisher.schema, self.scope.base)) or {}
        used = {each["package"] for each in held.get(INSTANCE, ())}
        for intent in wanted:
            self._onboarding.check(intent, busy=intent.id in used)

    def _check_instances(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            where = intent.scope.base + intent.path
            if intent.new is not None and (intent.old is None or _ruled(intent.old) != _ruled(intent.new)):
                self._names.require_free(intent.new, tx, where)
            if intent.new is not None and intent.old is None:
                name = intent.new["package"]
                usable(self._publisher.read(f"{self.scope.base}/package[id='{name}']"), name, where)
                try:
                    place = self._places.of(intent.new.get("zone", ""))
                except RpcError as error:
                    raise RpcError(error.tag, error.message, path=where) from None
                if intent.new.get("vim", place.vim) != place.vim:
                    raise RpcError("invalid-value", f"there is no VIM {intent.new['vim']}", path=where)
                if intent.new.get("requirement", {}).get("scale", 1) != 1:
                    raise RpcError("operation-not-supported", "an application instance is one instance", path=where)
            elif intent.new is not None and intent.old is not None and _fixed(intent.old) != _fixed(intent.new):
                raise RpcError(
                    "operation-not-supported",
                    f"of application instance {intent.id} only desired-state and rules can change",
                    path=where,
                )

    # -- what follows from a commit

    def _act_package(self, intent: Intent) -> None:
        if intent.old is None:
            self._onboarding.created(intent)
            self.lifecycle.begin(intent, "onboard")
        elif intent.new is None:
            self.lifecycle.begin(intent, "delete-package")

    def _act_instance(self, intent: Intent) -> None:
        if intent.new is None:
            self.lifecycle.begin(intent, "terminate")
        elif intent.old is None:
            self.lifecycle.begin(intent, "instantiate")
        elif _desired(intent.old) == _desired(intent.new):
            if _ruled(intent.old) != _ruled(intent.new):
                self.lifecycle.begin(intent, "configure")
            if intent.new.get(CONTEXT) and intent.old.get(CONTEXT) != intent.new.get(CONTEXT):
                self.lifecycle.begin(intent, "transfer-context")
        else:
            self.lifecycle.begin(intent, "start" if _desired(intent.new) == "started" else "stop")

    def _came_back(self, instance: str) -> None:
        """An instance runs again after a fault: rules and records follow it to where it is now."""
        path = f"{self.scope.base}/{INSTANCE}[id='{instance}']"
        wanted, held = self._publisher.read(path, config=True), self._publisher.read(path)
        self.lifecycle.begin(Intent(self.scope, INSTANCE, instance, wanted, wanted, held), "configure")

    # -- steps

    async def _know(self, run: Run) -> None:
        self._onboarding.onboarded(run)

    def _place(self, run: Run) -> Place | None:
        """Where the instance is, or shall be; None: at a partner with which there is no agreement any more."""
        zone = (run.wanted or run.held).get("zone", "")
        try:
            return self._places.of(zone)
        except RpcError:
            if run.operation == "instantiate" and not run.undoing:
                raise
            return None

    async def _allocate(self, run: Run) -> None:
        place = self._places.of(run.wanted.get("zone", ""))
        descriptor = self._descriptor(run)
        run.reasons = run.reasons or [f"{place.vim} serves the zone"]
        image = descriptor["sw-image"]
        if await place.mm6.image(image["checksum"]["value"]) is None:
            await place.mm6.add_image(image["checksum"]["value"], self._image(image, place.source), run.within)
        compute = self._compute(run.wanted, descriptor, place.zone) | await self._mp1(place)
        await place.mm6.allocate(compute_id(run.subject), compute, run.within)

    async def _mp1(self, place: Place) -> Members:
        """Who serves an instance, so that it can be told; nobody where the platform is for none."""
        access = await place.mm5.access()
        return {"mp1": access} if access else {}

    def _image(self, image: Mapping[str, Any], source: Callable[[str], str] | None) -> Members:
        """Entry of the list image for the image of a descriptor; a partner's infrastructure pulls it from here."""
        digest = image["checksum"]["value"]
        size = self._onboarding.content.path(digest).stat().st_size
        wish = {"digest": digest, "size": str(size), "format": image["format"]}
        return wish if source is None else wish | {"source": source(digest)}

    async def _take_back(self, run: Run) -> None:
        """No infrastructure holds the image of a package that is gone, unless another package has the same one."""
        digest = _image_digest(run.held)
        others = (each for each in self._publisher.entries(f"{self.scope.base}/package") if each["id"] != run.subject)
        kept = not digest or any(_image_digest(each) == digest for each in others)
        for place in () if kept else self._places.all():
            try:
                await place.mm6.remove_image(digest)
            except RpcError as error:
                if error.app_tag == TEMPORARY:
                    raise
                _log.info("image %s stays at %s: %s", digest, place.vim, error)

    async def _release(self, run: Run) -> None:
        if (place := self._place(run)) is not None:
            grace = (run.wanted or run.held).get("graceful-timeout")
            await place.mm6.release(compute_id(run.subject), grace=grace)

    async def _operate(self, run: Run) -> None:
        if (place := self._place(run)) is not None:
            await place.mm6.operate(compute_id(run.subject), _desired(run.wanted), run.within)

    async def _serve(self, run: Run) -> None:
        if _desired(run.wanted) != "started":
            return
        place = self._places.of(run.wanted.get("zone", ""))
        instance = await place.mm6.compute_instance(compute_id(run.subject)) or {}
        address = next(iter(instance.get("state", {}).get("address", ())), None)
        if address is None:
            raise RpcError("operation-failed", f"instance {run.subject} has no address")
        descriptor = self._descriptor(run)
        application = {
            "name": descriptor["name"],
            "address": address,
            "identity": instance["state"].get("identity"),
            "required-service": [each["name"] for each in descriptor.get("service-required", ())],
            "traffic-rule": rules(descriptor, run.wanted, "traffic-rule"),
            "dns-rule": rules(descriptor, run.wanted, "dns-rule"),
        }
        await place.mm5.serve(run.subject, {name: value for name, value in application.items() if value})

    async def _withdraw(self, run: Run) -> None:
        if (place := self._place(run)) is not None:
            await place.mm5.withdraw(run.subject, 0 if run.undoing else self._grace(run))

    async def _transfer_context(self, run: Run) -> None:
        place = self._places.of(run.wanted.get("zone", ""))
        await place.mm5.transfer_context(run.subject, run.wanted[CONTEXT], PATIENCE)
        state = self._publisher.read(f"{run.entry}/state") or {}
        self._publisher.state(f"{run.entry}/state", {**state, "context-transferred-at": self._publisher.now()})

    def _grace(self, run: Run) -> int:
        """Seconds that an application gets to end or stop: as whoever asks for it says, else as its descriptor does."""
        entry = run.wanted or run.held
        if "graceful-timeout" in entry:
            return int(entry["graceful-timeout"])
        package = self._publisher.read(f"{self.scope.base}/package[id='{entry.get('package', '')}']") or {}
        how = "change-state" if run.operation == "stop" else "terminate"
        said = package.get("state", {}).get("descriptor", {}).get(how, {})
        return int(said.get("max-graceful-timeout", said.get("min-graceful-timeout", 0)))

    async def _report(self, run: Run) -> None:
        place = self._places.of(run.wanted.get("zone", ""))
        instance = await place.mm6.compute_instance(compute_id(run.subject)) or {}
        held = instance.get("state", {})
        if plain(held.get("operational-state", "")) != _desired(run.wanted):
            # It has ended between its start and now.
            said = held.get("error", {})
            raise RpcError("operation-failed", said.get("detail", f"instance {run.subject} does not run"))
        state: Members = {
            "instantiation-state": "mec-types:instantiated",
            "operational-state": held["operational-state"],
            "vim": place.vim,
            "zone": run.wanted.get("zone", held["zone"]),
            "reason": run.reasons,
            "platform": place.platform,
            "compute-instance": [compute_id(run.subject)],
        }
        if "started-at" in held:
            state["started-at"] = held["started-at"]
        if _desired(run.wanted) == "started":
            state["endpoint"] = await self._endpoints(run, place.mm5, held["address"][0])
        self._publisher.state(f"{run.entry}/state", state)
        self.supervision.tell(run.subject, state)

    async def _endpoints(self, run: Run, platform: Mm5, address: str) -> list[Members]:
        descriptor = self._descriptor(run)
        zone = await platform.dns_zone()
        names = [
            each["domain-name"].rstrip(".").lower()
            for each in rules(descriptor, run.wanted, "dns-rule")
            if each["desired-state"] == "active"
        ]
        name = next((each if "." in each or not zone else f"{each}.{zone.rstrip('.')}" for each in names), None)
        return [
            {
                "service-name": point["name"],
                "address": address,
                **({"dns-name": name} if name else {}),
                **{leaf: point[leaf] for leaf in ("port", "protocol") if leaf in point},
            }
            for point in descriptor.get("external-connection-point", ())
        ]

    def _descriptor(self, run: Run) -> Members:
        name = run.wanted["package"]
        return descriptor_of(self._publisher.read(f"{self.scope.base}/package[id='{name}']"), name, run.entry)

    def _compute(self, wanted: Members, descriptor: Members, zone: str) -> Members:
        image = descriptor["sw-image"]
        ports = [
            {name: point[name] for name in ("name", "port", "protocol") if name in point}
            for point in descriptor.get("external-connection-point", ())
        ]
        compute = {
            "image": image["checksum"]["value"],
            **capacity.amounts(capacity.demand(descriptor, wanted.get("virtual-compute"))),
            "command": image.get("command"),
            "environment": image.get("environment"),
            "port": ports,
            "zone": zone,
            "reservation": wanted.get("reservation"),
            "slice": wanted.get("slice"),
            "desired-state": _desired(wanted),
        }
        return {name: value for name, value in compute.items() if value}

    def _ended(self, run: Run) -> None:
        if run.state not in ("failed", "failed-temp", "cancelled") or run.operation in ("terminate", "delete-package"):
            return
        if run.subject_type == "package":
            self._onboarding.failed(run)
            return
        state: Members = {
            "instantiation-state": "mec-types:not-instantiated",
            "operational-state": "mec-types:stopped",
        }
        if run.operation == "transfer-context":
            return  # it runs on, and the occurrence says why
        if run.operation != "instantiate":
            held = self._publisher.read(f"{run.entry}/state") or {}
            state = {**held, "operational-state": "mec-types:stopped"}
        if run.error:
            state["error"] = dict(run.error)
        self._publisher.state(f"{run.entry}/state", state)
        self.supervision.tell(run.subject, state)


def _image_digest(package: Members) -> str:
    """Digest of the image in a package with its state; "" while it is not known."""
    descriptor = package.get("state", {}).get("descriptor", {})
    return str(descriptor.get("sw-image", {}).get("checksum", {}).get("value", ""))


def _desired(entry: Members) -> str:
    return str(entry.get("desired-state", "started"))


def _fixed(entry: Members) -> Members:
    free = ("desired-state", "traffic-rule", "dns-rule", "name", "graceful-timeout", CONTEXT)
    return {name: value for name, value in entry.items() if name not in free}


def _ruled(entry: Members) -> Members:
    """What of an instance's entry the platform has to hear of."""
    return {name: value for name, value in entry.items() if name in ("traffic-rule", "dns-rule")}
