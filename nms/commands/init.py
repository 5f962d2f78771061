"""`nms init`: a folder from which a domain can be started."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nms import init
from nms.commands import output


def add(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "init", help="make a working configuration", description="Write a configuration with fresh keys into a folder."
    )
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--id", default="", help="identifier of the domain (default: the folder's name)")
    parser.add_argument("--operator", default="", help="who runs it")
    parser.add_argument("--country", default="", help="two capital letters")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add_driver(parser)
    parser.set_defaults(run=_init)


def add_driver(parser: argparse.ArgumentParser) -> None:
    """The option --driver."""
    parser.add_argument(
        "--driver", choices=sorted(init.INSTANCES), default="embedded",
        help="what instances run on: embedded (processes, the default), netns (network namespaces; needs root), or "
        "auto: netns where it works, else embedded",
    )  # fmt: skip


def _init(args: argparse.Namespace) -> int:
    files = init.init(
        args.folder,
        now=datetime.now(UTC),
        domain_id=args.id,
        operator=args.operator,
        country=args.country,
        address=args.address,
        driver=args.driver,
    )
    output.say(f"wrote {len(files)} files into {args.folder}; start the domain with: nms serve --config {files[-1]}")
    return 0
