"""netconf-console2 against a real listener."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.netconf_server import PASSWORD, USER, Server, running

NS = "urn:example:network"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def console(server: Server, tmp_path: Path) -> Callable[..., str]:
    program = Path(sys.executable).with_name("netconf-console2")

    def run(*arguments: str) -> str:
        login = ["--host", server.host, "--port", str(server.port), "-u", USER, "-p", PASSWORD]
        done = subprocess.run(
            [str(program), *login, "-N", f"n={NS}", *arguments],
            capture_output=True,
            timeout=40,
            check=False,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            text=True,
        )
        return done.stdout + done.stderr

    return run


def test_session(console: Callable[..., str]) -> None:
    assert "urn:ietf:params:netconf:capability:candidate:1.0" in console("--hello")


def test_edit_commit_and_read(console: Callable[..., str]) -> None:
    assert console("--db=candidate", "--set=/n:network/n:mtu=1400", "--commit").count("<ok ") == 2
    assert "<mtu>1400</mtu>" in console("--db=running", "--get-config", "-x", "/n:network")
    assert "rpc-error" in console("--db=running", "--set=/n:network/n:mtu=1")


def test_schema(console: Callable[..., str]) -> None:
    assert "module example-network" in console("--get-schema=example-network")
