"""NETCONF over TLS: the certificate decides who it is, and no certificate or an unknown one gets nothing."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nms.cert_to_name import fingerprint
from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Principal
from nms.transport import tls
from nms.transport.door import Door
from nms.transport.listener import Listener
from tests.unit.netconf.recording_core import RecordingCore, example_schema

HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()


@pytest.fixture(scope="module")
def schema() -> Schema:
    return example_schema()


class Certificates:
    """Self-signed certificates of a server and two clients in a folder; `bundle` is what the server trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fingerprints = {name: self._make(name) for name in ("server", "alice", "stranger", "untrusted")}
        self.bundle = folder / "bundle.pem"
        self.bundle.write_bytes(self.cert("alice").read_bytes() + self.cert("stranger").read_bytes())

    def cert(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _make(self, name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.now(UTC) - timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=10))
            .sign(key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        self.cert(name).write_bytes(certificate.public_bytes(pem))
        self.key(name).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def client(self, name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.cert("server"))
        context.check_hostname = False
        if name is not None:
            context.load_cert_chain(self.cert(name), self.key(name))
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def run(
    schema: Schema,
    certificates: Certificates,
    scenario: Callable[[RecordingCore, Listener], Awaitable[None]],
    limits: Limits | None = None,
) -> None:
    async def play() -> None:
        core = RecordingCore(schema)
        context = tls.server_context(certificates.cert("server"), certificates.key("server"), certificates.bundle)
        users = {certificates.fingerprints["alice"]: Principal("alice")}
        listener = await tls.listen(
            core,
            [("127.0.0.1", 0)],
            context,
            principal=lambda chain: users.get(fingerprint(chain[0])),
            door=Door(limits or Limits()),
        )
        try:
            async with asyncio.timeout(20):
                await scenario(core, listener)
        finally:
            listener.close()
            while listener.connections:  # noqa: ASYNC110 - closing has no event; the test's time-out is the deadline
                await asyncio.sleep(0.001)

    asyncio.run(play())


async def connect(listener: Listener, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    (host, port), *_ = listener.addresses
    return await asyncio.open_connection(str(host), int(port), ssl=context)


def test_session_over_tls(schema: Schema, certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        reader, writer = await connect(listener, certificates.client("alice"))
        writer.write(HELLO + GET)
        assert b"<session-id>1</session-id>" in await reader.readuntil(b"]]>]]>")
        assert b"<data" in await reader.readuntil(b"]]>]]>")
        assert core.sessions[1].principal == Principal("alice")
        assert (core.sessions[1].protocol, core.sessions[1].source_host) == ("netconf-tls", "127.0.0.1")
        writer.close()
        while not core.closed:  # noqa: ASYNC110 - the test's time-out is the deadline
            await asyncio.sleep(0.001)

    run(schema, certificates, scenario)
    assert caplog.text == ""


@pytest.mark.parametrize("name", [None, "untrusted", "stranger"])
def test_nobody_else_gets_a_hello(schema: Schema, certificates: Certificates, name: str | None) -> None:
    async def scenario(core: RecordingCore, listener: Listener) -> None:
        received = b""
        try:
            reader, writer = await connect(listener, certificates.client(name))
            received = await reader.read()
            writer.close()
        except (ssl.SSLError, ConnectionError):
            pass
        assert received == b""
        assert core.sessions == {}

    run(schema, certificates, scenario)
