"""The command line as a shell sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SHOW = """
import sys
from nms import cli
from nms.commands import output

def show(args):
    for number in range(10_000):
        output.say("a line")
    return 0

class Parser:
    def parse_args(self, arguments):
        return type("Args", (), {"run": staticmethod(show)})

cli.parser = Parser
sys.exit(cli.main([]))
"""


def test_a_reader_that_leaves_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SHOW], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as nms:
        assert nms.stdout is not None
        assert nms.stderr is not None
        assert nms.stdout.readline() == b"a line\n"
        nms.stdout.close()
        complaints = nms.stderr.read()
    assert (nms.returncode, complaints) == (0, b"")
