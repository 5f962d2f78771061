"""NETCONF requests on the inventory (RFC 6241) in chunks (RFC 6242), rendered before they are timed, and sessions.

A reply is whole when its end-of-chunks mark has come: nothing is parsed while time is taken.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

from tests.bench import inventory
from tests.bench.channel import Channel, Connection, Lost, Request, SshChannel, SshLogin, TlsChannel

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
_BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"
_HELLO: Final = (
    f'<hello xmlns="{BASE}"><capabilities><capability>{_BASE_1_1}</capability></capabilities></hello>]]>]]>'
).encode()
_END_OF_HELLO: Final = b"]]>]]>"
_END_OF_CHUNKS: Final = b"\n##\n"
_CHUNK: Final = 65536
_CHUNK_HEADER: Final = re.compile(rb"\n#\d+\n")
#: Entries in one edit-config of a load: some 4 MB, below every server's limit of a message.
_PIECE: Final = 25_000
_OK: Final = b"ok/>"


def _rpc(operation: str, expect: bytes = _OK) -> Request:
    body = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'.encode()
    chunks = (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
    return Request(b"".join(b"\n#%d\n%b" % (len(chunk), chunk) for chunk in chunks) + _END_OF_CHUNKS, expect)


def _edit(target: str, content: str, attributes: str = "") -> Request:
    return _rpc(
        f"<edit-config><target><{target}/></target><config>"
        f'<apps xmlns="{inventory.NAMESPACE}"{attributes}>{content}</apps></config></edit-config>'
    )


def _get_config(filter: str, expect: bytes) -> Request:
    return _rpc(f"<get-config><source><running/></source>{filter}</get-config>", expect)


def _subtree(content: str) -> str:
    return f'<filter type="subtree"><apps xmlns="{inventory.NAMESPACE}">{content}</apps></filter>'


COMMIT: Final = _rpc("<commit/>")


def clear(target: str) -> Request:
    """Remove everything."""
    return _edit(target, "", f' xmlns:nc="{BASE}" nc:operation="remove"')


def load(target: str, size: int) -> Iterator[Request]:
    """All entries, in pieces; those that others refer to come first."""
    zones = inventory.zones_xml()
    for start in range(0, size, _PIECE):
        entries = "".join(map(inventory.app_xml, range(start, min(size, start + _PIECE))))
        yield _edit(target, zones + entries if start == 0 else entries)


def edit(target: str, numbers: Sequence[int], generation: int) -> Request:
    """Write some entries anew."""
    return _edit(target, "".join(inventory.app_xml(number, generation) for number in numbers))


def get_one(number: int) -> Request:
    """One entry by a subtree filter (RFC 6241 section 6.2.5)."""
    name = inventory.name(number)
    return _get_config(_subtree(f"<app><name>{name}</name></app>"), name.encode())


def get_one_xpath(number: int) -> Request:
    """One entry by XPath (RFC 6241 section 8.9)."""
    name = inventory.name(number)
    select = f"/i:apps/i:app[i:name='{name}']"
    return _get_config(f'<filter type="xpath" xmlns:i="{inventory.NAMESPACE}" select="{select}"/>', name.encode())


def get_all(size: int) -> Request:
    """The whole inventory."""
    return _get_config(_subtree(""), inventory.name(size - 1).encode())


class _Chunks:
    """Finds the end-of-chunks mark."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._tail = b""

    def feed(self, data: bytes) -> bytes | None:
        self._parts.append(data)
        self._tail = (self._tail + data[-len(_END_OF_CHUNKS) :])[-len(_END_OF_CHUNKS) :]
        if self._tail != _END_OF_CHUNKS:
            return None
        reply = b"".join(self._parts)
        self._parts, self._tail = [], b""
        return reply


class Session(Connection):
    """A NETCONF session after both hellos."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, _Chunks())
        hello = b""
        try:
            channel.write(_HELLO)
            while _END_OF_HELLO not in hello:
                hello += channel.read()
            if _BASE_1_1.encode() not in hello:
                raise Lost(f"the server does not speak {_BASE_1_1}")
        except Lost:
            channel.close()
            raise
        #: What it can do beyond the base: "candidate", "writable-running", "xpath", ... (RFC 6241 section 8)
        self.capabilities = frozenset(re.findall(r"capability:([a-z-]+):1", hello.decode()))

    def content(self, reply: bytes) -> bytes:
        return _CHUNK_HEADER.sub(b"", reply)


def over_ssh(login: SshLogin) -> Session:
    """A new session over an SSH connection of its own."""
    return Session(SshChannel(login))


def over_tls(host: str, port: int, context: ssl.SSLContext) -> Session:
    """A new session over TLS."""
    return Session(TlsChannel(host, port, context))
