"""What hostile clients can take from the others: places, up to the limits, and nothing else."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from nms.cert_to_name import fingerprint
from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Principal
from nms.transport import ssh, tls, unix
from nms.transport.door import Door
from nms.transport.listener import Listener
from tests.unit.netconf.recording_core import RecordingCore
from tests.unit.transport.certificates import Certificates

HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
ME = pwd.getpwuid(os.getuid()).pw_name

Scenario = Callable[[RecordingCore, Door, Listener], Coroutine[None, None, None]]


async def until(condition: Callable[[], object]) -> None:
    """The deadline is that of `play`."""
    while not condition():  # noqa: ASYNC110 - conditions of several objects
        await asyncio.sleep(0.001)


def play(schema: Schema, limits: Limits, listen: Callable[..., object], scenario: Scenario) -> None:
    async def run() -> None:
        core, door = RecordingCore(schema), Door(limits)
        listener: Listener = await listen(core, door)  # type: ignore[misc]
        try:
            async with asyncio.timeout(30):
                await scenario(core, door, listener)
        finally:
            listener.close()
            await until(lambda: not listener.connections)
            await until(lambda: (door.logins.taken, door.sessions.taken) == (0, 0))

    asyncio.run(run())


async def over_ssh(core: RecordingCore, door: Door) -> Listener:
    users = {name: Principal(name) for name in ("alice", "bob")}
    return await ssh.listen(
        core,
        [("127.0.0.1", 0)],
        [HOST_KEY],
        authenticate_password=lambda user, password: users.get(user) if password == "right" else None,
        authorized_keys=lambda user: [USER_KEY.convert_to_public()] if user in users else [],
        principal=users.get,
        door=door,
    )


@asynccontextmanager
async def logged_in(
    listener: Listener, user: str = "alice", **login: object
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    (host, port), *_ = listener.addresses
    async with asyncssh.connect(
        str(host),
        int(port),
        username=user,
        known_hosts=([HOST_KEY.convert_to_public()], [], []),
        config=None,
        agent_path=None,
        **{"client_keys": [USER_KEY], **login},
    ) as connection:
        yield connection


async def served(connection: asyncssh.SSHClientConnection) -> bool:
    stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
    stdin.write(HELLO + GET)
    await stdout.readuntil(b"]]>]]>")
    return b"<data" in await stdout.readuntil(b"]]>]]>")


def silent(listener: Listener, source: str) -> socket.socket:
    """A connection from an address of its own that says nothing."""
    (host, port), *_ = listener.addresses
    return socket.create_connection((str(host), int(port)), timeout=20, source_address=(source, 0))


async def ended(connection: socket.socket) -> bool:
    """The server hangs up; what it says first does not count."""

    def read() -> bool:
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    return await asyncio.to_thread(read)


def test_half_open_connections_over_ssh(schema: Schema) -> None:
    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        with ExitStack() as stack:
            silents = [stack.enter_context(silent(listener, "127.0.0.2")) for _ in range(10)]
            await until(lambda: door.logins.refused == 7)
            assert door.logins.taken == 3
            async with logged_in(listener) as connection:
                assert await served(connection)
                assert [await ended(each) for each in silents] == [True] * 10  # the login time is over
                assert await served(connection)

    play(schema, Limits(logins=20, logins_per_address=3, login_time=2.0), over_ssh, scenario)


def test_places_are_given_back_when_a_client_hangs_up(schema: Schema) -> None:
    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        for _ in range(30):
            silent(listener, "127.0.0.2").close()
        await until(lambda: door.logins.taken == 0)
        async with logged_in(listener) as connection:
            assert await served(connection)

    play(schema, Limits(logins=50, logins_per_address=40), over_ssh, scenario)


def test_a_flood_of_failed_logins(schema: Schema, caplog: pytest.LogCaptureFixture) -> None:
    class Guesser(asyncssh.SSHClient):
        def __init__(self) -> None:
            self.guesses = 0

        def password_auth_requested(self) -> str:
            self.guesses += 1
            return f"guess-{self.guesses}"

    guessers: list[Guesser] = []

    def guesser() -> Guesser:
        guessers.append(Guesser())
        return guessers[-1]

    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        async def guess() -> None:
            with pytest.raises(asyncssh.DisconnectError):
                async with logged_in(listener, client_factory=guesser, client_keys=None):
                    pass

        async with logged_in(listener, "bob") as connection:
            flood = asyncio.gather(*(guess() for _ in range(10)))
            for _ in range(3):
                assert await served(connection)
            await flood
        assert [each.guesses for each in guessers] == [3] * 10
        assert door.failed_logins == 30

    play(schema, Limits(login_failures=3), over_ssh, scenario)
    assert "guess-" not in caplog.text


def test_a_user_with_too_many_sessions_is_told_so(schema: Schema) -> None:
    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        async with logged_in(listener) as greedy, logged_in(listener, "bob") as other:
            for _ in range(3):
                assert await served(greedy)
            with pytest.raises(asyncssh.ChannelOpenError, match="too many sessions"):
                await served(greedy)
            assert await served(other)
        await until(lambda: door.sessions.taken == 0)
        async with logged_in(listener) as again:
            assert await served(again)

    play(schema, Limits(sessions_per_user=3), over_ssh, scenario)


def test_a_connection_without_a_session_does_not_stay(schema: Schema) -> None:
    """Sessions are counted, connections of those who are known are not: they must have one."""

    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        async with logged_in(listener) as idle, logged_in(listener) as used:
            stdin, stdout, _ = await used.open_session(subsystem="netconf", encoding=None)
            stdin.write(HELLO)
            await stdout.readuntil(b"]]>]]>")
            await idle.wait_closed()
            stdin.write(GET)
            assert b"<data" in await stdout.readuntil(b"]]>]]>")
            stdin.write_eof()
            await used.wait_closed()

    play(schema, Limits(hello_time=0.5), over_ssh, scenario)


def test_stalled_tls_handshakes(schema: Schema, certificates: Certificates) -> None:
    context = tls.server_context(certificates.cert("server"), certificates.key("server"), certificates.bundle)
    alice = certificates.fingerprints["alice"]

    async def over_tls(core: RecordingCore, door: Door) -> Listener:
        return await tls.listen(
            core,
            [("127.0.0.1", 0)],
            context,
            principal=lambda chain: Principal("alice") if fingerprint(chain[0]) == alice else None,
            door=door,
        )

    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        (host, port), *_ = listener.addresses
        with ExitStack() as stack:
            silents = [stack.enter_context(silent(listener, "127.0.0.2")) for _ in range(10)]
            await until(lambda: door.logins.refused == 7)
            for each in silents:
                try:
                    each.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a ClientHello
                except ConnectionError:
                    continue
            reader, writer = await asyncio.open_connection(str(host), int(port), ssl=certificates.client("alice"))
            writer.write(HELLO + GET)
            await reader.readuntil(b"]]>]]>")
            assert b"<data" in await reader.readuntil(b"]]>]]>")
            assert [await ended(each) for each in silents] == [True] * 10
            writer.write(GET)
            assert b"<data" in await reader.readuntil(b"]]>]]>")
            writer.close()

    play(schema, Limits(logins=20, logins_per_address=3, login_time=2.0), over_tls, scenario)


def test_hundreds_of_sessions(schema: Schema, tmp_path: Path) -> None:
    async def on_a_socket(core: RecordingCore, door: Door) -> Listener:
        return await unix.listen(core, tmp_path / "socket", principal={ME: Principal(ME)}.get, door=door)

    async def scenario(core: RecordingCore, door: Door, listener: Listener) -> None:
        opened = [await asyncio.open_unix_connection(tmp_path / "socket") for _ in range(450)]
        await until(lambda: (door.sessions.taken, door.sessions.refused) == (400, 50))
        for _, writer in opened[:400]:
            writer.write(HELLO + GET)
        for reader, _ in opened[:400]:
            await reader.readuntil(b"]]>]]>")
            assert b"<data" in await reader.readuntil(b"]]>]]>")
        assert [await reader.read() for reader, _ in opened[400:]] == [b""] * 50
        for _, writer in opened:
            writer.close()
        await until(lambda: door.sessions.taken == 0)

    play(schema, Limits(sessions=400, sessions_per_user=400), on_a_socket, scenario)
