"""The NETCONF session as a state machine: hello, choice of framing, open, closed (RFC 6241 sections 4.1 and 8.1).

Bytes in, events out; messages in, buffers to write out.  One class serves both ends, so that tests (and a client) run
them against each other in memory.  Pure: no sockets, no event loop, no clock.  It must not know XML either: a message
is bytes, and how a hello is read is given by the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from nms.netconf.framing import MAX_MESSAGE, Buffer, FrameReader, FramingError, frame_chunked, frame_delimited

BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"


class Hello(NamedTuple):
    """The peer's <hello>; the first event.  `session_id` is None when a client sent it."""

    capabilities: frozenset[str]
    session_id: int | None = None


class Message(NamedTuple):
    """A complete message after the hello: an <rpc> at a server, an <rpc-reply> or <notification> at a client."""

    data: bytes


class ProtocolFailure(NamedTuple):
    """The last event: the peer broke the protocol; its transport is closed without a word (RFC 6241 section 8.1)."""

    reason: str


Event: TypeAlias = Hello | Message | ProtocolFailure


class HelloError(Exception):
    """The first message is not an acceptable <hello>; raised by the function that reads it, too."""


class Connection:
    """One end of a NETCONF session.

    Args:
        role: which end this is.
        hello: this end's complete <hello> message; it goes out first, before anything is received.
        capabilities: the capabilities that `hello` names.
        read_hello: message -> `Hello`; raises `HelloError` for anything else.
        max_message: limit of a received message in bytes.
    """

    def __init__(
        self,
        role: Literal["server", "client"],
        hello: bytes,
        capabilities: Iterable[str],
        read_hello: Callable[[bytes], Hello],
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self._role = role
        self._hello = hello
        self._capabilities = frozenset(capabilities)
        self._read_hello = read_hello
        self._reader = FrameReader(max_message)
        self._chunked = False
        self.state: Literal["hello", "open", "closed"] = "hello"

    @property
    def base_1_1(self) -> bool:
        """Both ends speak base:1.1 (known once the state is "open")."""
        return self._chunked

    def opening(self) -> list[Buffer]:
        """The buffers to write as soon as the transport is there: our <hello>, always in end-of-message framing."""
        return [frame_delimited(self._hello)]

    def receive(self, data: Buffer) -> list[Event]:
        """What the peer's bytes mean.  After a `ProtocolFailure`, and after `close`, bytes mean nothing any more."""
        if self.state == "closed":
            return []
        events: list[Event] = []
        self._reader.feed(data)
        try:
            while (message := self._reader.next_message()) is not None:
                events.append(self._open(message) if self.state == "hello" else Message(message))
        except (FramingError, HelloError) as error:
            self.state = "closed"
            events.append(ProtocolFailure(str(error)))
        return events

    def send(self, message: bytes) -> list[Buffer]:
        """The buffers that carry `message`, in the framing that was agreed.

        Raises:
            RuntimeError: the session is not open; before the peer's hello only `opening` may be written.
        """
        if self.state != "open":
            raise RuntimeError(f"session is in state {self.state}")
        return list(frame_chunked(message)) if self._chunked else [frame_delimited(message)]

    def close(self) -> None:
        """This end is done: nothing is sent or received any more."""
        self.state = "closed"

    def _open(self, message: bytes) -> Hello:
        hello = self._read_hello(message)
        if self._role == "server" and hello.session_id is not None:
            raise HelloError("a client's hello holds a session-id")
        if self._role == "client" and hello.session_id is None:
            raise HelloError("the server's hello holds no session-id")
        common = self._capabilities & hello.capabilities
        if BASE_1_1 in common:
            self._chunked = True
            self._reader.use_chunks()
        elif BASE_1_0 not in common:
            raise HelloError("no protocol version in common: the peer's hello names neither base:1.0 nor base:1.1")
        self.state = "open"
        return hello
