"""Traffic rules (MEC 010-2 clause 6.2.1.9) as a ruleset of nftables; pure.

The first rule that matches a packet decides.  Dropping takes effect at once; a flow that is steered keeps its way until
it ends, even when the rule is withdrawn, so that a relocation breaks no connection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from nms.drivers.api import RpcError, TrafficRule
from nms.drivers.netns.layout import ACCESS

CLEARED = "table ip steering {}\ndelete table ip steering\n"
#: Marks that only steering uses.
_MARK = 0x4D450000
_PORTS = ("tcp", "udp", "sctp")


def matches(filter: Mapping[str, Any]) -> str:
    """The expression for a filter; absent leafs match all.

    Raises `RpcError`: operation-not-supported (IPv6, a protocol without ports), invalid-value.
    """
    words = []
    for leaf, field in (("source-address", "saddr"), ("destination-address", "daddr")):
        if prefixes := filter.get(leaf):
            words.append(f"ip {field} {{ {', '.join(map(_prefix, prefixes))} }}")
    protocol = str(filter.get("protocol", "")).rpartition(":")[2]
    if protocol and protocol not in _PORTS:
        raise RpcError("operation-not-supported", f"this data plane cannot match protocol {protocol}")
    if protocol:
        words.append(f"meta l4proto {protocol}")
    for leaf, field in (("source-port", "sport"), ("destination-port", "dport")):
        if ports := filter.get(leaf):
            if not protocol:
                words.append(f"meta l4proto {{ {', '.join(_PORTS)} }}")
            words.append(f"th {field} {{ {', '.join(str(int(port)) for port in ports)} }}")
    if "dscp" in filter:
        words.append(f"ip dscp {int(filter['dscp'])}")
    return " ".join(words)


def target(rule: TrafficRule) -> str:
    """The address that a rule steers to, empty for a rule that steers nowhere.

    Raises `RpcError`: operation-not-supported (with what this data plane can do), invalid-value (no address).
    """
    if rule.destination_interface:
        raise RpcError("operation-not-supported", "this data plane has no interfaces to forward by; give an address")
    if rule.action in ("drop", "passthrough"):
        return ""
    if rule.action != "forward-decapsulated":
        raise RpcError(
            "operation-not-supported",
            f"this data plane cannot {rule.action}; it can drop, passthrough and forward-decapsulated",
        )
    if rule.filter_type != "per-flow":
        raise RpcError("operation-not-supported", "this data plane forwards whole flows, not single packets")
    if not rule.destination_address:
        raise RpcError("invalid-value", f"rule {rule.rule_id} forwards and has no destination-address")
    return _version4(ipaddress.ip_address, rule.destination_address)


def ruleset(rules: Sequence[TrafficRule]) -> str:
    """The whole ruleset, to be put in place of the one before; `rules` are in order of precedence.  Raises as above."""
    choose, steer = [], []
    for number, rule in enumerate(rules, 1):
        address = target(rule)
        verdict = "drop" if rule.action == "drop" else "accept"
        if address:
            verdict = f"meta mark set {_MARK + number:#x} accept"
            steer.append(f"    meta mark {_MARK + number:#x} dnat to {address}{_of(number)}")
        choose.append(f"    {matches(rule.filter)} {verdict}{_of(number)}".replace("     ", "    "))
    lines = [
        "table ip steering {",
        "  chain choose {",
        "    type filter hook prerouting priority mangle; policy accept;",
        f'    iifname != "{ACCESS}" accept',
        *choose,
        "  }",
        "  chain steer {",
        "    type nat hook prerouting priority dstnat; policy accept;",
        *steer,
        "  }",
        "}",
    ]
    return CLEARED + "\n".join(lines) + "\n"


def in_force(rules: Sequence[TrafficRule], made: str, there: str) -> list[TrafficRule]:
    """Those that a listing still shows.

    Args:
        rules: as given to `ruleset`.
        made: how nft(8) listed that ruleset when it was put in place.
        there: what it lists now.
    """
    shown = {line.strip() for line in there.splitlines()}
    gone = [line for line in made.splitlines() if line.strip() not in shown]
    if any(" comment " not in line for line in gone):  # a chain, without which no rule is followed
        return []
    return [rule for number, rule in enumerate(rules, 1) if not any(line.endswith(_of(number)) for line in gone)]


def _of(number: int) -> str:
    return f' comment "rule {number}"'


def _prefix(text: object) -> str:
    return _version4(lambda each: ipaddress.ip_network(each, strict=False), str(text))


def _version4(parse: Any, text: str) -> str:
    try:
        found = parse(text)
    except ValueError as error:
        raise RpcError("invalid-value", f"{text!r} is no address") from error
    if found.version != 4:
        raise RpcError("operation-not-supported", f"this data plane steers IPv4 only, not {text}")
    return str(found)
