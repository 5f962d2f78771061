"""Server-sent events as they come in, whole and byte by byte."""

from __future__ import annotations

import pytest

from nms.federation import event_stream
from nms.federation.event_stream import EventStream, TooLong

STREAMS = [
    (b"", []),
    (b": \n\n", []),
    (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
    (b"data: one\r\n\r\n: beat\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
    (b"data: one\r\rdata: two\r\r", [b"one"]),
    (b"data: one\r\rdata: two\r\r:", [b"one", b"two"]),
    (b"data: first\ndata: second\n\n", [b"first\nsecond"]),
    (b'id: 7\nevent: x\nretry: 3\ndata:{"a": 1}\n\n', [b'{"a": 1}']),
    (b"data:  indented\n\n", [b" indented"]),
    (b"data: not ended\n", []),
    (b"datum: nothing\ndata\n\n", [b""]),
]


@pytest.mark.parametrize(("text", "found"), STREAMS)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_events(text: bytes, found: list[bytes], size: int) -> None:
    stream = EventStream()
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    assert [data for part in parts for data in stream.feed(part)] == found


@pytest.mark.parametrize("text", [b"x" * 30, b"data: " + b"x" * 30, b"data: 1234567\ndata: 123456789012345\n"])
def test_an_event_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(event_stream, "LONGEST", 20)
    with pytest.raises(TooLong):
        list(EventStream().feed(text))
