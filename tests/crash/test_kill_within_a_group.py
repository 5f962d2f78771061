"""SIGKILL while edits share a write: the next start has the whole group or nothing of it, and all that was answered."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nms.datastore.journal_sqlite import SqliteJournal
from tests.crash.group_worker import SIZE, STEPS
from tests.unit.operations.shop_server import Server

ROOT = Path(__file__).parents[2]
#: Steps behind the journal: the group is durable though nobody was answered.
DURABLE = ("after append", "listener", "answered")


@pytest.mark.parametrize("step", STEPS)
def test_a_group_is_there_as_a_whole_or_not_at_all(tmp_path: Path, step: str) -> None:
    file = tmp_path / "store.db"
    passes = str(2 * SIZE if step == "listener" else 2)  # each transaction of the group is told
    command = [sys.executable, "-m", "tests.crash.group_worker", str(file), step, passes]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    said = [line.split() for line in killed.stdout.splitlines()]
    tried = [int(number) for word, *numbers in said if word == "trying" for number in numbers]
    answered = [int(number) for word, *numbers in said if word == "answered" for number in numbers]
    assert (len(tried), len(answered)) == (3 * SIZE, 3 * SIZE if step == "answered" else 2 * SIZE)
    server = Server(SqliteJournal(file))
    assert [item["price"] for item in server.shop()["item"]] == (tried if step in DURABLE else answered)
    assert server.shop("operational") == server.shop()
    server.core.close()
