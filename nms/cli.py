"""The command line: one table of commands, one place where errors become one line and an exit code.

Only the topic of the command that is given is imported: `nms get` needs no daemon.

Exit codes: 0 done, 1 the domain refused or failed, 2 the command or the configuration is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from nms.commands import output
from nms.errors import ConfigError, RpcError, RpcErrors

#: Topics, the modules of `nms.commands`, in the order of the help, and what commands each adds.
TOPICS: Final[Mapping[str, Sequence[str]]] = {
    "serve": ["serve"],
    "init": ["init"],
    "story": ["run"],
    "lab": ["lab"],
    "package": ["package"],
    "partner": ["partner"],
    "app": ["app"],
    "reconcile": ["reconcile"],
    "data": ["get", "edit", "watch"],
    "model": ["model"],
}


def parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of the whole command line, or only of the topic that `command` is of."""
    whole = argparse.ArgumentParser(
        prog="nms", description="Federate MEC domains by NETCONF and RESTCONF over common YANG models."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    wanted = [topic for topic, names in TOPICS.items() if command in names] or TOPICS
    for topic in wanted:
        import_module(f"nms.commands.{topic}").add(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    args = parser(*given[:1]).parse_args(given)
    try:
        code: int = args.run(args)
    except ConfigError as error:
        output.complain(str(error))
        return 2
    except RpcErrors as several:
        for one in several.errors:
            output.complain(str(one))
        return 1
    except RpcError as error:
        output.complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output left (`nms get | head`): what is still buffered has no one to go to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
