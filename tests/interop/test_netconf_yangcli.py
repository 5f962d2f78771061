"""yangcli of yuma123, a client of RFC 6020: it learns the model from us and then checks itself what is typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import PASSWORD, USER, Garden


@pytest.fixture
def yangcli(garden: Garden, tmp_path: Path, need: Callable[[str, str], str]) -> Callable[..., str]:
    program = need("yangcli", "yangcli")

    def run(*commands: str) -> str:
        """What yangcli says to `commands` in one session; the first that fails ends it."""
        script = tmp_path / "script"
        script.write_text("".join(f"{command}\n" for command in commands))
        done = subprocess.run(
            [
                program, "--server=127.0.0.1", f"--ncport={garden.ssh}", f"--user={USER}", f"--password={PASSWORD}",
                f"--public-key={garden.key}.pub", f"--private-key={garden.key}", f"--run-script={script}",
                "--batch-mode", "--autohistory=false", "--autoaliases=false", "--modpath=/usr/share/yuma/modules",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=40, check=False, text=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        return done.stdout + done.stderr

    return run


def test_session(yangcli: Callable[..., str]) -> None:
    said = yangcli(
        "create-subscription",
        "get-locks",
        "create /garden/bed[name='roses']/area value=20",
        "merge /garden/bed[name='tulips']/next-to value=roses",
        "validate source=candidate",
        "commit",
        "release-locks",
        "sget-config /garden source=running",
        "xget /garden/bed[name='tulips'] with-defaults=report-all",
        "water bed=roses",
    )
    assert "NETCONF session established" in said
    assert "acme-garden@2026-01-01" in said
    assert "get-locks finished OK" in said
    assert "Incoming notification" in said
    assert "datastore running" in said
    whole, tulips = said.split("garden {")[1:3]
    assert " ".join(whole.split()).startswith(
        "bed roses { name roses area 20 } bed tulips { name tulips next-to roses }"
    )
    assert "roses {" not in tulips
    assert "area 10" in tulips
    # nobody has told the daemon how to water
    assert said.count("RPC Error Reply") == 1
    assert "error-tag operation-not-supported" in said


def test_refusals(yangcli: Callable[..., str]) -> None:
    said = yangcli("merge /garden/bed[name='roses']/next-to value=nobody", "commit", "sget-config /garden")
    assert "error-app-tag instance-required" in said
    assert "RPC Data Reply" not in said  # an error ends the script
    said = yangcli("discard-changes", "merge /garden/bed[name='roses']/next-to value=roses", "commit")
    assert "error-app-tag itself" in said
    assert "error-message 'a bed is not next to itself'" in said
    # the model that it got from us says no, before we do
    said = yangcli("merge /garden/bed[name='roses']/area value=501", "commit")
    assert "invalid (value not in range)" in said
    assert "RPC" not in said
