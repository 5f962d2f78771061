"""A server of the example models, with a real core behind a real SSH listener, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncssh

from nms.model.load import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal
from nms.transport import ssh

MODELS = Path(__file__).parents[1] / "conformance" / "models"
USER, PASSWORD = "admin", "secret"


@cache
def example_schema() -> Schema:
    return load([MODELS], [*PROTOCOL_MODULES, "example-network"])


@dataclass
class Server:
    """Where it listens, and the core to look into."""

    core: Core
    host: str
    port: int
    client_key: asyncssh.SSHKey


async def _serve(server: Server, ready: threading.Event, done: asyncio.Event) -> None:
    known = Principal(USER, recovery=True)
    listener = await ssh.listen(
        server.core,
        [(server.host, 0)],
        [asyncssh.generate_private_key("ssh-ed25519")],
        authenticate_password=lambda user, password: known if (user, password) == (USER, PASSWORD) else None,
        authorized_keys=lambda user: [server.client_key.convert_to_public()] if user == USER else [],
        principal=lambda user: known if user == USER else None,
    )
    server.port = int(listener.addresses[0][1])
    ready.set()
    while not done.is_set():
        try:
            async with asyncio.timeout(0.02):
                await done.wait()
        except TimeoutError:
            server.core.tick(server.core.store.clock())
    listener.close()
    while listener.connections:  # noqa: ASYNC110 - closing has no event
        await asyncio.sleep(0.001)


@contextmanager
def running() -> Iterator[Server]:
    """A fresh server with empty datastores."""
    server = Server(Core.create(example_schema()), "127.0.0.1", 0, asyncssh.generate_private_key("ssh-ed25519"))
    ready, done, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[_serve(server, ready, done)])
    thread.start()
    try:
        assert ready.wait(20)
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        server.core.close()
