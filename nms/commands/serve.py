"""`nms serve`: run the daemon of one domain, or of any YANG modules."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from nms import config, daemon


def add(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser("serve", help="run a daemon", description="Run the daemon that a file configures.")
    parser.add_argument("--config", type=Path, default=Path("nms.toml"), help="TOML file (default: ./nms.toml)")
    parser.add_argument("--pid-file", type=Path, help="file for the process identifier")
    parser.add_argument("--verbose", action="store_true", help="log what goes on, not only what goes wrong")
    parser.set_defaults(run=_serve)


def _serve(args: argparse.Namespace) -> int:
    return asyncio.run(daemon.run(config.load(args.config), args.config, args.pid_file, verbose=args.verbose))
