"""`nms model compat`: whom a change of modules breaks, or whether a server's modules and ours understand each other."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nms.commands import output
from nms.errors import ConfigError

if TYPE_CHECKING:
    from tools.model.change import Change
    from tools.model.edition import Edition
    from tools.model.live import Source


def add(topics: Any) -> None:
    """Add the sub-command."""
    parser = topics.add_parser(
        "compat", help="whom a change breaks", description="Compare two editions of modules by RFC 7950 section 11."
    )
    parser.add_argument(
        "editions", nargs="+", metavar="OLD NEW",
        help="a YANG file, a folder, or GITREV:PATH, as in HEAD:yang; with --live only NEW, ours",
    )  # fmt: skip
    parser.add_argument(
        "--live", metavar="URL",
        help="in place of OLD: the modules of the server at https://HOST:PORT or netconf://USER@HOST:PORT",
    )  # fmt: skip
    for name, what in (("ca", "the server's authority"), ("cert", "our certificate"), ("key", "our private key")):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"with --live: {what}")
    parser.add_argument("--path", action="append", type=Path, default=[], metavar="DIR", help="a folder of imports")
    parser.add_argument("--json", action="store_true", help="all differences as JSON")
    parser.set_defaults(run=_compat)


def _editions(args: argparse.Namespace) -> tuple[Edition, Edition]:
    from tools.model.edition import open_edition

    if len(args.editions) != (1 if args.live else 2):
        raise ConfigError("two editions are compared: OLD NEW, or --live URL NEW")
    new = open_edition(args.editions[-1], args.path)
    if not args.live:
        return open_edition(args.editions[0], args.path), new
    from tools.model.live import open_live

    with _server(args) as server:
        return open_live(server, new.modules, args.path), new


@contextmanager
def _server(args: argparse.Namespace) -> Iterator[Source]:
    """Who is asked for modules, by the protocol that the URL names."""
    if args.live.startswith("netconf:"):
        from tools.model import live_netconf

        with live_netconf.connect(args.live, args.key) as source:
            yield source
        return
    from nms.client import Client
    from tools.model.live_restconf import Restconf

    if None in (args.ca, args.cert, args.key):
        raise ConfigError(
            "--live https://... wants --ca, --cert and --key: servers ask who we are, and we ask who they are"
        )
    yield Restconf(Client.at(args.live, ca=args.ca, cert=args.cert, key=args.key))


def _compat(args: argparse.Namespace) -> int:
    from tools.model import change, compat

    old, new = _editions(args)
    changes = compat.compare(old, new)
    kind = change.overall(changes)
    versions = {name: change.next_version(text, kind) for name, text in compat.version_of(old).items()}
    verdicts = {name: change.overall(c for c in changes if c.module == name) for name in sorted(new.modules)}
    if args.json:
        output.show_json(
            {
                "class": kind, "label": change.LABELS[kind], "versions": versions, "modules": verdicts,
                "changes": _rows(changes),
            }
        )  # fmt: skip
        return int(kind == "breaking")
    for c in changes:
        places = f"{c.path} and {c.times - 1} more" if c.times > 1 else c.path
        place = f"{c.file or args.editions[-1]}:{c.line or 1}"
        output.say(f"{place}: {c.kind} {c.code} {c.message} ({places}); {c.reason}")
    if args.live:
        output.table(("MODULE", "OURS BESIDE THE SERVER'S"), list(verdicts.items()), empty="no modules")
    nothing = "nothing differs"
    output.say(nothing if kind == "none" else f"{kind}: the next revision is a {change.LABELS[kind]} one")
    for name, version_text in versions.items():
        output.say(f"{name}: {version_text}")
    return int(kind == "breaking")


def _rows(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {
            "class": c.kind, "code": c.code, "module": c.module, "file": c.file,
            "line": c.line, "path": c.path, "times": c.times, "message": c.message, "reason": c.reason,
        }
        for c in changes
    ]  # fmt: skip
