"""NETCONF over SSH: who may log in, what is refused, and what a broken or lazy client does to the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncssh
import pytest
from asyncssh.constants import MSG_GLOBAL_REQUEST, MSG_IGNORE

from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Get, Principal, Reply
from nms.transport import ssh
from nms.transport.door import Door
from nms.transport.listener import Listener
from nms.transport.ssh_connection import CIPHERS
from tests.unit.netconf.recording_core import RecordingCore

HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()

USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


async def start(core: RecordingCore, limits: Limits) -> Listener:
    users = {"alice": Principal("alice", frozenset(["ops"])), "bob": Principal("bob")}
    return await ssh.listen(
        core,
        [("127.0.0.1", 0)],
        [HOST_KEY],
        authenticate_password=lambda user, password: users.get(user) if password == "right" else None,
        authorized_keys=lambda user: [USER_KEY.convert_to_public()] if user == "alice" else [],
        principal=lambda user: users.get(user) if user != "bob" else None,
        door=Door(limits),
    )


@asynccontextmanager
async def connected(listener: Listener, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    (host, port), *_ = listener.addresses
    login = {"username": "alice", "client_keys": [USER_KEY], **options}
    async with asyncssh.connect(
        str(host),
        int(port),
        known_hosts=([HOST_KEY.convert_to_public()], [], []),
        config=None,
        agent_path=None,
        **login,
    ) as connection:
        yield connection


async def until(condition: Callable[[], object]) -> None:
    """The deadline is that of `run`."""
    while not condition():  # noqa: ASYNC110 - conditions of several objects
        await asyncio.sleep(0.001)


def run(
    schema: Schema, scenario: Callable[[RecordingCore, Listener], Awaitable[None]], limits: Limits | None = None
) -> None:
    async def play() -> None:
        core = RecordingCore(schema)
        listener = await start(core, limits or Limits())
        try:
            async with asyncio.timeout(20):
                await scenario(core, listener)
        finally:
            listener.close()
            await until(lambda: not listener.connections)

    asyncio.run(play())


@pytest.mark.parametrize(
    "login", [{}, {"client_keys": None, "password": "right"}, {"client_keys": [OTHER_KEY], "password": "right"}]
)
def test_session_over_ssh(schema: Schema, login: dict[str, object]) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener, **login) as connection:
            stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            stdin.write(HELLO + GET)
            assert b"<session-id>1</session-id>" in await stdout.readuntil(b"]]>]]>")
            assert b'message-id="1"><data' in await stdout.readuntil(b"]]>]]>")
            session = core.sessions[1]
            assert session.principal == Principal("alice", frozenset(["ops"]))
            assert (session.protocol, session.source_host) == ("netconf-ssh", "127.0.0.1")
            stdin.write_eof()
            assert await stdout.read() == b""
        await until(lambda: core.closed == [1])

    run(schema, scenario)


@pytest.mark.parametrize(
    "login",
    [
        {"client_keys": None, "password": "wrong"},
        {"client_keys": [OTHER_KEY]},
        {"client_keys": None},
        {"username": "mallory", "client_keys": [USER_KEY]},
        {"username": "mallory", "client_keys": None, "password": "right"},
    ],
)
def test_login_is_refused(schema: Schema, login: dict[str, object]) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(listener, **login):
                pass
        assert core.sessions == {}

    run(schema, scenario)


def test_a_user_without_principal_gets_no_session(schema: Schema) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener, username="bob", client_keys=None, password="right") as connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(subsystem="netconf")
        assert core.sessions == {}

    run(schema, scenario)


def test_nothing_but_the_subsystem(schema: Schema) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener) as connection:
            for request in ({}, {"command": "id"}, {"subsystem": "sftp"}, {"subsystem": "shell"}):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connection.open_session(**request)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection("127.0.0.1", 22)
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
        assert core.sessions == {}

    run(schema, scenario)


def test_sessions_of_one_connection_are_bounded_and_independent(schema: Schema) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener) as connection:
            pipes = [await connection.open_session(subsystem="netconf", encoding=None) for _ in range(2)]
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(subsystem="netconf", encoding=None)
            pipes[0][0].write(b"\n#garbage]]>]]>")
            await pipes[0][1].read()
            await until(lambda: core.closed == [1])
            stdin, stdout, _ = pipes[1]
            stdin.write(HELLO + GET)
            await stdout.readuntil(b"]]>]]>")
            assert b"<data" in await stdout.readuntil(b"]]>]]>")
            await connection.open_session(subsystem="netconf", encoding=None)

    run(schema, scenario, Limits(channels=2))


def test_replies_stop_while_a_client_does_not_read(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "WRITE_LIMIT", 100_000)

    async def scenario(core: RecordingCore, listener: Listener) -> None:
        core.answers = {Get: Reply(text="x" * 1_000_000)}
        async with connected(listener) as connection:
            stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            stdin.write(HELLO + GET * 20)
            await stdout.readuntil(b"]]>]]>")
            total = 0
            asked = []
            for _ in range(20):
                total += len(await stdout.readuntil(b"]]>]]>"))
                asked.append(len(core.requests))
            assert total > 20_000_000
            assert asked[0] < 10  # not all twenty replies were made at once

    run(schema, scenario)


def test_a_fault_of_ours_closes_the_channel_and_leaves_a_trace(
    schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        def fail(*_: object) -> object:
            raise ZeroDivisionError

        core.open_session = fail  # type: ignore[assignment, method-assign]
        async with connected(listener) as connection:
            _, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            assert await stdout.read() == b""

    run(schema, scenario)
    assert any(record.exc_info and record.levelno == logging.ERROR for record in caplog.records)


def test_closing_the_listener_closes_its_connections(schema: Schema) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener) as connection:
            _, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            await stdout.readuntil(b"]]>]]>")
            listener.close()
            assert await stdout.read() == b""
            await connection.wait_closed()
        await until(lambda: core.closed == [1])

    run(schema, scenario)


def test_a_reply_is_one_packet(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[int] = []

    class Counting(asyncssh.SSHClientConnection):
        def log_received_packet(self, pkttype: int, *rest: object) -> None:
            received.append(pkttype)

    monkeypatch.setattr("asyncssh.connection.SSHClientConnection", Counting)

    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener) as connection:
            stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            stdin.write(HELLO + GET)
            await stdout.readuntil(b"]]>]]>")
            await stdout.readuntil(b"]]>]]>")
        assert received
        assert MSG_IGNORE not in received

    run(schema, scenario)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_each_cipher_outlives_a_change_of_keys(schema: Schema, cipher: str) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener, encryption_algs=[cipher], rekey_bytes=500) as connection:
            stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
            stdin.write(HELLO)
            await stdout.readuntil(b"]]>]]>")
            for _ in range(20):
                stdin.write(GET)
                assert b'message-id="1"><data' in await stdout.readuntil(b"]]>]]>")
            assert connection.get_extra_info("recv_cipher") == cipher

    run(schema, scenario)


def test_ciphers_that_chain_blocks_are_refused(schema: Schema) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            async with connected(listener, encryption_algs=["aes128-cbc"]):
                pass

    run(schema, scenario)


def test_a_client_that_answers_no_keepalive_is_gone(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE_INTERVAL", 0.05)

    handlers = {**asyncssh.SSHClientConnection._packet_handlers, MSG_GLOBAL_REQUEST: lambda *_: True}
    monkeypatch.setattr(asyncssh.SSHClientConnection, "_packet_handlers", handlers)

    async def scenario(core: RecordingCore, listener: Listener) -> None:
        async with connected(listener):
            await until(lambda: not listener.connections)

    run(schema, scenario)
