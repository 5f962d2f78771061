"""The options that every command talking to a daemon has, and the client they ask for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nms.client import Client
from nms.errors import ConfigError


def add(parser: argparse.ArgumentParser) -> None:
    """Add `--config`, `--cert`, `--key` and `--json`."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("NMS_CONFIG", "nms.toml")),
        help="configuration of the daemon to talk to (default: $NMS_CONFIG, else ./nms.toml)",
    )
    parser.add_argument("--cert", type=Path, help="client certificate (default: admin.pem beside the configuration)")
    parser.add_argument("--key", type=Path, help="its private key (default: admin-key.pem beside the configuration)")
    parser.add_argument("--json", action="store_true", help="JSON for scripts")


def client(args: argparse.Namespace) -> Client:
    """The client of the daemon that the options name."""
    if not args.config.is_file():
        raise ConfigError(f"{args.config}: no such configuration; name it by --config, or make one with nms init DIR")
    return Client.of(args.config, cert=args.cert, key=args.key)
