"""The configured hosts and the choice among them; pure.

The hosts are names for shares of this one machine: resources are accounted for here, and enforced by a driver that can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from nms.drivers.api import Capacity, ConfigError, Host, InstanceSpec, Resources, RpcError, setting, strict


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one instance takes from which host."""

    host: str
    resources: Resources


def total(amounts: Iterable[Resources]) -> Resources:
    """The sum."""
    return reduce(Resources.__add__, amounts, Resources())


def capacity(hosts: Iterable[Host]) -> Capacity:
    """That of all of them together."""
    every = list(hosts)
    return Capacity(total(host.capacity.total for host in every), total(host.capacity.used for host in every))


def read(driver: str, tables: list[object]) -> dict[str, Host]:
    """The hosts of the configuration: tables of name, zone, cpu (virtual CPUs), memory and storage (MiB).

    Raises `ConfigError`.
    """
    hosts: dict[str, Host] = {}
    for table in tables:
        if not isinstance(table, Mapping):
            raise ConfigError(f"driver {driver}: 'hosts' must be tables, not {table!r}")
        strict(f"{driver}, hosts", table, ("name", "zone", "cpu", "memory", "storage"))
        name = setting(driver, table, "name", str)
        amount = Resources(
            round(setting(driver, table, "cpu", float) * 1000),
            setting(driver, table, "memory", int),
            setting(driver, table, "storage", int),
        )
        if name in hosts:
            raise ConfigError(f"driver {driver}: host {name!r} is there twice")
        if not Resources().fits(amount):
            raise ConfigError(f"driver {driver}: host {name!r} has a negative capacity")
        hosts[name] = Host(name, setting(driver, table, "zone", str), Capacity(amount, Resources()))
    if not hosts:
        raise ConfigError(f"driver {driver}: key 'hosts' names no host")
    return dict(sorted(hosts.items()))


def tables(given: Iterable[Host]) -> list[object]:
    """The tables that `read` makes these hosts of, without what is used of them."""
    return [
        {"name": host.name, "zone": host.zone, "cpu": amount.millicpu / 1000, "memory": amount.memory,
         "storage": amount.storage}
        for host in given
        for amount in [host.capacity.total]
    ]  # fmt: skip


def occupied(hosts: Mapping[str, Host], taken: Iterable[Allocation]) -> list[Host]:
    """The hosts with what the allocations take from them."""
    used: dict[str, Resources] = {}
    for each in taken:
        used[each.host] = used.get(each.host, Resources()) + each.resources
    return [
        Host(host.name, host.zone, Capacity(host.capacity.total, used.get(host.name, Resources())))
        for host in hosts.values()
    ]


def choose(hosts: Sequence[Host], spec: InstanceSpec) -> Host:
    """The host with the most free CPU, then memory, among those that suit the spec and have room.

    Raises `RpcError`: invalid-value (unknown host or zone, negative resources), resource-denied (no room).
    """
    if not Resources().fits(spec.resources):
        raise RpcError("invalid-value", f"instance {spec.id} asks for negative resources")
    suitable = [host for host in hosts if spec.host in ("", host.name) and spec.zone in ("", host.zone)]
    where = " in ".join(filter(None, (spec.host and f"host {spec.host}", spec.zone and f"zone {spec.zone}")))
    if not suitable:
        raise RpcError("invalid-value", f"there is no {where}")
    roomy = [host for host in suitable if spec.resources.fits(host.capacity.free)]
    if not roomy:
        asked = spec.resources
        raise RpcError(
            "resource-denied",
            f"no room{' in ' + where if where else ''} for {asked.millicpu / 1000:g} CPU, {asked.memory} MiB "
            f"of memory and {asked.storage} MiB of storage; terminate something or ask for less",
        )
    # `max` keeps the first of equals: the hosts are sorted by name, so the choice is the same every time.
    return max(roomy, key=lambda host: (host.capacity.free.millicpu, host.capacity.free.memory))
