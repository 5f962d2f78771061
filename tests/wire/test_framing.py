"""RFC 6242 framing: any split of the bytes gives the same messages, hostile bytes give nothing but FramingError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.netconf.framing import END_OF_MESSAGE, WRITE_CHUNK, FrameReader, FramingError, frame_chunked, frame_delimited

Outcome = tuple[list[bytes], bool]


def read(pieces: list[bytes], *, chunked: bool = False, limit: int = 1000) -> Outcome:
    """The messages in `pieces`, and whether the bytes were refused."""
    reader = FrameReader(limit)
    if chunked:
        reader.use_chunks()
    messages: list[bytes] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (message := reader.next_message()) is not None:
                messages.append(message)
    except FramingError:
        return messages, True
    return messages, False


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


DELIMITED = b"<a/>]]>]]>]]>]]>\n<b>]]>]]</b>]]>]]>tail"
CHUNKED = b"\n#4\n<rpc\n#18\n message-id='1'/>\n\n##\n\n#3\n\n##\n##\n\n#1\nx"


@pytest.mark.parametrize("cut", range(len(DELIMITED) + 1))
def test_every_split_of_delimited_messages(cut: int) -> None:
    assert read([DELIMITED[:cut], DELIMITED[cut:]]) == ([b"<a/>", b"", b"\n<b>]]>]]</b>"], False)


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1))
def test_every_split_of_chunked_messages(cut: int) -> None:
    expected = [b"<rpc message-id='1'/>\n", b"\n##"]
    assert read([CHUNKED[:cut], CHUNKED[cut:]], chunked=True) == (expected, False)


def test_framing_changes_between_two_messages_of_one_read() -> None:
    reader = FrameReader()
    reader.feed(b"<hello/>]]>]]>\n#2\n<a\n#2\n/>\n##\n")
    assert reader.next_message() == b"<hello/>"
    reader.use_chunks()
    assert reader.next_message() == b"<a/>"
    assert reader.next_message() is None


@pytest.mark.parametrize(
    "data",
    [
        b"#1\nx", b"\n1", b"\n##x", b"\n#0\n", b"\n#01\n", b"\n#\n", b"\n#-1\n", b"\n# 1\n", b"\n#1 \n", b"\n#1\r\n",
        b"\n#12345678901\n", b"\n#4294967296\n", b"\n##\n", b"\n#1\nxx", b"\n#1001\n",
        b"\n#1000\n" + b"x" * 1000 + b"\n#1\n",
    ],
)  # fmt: skip
def test_wrong_chunks_are_refused(data: bytes) -> None:
    assert read([data], chunked=True) == ([], True)
    assert read(byte_by_byte(data), chunked=True) == ([], True)


@pytest.mark.parametrize(("size", "refused"), [(999, False), (1000, False), (1001, True)])
def test_size_limit_of_delimited_messages(size: int, refused: bool) -> None:
    message = b"x" * size
    expected: Outcome = ([] if refused else [message], refused)
    assert read([message + END_OF_MESSAGE]) == expected
    assert read(byte_by_byte(message + END_OF_MESSAGE)) == expected


def test_a_message_without_end_is_refused_at_the_limit() -> None:
    reader = FrameReader(10)
    reader.feed(b"x" * 15)
    assert reader.next_message() is None
    reader.feed(b"x")
    with pytest.raises(FramingError):
        reader.next_message()
    reader.feed(b"]]>]]>")
    with pytest.raises(FramingError):
        reader.next_message()


@given(
    st.lists(st.sampled_from([b"\n#", b"#", b"\n", b"1", b"30", b"9", b"x", b"]]>", b"]]>]]>", b"\xff", b"\n##\n"])),
    st.booleans(),
)
def test_hostile_tokens_whole_and_byte_by_byte_agree(tokens: list[bytes], chunked: bool) -> None:
    data = b"".join(tokens)
    assert read([data], chunked=chunked, limit=20) == read(byte_by_byte(data), chunked=chunked, limit=20)


@given(st.binary(max_size=200), st.booleans())
def test_hostile_bytes_raise_nothing_else(data: bytes, chunked: bool) -> None:
    assert read([data], chunked=chunked, limit=20) == read(byte_by_byte(data), chunked=chunked, limit=20)


@given(st.lists(st.text(min_size=1)), st.integers(4, 40))
def test_written_chunks_are_read_back_and_split_no_character(texts: list[str], chunk_size: int) -> None:
    stream = b""
    for text in texts:
        for buffer in frame_chunked(text.encode(), chunk_size):
            if isinstance(buffer, memoryview):
                assert 0 < len(buffer) <= chunk_size
                bytes(buffer).decode()
            stream += buffer
    assert read([stream], chunked=True) == ([text.encode() for text in texts], False)


def test_large_messages_are_not_copied_when_written() -> None:
    message = b"x" * 300_000
    views = [buffer for buffer in frame_chunked(message) if isinstance(buffer, memoryview)]
    assert len(views) == -(-len(message) // WRITE_CHUNK)
    assert all(view.obj is message for view in views)


def test_bytes_that_are_no_utf8_still_make_chunks() -> None:
    message = b"\x80" * 100
    assert read([b"".join(frame_chunked(message, 10))], chunked=True) == ([message], False)


def test_delimiter_inside_a_message_is_not_written() -> None:
    assert frame_delimited(b"<a/>") == b"<a/>]]>]]>"
    with pytest.raises(FramingError):
        frame_delimited(b"<a>]]>]]></a>")
