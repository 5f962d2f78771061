"""The drivers of names and of traffic (Mp2) as blocks put things there, and as what they have is compared with that.

`Names` is the DNS, `Rules` the data plane; each is a `Carrier` (`nms.mec.in_force`) and a `Listing` (`nms.mec.below`).
They must not know who wants what.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, TypeAlias

from nms.drivers import api
from nms.mec.entry import Entry
from nms.mec.occurrence import plain
from nms.mec.session import Members

RECORD_TYPE: Mapping[str, api.RecordType] = {"ipv4": "A", "ipv6": "AAAA"}
_RECORD, _RULE = "dns-record", "traffic-rule"
#: A rule, and the data plane that follows it.
Steered: TypeAlias = tuple[api.TrafficRule, api.DataPlane]


class Names:
    """A DNS."""

    def __init__(self, dns: api.Dns) -> None:
        self._dns = dns
        #: The TTL holds for all addresses of a name (RFC 2181, 5.2): who published last has said it.
        self._ttl: dict[tuple[str, str], int] = {}

    async def put(self, wanted: api.DnsRecord) -> None:
        """See `Carrier`."""
        await self._dns.publish(wanted.name, wanted.type, wanted.address, wanted.ttl)
        self._ttl[wanted.name, wanted.type] = wanted.ttl

    async def take(self, held: api.DnsRecord) -> None:
        """See `Carrier`."""
        await self._dns.withdraw(held.name, held.type, held.address)
        self._ttl.pop((held.name, held.type), None)

    def entry(self, wanted: api.DnsRecord) -> Entry:
        """See `Carrier`: name, type and address."""
        address = str(ipaddress.ip_address(wanted.address))
        return _RECORD, f"{wanted.name.lower()}/{wanted.type}/{address}"

    def members(self, wanted: api.DnsRecord) -> Members:
        """See `Carrier`."""
        return {"ttl": self._ttl.get((wanted.name, wanted.type), wanted.ttl)}

    async def listed(self) -> Mapping[Entry, Members]:
        """See `Listing`."""
        return {self.entry(each): {"ttl": each.ttl} for each in await self._dns.records()}

    async def remove(self, entry: Entry) -> None:
        """See `Listing`."""
        name, type_, address = entry[1].split("/")
        await self._dns.withdraw(name, "AAAA" if type_ == "AAAA" else "A", address)


class Rules:
    """The data plane of this domain, `own`; what is put may be for another one's, which is not compared here."""

    def __init__(self, own: api.DataPlane) -> None:
        self.own = own

    async def put(self, wanted: Steered) -> None:
        """See `Carrier`."""
        rule, plane = wanted
        await plane.activate(rule)

    async def take(self, held: Steered) -> None:
        """See `Carrier`."""
        rule, plane = held
        await plane.deactivate(rule.instance_id, rule.rule_id)

    def entry(self, wanted: Steered) -> Entry | None:
        """See `Carrier`: instance and rule."""
        rule, plane = wanted
        return (_RULE, f"{rule.instance_id}/{rule.rule_id}") if plane is self.own else None

    def members(self, wanted: Steered) -> Members:
        """See `Carrier`."""
        return _members(wanted[0])

    async def listed(self) -> Mapping[Entry, Members]:
        """See `Listing`."""
        return {(_RULE, f"{each.instance_id}/{each.rule_id}"): _members(each) for each in await self.own.rules()}

    async def remove(self, entry: Entry) -> None:
        """See `Listing`."""
        instance, _, rule = entry[1].partition("/")
        await self.own.deactivate(instance, rule)


def _members(rule: api.TrafficRule) -> Members:
    """With the names of mec-app-descriptor."""
    return {
        "priority": rule.priority,
        "action": rule.action,
        "filter-type": rule.filter_type,
        "filter": dict(rule.filter),
        "destination-interface": rule.destination_interface,
        "destination-address": rule.destination_address,
    }


def record(name: str, rule: Mapping[str, Any], application: Mapping[str, Any]) -> api.DnsRecord:
    """The driver's form of an entry of the list dns-rule, with the model's defaults; `name` is absolute."""
    return api.DnsRecord(
        f"{name}.",
        RECORD_TYPE[rule.get("ip-address-type", "ipv4")],
        rule.get("ip-address") or application["address"],
        rule.get("ttl", 30),
    )


def traffic_rule(instance: str, rule: Mapping[str, Any]) -> api.TrafficRule:
    """The driver's form of an entry of the list traffic-rule, with the model's defaults."""
    return api.TrafficRule(
        instance_id=instance,
        rule_id=rule["id"],
        priority=rule.get("priority", 100),
        action=plain(rule["action"]),
        filter_type=rule.get("filter-type", "per-flow"),
        filter=rule.get("filter", {}),
        destination_interface=rule.get("destination-interface", ""),
        destination_address=rule.get("destination-address", ""),
    )
