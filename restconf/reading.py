"""The requests of one HTTP/1.1 connection as they come in (RFC 9112): what httptools' parser calls.

Puts together one `Message` after the other and says when something is too large or may not be; what is to be done with
a message, and who may send how much, is its owner's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import httptools

_SMALL_PART = 512  # bytes


@dataclass(slots=True)
class Message:
    """One request as it was received."""

    target: bytearray = field(default_factory=bytearray)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    authorization: bytes = b""
    parts: list[bytes | bytearray] = field(default_factory=list)
    size: int = 0
    length: int = 0
    has_body: bool = False
    expects_continue: bool = False
    method: str = ""
    version: str = "1.1"
    hosts: int = 0
    keep_alive: bool = True


class Refused(Exception):
    """Raised in a parser callback to stop parsing; the status is in the reader."""


class Owner(Protocol):
    """Whose requests they are; each method may call `Reader.stop`."""

    def announced(self, message: Message) -> None:
        """The head of a request has come."""

    def growing(self, message: Message) -> None:
        """A part of its body has come."""

    def received(self, message: Message) -> None:
        """All of it has come."""


class Reader:
    """Collects requests.

    Args:
        most: bytes of a head.

    Attributes:
        message: the request that is being received, or the last one.
        receiving: part of a request has come, but not all of it.
        head_done: its head has come.
        refusal: the status with which the connection is refused; nothing is parsed any more.
    """

    def __init__(self, owner: Owner, most: int) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.message = Message()
        self.receiving = False
        self.head_done = False
        self.refusal = 0
        self._owner = owner
        self._most = most
        self._head_size = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; False: the client asks for another protocol, and what follows cannot be told apart."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return False
        except httptools.HttpParserError:
            self.refusal = self.refusal or 400
        return True

    def stop(self, status: int) -> None:
        """Parse no further: raises `Refused`."""
        self.refusal = status
        raise Refused

    def on_message_begin(self) -> None:
        self.message = Message()
        self.receiving = True
        self.head_done = False
        self._head_size = 0

    def on_url(self, part: bytes) -> None:
        self.message.target += part
        self._count(len(part), 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        message = self.message
        self._count(len(name) + len(value) + 4, 431)
        lower = name.lower()
        if lower == b"content-length":
            message.length = int(value)
            message.has_body = message.length > 0
        elif lower == b"transfer-encoding":
            message.has_body = True
        elif lower == b"expect":
            message.expects_continue = value.lower() == b"100-continue"
        elif lower == b"authorization":
            message.authorization = value
        elif lower == b"host":
            message.hosts += 1
        message.headers.append((name, value))

    def on_headers_complete(self) -> None:
        message = self.message
        message.method = self._parser.get_method().decode("latin-1")
        message.version = self._parser.get_http_version()
        message.keep_alive = self._parser.should_keep_alive()
        self.head_done = True
        if message.version not in ("1.0", "1.1"):
            self.stop(505)
        if message.hosts > 1 or (message.hosts == 0 and message.version == "1.1"):  # RFC 9112 section 3.2
            self.stop(400)
        self._owner.announced(message)

    def on_body(self, part: bytes | bytearray) -> None:
        message = self.message
        message.size += len(part)
        self._owner.growing(message)
        if len(part) < _SMALL_PART and message.parts:  # or a body in chunks of a byte would take many times its size
            last = message.parts[-1]
            if isinstance(last, bytearray):
                last += part
                return
            part = bytearray(part)
        message.parts.append(part)

    def on_message_complete(self) -> None:
        self.message.expects_continue = False
        self.receiving = False
        self._owner.received(self.message)

    def _count(self, size: int, status: int) -> None:
        self._head_size += size
        if self._head_size > self._most:
            self.stop(status)
