"""A real listener in a thread of its own, and raw connections to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nms.operations.request import Principal
from restconf.front import Core
from restconf.server import Server, start


def login(user: str, password: str) -> bytes:
    """The header of HTTP Basic."""
    return b"Authorization: Basic " + b64encode(f"{user}:{password}".encode()) + b"\r\n"


#: Whom `listening` knows.
ANN = login("ann", "secret")


def request(method: str, path: str, body: bytes = b"", *headers: str, login: bytes = ANN) -> bytes:
    """A request with a JSON body, if any."""
    lines = [f"{method} {path} HTTP/1.1", "Host: here", *headers]
    if body:
        lines += ["Content-Type: application/yang-data+json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n" + login + b"\r\n" + body


def check_password(user: str, password: str) -> Principal | None:
    return Principal(user, recovery=True) if password == "secret" else None


@contextmanager
def listening(core: Core, **options: Any) -> Iterator[tuple[str, int]]:
    """The address of a RESTCONF server over `core` while the block runs; plain HTTP unless `tls` is given."""
    ready = threading.Event()
    box: list[Server] = []
    loop = asyncio.new_event_loop()
    ended: asyncio.Future[None] = loop.create_future()
    options = {"insecure": "tls" not in options, "authenticate_password": check_password} | options

    async def serve() -> None:
        try:
            box.append(await start(core, listen=("127.0.0.1", 0), **options))
        finally:
            ready.set()
        await ended
        await box[0].close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield box[0].addresses[0]
    finally:
        loop.call_soon_threadsafe(ended.set_result, None)
        thread.join(20)
        loop.close()
    assert not thread.is_alive()


class Raw:
    """A connection that sends bytes as they are and reads answers one by one."""

    def __init__(self, address: tuple[str, int], wrap: Any = None) -> None:
        connection = socket.create_connection(address, timeout=10)
        self.socket = wrap(connection) if wrap is not None else connection
        self.buffer = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Everything up to and with `end`."""
        while end not in self.buffer:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError(f"closed before {end!r}: {self.buffer!r}")
            self.buffer += part
        head, _, self.buffer = self.buffer.partition(end)
        return head + end

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body) of the next answer that has a Content-Length or none."""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.buffer += self.socket.recv(65536)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(lines[0].split()[1]), headers, body

    def closed(self) -> bool:
        """Has the server closed?  Waits for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
