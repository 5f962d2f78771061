"""NETCONF conformance: each case is a pair NAME.rpc.xml (what clients send) and NAME.reply.xml (all that comes back).

The number that starts NAME is the RFC, then comes the section.  Messages of a file are separated by a line `]]>]]>`; a
message that holds the comment ``<!-- session 2 -->`` goes to another session, every other one to session 1.  A comment
that stands alone is what happens: ``<!-- 600 s later -->``, ``<!-- session 2 is dropped -->``, ``<!-- session 4 opens
-->``.  Each case gets a fresh server of the modules in ../models with the configuration of initial.xml and a clock that
stands still meanwhile; what the sessions receive between replies are notifications, and a session that the server ends
is a comment.  ``--regenerate`` writes what the server says now: read the diff.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
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
from nms.operations.request import Principal, Session

HERE = Path(__file__).parent
SEPARATOR = "\n]]>]]>\n"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSION = re.compile(r"<!-- session (\d) -->")
#: session -> who it is; the guest is bound by access control, the fourth comes later.
WHO = {1: "admin", 2: "admin", 3: "guest", 4: "admin"}
PRESENT = (1, 2, 3)
MODULES = (*PROTOCOL_MODULES, "example-network", "example-rules")


@cache
def example_schema() -> Schema:
    return load([HERE.parent / "models"], MODULES)


class Server:
    """A core with the sessions of a case; what they receive is collected in order."""

    def __init__(self) -> None:
        self.now = NOW
        self.core = Core.create(example_schema(), clock=lambda: self.now)
        self.core.register("example-network", "ping", lambda _, invoke: (invoke.input[1] or 1, None))
        self.core.register("example-network", "reset", lambda _, invoke: None)
        self.core.register("example-rules", "rate", lambda _, invoke: None)
        self.core.register(
            "example-network",
            "/example-network:network/node/restart",
            lambda _, invoke: (f"{invoke.path[-1][1]} in {invoke.input[0]} s",),
        )
        self.received: list[bytes] = []
        self.sessions: dict[int, Session] = {}
        self.exchanges: dict[int, Exchange] = {}
        for number in PRESENT:
            self.enter(number)

    def enter(self, number: int) -> None:
        who = Principal(WHO[number], recovery=WHO[number] == "admin")
        told = f"<!-- session {number} is ended: %s -->"
        session = self.core.open_session(
            who, "netconf-ssh", "192.0.2.1", lambda why: self.received.append((told % why).encode())
        )
        self.sessions[number] = session
        self.exchanges[number] = Exchange(self.core, session, self._notified)

    def _notified(self, event: Any) -> None:
        self.received.append(notification(event.node, event.path, event.value, event.time))

    def send(self, message: str) -> None:
        """Let the session that `message` names receive it; its reply comes after the notifications it caused."""
        named = SESSION.search(message)
        exchange = self.exchanges[int(named[1]) if named else 1]
        self.received.append(exchange.execute(exchange.read(message.encode())))

    def drop(self, number: int) -> None:
        self.core.close_session(self.sessions[number])

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.core.tick(self.now)

    def play(self, message: str) -> None:
        """A message, or what happens besides messages."""
        for pattern, do in self.EVENTS:
            if event := re.fullmatch(rf"<!-- {pattern} -->", message.strip()):
                do(self, int(event[1]))
                return
        self.send(message)

    EVENTS = ((r"(\d+) s later", wait), (r"session (\d) is dropped", drop), (r"session (\d) opens", enter))


def readable(message: bytes) -> str:
    if message.startswith(b"<!--"):
        return message.decode()
    root = etree.fromstring(message, etree.XMLParser(remove_blank_text=True))
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def messages(text: str) -> Iterator[str]:
    yield from (message for message in text.split("]]>]]>") if message.strip())


@cache
def rpcs() -> Sequence[etree._Element]:
    """The well-formed rpcs of all cases."""
    found = []
    for path in sorted(HERE.glob("*.rpc.xml")):
        for message in messages(path.read_text()):
            with contextlib.suppress(etree.XMLSyntaxError):
                found.append(etree.fromstring(message.encode()))
    return found


def cases() -> list[str]:
    return sorted(path.name.removesuffix(".rpc.xml") for path in HERE.glob("*.rpc.xml"))


@pytest.mark.parametrize("case", cases())
def test_case(case: str, request: pytest.FixtureRequest) -> None:
    server = Server()
    server.send((HERE / "initial.xml").read_text())
    assert b"<ok/>" in server.received.pop()
    for message in messages((HERE / f"{case}.rpc.xml").read_text()):
        server.play(message)
    answer = SEPARATOR.join(map(readable, server.received)) + "\n"
    expected = HERE / f"{case}.reply.xml"
    if request.config.getoption("--regenerate", default=False):
        expected.write_text(answer)
    assert answer == expected.read_text()


def test_every_reply_has_its_case() -> None:
    assert sorted(path.name.removesuffix(".reply.xml") for path in HERE.glob("*.reply.xml")) == cases()
