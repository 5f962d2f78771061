"""`nms reconcile`: compare what is configured with what partners and drivers show, now, and say what was found.

What is done about a difference is the policy of each agreement and infrastructure (report, repair, adopt).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from nms.client import Client
from nms.commands import connection, output
from nms.errors import RpcError

#: Seconds to wait for the others' answers.
PATIENCE = 30.0
#: Boundary option (local name) under which a provider's platform steers the consumer's data plane.
_CONSUMERS_DATA_PLANE = "option-platform-consumer-infrastructure"


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("reconcile", help="compare what is configured with what partners and drivers show")
    parser.add_argument("partner", nargs="?", help="only with this one (default: all, and the own infrastructure)")
    connection.add(parser)
    parser.set_defaults(run=_reconcile)


def _reconcile(args: argparse.Namespace) -> int:
    client = connection.client(args)
    before = {name: state.get("last-run") for name, state in _states(client, args.partner)}
    if not before:
        raise RpcError(
            "data-missing", f"there is nothing to compare with: no agreement with {args.partner or 'anyone'}"
        )
    wanted = {"partner": args.partner} if args.partner else {}
    client.invoke("operations/mec-federation:reconcile", {"mec-federation:input": wanted})
    end = time.monotonic() + PATIENCE
    silent = set(before)
    while silent and time.monotonic() < end:
        silent = {name for name, state in _states(client, args.partner) if state.get("last-run") == before.get(name)}
        time.sleep(0.2 if silent else 0)
    found = [
        {"with": name, **finding}
        for name, state in _states(client, args.partner)
        if name not in silent
        for finding in state.get("finding", ())
    ]
    if args.json:
        output.show_json({"compared": sorted(set(before) - silent), "silent": sorted(silent), "finding": found})
    else:
        rows = [(row["with"], row["kind"], row["subject"], row["outcome"], row["detail"]) for row in found]
        output.table(("WITH", "ENTRY OF", "CALLED", "OUTCOME", "ABOUT"), rows, empty="what is there is as configured")
        for name in sorted(silent):
            output.say(f"{name}: not compared with; it does not answer, or the agreement is not in force")
    return 1 if found or silent else 0


def _states(client: Client, partner: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, outcome of the last comparison) of everybody that there is to compare with."""
    for each in client.read("mec-federation:federation").get("partner", ()):
        for agreement in each.get("agreement", ()):
            if partner in (None, each["id"]) and _asks(agreement):
                yield f"{each['id']}/{agreement['id']}", _outcome(agreement)
    if partner is None:
        infrastructure = client.read("mec-resource:infrastructure")
        for vim in infrastructure.get("vim", ()):
            yield vim["id"], _outcome(vim)
        if "data-plane" in infrastructure:
            yield "data-plane", _outcome(infrastructure["data-plane"])
        for platform in client.read("mec-platform:platforms").get("platform", ()):
            yield "dns", _outcome(platform.get("dns", {}))


def _outcome(side: dict[str, Any]) -> dict[str, Any]:
    return side.get("reconciliation", {}).get("state", {})  # type: ignore[no-any-return]


def _asks(agreement: dict[str, Any]) -> bool:
    """Whether something is asked of the partner: the consumer does, and under option 2 the provider's platform too."""
    option = str(agreement["boundary-option"]).rpartition(":")[2]
    return agreement["role"] == "consumer" or option == _CONSUMERS_DATA_PLANE
