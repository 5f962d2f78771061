"""The long run: `python -m tests.fuzz [--cases N] [--seed S] [--seconds T]`; exit code 1 where a difference is left."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.run import Run

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--cases", type=int, default=100_000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--seconds", type=float, default=float("inf"))
parser.add_argument("--start", type=int, default=0, help="number of the first model")
parser.add_argument("--found", type=Path, default=Path(__file__).parent / "found")
arguments = parser.parse_args()

run = Run(arguments.seed, arguments.found, say=lambda text: print(text, flush=True))
tally = run.until(arguments.cases, arguments.seconds, arguments.start)
print(tally.line())
for reason, count in tally.explained.most_common():
    print(f"  {count:6} {reason}")
for folder in tally.unexplained:
    print(f"  not explained: {folder}")
sys.exit(bool(tally.unexplained))
