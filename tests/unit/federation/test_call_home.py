"""Servers that call home to us: our own listener, our own servers as callers, and callers that are none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from nms.cert_to_name import fingerprint
from nms.federation.call_home import CallHomes, TlsPeer
from nms.federation.netconf_client import BASE, Peer
from nms.model.schema import Schema
from nms.operations.request import Get, Principal, Reply
from nms.pki import Authority
from nms.transport import tls
from nms.transport.callhome import CallHome, Client, Server
from nms.transport.ssh import SshServer
from nms.transport.tls import TlsServer
from tests.unit.netconf.recording_core import RecordingCore, example_schema

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return example_schema()


class Caller:
    """A server that calls, in a thread with an event loop."""

    def __init__(self, make: object, port: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.call: CallHome | None = None
        self._make = make
        self._port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=[self._run()])
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self) -> None:
        server: Server = self._make()  # type: ignore[operator]
        self.call = CallHome(Client("us", "any", (("127.0.0.1", self._port),)), server)
        self.task = asyncio.current_task()
        self._ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self.call.run()

    def close(self) -> None:
        assert self.task is not None
        self.loop.call_soon_threadsafe(self.task.cancel)
        self._thread.join(20)
        self.loop.run_until_complete(_rest())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


async def _rest() -> None:
    """The connections' own tasks end after the call's."""
    async with asyncio.timeout(20):
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


@contextlib.contextmanager
def calling(make: object, port: int) -> Iterator[CallHome]:
    caller = Caller(make, port)
    try:
        assert caller.call is not None
        yield caller.call
    finally:
        caller.close()


@contextlib.contextmanager
def called(*peers: Peer | TlsPeer, patience: float = 20.0) -> Iterator[CallHomes]:
    homes = CallHomes("127.0.0.1", 0, lambda: peers, patience=patience)
    try:
        yield homes
    finally:
        homes.close()


def ssh_server(core: RecordingCore) -> SshServer:
    return SshServer(
        core,
        [HOST_KEY],
        authenticate_password=lambda user, password: None,
        authorized_keys=lambda user: [USER_KEY.convert_to_public()],
        principal=Principal,
    )


def ssh_peer(folder: Path, host_key: asyncssh.SSHKey = HOST_KEY, name: str = "b") -> Peer:
    USER_KEY.write_private_key(folder / "key")
    return Peer(name, 0, host_key.export_public_key().decode(), "alice", folder / "key", 20.0)


def ask(client: object) -> str:
    get = etree.Element(f"{{{BASE}}}get")
    return str(etree.tostring(client.call(get)))  # type: ignore[attr-defined]


def test_over_ssh(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    core.answers = {Get: Reply(text="x" * 300_000)}
    stranger = ssh_peer(tmp_path, asyncssh.generate_private_key("ecdsa-sha2-nistp256"), "c")
    with called(stranger, ssh_peer(tmp_path)) as homes, calling(lambda: ssh_server(core), homes.port):
        peer, client = homes.accept(20)
        assert isinstance(peer, Peer)
        assert peer.address == "b"
        assert "x" * 300_000 in ask(client)
        assert core.sessions[1].principal == Principal("alice")
        client.close()
        _, again = homes.accept(20)  # it comes back
        assert "x" * 300_000 in ask(again)
        again.close()


def test_an_unknown_host_key_is_refused(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    with (
        called(ssh_peer(tmp_path, asyncssh.generate_private_key("ssh-ed25519"))) as homes,
        calling(lambda: ssh_server(core), homes.port) as call,
    ):
        with pytest.raises(TimeoutError):
            homes.accept(1.0)
        assert (call.calls, core.sessions) == (0, {})


@pytest.mark.parametrize("secured", [False, True])
def test_callers_that_say_nothing_keep_nobody_out(schema: Schema, tmp_path: Path, secured: bool) -> None:
    core = RecordingCore(schema)
    make, peer = tls_pair(core, tmp_path) if secured else ((lambda: ssh_server(core)), ssh_peer(tmp_path))
    with called(peer, patience=3.0) as homes, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", homes.port)
        silent = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(10)]
        with calling(make, homes.port):
            _, client = homes.accept(20)
            ask(client)
            for each in silent:  # the patience is over
                with contextlib.suppress(ConnectionError):
                    while each.recv(65536):
                        pass
            ask(client)
            client.close()


def tls_pair(core: RecordingCore, folder: Path, pinned: bool = True) -> tuple[object, TlsPeer]:
    """What makes the server, and what the client knows of it."""
    authority = Authority("a", datetime.now(UTC))
    server, client = authority.server("server", ["192.0.2.1"]), authority.client("alice")
    for name, content in (
        ("server.pem", server.certificate), ("server.key", server.private), ("ca.pem", authority.own.certificate),
        ("client.pem", client.certificate), ("client.key", client.private),
    ):  # fmt: skip
        (folder / name).write_bytes(content)

    def principal(chain: object) -> Principal | None:
        return Principal("alice") if f"sha256:{fingerprint(chain[0])}" == client.fingerprint else None  # type: ignore[index]

    def make() -> TlsServer:
        context = tls.server_context(folder / "server.pem", folder / "server.key", folder / "ca.pem")
        return TlsServer(core, context, principal=principal)

    known = server.fingerprint if pinned else client.fingerprint
    return make, TlsPeer(known, folder / "client.pem", folder / "client.key", 20.0)


def test_over_tls(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    core.answers = {Get: Reply(text="x" * 3_000_000)}  # many records: none may be left behind in TLS
    make, peer = tls_pair(core, tmp_path)
    with called(peer) as homes, calling(make, homes.port):
        found, client = homes.accept(20)
        assert found is peer
        for _ in range(3):
            assert "x" * 3_000_000 in ask(client)
        assert core.sessions[1].principal == Principal("alice")
        client.close()


def test_an_unknown_certificate_is_refused(schema: Schema, tmp_path: Path) -> None:
    core = RecordingCore(schema)
    make, peer = tls_pair(core, tmp_path, pinned=False)
    with called(peer) as homes, calling(make, homes.port):
        with pytest.raises(TimeoutError):
            homes.accept(1.0)
        homes.close()
