"""The new user's walk of docs/bindings.md, run as it stands there: from an empty folder to an application that runs."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tools import compile_yang
from tools.models import ROOT

DOCUMENT = ROOT / "docs" / "bindings.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVER_ONLY = (
    "asyncssh",
    "cryptography",
    "dns",
    "flask",
    "httptools",
    "jinja2",
    "passlib",
    "rich",
    "werkzeug",
    "sqlite3",
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", autouse=True)
def generated() -> None:
    compile_yang.ensure()


def own_ports(folder: Path) -> dict[str, str]:
    """Other ports than the document's, as other domains run on this machine; written into the configuration."""
    import socket

    file = folder / "nms.toml"
    text = file.read_text()
    changed = {}
    for port in sorted(set(re.findall(r'listen = "127\.0\.0\.1:(\d+)"', text))):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            changed[port] = str(probe.getsockname()[1])
    for old, new in changed.items():
        text = text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    pick = random.SystemRandom()
    file.write_text(text.replace("127.81.0.0/16", f"127.{pick.randrange(82, 255)}.{pick.randrange(256)}.0/24"))
    return changed


def test_the_walk(tmp_path: Path) -> None:
    blocks = BLOCK.findall(DOCUMENT.read_text("utf-8"))
    assert [kind for kind, _ in blocks] == ["console", "python", "python", "python"]
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, arguments in (("nms", "-m nms.cli "), ("python", "")):
        program = bin_folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    commands = [line.removeprefix("$ ") for line in blocks[0][1].splitlines()]
    daemon = None
    ports: dict[str, str] = {}
    try:
        for command in commands:
            if command.endswith(" &"):
                ports = own_ports(tmp_path / "a.example")
                daemon = subprocess.Popen(
                    [str(bin_folder / "nms"), *command.split()[1:-1]],
                    cwd=tmp_path,
                    env=environment,
                    stdout=subprocess.PIPE,
                )
                assert daemon.stdout is not None
                assert daemon.stdout.readline()
            else:
                subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE)
        script = "\n".join(code for _, code in blocks[1:])
        for old, new in ports.items():
            script = re.sub(rf"\b{old}\b", new, script)
        told = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        assert told.stdout.startswith("completed ['"), told.stdout
        wait_until_nothing_runs(tmp_path, environment)
    finally:
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(20)
            assert daemon.stdout is not None
            daemon.stdout.close()


def wait_until_nothing_runs(folder: Path, environment: dict[str, str]) -> None:
    """The order was cancelled: its application goes."""
    ask = ["nms", "app", "status", "order-1", "--config", "a.example/nms.toml"]
    end = time.monotonic() + 40
    said = ""
    while time.monotonic() < end and "cancelled" not in said:
        said = subprocess.run(ask, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
    assert "cancelled" in said


def test_a_client_loads_nothing_of_the_server() -> None:
    program = "import bindings, bindings.checking, nms.client, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(told.stdout.split()) & set(SERVER_ONLY) == set()
    assert not [
        name for name in told.stdout.split() if name.startswith(("nms.operations", "nms.datastore", "restconf"))
    ]


def mypy(folder: Path, program: str) -> list[str]:
    """What mypy says of a client."""
    file = folder / "client.py"
    file.write_text(textwrap.dedent(program))
    options = ["--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", str(folder / "cache")]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--follow-imports=silent", str(file)],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return told.stdout.splitlines()


def test_type_checkers_see_leafs_and_their_types(tmp_path: Path) -> None:
    said = mypy(
        tmp_path,
        """
        import bindings

        orders = bindings.build("mec-order")
        order = orders.orders.order.add("order-1")
        order.customer = "Ana's Arcade"
        order.item.add("app").acceptable_zone = ["zone-1"]
        order.item["app"].requirement.max_latency = "2.5"
        order.item["app"].requirement.affinity = "apart"
        order.custommer = "wrong name"
        order.customer = 3
        order.item["app"].acceptable_zone = [3]
        order.item["app"].requirement.affinity = "aside"
        order.state.state = "completed"
        """,
    )
    found = [(int(line.split(":")[1]), re.sub(r".*\[([\w-]+)\]$", r"\1", line)) for line in said if ": error:" in line]
    assert found == [(10, "attr-defined"), (11, "assignment"), (12, "list-item"), (13, "assignment"), (14, "misc")]
