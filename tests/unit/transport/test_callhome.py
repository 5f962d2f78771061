"""Call home over SSH and TLS: the client listens, our side connects and serves, and comes back when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import asyncssh
import pytest

from nms.cert_to_name import fingerprint
from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Principal
from nms.transport import tls
from nms.transport.callhome import CallHome, Client, backoff
from nms.transport.door import Door
from nms.transport.ssh import SshServer
from nms.transport.tls import TlsServer
from tests.ports import free_port
from tests.unit.netconf.recording_core import RecordingCore
from tests.unit.transport.certificates import Certificates

HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
KNOWN = Principal("alice")


class Pauses:
    """Stands in for the clock between calls: each pause is over when `go` says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._go = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._go.acquire()

    def go(self) -> None:
        self._go.release()


def ssh_server(core: RecordingCore, door: Door | None = None) -> SshServer:
    return SshServer(
        core,
        [HOST_KEY],
        authenticate_password=lambda user, password: None,
        authorized_keys=lambda user: [USER_KEY.convert_to_public()] if user == "alice" else [],
        principal=lambda user: KNOWN if user == "alice" else None,
        door=door,
    )


@contextlib.asynccontextmanager
async def calling(call: CallHome) -> AsyncIterator[None]:
    task = asyncio.create_task(call.run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """The deadline is that of `calling`."""
    while not condition():  # noqa: ASYNC110 - conditions of several objects
        await asyncio.sleep(0.001)


class SshClients:
    """A NETCONF client that waits for servers to call."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[asyncssh.SSHClientConnection] = asyncio.Queue()
        self.port = 0

    async def listen(self, host_key: asyncssh.SSHKey = HOST_KEY, user_key: asyncssh.SSHKey = USER_KEY) -> None:
        self.acceptor = await asyncssh.listen_reverse(
            "127.0.0.1",
            self.port,
            username="alice",
            client_keys=[user_key],
            known_hosts=([host_key.convert_to_public()], [], []),
            config=None,
            agent_path=None,
            acceptor=self.calls.put_nowait,
        )
        self.port = self.acceptor.get_port()


async def served(connection: asyncssh.SSHClientConnection) -> bool:
    stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
    stdin.write(HELLO + GET)
    await stdout.readuntil(b"]]>]]>")
    return b"<data" in await stdout.readuntil(b"]]>]]>")


def test_over_ssh_and_again_after_the_end(schema: Schema) -> None:
    async def play() -> None:
        core, clients, pauses = RecordingCore(schema), SshClients(), Pauses()
        await clients.listen()
        client = Client("noc", "netconf-ssh", (("127.0.0.1", clients.port),))
        async with calling(call := CallHome(client, ssh_server(core), pauses)):
            first = await clients.calls.get()
            assert await served(first)
            assert (call.state, call.calls) == ("connected", 1)
            assert core.sessions[1].principal == KNOWN
            assert (core.sessions[1].protocol, core.sessions[1].source_host) == ("netconf-ssh", "127.0.0.1")
            first.close()
            await until(lambda: pauses.asked)
            assert call.state == "waiting"
            pauses.go()
            assert await served(await clients.calls.get())
            assert call.calls == 2
        await until(lambda: len(core.closed) == 2)  # both sessions have ended with the task
        clients.acceptor.close()

    asyncio.run(play())


@pytest.mark.parametrize(("host_key", "user_key"), [(OTHER_KEY, USER_KEY), (HOST_KEY, OTHER_KEY)])
def test_the_wrong_peer(schema: Schema, host_key: asyncssh.SSHKey, user_key: asyncssh.SSHKey) -> None:
    """The client does not know our host key, or we do not know the client: nobody gets a session."""

    async def play() -> None:
        core, clients, pauses = RecordingCore(schema), SshClients(), Pauses()
        await clients.listen(host_key, user_key)
        client = Client("noc", "netconf-ssh", (("127.0.0.1", clients.port),), max_attempts=2)
        async with calling(call := CallHome(client, ssh_server(core), pauses)):
            await until(lambda: pauses.asked)
            assert (call.calls, call.failures) == (0, 2)
            assert call.last_error.startswith(f"127.0.0.1 port {clients.port}: ")
        assert core.sessions == {}
        clients.acceptor.close()

    asyncio.run(play())


def test_each_endpoint_has_its_attempts_and_the_pauses_grow(schema: Schema) -> None:
    async def play() -> None:
        core, pauses, clients = RecordingCore(schema), Pauses(), SshClients()
        dead, clients.port = free_port(), free_port()
        client = Client("noc", "netconf-ssh", (("127.0.0.1", dead), ("127.0.0.1", clients.port)), max_attempts=2)
        async with calling(call := CallHome(client, ssh_server(core), pauses)):
            for rounds in range(1, 5):
                await until(lambda: len(pauses.asked) == rounds)  # noqa: B023 - asked before the next round
                assert call.failures == 4 * rounds
                if rounds < 4:
                    pauses.go()
            for number, seconds in enumerate(pauses.asked):
                assert 2**number / 2 <= seconds <= 2**number
            await clients.listen()
            pauses.go()
            assert await served(await clients.calls.get())
            assert (call.failures, call.last_error, call.endpoint) == (0, "", ("127.0.0.1", clients.port))
        clients.acceptor.close()

    asyncio.run(play())


def test_the_pause_has_an_end() -> None:
    assert 60 <= backoff(1000) <= 120


@pytest.mark.parametrize("start_with", ["first-listed", "last-connected"])
def test_which_endpoint_first(schema: Schema, start_with: str) -> None:
    async def play() -> None:
        core, pauses, first, second = RecordingCore(schema), Pauses(), SshClients(), SshClients()
        first.port = free_port()
        await second.listen()
        ends = (("127.0.0.1", first.port), ("127.0.0.1", second.port))
        client = Client("noc", "netconf-ssh", ends, start_with=start_with, max_attempts=1)  # type: ignore[arg-type]
        async with calling(CallHome(client, ssh_server(core), pauses)):
            connection = await second.calls.get()
            await first.listen()
            connection.close()
            await until(lambda: pauses.asked)
            pauses.go()
            assert await served(await (first if start_with == "first-listed" else second).calls.get())
        first.acceptor.close()
        second.acceptor.close()

    asyncio.run(play())


@pytest.mark.parametrize("secured", [False, True])
def test_a_peer_that_says_nothing(schema: Schema, certificates: Certificates, secured: bool) -> None:
    """Half open: the TCP connection is there, and nothing follows; the login time ends it."""

    async def play() -> None:
        core, pauses, door = RecordingCore(schema), Pauses(), Door(Limits(login_time=0.2))
        server = tls_server(core, certificates, door) if secured else ssh_server(core, door)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = Client("noc", "any", (silent.getsockname(),), max_attempts=2)
            async with calling(call := CallHome(client, server, pauses)):
                await until(lambda: pauses.asked)
                assert (call.failures, door.logins.taken) == (2, 0)
        assert core.sessions == {}

    asyncio.run(play())


def test_a_periodic_connection_is_closed_when_idle_and_comes_back(schema: Schema) -> None:
    async def play() -> None:
        core, clients, pauses = RecordingCore(schema), SshClients(), Pauses()
        await clients.listen()
        client = Client("noc", "netconf-ssh", (("127.0.0.1", clients.port),), period=3600, idle_time=0.3)
        async with calling(call := CallHome(client, ssh_server(core), pauses)):
            first = await clients.calls.get()
            assert await served(first)
            await first.wait_closed()
            await until(lambda: pauses.asked)
            assert 3500 < pauses.asked[0] <= 3600
            pauses.go()
            assert await served(await clients.calls.get())
            assert call.calls == 2
        clients.acceptor.close()

    asyncio.run(play())


def tls_server(core: RecordingCore, certificates: Certificates, door: Door | None = None) -> TlsServer:
    context = tls.server_context(certificates.cert("server"), certificates.key("server"), certificates.bundle)
    alice = certificates.fingerprints["alice"]
    return TlsServer(
        core, context, principal=lambda chain: KNOWN if fingerprint(chain[0]) == alice else None, door=door
    )


async def tls_client(
    listening: socket.socket, certificates: Certificates, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The TLS client's role on a connection that the server has opened."""
    loop = asyncio.get_running_loop()
    accepted, _ = await loop.sock_accept(listening)
    return await asyncio.open_connection(sock=accepted, ssl=certificates.client(name), server_hostname="server")


def test_over_tls_and_again_after_the_end(schema: Schema, certificates: Certificates) -> None:
    async def play() -> None:
        core, pauses = RecordingCore(schema), Pauses()
        with socket.create_server(("127.0.0.1", 0)) as bound:
            bound.setblocking(False)
            client = Client("noc", "netconf-tls", (bound.getsockname(),))
            async with calling(call := CallHome(client, tls_server(core, certificates), pauses)):
                for number in (1, 2):
                    reader, writer = await tls_client(bound, certificates, "alice")
                    writer.write(HELLO + GET)
                    assert b"<session-id>" in await reader.readuntil(b"]]>]]>")
                    assert b"<data" in await reader.readuntil(b"]]>]]>")
                    assert (core.sessions[number].principal, call.calls) == (KNOWN, number)
                    writer.close()
                    await until(lambda: len(pauses.asked) == number)  # noqa: B023 - asked before the next call
                    pauses.go()

    asyncio.run(play())


@pytest.mark.parametrize("name", [None, "untrusted", "stranger"])
def test_the_wrong_certificate(schema: Schema, certificates: Certificates, name: str | None) -> None:
    async def play() -> None:
        core, pauses = RecordingCore(schema), Pauses()
        with socket.create_server(("127.0.0.1", 0)) as bound:
            bound.setblocking(False)
            client = Client("noc", "netconf-tls", (bound.getsockname(),), max_attempts=1)
            async with calling(call := CallHome(client, tls_server(core, certificates), pauses)):
                with contextlib.suppress(OSError):
                    reader, writer = await tls_client(bound, certificates, name)
                    assert await reader.read() == b""
                    writer.close()
                await until(lambda: pauses.asked)
                assert (call.calls, call.failures) == (0, 1)
        assert core.sessions == {}

    asyncio.run(play())
