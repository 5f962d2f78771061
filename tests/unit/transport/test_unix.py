"""NETCONF on a Unix socket: the kernel names the user."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Get, Principal, Reply
from nms.transport import listener as transport_listener
from nms.transport import unix
from tests.unit.netconf.recording_core import RecordingCore

INPUT = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>" + (
    f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode() * 3
)  # fmt: skip
ME = pwd.getpwuid(os.getuid()).pw_name


async def talk(core: RecordingCore, path: Path, known: dict[str, Principal]) -> bytes:
    listener = await unix.listen(core, path, principal=known.get)
    try:
        async with asyncio.timeout(20):
            assert listener.addresses == [str(path)]
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(INPUT)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer
    finally:
        listener.close()


def test_the_peer_is_who_runs_it(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    answer = asyncio.run(talk(core, tmp_path / "socket", {ME: Principal(ME)}))
    assert answer.count(b"<data") == 3
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600
    assert core.sessions[1].principal == Principal(ME)
    assert core.closed == [1]


def test_an_unknown_user_gets_nothing(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    with contextlib.suppress(ConnectionError):
        assert asyncio.run(talk(core, tmp_path / "socket", {})) == b""
    assert core.sessions == {}


def test_a_dead_servers_socket_is_replaced_and_a_living_ones_is_not(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(OSError, match="in use"):
            asyncio.run(talk(RecordingCore(schema), path, {}))
        assert path.is_socket()
    assert asyncio.run(talk(RecordingCore(schema), path, {ME: Principal(ME)})).count(b"<data") == 3


def test_a_client_that_never_reads_does_not_keep_a_closed_session(
    schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_listener, "CLOSE_GRACE", 0.05)

    async def run() -> None:
        core = RecordingCore(schema)
        core.answers = {Get: Reply(text="x" * 5_000_000)}
        listener = await unix.listen(core, tmp_path / "socket", principal={ME: Principal(ME)}.get)
        async with asyncio.timeout(20):
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, str(tmp_path / "socket"))
                await asyncio.get_running_loop().sock_sendall(client, INPUT)
                while not core.requests:  # noqa: ASYNC110 - the time-out above is the deadline
                    await asyncio.sleep(0.001)
                core.sessions[1].close("killed")
                while listener.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        listener.close()

    asyncio.run(run())
