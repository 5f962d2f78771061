"""What is said of a service, in a registry and over Mp3 (ETSI GS MEC 011 clause 8.1.2.2).

Which services a partner's platform is shown, which of a partner's are let in, which a consumer looks for.  Members in,
members out: pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from nms.mec.occurrence import plain
from nms.mec.session import Members

#: Leafs of the grouping service-information.
INFORMATION: Final = (
    "name", "category", "version", "serialiser", "scope-of-locality", "consumed-local-only", "liveness-interval",
    "uri", "port",
)  # fmt: skip
#: Bytes of the description of one service that is let in, as RFC 7951 members.
LARGEST: Final = 4096
#: Schemes of URIs under which services are consumed over a network.
SCHEMES: Final = frozenset(
    {"http", "https", "ws", "wss", "mqtt", "mqtts", "amqp", "amqps", "coap", "coaps", "grpc", "grpcs", "nats", "kafka"}
)
_SERVICE_STATES: Final = ("active", "inactive", "suspended")


def information(service: Mapping[str, Any]) -> Members:
    """What of a service's entry is for its consumers wherever they are."""
    return {name: service[name] for name in INFORMATION if name in service}


def endpoints(service: Mapping[str, Any], application: Mapping[str, Any], absolute: Callable[[str], str]) -> Members:
    """The list endpoint of a service: where its producer is found; {} where it has no address.

    Args:
        application: that produces it; {} for the platform's own.
        absolute: gives the whole of a name in the platform's zone.
    """
    if "address" not in application:
        return {}
    rules = (rule for rule in application.get("dns-rule", ()) if rule.get("desired-state", "active") == "active")
    names = [absolute(rule["domain-name"]) for rule in rules]
    port = {"port": service["port"]} if "port" in service else {}
    found = {"service-name": service["name"], "address": application["address"], **port}
    return {"endpoint": [found | ({"dns-name": names[0]} if names else {})]}


def state_of(service: Mapping[str, Any]) -> str:
    """The state that a partner says a service of its has; inactive where it says nothing that we know."""
    said = plain(service.get("state", ""))
    return said if said in _SERVICE_STATES else "inactive"


def elsewhere(service: Mapping[str, Any]) -> bool:
    """Whether a service may be consumed at other platforms: its producer has to say so."""
    return service.get("consumed-local-only", True) is False


def unfit(service: Mapping[str, Any]) -> str:
    """Why a service that a partner shows is not let in; "" if it is."""
    if "name" not in service:
        return "it has no name"
    if not elsewhere(service):
        return "it may be consumed at its own platform only"
    if len(orjson.dumps(service)) > LARGEST:
        return f"what is said of it is longer than {LARGEST} bytes"
    for endpoint in service.get("endpoint", ()):
        if "address" in endpoint and (why := _nobodys(endpoint["address"])):
            return why
    return next(filter(None, map(_unusable, service.get("uri", ()))), "")


def _nobodys(address: str) -> str:
    """Why no consumer finds a service at an address; "" if one can."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"its address {address} is none"
    mapped = getattr(found, "ipv4_mapped", None) or found
    if getattr(found, "scope_id", None) or mapped.is_link_local:
        return f"its address {address} means something on its own link only"
    if mapped.is_unspecified or mapped.is_multicast or mapped.is_reserved:
        return f"its address {address} is nobody's"
    return ""


def _unusable(uri: str) -> str:
    """Why no consumer is given a URI; "" if one is."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its URI is none"
    if parts.scheme not in SCHEMES or not host:
        return f"its URI of scheme {parts.scheme or 'none'} leads nowhere over a network"
    if "@" in parts.netloc:
        return "its URI holds credentials"
    literal = ":" in host or host.replace(".", "").isdigit()
    return _nobodys(host) if literal else ""


def found(service: Mapping[str, Any]) -> Members:
    """What a consumer is told that looks for services: entry of the registry -> entry of discover-services' output."""
    state = service.get("state", {})
    told = {name: state[name] for name in ("is-local", "partner", "zone", "state", "endpoint") if name in state}
    return {"id": service["id"], **information(service), **told}


def matches(service: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an entry of the registry is one that a consumer looks for (input of discover-services)."""
    defaults = {"scope-of-locality": "mec-platform:mec-host-locality", "consumed-local-only": True}
    said = {**defaults, **found(service), "category": service.get("category", {}).get("id")}
    several = {"id", "name"}
    return all(
        said.get(name) in value if name in several else said.get(name) == value for name, value in wanted.items()
    )
