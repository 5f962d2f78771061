"""NETCONF conformance: each case is a pair NAME.rpc.xml (what clients send) and NAME.reply.xml (all that comes back).

The number that starts NAME is the RFC, then comes the section.  Messages of a file are separated by a line `]]>]]>`; a
message that holds the comment ``<!-- session 2 -->`` goes to another session, every other one to session 1.  Each case
gets a fresh server of the modules in ../models with the configuration of initial.xml and a standing clock; what the
sessions receive between replies are notifications.  ``--regenerate`` writes what the server says now: read the diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nms.model.load import load
from nms.model.schema import Schema
from nms.netconf.exchange import Exchange
from nms.netconf.replies import notification
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal

HERE = Path(__file__).parent
SEPARATOR = "\n]]>]]>\n"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSION = re.compile(r"<!-- session (\d) -->")
#: session -> who it is; the guest is bound by access control.
WHO = {1: Principal("admin", recovery=True), 2: Principal("admin", recovery=True), 3: Principal("guest")}


@cache
def example_schema() -> Schema:
    return load([HERE.parent / "models"], [*PROTOCOL_MODULES, "example-network"])


class Server:
    """A core with the sessions of a case; what they receive is collected in order."""

    def __init__(self) -> None:
        self.core = Core.create(example_schema(), clock=lambda: NOW)
        self.core.register("example-network", "ping", lambda _, invoke: (invoke.input[1] or 1, None))
        self.core.register("example-network", "reset", lambda _, invoke: None)
        self.core.register(
            "example-network",
            "/example-network:network/node/restart",
            lambda _, invoke: (f"{invoke.path[-1][1]} in {invoke.input[0]} s",),
        )
        self.received: list[bytes] = []
        self.exchanges = {number: self._open(who) for number, who in WHO.items()}

    def _open(self, who: Principal) -> Exchange:
        session = self.core.open_session(who, "netconf-ssh", "192.0.2.1", lambda _: None)
        return Exchange(self.core, session, self._notified)

    def _notified(self, event: Any) -> None:
        self.received.append(notification(event.node, event.path, event.value, event.time))

    def send(self, message: str) -> None:
        """Let the session that `message` names receive it; its reply comes after the notifications it caused."""
        named = SESSION.search(message)
        exchange = self.exchanges[int(named[1]) if named else 1]
        self.received.append(exchange.execute(exchange.read(message.encode())))


def readable(message: bytes) -> str:
    root = etree.fromstring(message, etree.XMLParser(remove_blank_text=True))
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def messages(text: str) -> Iterator[str]:
    yield from (message for message in text.split("]]>]]>") if message.strip())


def cases() -> list[str]:
    return sorted(path.name.removesuffix(".rpc.xml") for path in HERE.glob("*.rpc.xml"))


@pytest.mark.parametrize("case", cases())
def test_case(case: str, request: pytest.FixtureRequest) -> None:
    server = Server()
    server.send((HERE / "initial.xml").read_text())
    assert b"<ok/>" in server.received.pop()
    for message in messages((HERE / f"{case}.rpc.xml").read_text()):
        server.send(message)
    answer = SEPARATOR.join(map(readable, server.received)) + "\n"
    expected = HERE / f"{case}.reply.xml"
    if request.config.getoption("--regenerate", default=False):
        expected.write_text(answer)
    assert answer == expected.read_text()


def test_every_reply_has_its_case() -> None:
    assert sorted(path.name.removesuffix(".reply.xml") for path in HERE.glob("*.reply.xml")) == cases()
