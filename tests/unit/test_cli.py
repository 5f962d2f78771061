"""The command line as a shell sees it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from nms import cli

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


@pytest.mark.parametrize("topic", cli.TOPICS)
def test_the_table_of_commands_says_what_each_topic_adds(topic: str) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    import_module(f"nms.commands.{topic}").add(commands)
    assert list(commands.choices) == cli.TOPICS[topic]


def test_a_command_of_which_nobody_knows_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["fly"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert [name for names in cli.TOPICS.values() for name in names if repr(name) not in said] == []


def test_only_what_a_command_needs_is_imported() -> None:
    script = "import sys; from nms import cli; cli.parser('get'); sys.exit('nms.daemon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
