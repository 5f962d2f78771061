"""`nms partner`: the domains that this one federates with.

Two operators exchange cards (`nms partner card`, public keys and addresses only, by a way they trust) and each adds the
other's with the terms of an agreement.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import orjson

from nms import config as configuration
from nms.client import Client
from nms.commands import connection, output
from nms.commands.output import local_name
from nms.commands.payload import checked
from nms.errors import ConfigError, RpcError
from nms.federation import card
from nms.federation.client import PROTOCOLS

_FEDERATION = "mec-federation:federation"
OPTIONS = {
    "1": "option-infrastructure",
    "2": "option-platform-consumer-infrastructure",
    "3": "option-platform-provider-infrastructure",
    "4": "option-service",
    "5": "option-system",
}


def add(commands: Any) -> None:
    """Add the sub-commands."""
    parser = commands.add_parser("partner", help="federate with other domains")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    shown = actions.add_parser("card", help="print this domain's card for a partner (no secrets)")
    shown.add_argument("--config", type=Path, default=Path("nms.toml"), help="configuration (default: ./nms.toml)")
    shown.set_defaults(run=_card)

    adding = actions.add_parser("add", help="add a partner and an agreement with it")
    adding.add_argument("card", type=Path, help="the partner's card")
    adding.add_argument("--agreement", required=True, help="identifier of the agreement, the same at both sides")
    adding.add_argument("--role", required=True, choices=["consumer", "provider"], help="our role in it")
    adding.add_argument("--option", choices=sorted(OPTIONS), default="5", help="boundary option (default: 5, Mx3)")
    adding.add_argument("--zone", action="append", default=[], help="zone offered (provider) or accepted (consumer)")
    adding.add_argument(
        "--platform-instance",
        action="store_true",
        help="option 2: permit (consumer), or have (provider), an instance of the provider's platform at the consumer",
    )
    adding.add_argument("--until", help="end of the agreement, e.g. 2030-01-01T00:00:00Z (default: none)")
    adding.add_argument("--join-platforms", action="store_true", help="join the platforms (Mp3), and share services")
    add_protocol(adding)
    connection.add(adding)
    adding.set_defaults(run=_add)

    listing = actions.add_parser("list", help="list partners")
    connection.add(listing)
    listing.set_defaults(run=_list)

    one = actions.add_parser("show", help="show a partner")
    one.add_argument("id", help="partner")
    connection.add(one)
    one.set_defaults(run=_show)

    remove = actions.add_parser("remove", help="end the federation with a partner")
    remove.add_argument("id", help="partner")
    connection.add(remove)
    remove.set_defaults(run=_remove)


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Let a command say by which protocol sessions go to partners."""
    default = PROTOCOLS[0]
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default=default, help=f"of our sessions with the partner (default: {default})"
    )


def _card(args: argparse.Namespace) -> int:
    output.show_json(card.of(configuration.load(args.config), args.config.parent))
    return 0


def _add(args: argparse.Namespace) -> int:
    try:
        partner = orjson.loads(args.card.read_bytes())
    except OSError as error:
        raise ConfigError(f"{args.card}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{args.card}: not a card: {error}; make one with nms partner card at the partner") from None
    entry = agree(
        connection.client(args),
        partner,
        agreement=args.agreement,
        role=args.role,
        option=OPTIONS[args.option],
        zones=args.zone,
        until=args.until,
        platform_instance=args.platform_instance,
        protocol=args.protocol,
        joined=args.join_platforms,
    )
    if args.json:
        output.show_json(entry)
    else:
        output.say(f"{entry['id']}: agreement {args.agreement} as {args.role}; see nms partner show {entry['id']}")
    return 0


def agree(
    client: Client,
    partner: dict[str, Any],
    *,
    agreement: str,
    role: str,
    option: str = OPTIONS["5"],
    zones: list[str],
    until: str | None = None,
    platform_instance: bool = False,
    protocol: str = PROTOCOLS[0],
    hops: int = 1,
    joined: bool = False,
) -> dict[str, Any]:
    """Add a partner by its card, and an agreement; the entry written.

    Args:
        hops: domains that the zones may be passed on by, one after the other, if more than one.
    """
    accepted = {"accepted": True} if role == "consumer" else {}
    terms: dict[str, Any] = {
        "id": agreement,
        "role": role,
        "boundary-option": f"mec-types:{option}",
        "zone": [{"id": zone, "offered": True, **accepted} for zone in zones],
    }
    if until:
        terms["valid-until"] = until
    if hops > 1:
        terms["sharing"] = {"resale": True, "max-hops": hops}
    if joined:
        terms["interconnection"] = {"enabled": True, "share-services": True}
    if platform_instance:
        terms["platform-instance"] = {}
    entry: dict[str, Any] = card.partner_entry(partner, protocol) | {"agreement": [terms]}
    client.write("PATCH", _FEDERATION, checked("mec-federation", {_FEDERATION: {"partner": [entry]}}))
    return entry


def partners(client: Client) -> list[dict[str, Any]]:
    """Every partner with its state."""
    found: list[dict[str, Any]] = client.read(_FEDERATION).get("partner", [])
    return found


def _list(args: argparse.Namespace) -> int:
    found = partners(connection.client(args))
    if args.json:
        output.show_json(found)
        return 0
    rows = []
    for partner in found:
        state = partner.get("state", {})
        reachable = {True: "yes", False: "no"}.get(state.get("reachable"), "")
        for agreement in partner.get("agreement") or [{}]:
            rows.append(
                (
                    partner["id"],
                    agreement.get("id", ""),
                    agreement.get("role", ""),
                    local_name(agreement.get("boundary-option", "")),
                    local_name(agreement.get("state", {}).get("federation-state", "")),
                    reachable,
                    state.get("last-error", ""),
                )
            )
    output.table(
        ("PARTNER", "AGREEMENT", "OUR ROLE", "OPTION", "STATE", "REACHABLE", "LAST ERROR"),
        rows,
        empty="no partners: nms partner add CARD --agreement ID --role consumer|provider --zone ZONE",
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    found = connection.client(args).get(f"{_FEDERATION}/partner={args.id}")
    if found is None:
        raise RpcError("data-missing", f"there is no partner {args.id}; nms partner list shows them")
    if args.json:
        output.show_json(found)
    else:
        output.outline(found)
    return 0


def _remove(args: argparse.Namespace) -> int:
    client = connection.client(args)
    path = f"{_FEDERATION}/partner={args.id}"
    client.write("DELETE", path)
    for found in output.progress(f"ending the federation with {args.id}", lambda: client.get(path)):
        if found is None:
            break
    if args.json:
        output.show_json({"removed": args.id})
    else:
        output.say(f"{args.id}: removed")
    return 0
