"""What of an order may change once it is delivered, and what its customer is shown of what was made (TMF641; pure).

An item can be scaled and updated, and how it ends can change; anything else is another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nms.mec.session import Members


def lasting(order: Mapping[str, Any]) -> Members:
    """What of an order cannot change."""
    items = [
        {name: _fixed(value) if name == "requirement" else value for name, value in item.items() if name not in _FREE}
        for item in order["item"]
    ]
    kept = {name: value for name, value in order.items() if name not in ("cancelled", "description")}
    return {**kept, "item": [{name: value for name, value in item.items() if value != {}} for item in items]}


def amended(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Members]:
    """The items that a change of an order concerns, each with what its deployment shall be."""
    before = {item["id"]: wish(item) for item in old["item"]}
    after = {item["id"]: wish(item) for item in new["item"]}
    changes = {
        item: {name: value for name, value in asked.items() if before[item].get(name) != value}
        for item, asked in after.items()
    }
    return {item: change for item, change in changes.items() if change}


def reached(state: Mapping[str, Any]) -> Members:
    """Where the clients of a deployment reach it, from its state: members of an order's state/item."""
    shown = ("id", "zone", "software-version", "endpoint")
    instances = [
        {name: each[name] for name in shown if name in each}
        for each in state.get("instance", ())
        if each.get("change") != "joining"
    ]
    first: Members = next(iter(instances), {})
    zone = {"zone": first["zone"]} if "zone" in first else {}
    return {"endpoint": first.get("endpoint", []), "instance": instances, **zone}


_FREE = ("package", "graceful-timeout")


def _fixed(requirement: Mapping[str, Any]) -> Members:
    return {name: value for name, value in requirement.items() if name != "scale"}


def wish(item: Mapping[str, Any]) -> Members:
    """What the deployment of an item shall be, of what can change."""
    said: Members = {name: item[name] for name in _FREE if name in item}
    # Said nowhere any more, it is one: an absent leaf would ask for nothing.
    return {**said, "requirement": {"scale": item.get("requirement", {}).get("scale", 1)}}
