"""The compute hosts of the cloud with what they have and what is taken, as placement says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from nms.drivers.api import Capacity, Host, Resources

_UNITS = {"VCPU": 1000, "MEMORY_MB": 1, "DISK_GB": 1024}


@dataclass(frozen=True, slots=True)
class Place:
    """A host, and the availability zone of the cloud that it is in."""

    host: Host
    availability_zone: str


def read(operator: Connection, zones: Mapping[str, str]) -> list[Place]:
    """Every host, by name.

    A host that is down or disabled has no room.

    Args:
        zones: MEC zone of each availability zone; hosts of other zones are left out.  Empty: zones keep their names.
    """
    services = {each.host: each for each in operator.compute.services(binary="nova-compute")}
    places = []
    for node in operator.compute.hypervisors(details=True):
        service = services.get(node.service_details["host"])
        if service is None:
            continue
        zone = zones.get(service.availability_zone, "") if zones else service.availability_zone
        if not zone:
            continue
        base = f"/resource_providers/{node.id}"
        inventories = _get(operator, f"{base}/inventories")["inventories"]
        used = _amount(_get(operator, f"{base}/usages")["usages"])
        total = _amount(
            {
                name: int((each["total"] - each["reserved"]) * each["allocation_ratio"])
                for name, each in inventories.items()
            }
        )
        usable = service.state == "up" and service.status == "enabled"
        places.append(
            Place(Host(service.host, zone, Capacity(total if usable else used, used)), service.availability_zone)
        )
    return sorted(places, key=lambda place: place.host.name)


def allocated(operator: Connection, server: str) -> bool:
    """Whether a server, that may be gone already, still takes something of a host."""
    return bool(_get(operator, f"/allocations/{server}")["allocations"])


def _get(operator: Connection, path: str) -> dict[str, dict[str, dict[str, float]]]:
    answer = operator.placement.get(path)
    raise_from_response(answer)
    return answer.json()  # type: ignore[no-any-return]


def _amount(classes: Mapping[str, object]) -> Resources:
    cpu, memory, disk = (int(str(classes.get(name, 0))) * unit for name, unit in _UNITS.items())
    return Resources(cpu, memory, disk)
