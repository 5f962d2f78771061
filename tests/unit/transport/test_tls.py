"""NETCONF over TLS: the certificate decides who it is, and no certificate or an unknown one gets nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from nms.cert_to_name import fingerprint
from nms.limits import Limits
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, hello
from nms.operations.request import Principal
from nms.transport import tls
from nms.transport.door import Door
from nms.transport.listener import Listener
from tests.unit.netconf.recording_core import RecordingCore
from tests.unit.transport.certificates import Certificates

HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>]]>]]>'.encode()


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
