"""`nms run --once`: the whole story ends well and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "domains"
    done = subprocess.run(
        [sys.executable, "-m", "nms.cli", "run", "--once", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "domain-a: the agreement with domain-b is active",
        "order order-1: completed",
        "GET http://127.82.",
        "zone zone-1",
        "domain-b: that instance runs on this domain's infrastructure",
        "domain-a to domain-b, mx3: ",
        "hello.mec.domain-b no longer resolves",
        "nothing is left running",
    ):
        assert said in done.stdout
    assert _running_below(folder) == []


@pytest.mark.parametrize("impatient", [False, True])
def test_nothing_is_left_behind_by_a_story_that_is_interrupted(tmp_path: Path, impatient: bool) -> None:
    folder = tmp_path / "domains"
    story = subprocess.Popen(
        [sys.executable, "-m", "nms.cli", "run", "--once", "--folder", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert story.stdout is not None
    told = []
    for line in story.stdout:
        told.append(line)
        if "order order-1: completed" in line:
            story.send_signal(signal.SIGTERM)
            break
    while impatient and story.poll() is None:
        story.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            story.wait(0.1)
    told.append(story.stdout.read())
    assert story.wait(60) == 130, told
    story.stdout.close()
    assert _running_below(folder) == []


def _running_below(folder: Path) -> list[str]:
    """The processes that work in a folder, or were told of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            where, line = os.readlink(process / "cwd"), (process / "cmdline").read_bytes().decode(errors="replace")
            if str(folder) in where or str(folder) in line:
                found.append(f"{process.name}: {line}")
    return found
