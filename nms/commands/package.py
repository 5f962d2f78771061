"""`nms package`: build application packages and on-board them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nms.client import Client
from nms.commands import connection, output
from nms.commands.output import local_name
from nms.errors import ConfigError, RpcError
from nms.mec import package

_SYSTEM = "mec-system:system"


def add(commands: Any) -> None:
    """Add the sub-commands."""
    parser = commands.add_parser("package", help="build, on-board and list application packages")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="build a package", description="Build a CSAR package from a folder.")
    build.add_argument(
        "folder", type=Path, help="folder with descriptor.json and the image, an OCI archive for instance"
    )
    build.add_argument("file", type=Path, help="package to write")
    build.add_argument("--sign", type=Path, metavar="KEY", help="private key (PEM) to sign the manifest with")
    build.add_argument("--json", action="store_true", help="JSON for scripts")
    build.set_defaults(run=_build)

    onboard = actions.add_parser("onboard", help="on-board a package", description="Upload and on-board a package.")
    onboard.add_argument("file", type=Path, help="package")
    onboard.add_argument("--id", help="package identifier (default: the one in its descriptor)")
    connection.add(onboard)
    onboard.set_defaults(run=_onboard)

    listing = actions.add_parser("list", help="list packages")
    connection.add(listing)
    listing.set_defaults(run=_list)


def _build(args: argparse.Namespace) -> int:
    if not args.folder.is_dir():
        raise ConfigError(f"{args.folder}: no such folder")
    key = _read(args.sign) if args.sign else None
    info = package.build(args.folder, args.file, key)
    if args.json:
        output.show_json({"file": str(args.file), "id": info.id, "digest": info.digest, "size": info.size})
    else:
        output.say(f"{args.file}: {info.id} {info.version}, {info.size} bytes, sha-256 {info.digest}")
    return 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None


def _onboard(args: argparse.Namespace) -> int:
    client = connection.client(args)
    info = package.verify(args.file, allow_unsigned=True)
    name = args.id or info.id
    onboard(client, args.file, info, name)
    state = follow(client, name)
    if args.json:
        output.show_json({"id": name, "digest": info.digest, "state": state})
    else:
        output.say(f"{name}: {local_name(state.get('onboarding-state', ''))}, sha-256 {info.digest}")
    return 0


def onboard(client: Client, file: Path, info: package.PackageInfo, name: str) -> None:
    """Upload a package and ask the orchestrator to on-board it; doing it again changes nothing."""
    with file.open("rb") as content:
        client.upload(info.digest, content, info.size)
    entry = {"id": name, "digest": info.digest, "size": str(info.size)}
    client.write("PATCH", _SYSTEM, {_SYSTEM: {"package": [entry]}})


def follow(client: Client, name: str) -> dict[str, Any]:
    """Wait until on-boarding ends; the package's state.

    Raises:
        RpcError: it failed.
    """
    for state in output.progress(f"on-boarding {name}", lambda: _state(client, name)):
        if "error" in state:
            error = state["error"]
            raise RpcError("operation-failed", f"package {name}: {error.get('detail') or error.get('title', 'failed')}")
        if local_name(state.get("onboarding-state", "")) == "onboarded":
            return state
    raise AssertionError("progress has no end of its own")


def _state(client: Client, name: str) -> dict[str, Any]:
    return client.read(f"{_SYSTEM}/package={name}/state")


def _list(args: argparse.Namespace) -> int:
    found = connection.client(args).read(_SYSTEM).get("package", [])
    if args.json:
        output.show_json(found)
        return 0
    output.table(
        ("PACKAGE", "STATE", "USAGE", "SIZE", "DIGEST"),
        (
            (
                entry["id"],
                local_name(entry.get("state", {}).get("onboarding-state", "")),
                local_name(entry.get("state", {}).get("usage-state", "")),
                entry.get("size", ""),
                entry.get("digest", "")[:16],
            )
            for entry in found
        ),
        empty="no packages: nms package onboard FILE",
    )
    return 0
