"""The long run: `python -m tests.fuzz [--target T] [--cases N] [--seed S] [--seconds T]`; exit code 1 for a finding.

The target "model" compares verdicts on random models and data with libyang's; the others send damaged messages
(`tests.fuzz.protocol`): framing, xml, json, uri, xpath, subtree, or "protocol" for each of them in turn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.protocol import run as protocol
from tests.fuzz.protocol.targets import TARGETS
from tests.fuzz.run import Run

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--target", choices=("model", "protocol", *TARGETS), default="model")
parser.add_argument("--cases", type=int, default=100_000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--seconds", type=float, default=float("inf"))
parser.add_argument("--start", type=int, default=0, help="number of the first model or case")
parser.add_argument("--found", type=Path, default=Path(__file__).parent / "found")
arguments = parser.parse_args()


def say(text: str) -> None:
    print(text, flush=True)


def models() -> bool:
    tally = Run(arguments.seed, arguments.found, say).until(arguments.cases, arguments.seconds, arguments.start)
    print(tally.line())
    for reason, count in tally.explained.most_common():
        print(f"  {count:6} {reason}")
    for folder in tally.unexplained:
        print(f"  not explained: {folder}")
    return bool(tally.unexplained)


def messages(target: str) -> bool:
    bounds = (arguments.cases, arguments.seconds, arguments.start)
    return bool(protocol.until(target, arguments.seed, *bounds, arguments.found, say))


if arguments.target == "model":
    sys.exit(models())
sys.exit(max([messages(target) for target in (TARGETS if arguments.target == "protocol" else (arguments.target,))]))
