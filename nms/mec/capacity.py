"""What is claimed of an infrastructure and what there is: pure arithmetic over the model's members.

A claim is a configured wish (a compute instance, or a reservation that no instance has used up yet), so the sum of
claims is known in the very transaction that adds one, and can never exceed the total, whoever comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from nms.drivers.api import Resources
from nms.mec.occurrence import plain
from nms.mec.session import Members


def resources(members: Mapping[str, Any]) -> Resources:
    """From the leafs cpu (virtual CPUs), memory and storage (MiB)."""
    return Resources(
        int(Decimal(str(members.get("cpu", 0))) * 1000), int(members.get("memory", 0)), int(members.get("storage", 0))
    )


def amounts(given: Resources) -> Members:
    """Members of the grouping resource-amounts."""
    cpu = Decimal(given.millicpu) / 1000
    return {"cpu": str(cpu.quantize(Decimal("0.001"))), "memory": str(given.memory), "storage": str(given.storage)}


def demand(descriptor: Mapping[str, Any], override: Mapping[str, Any] | None = None) -> Resources:
    """What one instance of an application takes, by its descriptor (defaults of mec-app-descriptor)."""
    compute = {"cpu": "1", "memory": "64", **descriptor.get("virtual-compute", {}), **(override or {})}
    storage = sum(int(each["size"]) for each in descriptor.get("virtual-storage", ()))
    return resources({"cpu": compute["cpu"], "memory": compute["memory"], "storage": storage})


def claims(held: Mapping[str, Any], lapsed: frozenset[str]) -> dict[str, Resources]:
    """Zone to what is claimed there, in the members of a vim or of the resources of an agreement; "" for any zone.

    Args:
        lapsed: reservations whose hold is over.
    """
    reserved = {each["id"]: each for each in held.get("reservation", ())}
    claimed: dict[str, Resources] = {}
    for instance in held.get("compute-instance", ()):
        reservation = reserved.pop(instance.get("reservation", ""), {})
        zone = instance.get("zone") or reservation.get("zone", "")
        claimed[zone] = claimed.get(zone, Resources()) + resources(instance)
    for name, reservation in reserved.items():
        if name not in lapsed:
            zone = reservation.get("zone", "")
            claimed[zone] = claimed.get(zone, Resources()) + resources(reservation.get("amount", {}))
    return claimed


def lapsed(reservations: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Those, of reservations with their state, that hold nothing any more."""
    return frozenset(
        each["id"] for each in reservations if plain(each.get("state", {}).get("state", "")) in ("expired", "refused")
    )


def totals(hosts: Iterable[Mapping[str, Any]]) -> dict[str, Resources]:
    """Zone to the sum of its hosts' capacity."""
    found: dict[str, Resources] = {}
    for host in hosts:
        zone = host.get("zone", "")
        found[zone] = found.get(zone, Resources()) + resources(host.get("capacity", {}))
    return found


def overdrawn(total: Mapping[str, Resources], claimed: Mapping[str, Resources]) -> str | None:
    """The first zone in which more is claimed than there is; "" if that is so of all zones together."""
    for zone, claim in claimed.items():
        if zone and not claim.fits(total.get(zone, Resources())):
            return zone
    everything = sum_of(claimed.values())
    return None if everything.fits(sum_of(total.values())) else ""


def sum_of(given: Iterable[Resources]) -> Resources:
    """The sum."""
    result = Resources()
    for each in given:
        result += each
    return result


def split(amount: Resources, parts: int) -> list[Resources]:
    """Equal parts of an amount; the first one takes what is left over."""
    each = Resources(amount.millicpu // parts, amount.memory // parts, amount.storage // parts)
    first = amount
    for _ in range(parts - 1):
        first = first - each
    return [first, *[each] * (parts - 1)]


def carve(amount: Resources, free: Mapping[str, Resources]) -> dict[str, Resources] | None:
    """Host to what it gives for an amount: one host if one has it all, else as many as it takes; None: too little."""
    whole = next((host for host, room in free.items() if amount.fits(room)), None)
    if whole is not None:
        return {whole: amount}
    parts: dict[str, Resources] = {}
    for host, room in free.items():
        part = Resources(
            min(amount.millicpu, room.millicpu), min(amount.memory, room.memory), min(amount.storage, room.storage)
        )
        if part != Resources():
            parts[host] = part
            amount = amount - part
    return parts if amount == Resources() else None
