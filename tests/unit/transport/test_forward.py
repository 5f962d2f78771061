"""The forwarder that OpenSSH runs, as its own process against a real Unix listener."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Get, Principal, Reply
from nms.transport import unix
from tests.unit.netconf.recording_core import RecordingCore, example_schema

ME = pwd.getpwuid(os.getuid()).pw_name
COMMAND = [sys.executable, "-m", "nms.transport.forward"]


def test_a_session_through_the_forwarder(tmp_path: Path) -> None:
    core = RecordingCore(example_schema())
    core.answers = {Get: Reply(text="x" * 10_000)}
    rpc = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()
    data = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>" + rpc * 2000

    async def run() -> bytes:
        listener = await unix.listen(core, tmp_path / "socket", principal={ME: Principal(ME)}.get)
        async with asyncio.timeout(20):
            process = await asyncio.create_subprocess_exec(
                *COMMAND, str(tmp_path / "socket"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            out, _ = await process.communicate(data)
        listener.close()
        assert process.returncode == 0
        return out

    assert asyncio.run(run()).count(b"x" * 10_000 + b"</data>") == 2000


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_server_that_closes_before_it_has_read_everything_is_heard_to_its_end(tmp_path: Path, size: int) -> None:
    (tmp_path / "input").write_bytes(b"x" * size)
    with socket.socket(socket.AF_UNIX) as listener, (tmp_path / "input").open("rb") as source:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        listener.settimeout(20)
        process = subprocess.Popen(
            [*COMMAND, str(tmp_path / "socket")], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        server, _ = listener.accept()
        with server:
            server.settimeout(20)
            assert server.recv(1, socket.MSG_PEEK) == b"x"
            server.sendall(b"goodbye")
    assert process.communicate(timeout=20) == (b"goodbye", b"")
    assert process.returncode == 0


def test_without_a_server(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, str(tmp_path / "none")], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/none: No such file or directory\n"


def test_who_is_not_admitted_is_told_so(tmp_path: Path) -> None:
    async def run() -> str:
        listener = await unix.listen(RecordingCore(example_schema()), tmp_path / "socket", principal={}.get)
        async with asyncio.timeout(20):
            process = await asyncio.create_subprocess_exec(
                *COMMAND, str(tmp_path / "socket"), stdin=subprocess.PIPE, stderr=subprocess.PIPE
            )
            _, said = await process.communicate()
        listener.close()
        assert process.returncode == 1
        return said.decode()

    assert asyncio.run(run()) == f"{tmp_path}/socket: the server admits no user {ME}, or has no session left\n"
