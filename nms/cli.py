"""The command line: one table of topics, one place where errors become one line and an exit code.

Exit codes: 0 done, 1 the domain refused or failed, 2 the command or the configuration is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nms.commands import app, data, init, lab, model, output, package, partner, reconcile, serve, story
from nms.errors import ConfigError, RpcError, RpcErrors

_TOPICS = (serve, init, story, lab, package, partner, app, reconcile, data, model)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="nms", description="Federate MEC domains by NETCONF and RESTCONF over common YANG models."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for topic in _TOPICS:
        topic.add(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    args = parser().parse_args(arguments)
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
