"""SIGKILL at each step of a commit: the next start has exactly what was confirmed, or durable before its reply."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nms.datastore.journal_sqlite import SqliteJournal
from tests.crash.commit_worker import STEPS
from tests.unit.operations.shop_server import Server

ROOT = Path(__file__).parents[2]
#: Steps behind the journal: the commit is durable though its reply was never sent.
DURABLE = ("after append", "apply", "listener", "replied")


@pytest.mark.parametrize("least", ["1000000", "0"], ids=["records", "snapshots"])
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_server_comes_back_with_what_it_confirmed(tmp_path: Path, step: str, least: str) -> None:
    if step == "inside append" and least == "1000000":
        least = "60"  # single records are one statement; folding has an inside
    file = tmp_path / "store.db"
    command = [sys.executable, "-m", "tests.crash.commit_worker", str(file), step, "2", least]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    said = killed.stdout.split("\n")
    tried = [int(line.split()[1]) for line in said if line.startswith("trying")]
    confirmed = [int(line.split()[1]) for line in said if line.startswith("confirmed")]
    expected = tried if step in DURABLE else confirmed
    assert set(confirmed) <= set(tried)
    server = Server(SqliteJournal(file))
    assert [item["id"] for item in server.shop()["item"]] == [str(number) for number in expected]
    assert server.shop("operational") == server.shop()
    server.core.close()
