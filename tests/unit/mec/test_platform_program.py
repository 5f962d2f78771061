"""The program of a platform's instance as a process of its own: what it answers to applications, and to its domain."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import ssl
import sys
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec.platform_channel import ASKED, Channel
from nms.mec.platform_image import PlatformImage, image
from nms.mec.platform_program import MAX_WAITING

NOW = datetime.now(UTC)
WEB = {"id": "web", "name": "web", "identity": {"user-name": "app.web", "password-digest": ""}}
PLATFORM = {"application": [WEB], "service": [{"id": "s", "name": "s"}], "transport": []}
AT = "/restconf/data/mec-platform:platforms/platform=platform"


@contextlib.asynccontextmanager
async def running(made: PlatformImage, folder: Path) -> AsyncIterator[Channel]:
    """The program runs; the domain's way to it."""
    with tarfile.open(fileobj=BytesIO(made.content)) as archive:
        archive.extractall(folder, filter="data")
    environment = {**os.environ, "MEC_ADDRESS": "127.0.0.1", "MEC_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "platform.py", cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        said = await process.stdout.readline()
        yield Channel("127.0.0.1", int(said.split()[-1]), made.context)
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def ask(channel: Channel, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """What an application is answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(channel.address, channel.port, ssl=context)
    secret = base64.b64encode(b"app.web:secret").decode()
    given = {"Authorization": f"Basic {secret}", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode() + body)
    answer = await reader.read()
    writer.transport.abort()
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text) if text.startswith(b"{") else None


async def known(channel: Channel) -> None:
    """The program knows the application."""
    WEB["identity"] = {"user-name": "app.web", "password-digest": hashlib.sha256(b"secret").hexdigest()}
    await channel.put(PLATFORM)


def run(folder: Path, story: Any) -> None:
    made = image(folder / "kept", "b", NOW)

    async def all_of_it() -> None:
        async with running(made, folder / "image") as channel:
            await story(channel)

    asyncio.run(all_of_it())


def test_what_is_read_is_answered_while_the_domain_is_away(tmp_path: Path) -> None:
    async def story(channel: Channel) -> None:
        assert (await ask(channel, "GET", f"{AT}/service"))[0] == 401
        await known(channel)
        assert await ask(channel, "GET", f"{AT}/service=s") == (
            200,
            {"mec-platform:service": [{"id": "s", "name": "s"}]},
        )
        status, found = await ask(channel, "GET", "/restconf/data/mec-platform:platforms?fields=platform(id)")
        (platform,) = found["mec-platform:platforms"]["platform"]
        assert (status, platform["id"], platform["application"]) == (200, "platform", [{"id": "web", "name": "web"}])
        status, found = await ask(channel, "GET", f"{AT}/mec-platform:time-of-day/current-time")
        assert datetime.fromisoformat(found["mec-platform:current-time"]).tzinfo is not None
        # Whoever has done nothing wrong is told to come again.
        status, found = await ask(channel, "PUT", f"{AT}/service=x", b"{}")
        assert (status, found["ietf-restconf:errors"]["error"][0]["error-tag"]) == (503, "operation-failed")

    run(tmp_path, story)


def test_what_is_asked_for_is_carried_out_by_the_domain(tmp_path: Path) -> None:
    async def story(channel: Channel) -> None:
        await known(channel)
        assert await channel.turn([], 0.0) == []
        asking = asyncio.create_task(ask(channel, "PUT", f"{AT}/service=a%2Fb", b'{"x": 1}'))
        (asked,) = await channel.turn([], 5.0)
        assert (asked["application"], asked["method"], asked["resource"]) == ("web", "PUT", [["service", "a/b"]])
        assert asked["body"] == {"x": 1}
        assert not asking.done()
        said = {"number": asked["number"], "status": 201, "body": None}
        await channel.turn([{**said, "number": 4711}, said], 0.0)  # an answer that nobody waits for does no harm
        assert await asking == (201, None)

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", f"{AT}/service=none", b"", {}, 404),
        ("GET", "/restconf/data/mec-platform:platforms/platform=mep-1", b"", {}, 404),
        ("GET", "/restconf/data/", b"", {}, 404),
        ("GET", f"{AT}/service/name/deeper", b"", {}, 404),
        ("GET", "/", b"", {}, 404),
        ("GET", f"{AT}/service", b"", {"Authorization": "Basic %%%"}, 401),
        ("GET", f"{AT}/service", b"", {"Authorization": ""}, 401),
        ("PUT", f"{AT}/service=x", b"{", {}, 400),
        ("PUT", f"{AT}/service=x", b"", {"Content-Length": "-1"}, 413),
        ("PUT", f"{AT}/service=x", b"", {"Content-Length": "1048577"}, 413),
        ("PATCH", f"{AT}/service=x", b"{}", {}, 501),
        ("PUT", "/control/platform", b"{}", {}, 403),
        ("POST", "/control/turn", b'{"answers": [], "seconds": 0}', {}, 403),
    ],
)
def test_what_is_wrong_is_answered(
    tmp_path: Path, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async def story(channel: Channel) -> None:
        await known(channel)
        assert (await ask(channel, method, path, body, **headers))[0] == status
        assert (await ask(channel, "GET", f"{AT}/service"))[0] == 200  # nothing was lost

    run(tmp_path, story)


def test_only_its_own_domain_is_believed_and_only_it_is(tmp_path: Path) -> None:
    stranger = image(tmp_path / "stranger", "b", NOW)

    async def story(channel: Channel) -> None:
        await known(channel)
        with pytest.raises(RpcError, match="does not answer"):
            await Channel(channel.address, channel.port, stranger.context).put({})
        assert (await ask(channel, "GET", f"{AT}/service"))[0] == 200

    run(tmp_path, story)


@pytest.mark.parametrize("asked", ["nothing", [1], [{"number": 1}], [dict.fromkeys(ASKED, 1)] * (MAX_WAITING + 1)])
def test_one_that_was_taken_over_is_not_listened_to(tmp_path: Path, asked: Any) -> None:
    made = image(tmp_path / "kept", "b", NOW)

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"asked": asked}).encode())
        await writer.drain()
        writer.close()

    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "kept" / "server.pem", tmp_path / "kept" / "server-key.pem")
        async with await asyncio.start_server(impostor, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(RpcError, match="what nobody understands"):
                await Channel("127.0.0.1", port, made.context).turn([], 0)

    asyncio.run(story())


def test_the_image_is_the_same_until_its_certificates_age(tmp_path: Path) -> None:
    first = image(tmp_path / "kept", "b", NOW)
    assert image(tmp_path / "kept", "b", NOW + timedelta(days=700)).digest == first.digest
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "kept").iterdir()} == {"0o600"}
    assert image(tmp_path / "kept", "b", NOW + timedelta(days=800)).digest != first.digest
    (tmp_path / "kept" / "client.pem").unlink()
    assert image(tmp_path / "kept", "b", NOW).fingerprint != first.fingerprint
