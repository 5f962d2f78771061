"""What an orchestrator lets in: checks in the committing transaction, so that never two get the last of something.

Quota and acceptance are terms of the agreement; what they allow is counted over the configuration as it would become,
so nothing has to be reserved and a refusal leaves nothing behind.  It must not start any work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from nms.datastore.transaction import Transaction
from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import agreed, capacity
from nms.mec.lifecycle import LifeCycle
from nms.mec.occurrence import plain
from nms.mec.onboarding import Onboarding, usable
from nms.mec.placement import Demand, Place
from nms.mec.publisher import Publisher
from nms.mec.scope import Intent, Scope
from nms.mec.session import Members, members_at
from nms.mec.zones import OWN, Zones
from nms.model.path import parse_path
from nms.model.values import Value

CONTEXT = "user-context-transfer"
#: What of a deployment may change while it lives.
FREE = ("desired-state", "phase", "name", "customer", "order", "graceful-timeout", "package", "requirement", CONTEXT)


class Admission:
    """The checks."""

    def __init__(self, publisher: Publisher, zones: Zones, onboarding: Onboarding, lifecycle: LifeCycle) -> None:
        self._publisher = publisher
        self._zones = zones
        self._onboarding = onboarding
        self._lifecycle = lifecycle

    def packages(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """Packages may come and go.  Raises `RpcError`."""
        for intent in wanted:
            agreement = agreed.terms(self._publisher, intent.scope, tx.new)
            quota = agreement.get("quota", {})
            held = self._entries(intent.scope, "deployment", tx.new)
            # An agreement that ends takes packages and deployments along.
            ends = not intent.scope.own and not agreement
            busy = not ends and (any(each["package"] == intent.id for each in held) or self._ending(intent))
            most = int(quota["package-size"]) if "package-size" in quota else None
            self._onboarding.check(intent, busy=busy, max_size=most)
            if intent.old is None and intent.new is not None:
                self._in_force(intent, agreement)
                count = len(self._entries(intent.scope, "package", tx.new))
                if "packages" in quota and count > quota["packages"]:
                    raise agreed.denied(intent, f"the agreement allows {quota['packages']} packages")

    def deployments(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """Deployments may come, change and go.  Raises `RpcError`."""
        for intent in wanted:
            if intent.new is None:
                continue
            where = intent.scope.base + intent.path
            if intent.old is not None:
                self._change(intent, where)
                if revised(intent.old, intent.new) in (None, "transfer-context"):
                    continue
            name = intent.new["package"]
            if intent.old is None or intent.old["package"] != name:
                usable(self._publisher.read(f"{intent.scope.base}/package[id='{name}']"), name, where)
            agreement = agreed.terms(self._publisher, intent.scope, tx.new)
            self._in_force(intent, agreement)
            named = [intent.new["zone"]] if "zone" in intent.new else intent.new.get("acceptable-zone", [])
            self._zones_known(intent, agreement, named)
            self._within_quota(intent, agreement, tx.new)

    def relocations(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """Relocations may begin.  Raises `RpcError`."""
        for intent in wanted:
            where = intent.scope.base + intent.path
            if intent.old is not None:
                self._relocated(intent, where, tx)
                continue
            assert intent.new is not None
            entry = self._publisher.read(f"{intent.scope.base}/deployment[id='{intent.new['deployment']}']") or {}
            state = entry.get("state", {})
            if plain(state.get("instantiation-state", "")) != "instantiated":
                raise RpcError("data-missing", "only a deployment that is instantiated can be relocated", path=where)
            if any(each["zone"] == intent.new["target-zone"] for each in state.get("instance", ())):
                raise RpcError("invalid-value", "the deployment has an instance in the target zone", path=where)
            agreement = agreed.terms(self._publisher, intent.scope, tx.new)
            self._in_force(intent, agreement)
            self._zones_known(intent, agreement, [intent.new["target-zone"]])

    def used(self, scope: Scope) -> Members:
        """What is held under an agreement (members of its state/used)."""
        root = self._publisher.store.running
        total = self._total(scope, root)
        deployments = self._entries(scope, "deployment", root)
        instances = sum(self._scale(scope, each) for each in deployments)
        counts = {"deployments": len(deployments), "packages": len(self._entries(scope, "package", root))}
        return {**capacity.amounts(total), "instances": instances, **counts}

    # -- the single checks

    def _relocated(self, intent: Intent, where: str, tx: Transaction) -> None:
        """A wish to relocate is a record once it is written; it goes when it is fulfilled, or with everything."""
        busy = self._lifecycle.works(intent.scope, "relocation", intent.id)
        agreement = agreed.terms(self._publisher, intent.scope, tx.new)
        if intent.new is not None:
            raise RpcError("operation-not-supported", f"relocation {intent.id} cannot change; wish another", path=where)
        if busy and (intent.scope.own or agreement):
            raise RpcError("in-use", f"relocation {intent.id} is under way; cancel its occurrence", path=where)

    def _change(self, intent: Intent, where: str) -> None:
        old, new = intent.old or {}, intent.new or {}
        fixed = [name for name in {*old, *new} if name not in FREE and old.get(name) != new.get(name)]
        if _lasting(old) != _lasting(new):
            fixed.append("requirement")
        if fixed:
            raise RpcError(
                "operation-not-supported",
                f"{sorted(fixed)[0]} of deployment {intent.id} cannot change; terminate it and deploy anew",
                path=where,
            )
        if revised(old, new) is not None and old.get("phase") == "prepared":
            raise RpcError("operation-not-supported", f"confirm deployment {intent.id} before it changes", path=where)
        if old.get("phase", "confirmed") == "confirmed" and new.get("phase", "confirmed") == "prepared":
            raise RpcError("invalid-value", f"deployment {intent.id} is confirmed already", path=where)
        held = (intent.held or {}).get("state", {})
        lapsed = "prepared-until" not in held and old.get("phase") == "prepared"
        busy = self._lifecycle.busy(intent.scope, "deployment", intent.id)
        if lapsed and new.get("phase", "confirmed") == "confirmed" and not busy:
            raise RpcError("operation-failed", f"what was prepared for {intent.id} has lapsed", path=where, status=409)

    def _zones_known(self, intent: Intent, agreement: Members, named: Iterable[str]) -> None:
        if not intent.scope.own:
            agreed.zones_agreed(intent, agreement, named)
            return
        known = {zone["id"] for zone in self._publisher.entries(f"{OWN.base}/zone")}
        for zone in named:
            if zone not in known:
                where = intent.scope.base + intent.path
                raise RpcError("invalid-value", f"there is no zone {zone}", path=where)

    def _in_force(self, intent: Intent, agreement: Members) -> None:
        if intent.scope.own:
            return
        if agreement.get("role") != "provider":
            where = intent.scope.base + intent.path
            raise RpcError("access-denied", "this domain is the consumer under the agreement", path=where)
        agreed.in_force(self._publisher, intent, agreement)

    def _within_quota(self, intent: Intent, agreement: Members, root: Value) -> None:
        quota = agreement.get("quota", {})
        if not quota:
            return
        deployments = self._entries(intent.scope, "deployment", root)
        counts = {
            "deployments": len(deployments),
            "instances": sum(self._scale(intent.scope, each) for each in deployments),
        }
        agreed.within(intent, quota, self._total(intent.scope, root), counts)

    def _total(self, scope: Scope, root: Value) -> Resources:
        total = Resources()
        for each in self._entries(scope, "deployment", root):
            descriptor = self._descriptor(scope, each)
            for _ in range(self._scale(scope, each)):
                total += capacity.demand(descriptor)
        return total

    def _scale(self, scope: Scope, deployment: Members) -> int:
        return int(requirement(self._descriptor(scope, deployment), deployment).get("scale", 1))

    def _descriptor(self, scope: Scope, deployment: Members) -> Members:
        package = self._publisher.read(f"{scope.base}/package[id='{deployment['package']}']") or {}
        return package.get("state", {}).get("descriptor", {})  # type: ignore[no-any-return]

    def _ending(self, intent: Intent) -> bool:
        """Whether instances of a package are still being ended: their entries are gone already."""
        package = intent.held or {}
        used = plain(package.get("state", {}).get("usage-state", "")) == "in-use"
        return intent.new is None and used

    def _entries(self, scope: Scope, name: str, root: Value) -> Sequence[Members]:
        found = members_at(root, parse_path(self._publisher.schema, f"{scope.base}/{name}"))
        return () if found is None else found[name]


def _lasting(deployment: Mapping[str, Any]) -> Members:
    """What is required of the zones, which no change can make true of those that are in use."""
    return {name: value for name, value in deployment.get("requirement", {}).items() if name != "scale"}


def requirement(descriptor: Members, deployment: Members) -> Members:
    """What a deployment requires: the descriptor's requirement, where the deployment says nothing else."""
    return {**descriptor.get("requirement", {}), **deployment.get("requirement", {})}


