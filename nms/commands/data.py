"""`nms get`, `nms edit`, `nms watch`: a domain's data as RESTCONF shows it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import orjson

from nms.commands import connection, output
from nms.errors import ConfigError

_METHODS = {"merge": "PATCH", "replace": "PUT", "create": "POST", "delete": "DELETE"}


def add(commands: Any) -> None:
    """Add the sub-commands."""
    get = commands.add_parser("get", help="show data", description="Show a data resource.")
    get.add_argument("path", nargs="?", default="", help="api-path, e.g. mec-system:system/deployment=one")
    get.add_argument("--content", choices=["all", "config", "nonconfig"], help="configuration or state only")
    get.add_argument("--depth", type=int, help="levels to show")
    get.add_argument("--fields", help="parts to show, e.g. 'id;state/operational-state' (RFC 8040, 4.8.3)")
    connection.add(get)
    get.set_defaults(run=_get)

    edit = commands.add_parser("edit", help="change data", description="Change a data resource.")
    edit.add_argument("path", help="api-path of the resource; with create, of its parent")
    edit.add_argument("data", nargs="?", help="RFC 7951 JSON, a file of it (@FILE), or - for standard input")
    edit.add_argument("--operation", choices=sorted(_METHODS), default="merge", help="default: merge")
    connection.add(edit)
    edit.set_defaults(run=_edit)

    watch = commands.add_parser("watch", help="follow notifications", description="Show notifications as they come.")
    watch.add_argument("--stream", default="NETCONF", help="event stream (default: NETCONF)")
    connection.add(watch)
    watch.set_defaults(run=_watch)


def _get(args: argparse.Namespace) -> int:
    query = {k: str(v) for k in ("content", "depth", "fields") if (v := getattr(args, k)) is not None}
    found = connection.client(args).get(args.path, **query)
    if found is None:
        output.complain(f"there is no {args.path}")
        return 1
    if args.json:
        output.show_json(found)
    else:
        output.outline(found)
    return 0


def _edit(args: argparse.Namespace) -> int:
    deletes = args.operation == "delete"
    if deletes == (args.data is not None):
        raise ConfigError("delete takes no data" if deletes else f"{args.operation} takes data: JSON, @FILE or -")
    body = None if deletes else _body(args.data)
    connection.client(args).write(_METHODS[args.operation], args.path, body)
    return 0


def _body(argument: str) -> Any:
    """JSON given on the command line, in a file or on standard input."""
    try:
        text = (
            sys.stdin.buffer.read()
            if argument == "-"
            else Path(argument[1:]).read_bytes()
            if argument.startswith("@")
            else argument.encode()
        )
        return orjson.loads(text)
    except OSError as error:
        raise ConfigError(f"{argument[1:]}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"the data is not JSON: {error}") from None


def _watch(args: argparse.Namespace) -> int:
    for event in connection.client(args).events(args.stream):
        if args.json:
            sys.stdout.write(orjson.dumps(event).decode() + "\n")
            sys.stdout.flush()
            continue
        content = dict(event.get("ietf-restconf:notification", event))
        time = content.pop("eventTime", "")
        for name, value in content.items():
            output.say(f"{time}  {name}")
            output.outline(value, 1)
    return 0
