"""`nms app scale`, `update`, `relocate`: change an application that is deployed.

Scale and version are the order's, and so the customer's; where it runs is the operator's business, at the orchestrator.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable
from typing import Any

from nms.client import Client
from nms.commands import connection, output
from nms.commands.output import local_name
from nms.commands.payload import checked
from nms.errors import RpcError

_ORDERS = "mec-order:orders"
_SYSTEM = "mec-system:system"


def add(actions: Any) -> None:
    """Add the sub-commands to those of `nms app`."""
    scale = actions.add_parser("scale", help="change the number of instances of an order's application")
    scale.add_argument("id", help="order")
    scale.add_argument("instances", type=int, help="how many there shall be")
    _item(scale)
    scale.set_defaults(run=_run(lambda args: {"requirement": {"scale": args.instances}}))

    update = actions.add_parser("update", help="change to another package; the old one ends when the new one runs")
    update.add_argument("id", help="order")
    update.add_argument("package", help="identifier of an on-boarded package")
    _item(update)
    update.set_defaults(run=_run(lambda args: {"package": args.package}))

    relocate = actions.add_parser("relocate", help="move to another zone; the old instance ends when the new one runs")
    relocate.add_argument("id", help="order")
    relocate.add_argument("zone", help="where to: a zone of this domain or of a partner")
    relocate.add_argument("--reason", help="why")
    _item(relocate)
    relocate.set_defaults(run=_relocate)


def _item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--item", help="item of the order (default: its only one)")
    connection.add(parser)


def _run(wish: Callable[[argparse.Namespace], dict[str, Any]]) -> Callable[[argparse.Namespace], int]:
    """Change an item of an order, and wait until it is so."""

    def run(args: argparse.Namespace) -> int:
        client = connection.client(args)
        item = _find(client, args)["id"]
        order = {"id": args.id, "item": [{"id": item, **wish(args)}]}
        client.write("PATCH", _ORDERS, checked("mec-order", {_ORDERS: {"order": [order]}}))
        for state in output.progress(f"order {args.id}", lambda: _state(client, args.id, item), step=_step):
            if local_name(state["state"]) != "in-progress":
                return _shown(args, state, state.get("error"))
        raise AssertionError("progress has no end of its own")

    return run


def _relocate(args: argparse.Namespace) -> int:
    client = connection.client(args)
    state = _state(client, args.id, _find(client, args)["id"])
    wish = {"id": f"move-{uuid.uuid4()}", "deployment": state.get("deployment", ""), "target-zone": args.zone}
    if args.reason:
        wish["reason"] = args.reason
    client.write("PATCH", _SYSTEM, checked("mec-system", {_SYSTEM: {"relocation": [wish]}}))
    path = f"{_SYSTEM}/relocation={wish['id']}"
    for found in output.progress(f"order {args.id} to {args.zone}", lambda: client.read(path)):
        moved = found.get("state", {})
        if local_name(moved.get("state", "")) in ("completed", "failed", "failed-temp", "cancelled"):
            return _shown(args, _state(client, args.id, state["id"]), moved.get("error"))
    raise AssertionError("progress has no end of its own")


def _shown(args: argparse.Namespace, state: dict[str, Any], error: dict[str, Any] | None) -> int:
    """Say how an item is now.

    Raises:
        RpcError: it could not be changed; what was there is still in use.
    """
    if error:
        raise RpcError("operation-failed", f"order {args.id} stays as it was: {error.get('detail', 'no reason given')}")
    if args.json:
        output.show_json(state)
        return 0
    for each in state.get("instance", ()):
        ends = (f"{e.get('dns-name') or e.get('address', '')}:{e.get('port', '')}" for e in each.get("endpoint", ()))
        output.say(f"{args.id}: version {each.get('software-version', '?')} in {each['zone']} at {', '.join(ends)}")
    return 0


def _find(client: Client, args: argparse.Namespace) -> dict[str, Any]:
    """The item that is meant.

    Raises:
        RpcError: there is no such order or item, or it has several and none is named.
    """
    found = client.read(f"{_ORDERS}/order={args.id}")
    if not found:
        raise RpcError("data-missing", f"there is no order {args.id}; nms app status lists them")
    items: list[dict[str, Any]] = [each for each in found["item"] if args.item in (None, each["id"])]
    if len(items) != 1:
        names = ", ".join(each["id"] for each in found["item"])
        raise RpcError("invalid-value", f"order {args.id} has the items {names}: say which with --item")
    return items[0]


def _state(client: Client, order: str, item: str) -> dict[str, Any]:
    found = client.read(f"{_ORDERS}/order={order}").get("state", {})
    return next((each for each in found.get("item", ()) if each["id"] == item), {"id": item, "state": ""})


def _step(state: dict[str, Any]) -> tuple[int, str]:
    return int(state.get("progress", 0)), local_name(state.get("state", ""))
