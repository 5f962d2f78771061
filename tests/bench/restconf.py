"""RESTCONF requests on the inventory (RFC 8040) in JSON, rendered before they are timed, and kept-alive connections."""

from __future__ import annotations

import ssl
from typing import Final

from tests.bench import inventory
from tests.bench.channel import Connection, Request, TlsChannel

_ROOT: Final = f"/restconf/data/{inventory.MODULE}:apps"
_MEDIA: Final = "application/yang-data+json"
_END_OF_HEAD: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


def _request(method: str, path: str, expect: bytes, body: bytes = b"") -> Request:
    head = f"{method} {_ROOT}{path} HTTP/1.1\r\nHost: localhost\r\nAccept: {_MEDIA}\r\n"
    if body:
        head += f"Content-Type: {_MEDIA}\r\nContent-Length: {len(body)}\r\n"
    return Request(head.encode() + b"\r\n" + body, expect)


def get_one(number: int) -> Request:
    """One entry."""
    name = inventory.name(number)
    return _request("GET", f"/app={name}", f'"{name}"'.encode())


def get_all(size: int) -> Request:
    """The whole inventory."""
    return _request("GET", "", f'"{inventory.name(size - 1)}"'.encode())


def patch_one(number: int, generation: int) -> Request:
    """Write one entry anew (RFC 8040 section 4.6.1); answered by 204 No Content."""
    body = f'{{"{inventory.MODULE}:app":[{inventory.app_json(number, generation)}]}}'
    return _request("PATCH", f"/app={inventory.name(number)}", b" 204 ", body.encode())


class _Response:
    """Finds the end of an HTTP/1.1 response (RFC 9112 section 6)."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._due: int | None = None  # bytes of the whole response; None: not known
        self._chunked = False

    def feed(self, data: bytes) -> bytes | None:
        self._parts.append(data)
        self._size += len(data)
        if self._due is None and not self._chunked:
            self._head()
        if self._chunked:
            if not self._end().endswith(_LAST_CHUNK):
                return None
        elif self._due is None or self._size < self._due:
            return None
        reply = b"".join(self._parts)
        self._reset()
        return reply

    def _head(self) -> None:
        """Look for the end of the head and what it says of the body's length."""
        self._parts = [b"".join(self._parts)]
        head, found, _ = self._parts[0].partition(_END_OF_HEAD)
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        self._chunked = b"transfer-encoding: chunked" in lines
        length = next((line for line in lines if line.startswith(b"content-length:")), b":0")
        self._due = len(head) + len(found) + int(length.partition(b":")[2])

    def _end(self) -> bytes:
        if len(self._parts[-1]) < len(_LAST_CHUNK):
            self._parts = [b"".join(self._parts)]
        return self._parts[-1]


def connect(host: str, port: int, context: ssl.SSLContext) -> Connection:
    """A new HTTPS connection."""
    return Connection(TlsChannel(host, port, context), _Response())
