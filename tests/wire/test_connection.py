"""The session's state machine: both ends in memory, and what each does with a peer that breaks the protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.netconf.connection import BASE_1_0, BASE_1_1, Connection, Event, Hello, HelloError, Message, ProtocolFailure
from nms.netconf.framing import Buffer


def read_hello(message: bytes) -> Hello:
    """A hello of these tests is ``capabilities,... [session-id]``: the state machine does not look inside."""
    words = message.decode("latin-1").split()
    if not words:
        raise HelloError("empty")
    return Hello(frozenset(words[0].split(",")), int(words[1]) if len(words) > 1 and words[1].isdecimal() else None)


def server(*capabilities: str, session_id: int = 7) -> Connection:
    return Connection("server", f"{','.join(capabilities)} {session_id}".encode(), capabilities, read_hello, 1000)


def client(*capabilities: str) -> Connection:
    return Connection("client", ",".join(capabilities).encode(), capabilities, read_hello, 1000)


def wire(buffers: list[Buffer]) -> bytes:
    return b"".join(buffers)


@pytest.mark.parametrize(
    ("ours", "theirs", "chunked"),
    [
        ([BASE_1_0, BASE_1_1], [BASE_1_0, BASE_1_1], True),
        ([BASE_1_0, BASE_1_1], [BASE_1_0], False),
        ([BASE_1_0], [BASE_1_0, BASE_1_1], False),
        ([BASE_1_1], [BASE_1_1, "urn:x"], True),
    ],
)
def test_both_ends_agree_on_the_framing(ours: list[str], theirs: list[str], chunked: bool) -> None:
    a, b = server(*ours), client(*theirs)
    assert b.receive(wire(a.opening())) == [Hello(frozenset(ours), 7)]
    assert a.receive(wire(b.opening())) == [Hello(frozenset(theirs), None)]
    assert a.base_1_1 is b.base_1_1 is chunked
    request, reply = "<rpc>é</rpc>".encode(), b"<rpc-reply/>"
    assert wire(b.send(request)).startswith(b"\n#" if chunked else b"<rpc>")
    assert a.receive(wire([*b.send(request), *b.send(request)])) == [Message(request), Message(request)]
    assert b.receive(wire(a.send(reply))) == [Message(reply)]


def test_requests_right_behind_the_hello_are_read_in_the_new_framing() -> None:
    stream = wire(client(BASE_1_1).opening()) + b"\n#6\n<rpc/>\n##\n"
    expected = [Hello(frozenset([BASE_1_1])), Message(b"<rpc/>")]
    assert server(BASE_1_1).receive(stream) == expected
    slow = server(BASE_1_1)
    assert [event for i in range(len(stream)) for event in slow.receive(stream[i : i + 1])] == expected


def failure(connection: Connection, data: bytes) -> str:
    events = connection.receive(data)
    assert isinstance(events[-1], ProtocolFailure)
    assert connection.state == "closed"
    assert connection.receive(data) == []
    with pytest.raises(RuntimeError):
        connection.send(b"<x/>")
    return events[-1].reason


def test_session_id_in_a_clients_hello_ends_the_session() -> None:
    assert "session-id" in failure(server(BASE_1_0), b"%b 5]]>]]>" % BASE_1_0.encode())


def test_a_server_without_session_id_is_refused() -> None:
    assert "session-id" in failure(client(BASE_1_0), b"%b]]>]]>" % BASE_1_0.encode())


def test_no_common_version_ends_the_session() -> None:
    assert "in common" in failure(server(BASE_1_1), b"%b]]>]]>" % BASE_1_0.encode())


def test_a_message_before_the_hello_ends_the_session() -> None:
    assert failure(server(BASE_1_1), b"]]>]]>") == "empty"


def test_wrong_framing_ends_the_session_after_the_messages_before_it() -> None:
    end = server(BASE_1_1)
    end.receive(wire(client(BASE_1_1).opening()))
    events = end.receive(b"\n#6\n<rpc/>\n##\n<rpc/>]]>]]>")
    assert events[0] == Message(b"<rpc/>")
    assert isinstance(events[1], ProtocolFailure)
    assert end.state == "closed"


def test_nothing_is_sent_before_the_hello_or_received_after_close() -> None:
    end = server(BASE_1_0)
    with pytest.raises(RuntimeError):
        end.send(b"<rpc-reply/>")
    end.close()
    assert end.receive(b"%b]]>]]>" % BASE_1_0.encode()) == []


@given(
    st.lists(
        st.sampled_from(
            [BASE_1_1.encode(), BASE_1_0.encode(), b",", b" 3", b"]]>]]>", b"\n#2\nxy\n##\n", b"\n#3\n", b"z"]
        )
    )
)
def test_any_bytes_in_any_pieces_give_the_same_events(tokens: list[bytes]) -> None:
    data = b"".join(tokens)
    whole, slow = server(BASE_1_0, BASE_1_1), server(BASE_1_0, BASE_1_1)
    events: list[Event] = [event for i in range(len(data)) for event in slow.receive(data[i : i + 1])]
    assert whole.receive(data) == events
    assert whole.state == slow.state
