"""`nms package`: build an application package and on-board it."""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path
from typing import Any

from nms.commands import connection, output
from nms.errors import ConfigError, RpcError
from nms.mec import package

_ENDED = ("onboarded", "failed")


def add(commands: Any) -> None:
    """Add the sub-commands."""
    parser = commands.add_parser("package", help="build and on-board application packages")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="build a package", description="Build a CSAR package from a folder.")
    build.add_argument("folder", type=Path, help="folder with descriptor.json and the image")
    build.add_argument("file", type=Path, help="package to write")
    build.add_argument("--sign", type=Path, metavar="KEY", help="private key (PEM) to sign the manifest with")
    build.add_argument("--json", action="store_true", help="JSON for scripts")
    build.set_defaults(run=_build)

    onboard = actions.add_parser("onboard", help="on-board a package", description="Upload and on-board a package.")
    onboard.add_argument("file", type=Path, help="package")
    onboard.add_argument("--id", help="package identifier (default: the application's name)")
    connection.add(onboard)
    onboard.set_defaults(run=_onboard)

    listing = actions.add_parser("list", help="list packages")
    connection.add(listing)
    listing.set_defaults(run=_list)
