"""Bytes to a server and back: through OpenSSH's client to a NETCONF subsystem (RFC 6242), or over a TLS socket.

The cryptography of SSH runs in a process of its own, the same program for every server that is measured, so that what
is timed is the server and not a library.  Knows neither NETCONF nor HTTP: `Connection` puts one request on a channel
and reads until a `Reader` says that the reply is whole.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

#: Seconds without a byte after which a server is given up.
PATIENCE: Final = 900.0
_READ: Final = 1 << 20


class Lost(Exception):
    """The server closed the channel, said something that cannot be understood, or did not answer at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and what a right reply holds."""

    data: bytes
    expect: bytes


class Channel(Protocol):
    """A byte stream in both directions."""

    def fileno(self) -> int:
        """To wait on until there is something to read."""

    def write(self, data: bytes) -> None:
        """Send all of it."""

    def read(self) -> bytes:
        """What has come, at least one byte.

        Raises:
            Lost: nothing will come.
        """

    def pending(self) -> bool:
        """Whether there is more to read that `fileno` would not tell of."""

    def close(self) -> None:
        """End it."""


class Reader(Protocol):
    """Finds the end of a reply."""

    def feed(self, data: bytes) -> bytes | None:
        """Take what was read; the whole reply when this was its end."""


@dataclass(frozen=True, slots=True)
class SshLogin:
    """Who logs in where."""

    host: str
    port: int
    user: str
    key: Path


class SshChannel:
    """`ssh -s netconf`.

    The host key is not verified: nothing secret is sent, and a peer's is not known.
    """

    def __init__(self, login: SshLogin) -> None:
        options = (
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "Compression=no",
            "Ciphers=aes128-gcm@openssh.com,aes128-ctr",  # one cipher for all servers
        )
        command = ["ssh", "-F", "none", "-i", str(login.key), "-p", str(login.port), "-T"]
        command += [part for option in options for part in ("-o", option)]
        command += [f"{login.user}@{login.host}", "-s", "netconf"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for pipe in (self._in, self._out):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _READ)

    def fileno(self) -> int:
        return self._out.fileno()

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._in.fileno(), rest) :]
        except BrokenPipeError:
            raise Lost("ssh has ended") from None

    def read(self) -> bytes:
        if not select.select([self._out], [], [], PATIENCE)[0]:
            raise Lost(f"no answer in {PATIENCE:.0f} s")
        data = os.read(self._out.fileno(), _READ)
        if not data:
            raise Lost("the server closed the session")
        return data

    def pending(self) -> bool:
        return False

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class TlsChannel:
    """A TLS connection (RFC 7589, RFC 8040 section 2.1)."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        try:
            plain = socket.create_connection((host, port), timeout=PATIENCE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = context.wrap_socket(plain, server_hostname=host)
        except OSError as error:
            raise Lost(f"{host}:{port}: {error}") from None

    def fileno(self) -> int:
        return self._socket.fileno()

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Lost(str(error)) from None

    def read(self) -> bytes:
        try:
            data = self._socket.recv(_READ)
        except OSError as error:
            raise Lost(str(error)) from None
        if not data:
            raise Lost("the server closed the connection")
        return data

    def pending(self) -> bool:
        return self._socket.pending() > 0

    def close(self) -> None:
        self._socket.close()


class Connection:
    """Requests and replies on a channel, one at a time."""

    def __init__(self, channel: Channel, reader: Reader) -> None:
        self._channel = channel
        self._reader = reader

    def fileno(self) -> int:
        return self._channel.fileno()

    def send(self, request: Request) -> None:
        """Send a request; its reply is to be polled for before the next one."""
        self._channel.write(request.data)

    def poll(self) -> bytes | None:
        """Read once (and all that is there already); the reply if that makes it whole."""
        reply = self._reader.feed(self._channel.read())
        while reply is None and self._channel.pending():
            reply = self._reader.feed(self._channel.read())
        return reply

    def call(self, request: Request) -> bytes:
        """Send a request and wait for its reply, unchecked."""
        self.send(request)
        while (reply := self.poll()) is None:
            pass
        return reply

    def check(self, request: Request, reply: bytes) -> None:
        """Look whether it is the right reply.

        Raises:
            Lost: it is not.
        """
        if request.expect not in reply and request.expect not in self.content(reply):
            raise Lost(f"refused: {reply[:600].decode(errors='replace')}")

    def content(self, reply: bytes) -> bytes:
        """A reply without what the protocol may put in the middle of a word."""
        return reply

    def close(self) -> None:
        """End the channel, without a word."""
        self._channel.close()
