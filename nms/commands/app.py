"""`nms app`: order an edge application, see how it is, terminate it.

An order is what a third party gives at Mx1 (ETSI GS MEC 003): it does not say, and need not know, whose infrastructure
the application runs on.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from nms.client import Client
from nms.commands import app_change, connection, output
from nms.commands.output import local_name
from nms.commands.payload import checked
from nms.errors import RpcError

_ORDERS = "mec-order:orders"
_ENDED = ("completed", "failed", "cancelled", "partial")


def add(commands: Any) -> None:
    """Add the sub-commands."""
    parser = commands.add_parser("app", help="deploy, show and terminate applications")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    deploy = actions.add_parser("deploy", help="order an application")
    deploy.add_argument("package", help="identifier of an on-boarded package")
    deploy.add_argument("--id", required=True, help="identifier of the order; giving it again changes nothing")
    deploy.add_argument("--zone", action="append", default=[], help="acceptable zone (may be repeated; default: any)")
    deploy.add_argument("--dns-name", help="name under which clients find it (default: the descriptor's)")
    deploy.add_argument("--customer", default="operator", help="who orders (default: operator)")
    deploy.add_argument("--max-latency", help="greatest latency in milliseconds")
    deploy.add_argument(
        "--dry-run", action="store_true", help="show what would be done in each domain, and do nothing of it"
    )
    deploy.add_argument("--no-wait", action="store_true", help="return once the order is accepted")
    connection.add(deploy)
    deploy.set_defaults(run=_deploy)

    status = actions.add_parser("status", help="show orders and where they can be reached")
    status.add_argument("id", nargs="?", help="one order (default: all)")
    connection.add(status)
    status.set_defaults(run=_status)

    terminate = actions.add_parser("terminate", help="terminate an order's applications")
    terminate.add_argument("id", help="order")
    terminate.add_argument("--grace", type=int, metavar="SECONDS", help="time to end (default: the application's)")
    terminate.add_argument("--force", action="store_const", const=0, dest="grace", help="end at once")
    connection.add(terminate)
    terminate.set_defaults(run=_terminate)
    app_change.add(actions)


def _deploy(args: argparse.Namespace) -> int:
    client = connection.client(args)
    if args.dry_run:
        return _plan(client, args)
    order(
        client,
        args.id,
        args.package,
        customer=args.customer,
        zones=args.zone,
        dns_name=args.dns_name,
        max_latency=args.max_latency,
    )
    found = read(client, args.id) if args.no_wait else follow(client, args.id)
    if args.json:
        output.show_json(found)
    else:
        _show([found])
    return 0


def _plan(client: Client, args: argparse.Namespace) -> int:
    wish = _item(args.package, args.zone, args.dns_name, args.max_latency)
    body = {"mec-order:input": {"id": args.id, "item": [wish]}}
    found = client.invoke("operations/mec-order:plan-order", body)["mec-order:output"]
    if args.json:
        output.show_json(found)
        return 0
    for item in found.get("item", ()):
        if "error" in item:
            raise RpcError("operation-failed", f"nothing could be done: {item['error'].get('detail', '')}")
        for part in item["part"]:
            reasons = "; ".join(part.get("reason", ()))
            output.say(f"{item['id']}, instance {part['id']}: zone {part['zone']} of {part['domain']}: {reasons}")
        rows = [
            (step["domain"], local_name(step["reference-point"]), step["subject-type"], step["subject"], step["detail"])
            for part in item["part"]
            for step in part["step"]
        ]
        output.table(("DOMAIN", "POINT", "ENTRY OF", "CALLED", "ABOUT"), rows, empty="nothing would be done")
    output.say("dry run: nothing was done")
    return 0


def _item(package: str, zones: list[str] | None, dns_name: str | None, max_latency: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": "app", "package": package}
    if zones:
        item["acceptable-zone"] = zones
    if dns_name:
        item["dns-name"] = dns_name
    if max_latency:
        item["requirement"] = {"max-latency": max_latency}
    return item


def order(
    client: Client,
    name: str,
    package: str,
    *,
    customer: str,
    zones: list[str] | None = None,
    dns_name: str | None = None,
    max_latency: str | None = None,
) -> None:
    """Place an order of one application at Mx1; the same order again changes nothing."""
    item = _item(package, zones, dns_name, max_latency)
    entry = {"id": name, "customer": customer, "item": [item]}
    client.write("PATCH", _ORDERS, checked("mec-order", {_ORDERS: {"order": [entry]}}))


def read(client: Client, name: str) -> dict[str, Any]:
    """An order with its state.

    Raises:
        RpcError: there is none.
    """
    found = client.read(f"{_ORDERS}/order={name}")
    if not found:
        raise RpcError("data-missing", f"there is no order {name}; nms app status lists them")
    return found


def follow(client: Client, name: str) -> dict[str, Any]:
    """Wait until an order is completed; the order.

    Raises:
        RpcError: it failed or was cancelled.
    """
    for entry in output.progress(f"order {name}", lambda: read(client, name), step=_step):
        state = entry.get("state", {})
        reached = local_name(state.get("state", ""))
        if reached == "completed":
            return entry
        if reached in _ENDED:
            raise RpcError("operation-failed", f"order {name} {reached}: {_why(state)}")
    raise AssertionError("progress has no end of its own")


def _why(state: dict[str, Any]) -> str:
    errors = [state.get("error"), *(item.get("error") for item in state.get("item", []))]
    said = dict.fromkeys(e.get("detail") or e.get("title", "") for e in errors if e)
    return "; ".join(said) or "no reason given"


def _step(entry: dict[str, Any]) -> tuple[int, str]:
    items = entry.get("state", {}).get("item", [])
    percent = min((int(item.get("progress", 0)) for item in items), default=0)
    return percent, local_name(entry.get("state", {}).get("state", ""))


def _status(args: argparse.Namespace) -> int:
    client = connection.client(args)
    found = [read(client, args.id)] if args.id else client.read(_ORDERS).get("order", [])
    if args.json:
        output.show_json(found)
    else:
        _show(found)
    return 0


def _show(orders: list[dict[str, Any]]) -> None:
    rows = []
    for entry in orders:
        state = entry.get("state", {})
        for item in state.get("item") or [{}]:
            ends = item.get("endpoint", ())
            where = ", ".join(f"{e.get('dns-name') or e.get('address', '')}:{e.get('port', '')}" for e in ends)
            made = item.get("instance", ())
            runs = f"{len(made)} x {', '.join(sorted({e.get('software-version', '?') for e in made}))}" if made else ""
            zones = ", ".join(sorted({e["zone"] for e in made})) or item.get("zone", "")
            rows.append((entry["id"], local_name(state.get("state", "")), runs, zones, where, _why_or_blank(state)))
    headers = ("ORDER", "STATE", "RUNS", "ZONE", "REACHED AT", "NOTE")
    output.table(headers, rows, empty="no orders: nms app deploy PACKAGE --id ID")


def _why_or_blank(state: dict[str, Any]) -> str:
    why = _why(state)
    return "" if why == "no reason given" else why


def _terminate(args: argparse.Namespace) -> int:
    client = connection.client(args)
    entry = read(client, args.id)
    deployments = [item["deployment"] for item in entry.get("state", {}).get("item", []) if "deployment" in item]
    if args.grace is not None:
        items = [{"id": item["id"], "graceful-timeout": args.grace} for item in entry["item"]]
        client.write("PATCH", _ORDERS, checked("mec-order", {_ORDERS: {"order": [{"id": args.id, "item": items}]}}))
    terminate(client, args.id, deployments)
    if args.json:
        output.show_json({"id": args.id, "terminated": deployments})
    else:
        output.say(f"{args.id}: terminated")
    return 0


def terminate(client: Client, name: str, deployments: list[str]) -> None:
    """Delete an order and wait until what it deployed is gone."""
    client.write("DELETE", f"{_ORDERS}/order={name}")
    for deployment in deployments:
        read = partial(client.get, f"mec-system:system/deployment={deployment}")
        for found in output.progress(f"terminating {deployment}", read):
            if found is None:
                break
