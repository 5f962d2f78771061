"""The RESTCONF client against servers that hang up, say nothing, or say what they should not."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from nms.config import YANG_DIR
from nms.errors import RpcError
from nms.federation import over_restconf
from nms.federation.client import Unanswered
from nms.federation.over_restconf import RestconfClient, RestconfEndpoint
from nms.federation.pinned import ClientCertificate
from nms.mec.session import DataEdit
from nms.model import load
from nms.model.schema import Schema
from nms.pki import Authority, Certificate

PATH = "/mec-federation:federation/domain"
CHANGED = (
    b'data: {"ietf-restconf:notification": {"eventTime": "2026-11-23T10:00:00Z", '
    b'"mec-federation:partner-reachability-changed": {"partner": "b", "reachable": true}}}\n\n'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

#: What a server does with the connection of each client, in their order.
Script = Callable[[ssl.SSLSocket], None]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load.load([YANG_DIR], ["mec-federation:*"])


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, ClientCertificate]:
    """One certificate, which server and client show alike."""
    folder = tmp_path_factory.mktemp("pki")
    made = Authority("test", datetime.now(UTC)).server("both", ["127.0.0.1"])
    (folder / "cert.pem").write_bytes(made.certificate)
    (folder / "key.pem").write_bytes(made.private)
    return made, ClientCertificate(folder / "cert.pem", folder / "key.pem")


@contextlib.contextmanager
def server(identity: tuple[Certificate, ClientCertificate], *scripts: Script) -> Iterator[RestconfEndpoint]:
    """An endpoint at which one connection after the other is handled by `scripts`, then closed."""
    made, files = identity
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)

    def serve() -> None:
        for script in scripts:
            with contextlib.suppress(OSError):
                connected, _ = listening.accept()
                with context.wrap_socket(connected, server_side=True) as stream:
                    stream.settimeout(10)
                    script(stream)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        fingerprint = made.fingerprint.removeprefix("sha256:")
        yield RestconfEndpoint("r", "127.0.0.1", listening.getsockname()[1], fingerprint, files, 2.0)
        thread.join()


def request(stream: ssl.SSLSocket) -> bytes:
    """The head and the body of a request, or what comes of them."""
    text = b""
    while part := stream.recv(65536):
        text += part
        head, ended, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if ended and len(body) >= (int(length[1]) if length else 0):
            break
    return text


def answer(content: bytes, status: str = "200 OK", extra: bytes = b"") -> Script:
    """Answer one request."""

    def script(stream: ssl.SSLSocket) -> None:
        request(stream)
        stream.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n".encode() + extra + b"\r\n" + content)

    return script


def raw(*parts: bytes) -> Script:
    """Read one request and send what is given."""

    def script(stream: ssl.SSLSocket) -> None:
        request(stream)
        for part in parts:
            stream.sendall(part)

    return script


def silence(stream: ssl.SSLSocket) -> None:
    """Wait for the client to give up."""
    with contextlib.suppress(OSError):
        while stream.recv(65536):
            pass


@contextlib.contextmanager
def opened(endpoint: RestconfEndpoint, schema: Schema) -> Iterator[RestconfClient]:
    """A client of it."""
    client = endpoint.open(schema)
    try:
        yield client
    finally:
        client.close()


Identity = tuple[Certificate, ClientCertificate]


def test_a_subscription_that_fails_leaves_no_connection(schema: Schema, identity: Identity) -> None:
    left: list[bytes] = []

    def script(stream: ssl.SSLSocket) -> None:
        request(stream)
        stream.sendall(b"nonsense\r\n\r\n")
        left.append(stream.recv(1))

    with server(identity, script) as endpoint:
        client = endpoint.open(schema)
        with pytest.raises(RpcError) as refused:
            client.subscribe()
    assert (refused.value.tag, client.connected, left) == ("operation-failed", False, [b""])


def test_a_connection_that_was_closed_while_idle_is_made_anew(schema: Schema, identity: Identity) -> None:
    ok = b'{"mec-federation:domain": {"id": "b"}}'
    scripts = (answer(ok), answer(ok, extra=b"Connection: close\r\n"), answer(ok))
    with server(identity, *scripts) as endpoint, opened(endpoint, schema) as client:
        assert [client.get(PATH) for _ in range(3)] == [{"id": "b"}] * 3
        assert (client.messages_out, client.messages_in) == (3, 3)


@pytest.mark.parametrize(
    ("script", "unanswered"),
    [
        (answer(b"no JSON"), False),
        (answer(b"[]"), False),
        (answer(b'{"mec-federation:domain": {"id": "b", "no-such": 1}}'), False),
        (answer(b'{"mec-federation:partner": []}'), False),
        (answer(b"{}", "500 Oops"), False),
        (answer(b"", "302 Elsewhere"), False),
        (answer(b"", "401 Who?"), False),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), True),
        (raw(b"SSH-2.0-OpenSSH\r\n"), True),
        (raw(), True),
        (silence, True),
    ],
)
def test_a_wrong_answer_is_an_error(schema: Schema, identity: Identity, script: Script, unanswered: bool) -> None:
    with server(identity, script) as endpoint, opened(endpoint, schema) as client:
        with pytest.raises(RpcError) as refused:
            client.get(PATH)
        assert isinstance(refused.value, Unanswered) is unanswered


@pytest.mark.parametrize("encoded", [b'{"ietf-restconf:errors": %b}', b'{"ietf-yang-patch:yang-patch-status": %b}'])
def test_a_refusal_is_the_error_that_the_server_raised(schema: Schema, identity: Identity, encoded: bytes) -> None:
    error = (
        b'{"error-type": "application", "error-tag": "data-exists", "error-app-tag": "x", "error-path": "/m:p", '
        b'"error-message": "there is one"}'
    )
    edit = b'{"edit-id": "1", "errors": {"error": [%b]}}' % error
    status = b'{"patch-id": "p", "edit-status": {"edit": [{"edit-id": "0", "ok": [null]}, %b]}}' % edit
    content = encoded % (b'{"error": [%b]}' % error if b"errors" in encoded else status)
    with server(identity, answer(content, "409 Conflict")) as endpoint, opened(endpoint, schema) as client:
        with pytest.raises(RpcError) as refused:
            client.edit(PATH, [DataEdit("/name", "merge", "B")])
        found = refused.value
        assert (found.tag, found.app_tag, found.path, found.message) == ("data-exists", "x", "/m:p", "there is one")
        assert client.connected


@pytest.mark.parametrize("status", ["302 Elsewhere", "500 Oops", "401 Who?", "404 Not Found"])
def test_an_edit_is_done_when_the_server_says_so(schema: Schema, identity: Identity, status: str) -> None:
    with server(identity, answer(b"", status)) as endpoint, opened(endpoint, schema) as client:
        with pytest.raises(RpcError) as refused:
            client.edit(PATH, [DataEdit("/name", "merge", "B")])
        assert not isinstance(refused.value, Unanswered)


def test_what_is_not_there_is_nothing(schema: Schema, identity: Identity) -> None:
    with server(identity, answer(b"", "404 Not Found")) as endpoint, opened(endpoint, schema) as client:
        assert client.get(PATH) is None


def test_another_certificate_than_the_pinned_one_is_sent_nothing(schema: Schema, identity: Identity) -> None:
    heard: list[bytes] = []
    with server(identity, lambda stream: heard.append(stream.recv(1))) as endpoint:
        other = RestconfEndpoint("r", endpoint.address, endpoint.port, "0" * 64, endpoint.certificate, 2.0)
        with pytest.raises(RpcError) as refused:
            other.open(schema)
        assert "pinned" in refused.value.message
    assert b"".join(heard) == b""


def test_a_server_that_does_not_speak_tls_is_given_up(schema: Schema, identity: Identity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = RestconfEndpoint("r", "127.0.0.1", listening.getsockname()[1], "0" * 64, identity[1], 0.3)
        with pytest.raises(RpcError) as refused:
            endpoint.open(schema)
        assert refused.value.type == "transport"


def test_notifications_are_given_as_they_come(schema: Schema, identity: Identity) -> None:
    script = raw(HEAD, b": \n\n", CHANGED[:30], CHANGED[30:], b": \n\n")
    with server(identity, script) as endpoint, opened(endpoint, schema) as client:
        client.subscribe()
        event = client.notification(5)
        assert event is not None
        assert event.name == "mec-federation:partner-reachability-changed"
        assert event.members == {"partner": "b", "reachable": True}
        with pytest.raises(RpcError) as ended:
            client.notification(5)
        assert "ended" in ended.value.message
        assert not client.connected


def test_a_stream_without_heartbeats_is_dead(
    schema: Schema, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_restconf, "SILENCE", 0.3)

    def script(stream: ssl.SSLSocket) -> None:
        raw(HEAD, CHANGED)(stream)
        silence(stream)

    with server(identity, script) as endpoint, opened(endpoint, schema) as client:
        client.subscribe()
        assert client.notification(5) is not None
        with pytest.raises(RpcError) as ended:
            client.notification(5)
        assert "heartbeat" in ended.value.message


@pytest.mark.parametrize(
    "text", [b"data: no JSON\n\n", b"data: {}\n\n", b'data: {"ietf-restconf:notification": 7}\n\n']
)
def test_a_stream_that_makes_no_sense_ends(schema: Schema, identity: Identity, text: bytes) -> None:
    with server(identity, raw(HEAD, text)) as endpoint, opened(endpoint, schema) as client:
        client.subscribe()
        with pytest.raises(RpcError):
            client.notification(5)


def test_who_waits_is_told_of_the_end(schema: Schema, identity: Identity) -> None:
    with server(identity, silence) as endpoint, opened(endpoint, schema) as client:
        asking = threading.Event()
        told: list[RpcError] = []

        def ask() -> None:
            asking.set()
            with pytest.raises(RpcError) as error:
                client.get(PATH)
            told.append(error.value)

        thread = threading.Thread(target=ask)
        thread.start()
        asking.wait()
        client.close()
        thread.join()
        assert told[0].type == "transport"
