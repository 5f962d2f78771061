"""`nms run --once`: the whole story ends well and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


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
    processes = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    assert not [line for line in processes if str(folder).encode() in line]
