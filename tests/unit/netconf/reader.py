"""A server of the module `shapes` with something of everything, and sessions that ask it messages as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from nms.model.load import load
from nms.model.schema import Schema
from nms.netconf.exchange import Exchange
from nms.netconf.messages import NETCONF
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal

MODULES = Path(__file__).parents[1] / "model" / "modules"

ITEMS = "".join(
    f"<item><name>{name}</name><size>{size}</size><part><kind>{name}</kind><id>1</id><note>n</note></part></item>"
    for size, name in enumerate(("a", "b", "a b", "x:y", "é", "&amp;", "1", "&gt;"))
)
CONFIGURATION = (
    '<top xmlns="urn:shapes" xmlns:s="urn:shapes"><text>a</text><number>7</number><flag>true</flag><hue>s:red</hue>'
    "<where>/s:top/s:text</where><either>s:red</either><tag>a</tag><tag>b</tag><here/><step><id>7</id></step>"
    f"<step><id>1</id><note>a</note></step>{ITEMS}<mixed><k>1</k><v>a</v></mixed><mixed><k>01x</k></mixed></top>"
)

#: Whom access control does not bind.
ANN = Principal("ann", recovery=True)


@cache
def core() -> Core:
    """The server of those who only read."""
    return new_core()


@cache
def _schema() -> Schema:
    return load([MODULES], ["shapes", *PROTOCOL_MODULES])


def new_core() -> Core:
    """A server of one's own."""
    made = Core.create(_schema())
    edit = f"<edit-config><target><running/></target><config>{CONFIGURATION}</config></edit-config>"
    with Reader(made) as reader:
        reply, _ = reader.ask(f'<rpc xmlns="{NETCONF}" message-id="1">{edit}</rpc>'.encode())
    assert b"<ok/>" in reply
    return made


class Reader:
    """A session."""

    def __init__(self, server: Core | None = None, principal: Principal = ANN) -> None:
        self.server = server or core()
        self.session = self.server.open_session(principal, "netconf-ssh", "", lambda reason: None)
        self.exchange = Exchange(self.server, self.session, lambda event: None)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.close_session(self.session)

    def ask(self, message: bytes) -> tuple[bytes, tuple[int, int, int]]:
        """The reply, and what has been counted for it."""
        before = self._counted()
        reply = self.exchange.execute(self.exchange.read(message))
        rpcs, bad, errors = (now - then for now, then in zip(self._counted(), before, strict=True))
        return reply if isinstance(reply, bytes) else b"".join(reply), (rpcs, bad, errors)

    def _counted(self) -> tuple[int, int, int]:
        return self.session.in_rpcs, self.session.in_bad_rpcs, self.session.out_rpc_errors
