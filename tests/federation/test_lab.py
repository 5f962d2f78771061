"""`nms lab`: as a user starts it, and what its report says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "nms.cli", "lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.timeout(150)
def test_an_option_is_played_and_reported(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    played = lab("3", "--once", "--protocol", "restconf", "--report", str(report))
    assert played.returncode == 0, played.stdout + played.stderr
    assert "mm5 application (edit, served by domain-b) 1x" in played.stdout
    assert "no longer resolves" in played.stdout
    assert "by restconf" in played.stdout
    rows = re.findall(r"<tr><td>(.*?)</td>.*?</tr>", report.read_text(), re.DOTALL)
    assert rows == ["3, platform-provider-infrastructure", "on-boarding", "instantiation", "the client finds it", "use"]
    page = report.read_text()
    assert "<code>domain-b Mm6 edit image</code>" in page
    # What Table 4 says of this option only: faults and performance.
    for about in ("alarm", "kpi"):
        assert f"<code>domain-b Mm6 notification {about}</code>" in page
    assert "Mm5 (served by domain-b), Mm6 (served by domain-b)" in page
    took = [float(each) for each in re.findall(r"<td class=\"time\">([\d.]+) s</td>", page)]
    assert len(took) == 4
    assert min(took) > 0
    hosts = re.search(r"<td>compute, network</td>|<td>platform, compute, network</td>(.*?)</tr>", page, re.DOTALL)
    assert hosts is not None
    assert re.findall(r"<td>(domain-.)</td>", hosts[1]) == ["domain-a", "domain-b", "domain-b"]


@pytest.mark.timeout(150)
def test_a_broker_stands_between_two_others(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    played = lab("broker", "--once", "--report", str(report))
    assert played.returncode == 0, played.stdout + played.stderr
    page = report.read_text()
    row = re.search(r"<td>5, system, through a broker</td>(.*?)</tr>", page, re.DOTALL)
    assert row is not None
    assert re.findall(r"<td>(domain-.)</td>", row[1]) == ["domain-c"] * 3
    for server in ("domain-b", "domain-c"):
        for about in ("package", "deployment"):
            assert f"<code>{server} Mx3 edit {about}</code>" in page
    assert not re.search(r"<code>domain-. (?!Mx3)", page)


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    refused = lab("1", "--once", "--report", str(tmp_path / "missing" / "x.html"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "No such file or directory" in refused.stderr


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("6",)])
def test_what_to_play_must_be_said(arguments: tuple[str, ...]) -> None:
    refused = lab(*arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
