"""What an operator tells a new cloud: the accounts and addresses of its services, and the zones of its hosts."""

from __future__ import annotations

import time
from collections.abc import Mapping

from openstack.connection import Connection

from tests.openstack import settings


def register(cloud: Connection, ports: Mapping[str, int]) -> None:
    """An account and an endpoint for each service; identity has its own already."""
    identity = cloud.identity
    project = identity.create_project(name="service", domain_id="default")
    roles = [identity.find_role("admin"), identity.create_role(name="service")]
    for name, (kind, path) in settings.SERVICES.items():
        if kind == "identity":
            continue
        user = identity.create_user(
            name=name, password=settings.PASSWORD, domain_id="default", default_project_id=project.id
        )
        for role in roles:
            identity.assign_project_role_to_user(project, user, role)
        service = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=f"http://127.0.0.1:{ports[name]}{path}",
                region_id=settings.REGION,
            )


def arrange(cloud: Connection, deadline: float) -> None:
    """Wait for the hosts, and put each into its zone.  Raises `TimeoutError` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while {each.host for each in cloud.compute.services(binary="nova-compute") if each.state == "up"} != set(
        settings.HOSTS
    ) or {each.name for each in cloud.compute.hypervisors()} != set(settings.HOSTS):
        if time.monotonic() > end:
            raise TimeoutError("the compute hosts do not come up")
        time.sleep(0.2)
    for host, zone in settings.HOSTS.items():
        aggregate = cloud.compute.create_aggregate(name=zone, availability_zone=zone)
        cloud.compute.add_host_to_aggregate(aggregate, host)
