"""Packages across the boundary: who may fetch what, from whom, and how an interrupted transfer ends."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.pinned import ClientCertificate
from nms.federation.pull import Pull
from nms.mec.session import DataEdit
from tests.federation.test_remote_session import system
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


async def read(pull: Pull, source: str, offset: int, partner: str) -> bytes:
    return b"".join([chunk async for chunk in pull.read(source, offset, partner)])


def keep(domain: Domain, content: bytes = CONTENT) -> str:
    """Put a content into a domain's store; its URI."""
    file = domain.folder / "content"
    file.write_bytes(content)
    with file.open("rb") as stream:
        digest = domain.store.add(stream)
    assert domain.server is not None
    return f"https://127.0.0.1:{domain.server.addresses[0][1]}/packages/{digest}"


def test_a_partner_fetches_what_it_was_given_and_nothing_else(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        source = keep(a)
        with pytest.raises(RpcError) as refused:
            await read(b.federation.packages, source, 0, "a")
        assert refused.value.tag == "access-denied"
        given = {"source": source, "digest": DIGEST, "size": str(len(CONTENT))}
        await system(a).edit([DataEdit("/package[id='p']", "create", given)])
        assert await read(b.federation.packages, source, 0, "a") == CONTENT
        assert await read(b.federation.packages, source, 1_000_000, "a") == CONTENT[1_000_000:]
        await a.change(f"/partner[id='b']/agreement[id='{AGREEMENT}']", "merge", {"admin-state": "suspended"})
        await until("a's agreement is suspended", lambda: a.state("b") == "suspended")
        with pytest.raises(RpcError) as refused:
            await read(b.federation.packages, source, 0, "a")
        assert refused.value.tag == "access-denied"

    play(story)


def test_only_a_partners_own_endpoint_is_asked(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        assert a.server is not None
        port = a.server.addresses[0][1]
        for source in (
            f"https://127.0.0.2:{port}/packages/{DIGEST}",
            f"https://127.0.0.1:{port + 1}/packages/{DIGEST}",
            f"http://127.0.0.1:{port}/packages/{DIGEST}",
            f"https://127.0.0.1:{port}/restconf/data",
            "file:///etc/passwd",
            "",
        ):
            with pytest.raises(RpcError) as refused:
                await read(b.federation.packages, source, 0, "a")
            assert refused.value.tag == "access-denied"
        with pytest.raises(RpcError) as refused:
            await read(b.federation.packages, keep(a), 0, "c")
        assert refused.value.tag == "access-denied"

    play(story)


@contextmanager
def server(domain: Domain, handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTPS server with the domain's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(domain.folder / "server.pem", domain.folder / "server-key.pem")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving.socket = context.wrap_socket(serving.socket, server_side=True)
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield serving.server_port
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


class Breaking(BaseHTTPRequestHandler):
    """Sends at most 300,000 bytes a request, whatever it has promised."""

    ranges: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Range", "bytes=0-")
        self.ranges.append(given)
        at = int(given.removeprefix("bytes=").rstrip("-"))
        self.send_response(206)
        self.send_header("Content-Length", str(len(CONTENT) - at))
        self.end_headers()
        self.wfile.write(CONTENT[at : at + 300_000])

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Mute(Breaking):
    """Promises and sends nothing."""

    def do_GET(self) -> None:
        self.ranges.append("")
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()


def pull_from(a: Domain, b: Domain, port: int, fingerprint: str = "") -> tuple[Pull, str]:
    """B's way of fetching from a server of A's on that port."""
    entry = a.card
    endpoint = dict(entry["endpoint"][1], port=port)
    if fingerprint:
        endpoint["certificate-fingerprint"] = fingerprint
    certificate = ClientCertificate(Path(b.folder / "federation.pem"), Path(b.folder / "federation-key.pem"))
    pull = Pull(certificate, lambda name: {**entry, "endpoint": [endpoint]})
    return pull, f"https://127.0.0.1:{port}/packages/{DIGEST}"


def test_a_transfer_that_breaks_goes_on_where_it_ended(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        handler = type("Handler", (Breaking,), {"ranges": []})
        with server(a, handler) as port:
            pull, source = pull_from(a, b, port)
            assert await read(pull, source, 0, "a") == CONTENT
        assert handler.ranges == ["bytes=0-", "bytes=300000-", "bytes=600000-", "bytes=900000-"]  # type: ignore[attr-defined]

    play(story)


def test_a_transfer_that_does_not_come_forward_is_given_up(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        handler = type("Handler", (Mute,), {"ranges": []})
        with server(a, handler) as port:
            pull, source = pull_from(a, b, port)
            with pytest.raises(RpcError) as error:
                await read(pull, source, 0, "a")
        assert (error.value.type, error.value.app_tag) == ("transport", "temporary")
        assert len(handler.ranges) == 3  # type: ignore[attr-defined]

    play(story)


def test_nothing_is_asked_of_a_server_with_another_certificate(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        handler = type("Handler", (Breaking,), {"ranges": []})
        with server(a, handler) as port:
            pull, source = pull_from(a, b, port, "0" * 64)
            with pytest.raises(RpcError, match="pinned") as error:
                await read(pull, source, 0, "a")
        assert error.value.type == "transport"
        assert handler.ranges == []  # type: ignore[attr-defined]

    play(story)
