"""A slice of the infrastructure: a project with its quota, a network, and a group of rules that keeps it apart.

Members of a slice reach each other.  From outside, other slices included, they are reached on the ports of their
applications only, and they begin no connection themselves but to what is `reachable`: no slice reaches another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openstack.connection import Connection
from openstack.exceptions import ConflictException
from openstack.identity.v3.project import Project

from nms.drivers.api import RpcError
from nms.drivers.openstack.cloud import Cloud
from nms.drivers.openstack.names import Names

#: Where cloud-init asks for user data.
_METADATA = ("169.254.169.254/32", 80)
#: Description of a project that is a slice: whatever else has its name belongs to others.
_MARK = "slice of a MEC domain (mec-nms)"
#: Prefix length of a slice's subnet, where the block of addresses is not smaller still.
_SUBNET = 24


@dataclass(frozen=True, slots=True)
class Slice:
    """What there is of a slice, by the cloud's ids."""

    project: str
    network: str
    group: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every slice.

    Attributes:
        addresses: block that subnets are taken from.
        reachable: networks (or addresses) and TCP ports that instances may connect to.
        quota: virtual CPUs (``cores``), MiB of memory (``ram``) and ``instances`` of a project; -1: no limit.
    """

    addresses: str
    reachable: Sequence[tuple[str, int]] = ()
    quota: Mapping[str, int] = field(default_factory=dict)


class Slices:
    """Makes and finds them.  Calls for one slice must not overlap."""

    def __init__(self, cloud: Cloud, names: Names, terms: Terms) -> None:
        self._cloud = cloud
        self._names = names
        self._terms = terms
        self._known: dict[str, Slice] = {}

    def ensure(self, slice: str) -> Slice:
        """The slice, made where something of it is missing."""
        if slice not in self._known:
            operator = self._cloud.operator
            project = self._project(operator, slice)
            network = self._network(operator, project)
            self._known[slice] = Slice(project, network, self._group(operator, project))
        return self._known[slice]

    def find(self, slice: str) -> Slice | None:
        """The slice where all of it is there."""
        if slice in self._known:
            return self._known[slice]
        operator = self._cloud.operator
        for project in self._projects(operator, slice):
            networks = list(operator.network.networks(project_id=project.id, name=self._names.prefix))
            groups = list(operator.network.security_groups(project_id=project.id, name=self._names.prefix))
            if networks and groups:
                return Slice(project.id, networks[0].id, groups[0].id)
        return None

    def admit(self, slice: Slice, port: int) -> None:
        """Let clients reach a TCP port of the slice's instances."""
        _rule(self._cloud.operator, slice.project, slice.group, "ingress", "0.0.0.0/0", port)

    def remove(self, slice: str) -> None:
        """All of it, with its images; its servers and ports are gone.  What is missing is no error."""
        operator, name = self._cloud.operator, self._names.prefix
        self._known.pop(slice, None)
        for project in self._projects(operator, slice):
            for image in operator.image.images(owner=project.id):
                operator.image.delete_image(image)
            for network in operator.network.networks(project_id=project.id, name=name):
                operator.network.delete_network(network)
            for flavour in operator.compute.flavors(is_public=None):
                if flavour.name.startswith(f"{name}-") and any(
                    each["tenant_id"] == project.id for each in operator.compute.get_flavor_access(flavour)
                ):
                    operator.compute.flavor_remove_tenant_access(flavour, project.id)
            for group in list(operator.network.security_groups(project_id=project.id)):
                operator.network.delete_security_group(group)
            operator.identity.delete_project(project)
            self._cloud.forget(project.id)

    # -- parts

    def _projects(self, operator: Connection, slice: str) -> list[Project]:
        """The project of a slice, if there is one.

        Raises `RpcError`: data-exists, when the name is that of a project which is no slice: it must not be touched.
        """
        name = self._names.project(slice)
        found = list(operator.identity.projects(name=name, domain_id=_domain(operator)))
        if any(each.description != _MARK for each in found):
            raise RpcError("data-exists", f"project {name!r} of the cloud is none of ours: choose another 'prefix'")
        return found

    def _project(self, operator: Connection, slice: str) -> str:
        found = self._projects(operator, slice)
        project = found[0] if found else operator.identity.create_project(
            name=self._names.project(slice), domain_id=_domain(operator), description=_MARK
        )  # fmt: skip
        role = operator.identity.find_role("admin", ignore_missing=False)
        operator.identity.assign_project_role_to_user(project, operator.current_user_id, role)
        operator.compute.update_quota_set(project.id, **{"cores": -1, "ram": -1, "instances": -1, **self._terms.quota})
        return str(project.id)

    def _network(self, operator: Connection, project: str) -> str:
        """A network with one subnet out of the block, which the network service keeps from being given twice."""
        name, service = self._names.prefix, operator.network
        found = list(service.networks(project_id=project, name=name))
        network = found[0] if found else service.create_network(project_id=project, name=name)
        if not list(service.subnets(network_id=network.id)):
            pool = next(iter(service.subnet_pools(name=name)), None) or service.create_subnet_pool(
                name=name, prefixes=[self._terms.addresses], default_prefixlen=self._prefix_length()
            )
            service.create_subnet(
                project_id=project, network_id=network.id, name=name, ip_version=4, subnet_pool_id=pool.id
            )
        return str(network.id)

    def _prefix_length(self) -> int:
        return max(_SUBNET, ipaddress.ip_network(self._terms.addresses).prefixlen)

    def _group(self, operator: Connection, project: str) -> str:
        name, service = self._names.prefix, operator.network
        found = list(service.security_groups(project_id=project, name=name))
        group = found[0] if found else service.create_security_group(project_id=project, name=name)
        for rule in service.security_group_rules(security_group_id=group.id, direction="egress"):
            if not rule.remote_ip_prefix and not rule.remote_group_id:
                service.delete_security_group_rule(rule)  # made with every group: towards everything
        for direction in ("ingress", "egress"):
            _within(operator, project, group.id, direction)
        for network, port in (_METADATA, *self._terms.reachable):
            _rule(operator, project, group.id, "egress", network, port)
        return str(group.id)


def _rule(operator: Connection, project: str, group: str, direction: str, network: str, port: int) -> None:
    limits = {"protocol": "tcp", "port_range_min": port, "port_range_max": port, "remote_ip_prefix": network}
    _add(operator, project, group, direction, **limits)


def _within(operator: Connection, project: str, group: str, direction: str) -> None:
    _add(operator, project, group, direction, remote_group_id=group)


def _add(operator: Connection, project: str, group: str, direction: str, **limits: object) -> None:
    try:
        operator.network.create_security_group_rule(
            project_id=project, security_group_id=group, direction=direction, ether_type="IPv4", **limits
        )
    except ConflictException as error:
        if "quota" in str(error).lower():
            raise  # else it is there already


def _domain(operator: Connection) -> str:
    """The identity domain of the account's project, in which those of slices are."""
    return str(operator.session.auth.get_access(operator.session).project_domain_id)
