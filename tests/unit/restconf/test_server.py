"""The listener: TLS, who one is, and what a configuration may not ask for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nms.credentials import fingerprint
from nms.errors import ConfigError
from nms.operations.request import Principal
from nms.pki import Authority, Certificate
from restconf.server import Tls, start
from tests.unit.restconf.listener import Raw, listening
from tests.unit.restconf.recording_core import RecordingCore


class Pki:
    """A server's and two clients' certificates, written below `folder`; `stranger` is of another authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = Authority("here", datetime.now(UTC))
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.own.certificate)
        self.clients = {"ann": authority.client("ann"), "bob": authority.client("bob")}
        self.clients["stranger"] = Authority("elsewhere", datetime.now(UTC)).client("ann")
        self.tls = Tls(*self.write("server", authority.server("server", ["127.0.0.1"])), self.ca)

    def write(self, name: str, made: Certificate) -> tuple[Path, Path]:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(made.certificate)
        key.write_bytes(made.private)
        return cert, key

    def wrap(self, client: str = "") -> Any:
        """Makes a socket speak TLS, with the client's certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if client:
            context.load_cert_chain(*self.write(client, self.clients[client]))
        return lambda raw: context.wrap_socket(raw, server_hostname="127.0.0.1")

    def owner(self, chain: Sequence[bytes]) -> Principal | None:
        """Ann's certificate is known, Bob's is valid but nobody's."""
        return Principal("ann", recovery=True) if fingerprint(chain[0]) == self.clients["ann"].fingerprint else None


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def get(credentials: str = "") -> bytes:
    line = f"Authorization: Basic {b64encode(credentials.encode()).decode()}\r\n" if credentials else ""
    return f"GET /restconf/data HTTP/1.1\r\nHost: h\r\n{line}\r\n".encode()


def test_who_one_is_over_tls(core: RecordingCore, pki: Pki) -> None:
    with listening(core, tls=pki.tls, authenticate_certificate=pki.owner) as address:
        for client, credentials, status in (
            ("ann", "", 200),
            ("bob", "", 401),
            ("bob", "bob:secret", 200),
            ("", "", 401),
            ("", "eve:wrong", 401),
            ("", "eve:secret", 200),
            ("", "üser:secret", 200),
        ):
            with Raw(address, pki.wrap(client)) as raw:
                raw.send(get(credentials))
                got, headers, _ = raw.answer()
                assert (got, "www-authenticate" in headers) == (status, status == 401), (client, credentials)
    assert core.sessions == {}


def test_a_certificate_of_another_authority_ends_the_connection(core: RecordingCore, pki: Pki) -> None:
    def ask(address: tuple[str, int]) -> None:
        with Raw(address, pki.wrap("stranger")) as raw:
            raw.send(get())
            raw.answer()

    with listening(core, tls=pki.tls, authenticate_certificate=pki.owner) as address:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            ask(address)
        assert core.requests == []


def test_each_request_is_authenticated(core: RecordingCore) -> None:
    known = {"ann"}
    with (
        listening(
            core, authenticate_password=lambda u, p: Principal(u, recovery=True) if u in known else None
        ) as address,
        Raw(address) as raw,
    ):
        for credentials, status in (("ann:x", 200), ("ann:x", 200), ("bob:x", 401), ("", 401), ("ann:x", 200)):
            raw.send(get(credentials))
            assert raw.answer()[0] == status
        known.clear()
        raw.send(get("ann:x"))
        assert raw.answer()[0] == 401


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ", "Basic !!!", "Basic YQ==", "Basic /w==", "Bearer x", "basic YTpzZWNyZXQ"]
)
def test_broken_credentials(core: RecordingCore, header: str) -> None:
    with listening(core) as address, Raw(address) as raw:
        raw.send(f"GET /restconf HTTP/1.1\r\nHost: h\r\nAuthorization: {header}\r\n\r\n".encode())
        assert raw.answer()[0] == 401


def test_discovery_needs_no_user(core: RecordingCore) -> None:
    with listening(core) as address, Raw(address) as raw:
        raw.send(b"GET /.well-known/host-meta HTTP/1.1\r\nHost: h\r\n\r\n")
        status, headers, body = raw.answer()
        assert (status, headers["content-type"]) == (200, "application/xrd+xml")
        assert b'href="/restconf"' in body


def test_a_stalled_handshake_holds_nobody(core: RecordingCore, pki: Pki) -> None:
    with listening(core, tls=pki.tls) as address:
        stalled = [socket.create_connection(address) for _ in range(20)]
        with Raw(address, pki.wrap()) as raw:
            raw.send(get("ann:secret"))
            assert raw.answer()[0] == 200
        for connection in stalled:
            connection.close()


@pytest.mark.parametrize(
    ("listen", "options", "said"),
    [
        (("127.0.0.1", 0), {}, "needs cert and key"),
        (("0.0.0.0", 0), {"insecure": True}, "loopback addresses only"),
        (("edge.example", 0), {"insecure": True}, "loopback addresses only"),
        (("127.0.0.1", 0), {"tls": Tls(Path("/nowhere.pem"), Path("/nowhere.key"))}, "/nowhere.pem"),
    ],
)
def test_what_a_listener_may_not_be(core: RecordingCore, listen: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        asyncio.run(start(core, listen=listen, **options))


def test_an_address_in_use(core: RecordingCore) -> None:
    with listening(core) as address, pytest.raises(ConfigError, match="cannot listen"):
        asyncio.run(start(core, listen=address, insecure=True))
