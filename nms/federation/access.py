"""What a partner may do here: its NACM group and rule list (RFC 8341), made of its entry.  Default deny.

A partner reads its own agreements' terms and abstraction subtrees, writes in the lists of intents of those that this
domain serves, steers its own operation occurrences, hears what is addressed to it, and reads what every partner must
know: who we are and which models we have.  Pure: members in, members out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nms.federation.options import CONTAINERS, INTENTS, PEER_PLATFORM, RULES, interconnected, option_of
from nms.mec.session import Members

PREFIX: Final = "partner-"
_PARTNER: Final = "/mec-federation:federation/mec-federation:partner[mec-federation:id='{}']"
_AGREEMENT: Final = _PARTNER + "/mec-federation:agreement[mec-federation:id='{}']"

#: Of an agreement: what both sides must be able to compare.
_TERMS: Final = (
    "role", "boundary-option", "valid-from", "valid-until", "admin-state", "zone", "quota", "sharing",
    "interconnection", "platform-instance", "state",
)  # fmt: skip

_EVERYBODY: Final = ("/mec-federation:federation/mec-federation:domain", "/ietf-yang-library:yang-library")
#: Each goes to its addressee only (`Notification.audience`); the rule permits the kind.
_NOTIFICATIONS: Final[Mapping[str, Sequence[str]]] = {
    "mec-federation": (
        "federation-state-changed", "operation-occurrence-changed", "alarm-notification", "kpi-report",
        "platform-instance-changed",
    ),
    "mec-system": ("deployment-changed", "package-changed"),
    "mec-platform-manager": ("app-instance-changed",),
    "mec-platform": ("rule-changed", "service-availability-changed", "application-changed"),
    "mec-resource": ("resource-changed",),
}  # fmt: skip
_RPCS: Final[Mapping[str, Sequence[str]]] = {
    "ietf-netconf": ("get", "get-config", "edit-config", "close-session"),
    "ietf-netconf-monitoring": ("get-schema",),
    "notifications": ("create-subscription",),
}


def group_of(partner: str) -> str:
    """Name of the NACM group, and of the rule list, of a partner."""
    return PREFIX + partner


def group(partner: Mapping[str, Any]) -> Members:
    """The entry of /nacm/groups/group for a partner's entry."""
    users = [partner["user-name"]] if "user-name" in partner else []
    return {"name": group_of(partner["id"]), **({"user-name": users} if users else {})}


def rule_list(partner: Mapping[str, Any]) -> Members:
    """The entry of /nacm/rule-list for a partner's entry."""
    name = group_of(partner["id"])
    return {"name": name, "group": [name], "rule": list(_rules(partner))}


def _rules(partner: Mapping[str, Any]) -> Iterator[Members]:
    for agreement in partner.get("agreement", ()):
        base = _AGREEMENT.format(partner["id"], agreement["id"])
        option = option_of(agreement["boundary-option"])
        for container in option.served(agreement["role"]):
            model = container.partition(":")[0]
            for intent in (*INTENTS[container], *RULES.get(container, ())):
                yield _data(
                    f"{agreement['id']} {container} {intent}",
                    f"{base}/{container}/{model}:{intent}",
                    "create read update delete",
                )
            occurrences = f"{base}/{container}/{model}:operation-occurrence"
            if container != "mec-platform:platform":
                yield _data(f"{agreement['id']} {model} operation-occurrence", occurrences, "read exec")
        for model in option.exposed:
            yield _data(f"{agreement['id']} {model}", f"{base}/{CONTAINERS[model]}", "read")
        if interconnected(agreement):
            yield _data(f"{agreement['id']} {PEER_PLATFORM}", f"{base}/{PEER_PLATFORM}", "read")
            for intent in INTENTS[PEER_PLATFORM]:
                where = f"{base}/{PEER_PLATFORM}/mec-platform:{intent}"
                yield _data(f"{agreement['id']} {PEER_PLATFORM} {intent}", where, "create update delete")
        for term in _TERMS:
            yield _data(f"{agreement['id']} {term}", f"{base}/mec-federation:{term}", "read")
    for path in _EVERYBODY:
        yield _data(path.rpartition(":")[2], path, "read")
    yield from _named("rpc-name", "exec", _RPCS)
    yield from _named("notification-name", "read", _NOTIFICATIONS)
    yield {"name": "all else", "module-name": "*", "access-operations": "*", "action": "deny"}


def _data(name: str, path: str, operations: str) -> Members:
    return {"name": name, "path": path, "access-operations": operations, "action": "permit"}


def _named(what: str, operation: str, permitted: Mapping[str, Sequence[str]]) -> Iterator[Members]:
    """Rules for rpcs or notifications, by module."""
    for module, names in permitted.items():
        for name in names:
            yield {
                "name": name,
                "module-name": module,
                what: name,
                "access-operations": operation,
                "action": "permit",
            }