def demand(descriptor: Members, deployment: Members) -> Demand:
    """What a deployment demands of zones."""
    wish = requirement(descriptor, deployment)
    acceptable = [deployment["zone"]] if "zone" in deployment else deployment.get("acceptable-zone")
    location = wish.get("location", {})
    latitude, longitude = location.get("latitude"), location.get("longitude")
    return Demand(
        each=capacity.demand(descriptor),
        count=wish.get("scale", 1),
        acceptable=frozenset(acceptable) if acceptable else None,
        architecture=plain(descriptor.get("virtual-compute", {}).get("architecture", "")),
        format=plain(descriptor.get("sw-image", {}).get("format", "")),
        country=location.get("country", ""),
        domain=deployment.get("domain", ""),
        max_latency=Decimal(wish["max-latency"]) if "max-latency" in wish else None,
        place=Place(float(latitude), float(longitude)) if latitude is not None and longitude is not None else None,
        affinity=wish.get("affinity", "none"),
    )


def revised(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The operation that a change of a deployment's entry asks for beside starting and stopping; None: none."""
    if old["package"] != new["package"]:
        return "update"
    if new.get(CONTEXT) and old.get(CONTEXT) != new.get(CONTEXT):
        return "transfer-context"
    scales = [each.get("requirement", {}).get("scale") for each in (old, new)]
    return "scale" if scales[0] != scales[1] else None
