"""Servers of the compute service, and what they are made of: a flavour and a port with an address."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress

from openstack.compute.v2.server import Server
from openstack.connection import Connection
from openstack.exceptions import ConflictException, NotFoundException

from nms.drivers.api import InstanceKpis, Resources
from nms.drivers.openstack.names import Names
from nms.drivers.openstack.slices import Slice

#: Metadata of our servers: the instance that each is.
INSTANCE = "mec-instance"


def flavour(operator: Connection, names: Names, size: Resources, project: str) -> str:
    """The id of the flavour of a size, which no other project but those of our slices may use."""
    name = names.flavour(size)
    found = next((each for each in operator.compute.flavors(is_public=None) if each.name == name), None)
    if found is None:
        try:
            found = operator.compute.create_flavor(
                name=name,
                vcpus=size.millicpu // 1000,
                ram=size.memory,
                disk=size.storage // 1024,
                is_public=False,
            )
        except ConflictException:  # another instance of that size was quicker
            found = operator.compute.find_flavor(name, ignore_missing=False)
    with suppress(ConflictException):  # it has access already
        operator.compute.flavor_add_tenant_access(found, project)
    return str(found.id)


def port(operator: Connection, slice: Slice, name: str) -> tuple[str, str]:
    """The id and the address of a port in the slice's network, made where it is missing."""
    found = next(iter(operator.network.ports(network_id=slice.network, name=name)), None)
    if found is None:
        found = operator.network.create_port(
            project_id=slice.project, network_id=slice.network, name=name, security_group_ids=[slice.group]
        )
    return str(found.id), str(found.fixed_ips[0]["ip_address"])


def remove_port(operator: Connection, slice: Slice, name: str) -> None:
    """A port that is not there is no error."""
    for each in operator.network.ports(network_id=slice.network, name=name):
        operator.network.delete_port(each)


def find(operator: Connection, name: str) -> Server | None:
    """The server of a name, in whatever project."""
    every = operator.compute.servers(all_projects=True, name=f"^{re.escape(name)}$")
    return next((each for each in every if each.name == name), None)


def every(operator: Connection, names: Names) -> Mapping[str, Server]:
    """All our servers by instance."""
    ours = operator.compute.servers(all_projects=True, name=f"^{re.escape(names.server(''))}")
    return {each.metadata[INSTANCE]: each for each in ours if INSTANCE in each.metadata}


def create(
    slice: Connection, name: str, instance: str, image: str, flavour: str, port: str, host: str, script: str
) -> Server:
    """Ask for a server on a host; the cloud's scheduler checks that it has room."""
    wanted: dict[str, object] = {"user_data": base64.b64encode(script.encode()).decode()} if script else {}
    return slice.compute.create_server(
        name=name,
        image_id=image,
        flavor_id=flavour,
        networks=[{"port": port}],
        host=host,
        metadata={INSTANCE: instance},
        **wanted,
    )


def get(operator: Connection, server: str) -> Server | None:
    """The server by its id; None when it is gone."""
    try:
        return operator.compute.get_server(server)
    except NotFoundException:
        return None


def switch(operator: Connection, server: str, on: bool) -> None:
    """Begin to start or to stop; one that is so already, or is gone, is no error."""
    with suppress(ConflictException, NotFoundException):
        if on:
            operator.compute.start_server(server)
        else:
            operator.compute.stop_server(server)


def delete(operator: Connection, server: str) -> None:
    """Begin to delete; one that is gone is no error."""
    operator.compute.delete_server(server, ignore_missing=True)


def last_words(operator: Connection, server: str) -> str:
    """The last line on its console, for a person."""
    try:
        answer = operator.compute.get_server_console_output(server, length=20)
    except (ConflictException, NotFoundException):  # it never came so far
        return "it said nothing"
    lines = [line.strip() for line in str(answer.get("output") or "").split("\n")]
    line = next(filter(None, reversed(lines)), "it said nothing")
    return "".join(each if each.isprintable() else "?" for each in line[:200])


def kpis(operator: Connection, server: str) -> InstanceKpis:
    """What the hypervisor measures (compute API 2.48); a server counts as one process."""
    try:
        found = operator.compute.get_server_diagnostics(server)
    except (ConflictException, NotFoundException):  # it does not run
        return InstanceKpis(0.0, 0, 0)
    nanoseconds = sum(each.get("time") or 0 for each in found.cpu_details or ())
    mebibytes = (found.memory_details or {}).get("used") or 0
    return InstanceKpis(nanoseconds / 1e9, mebibytes << 20, 1)
