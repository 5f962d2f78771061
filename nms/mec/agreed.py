"""What an agreement allows its partner to ask for: whether it is in force, which zones, how much (ETSI GS MEC 040).

Checked in the committing transaction over the configuration as it would become, so that nothing has to be reserved, two
that come at once never both get the last of something, and a refusal leaves nothing behind.  It must not start work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec import capacity
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.scope import Intent, Scope
from nms.mec.session import Members, members_at
from nms.model.path import parse_path
from nms.model.values import Value

#: What permits a provider's platform to have an instance of its own here, and limits it (option 2).
HOSTED: Final = "platform-instance"


def terms(publisher: Publisher, scope: Scope, root: Value) -> Members:
    """The agreement as it would become in `root`; {} for one's own scope, and when it is gone."""
    if scope.own:
        return {}
    return members_at(root, parse_path(publisher.schema, scope.agreement_path)) or {}


def in_force(publisher: Publisher, intent: Intent, agreement: Mapping[str, Any]) -> None:
    """Something new may be asked for.  Raises `RpcError`: access-denied."""
    state = publisher.read(f"{intent.scope.agreement_path}/state") or {}
    now = plain(state.get("federation-state", "proposed"))
    if now != "active" or agreement.get("admin-state", "enabled") != "enabled":
        where = intent.scope.base + intent.path
        raise RpcError("access-denied", f"the agreement is {now}: nothing new is accepted", path=where)


def zones_agreed(intent: Intent, agreement: Mapping[str, Any], named: Iterable[str]) -> None:
    """The zones are offered and accepted.  Raises `RpcError`: invalid-value."""
    where = intent.scope.base + intent.path
    zones = {zone["id"]: zone for zone in agreement.get("zone", ()) if zone.get("offered", True)}
    for zone in named:
        if zone not in zones:
            raise RpcError("invalid-value", f"there is no zone {zone}", path=where)
        if not zones[zone].get("accepted", False):
            raise RpcError("invalid-value", f"zone {zone} is not accepted under the agreement", path=where)
    if not any(zone.get("accepted", False) for zone in zones.values()):
        raise RpcError("invalid-value", "no zone is accepted under the agreement", path=where)


def somewhere(agreement: Mapping[str, Any], zones: Iterable[Members]) -> str:
    """The agreed zone with the most left, for what names none.

    Args:
        zones: of the infrastructure, with their state.

    Raises:
        RpcError: invalid-value; none is agreed any more.
    """
    agreed = accepted(agreement)
    left: dict[str, Members] = {
        zone["id"]: zone.get("state", {}).get("available", {}) for zone in zones if zone["id"] in agreed
    }
    if not left:
        raise RpcError("invalid-value", "no zone is accepted under the agreement")
    ranked = sorted(left, key=lambda zone: (-Decimal(left[zone].get("cpu", 0)), zone))
    return ranked[0]


def accepted(agreement: Mapping[str, Any]) -> list[str]:
    """Zones that are both offered and accepted."""
    zones = agreement.get("zone", ())
    return [zone["id"] for zone in zones if zone.get("offered", True) and zone.get("accepted", False)]


def allowance(intent: Intent, agreement: Mapping[str, Any]) -> Mapping[str, Any]:
    """The most that may be held of our infrastructure.

    A consumer's infrastructure is its provider's platform's (option 2) for one instance, where that is permitted.

    Raises:
        RpcError: access-denied (it is not permitted), invalid-value (another zone).
    """
    if agreement.get("role") != "consumer":
        return agreement.get("quota", {})  # type: ignore[no-any-return]
    hosted = agreement.get(HOSTED)
    where = intent.scope.base + intent.path
    if intent.list == "slice":
        raise RpcError("access-denied", "a platform stands beside what it serves, in no slice of its own", path=where)
    if hosted is None:
        raise RpcError("access-denied", "the agreement permits no instance of a platform here", path=where)
    zone = (intent.new or {}).get("zone", "")
    if intent.list != "image" and (not zone or hosted.get("zone", zone) != zone):
        named = hosted.get("zone", "one that is agreed")
        raise RpcError("invalid-value", f"the platform's instance can be in zone {named} only", path=where)
    return {leaf: value for leaf, value in hosted.items() if leaf not in ("zone", "state")} | {"instances": 1}


def within(
    intent: Intent, quota: Mapping[str, Any], held: Resources, counts: Mapping[str, int], whose: str = "agreement"
) -> None:
    """What would be held stays within the quota.  Raises `RpcError`: resource-denied.

    Args:
        quota: of the agreement, or of its slice; what it does not name is not limited.
        held: resources that would be held, this intent included.
        counts: how many of what there would be.
    """
    counted = {
        "cpu": Decimal(held.millicpu) / 1000,
        "memory": Decimal(held.memory),
        "storage": Decimal(held.storage),
        **{name: Decimal(number) for name, number in counts.items()},
    }
    for name, amount in counted.items():
        if name in quota and amount > Decimal(str(quota[name])):
            raise denied(intent, f"the {whose}'s quota of {name} is {quota[name]}, {amount:f} would be held")


def denied(intent: Intent, why: str) -> RpcError:
    """The refusal of what there is no room for."""
    return RpcError("resource-denied", f"{intent.id}: {why}", path=intent.scope.base + intent.path)


def claimed(agreement: Mapping[str, Any], descriptors: Mapping[str, Members]) -> tuple[Resources, int]:
    """What a partner claims of infrastructure and platform manager under an agreement, and how many instances that is.

    Args:
        agreement: its members, configuration.
        descriptors: of the packages that it has at the platform manager, by their identifier.
    """
    infrastructure = agreement.get("mec-resource:resources", agreement.get("resources", {}))
    manager = agreement.get("mec-platform-manager:platform-manager", agreement.get("platform-manager", {}))
    held = capacity.sum_of(capacity.claims(infrastructure, frozenset()).values())
    reserved = {each["id"] for each in infrastructure.get("reservation", ())}
    instances = manager.get("app-instance", ())
    for instance in instances:
        if instance.get("reservation") not in reserved:  # else it is counted there
            descriptor = descriptors.get(instance["package"], {})
            held += capacity.demand(descriptor, instance.get("virtual-compute"))
    return held, len(infrastructure.get("compute-instance", ())) + len(instances)
