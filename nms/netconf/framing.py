"""NETCONF message framing in both directions: end-of-message and chunked (RFC 6242 sections 4.2 and 4.3).

A stream of bytes that arrives in pieces of any size becomes complete messages, each byte looked at a bounded number of
times; a message becomes frames.  Pure: no sockets, no event loop, no clock, and it must not know that messages are XML.

Theory: every session starts with the end-of-message delimiter ``]]>]]>`` and may change to chunks after one message
(the hello).  The bytes behind that message may already be chunks, hence messages are taken one by one with
`FrameReader.next_message`, so that the owner can call `FrameReader.use_chunks` in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

Buffer: TypeAlias = bytes | memoryview

#: A message to send: one text, or pieces of it that each end with a character.
Outgoing: TypeAlias = bytes | list[bytes]

END_OF_MESSAGE: Final = b"]]>]]>"
END_OF_CHUNKS: Final = b"\n##\n"

MAX_CHUNK_SIZE: Final = 4294967295

#: Default limit of one received message in bytes.
MAX_MESSAGE: Final = 64 * 1024 * 1024

#: Size of a written chunk in bytes: with its header it fills two packets of SSH as most clients take them.
WRITE_CHUNK: Final = 64 * 1024 - 16

#: ``LF # size LF``, or without a size ``LF # # LF`` (RFC 6242 section 4.2).
_HEADER: Final = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|#)\n")
#: What can still become one when more bytes arrive.
_BEGUN: Final = re.compile(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?\Z")


class FramingError(Exception):
    """The peer's bytes are not RFC 6242 framing, or a message is too big: the session cannot go on."""


class FrameReader:
    """Bytes in, complete messages out.

    Args:
        max_message: the largest accepted message in bytes (without its framing).
    """

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._max = max_message
        self._chunked = False
        self._buffer = bytearray()
        self._start = 0  # first byte of the buffer that is not consumed yet
        self._scanned = 0  # end-of-message framing: no delimiter starts before this offset
        self._message = bytearray()  # chunked framing: the chunks of the current message
        self._left = 0  # bytes that the current chunk still lacks
        self._broken = ""

    def use_chunks(self) -> None:
        """Bytes not yet consumed are in chunked framing (RFC 6242 section 4.1: after both hellos offer base:1.1)."""
        self._chunked = True

    def feed(self, data: Buffer) -> None:
        """Append what arrived; `next_message` tells what came of it."""
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not complete; the line ends that people type between messages are none."""
        held = len(self._message) + len(self._buffer) - self._start
        return held if held > 16 or self._message or self._buffer[self._start :].strip() else 0

    def next_message(self) -> bytes | None:
        """The next complete message, or None until more bytes arrive.

        Raises:
            FramingError: at the first bytes that cannot be framing, and for ever after.
        """
        if self._broken:
            raise FramingError(self._broken)
        try:
            message = self._next_chunked() if self._chunked else self._next_delimited()
        except FramingError as error:
            self._broken = str(error)
            self._buffer.clear()
            self._message.clear()
            raise
        if message is None:
            # Once per feed, and what is left came with this feed: the cost stays linear in the bytes received.
            del self._buffer[: self._start]
            self._scanned -= self._start
            self._start = 0
        return message

    def _next_delimited(self) -> bytes | None:
        begin = self._start
        end = self._buffer.find(END_OF_MESSAGE, max(begin, self._scanned))
        size = (end if end >= 0 else len(self._buffer) - len(END_OF_MESSAGE) + 1) - begin
        if size > self._max:
            raise FramingError(f"message is larger than {self._max} bytes")
        if end < 0:
            self._scanned = begin + max(size, 0)
            return None
        self._start = self._scanned = end + len(END_OF_MESSAGE)
        with memoryview(self._buffer) as view:
            return bytes(view[begin:end])

    def _next_chunked(self) -> bytes | None:
        buffer = self._buffer
        while self._start < len(buffer):
            begin = self._start
            if self._left:
                taken = min(self._left, len(buffer) - begin)
                with memoryview(buffer) as view:
                    self._message += view[begin : begin + taken]
                self._start += taken
                self._left -= taken
                continue
            header = _HEADER.match(buffer, begin)
            if header is None:
                if _BEGUN.match(buffer, begin) is None:
                    raise FramingError("what should start a chunk is neither LF # chunk-size LF nor LF # # LF")
                return None
            begin = self._start = header.end()
            digits = header[1]
            if digits is None:
                if not self._message:
                    raise FramingError("end of chunks without a chunk")
                message = bytes(self._message)
                self._message = bytearray()
                return message
            size = int(digits)
            if size > MAX_CHUNK_SIZE:
                raise FramingError(f"chunk-size is larger than {MAX_CHUNK_SIZE}")
            if len(self._message) + size > self._max:
                raise FramingError(f"message is larger than {self._max} bytes")
            if not self._message and buffer.startswith(END_OF_CHUNKS, begin + size):
                # Nearly every message: one chunk, and all of it is here.
                self._start = begin + size + len(END_OF_CHUNKS)
                with memoryview(buffer) as view:
                    return bytes(view[begin : begin + size])
            self._left = size
        return None


def frame_delimited(message: Outgoing) -> bytes:
    """`message` in end-of-message framing (RFC 6242 section 4.3).

    Raises:
        FramingError: the message holds the delimiter; XML that is written by a serializer never does.
    """
    text = message if isinstance(message, bytes) else b"".join(message)
    if END_OF_MESSAGE in text:
        raise FramingError("message holds the end-of-message delimiter")
    return text + END_OF_MESSAGE


def frame_chunked(message: Outgoing, chunk_size: int = WRITE_CHUNK) -> Iterator[bytes]:
    """`message` (UTF-8, not empty) in chunked framing (RFC 6242 section 4.2): buffers to write one after the other.

    No chunk ends inside a UTF-8 character: there are clients that decode chunk by chunk.  A buffer is made when it is
    asked for, so that a large message exists once.

    Args:
        chunk_size: the largest chunk in bytes, at least 4 (the longest UTF-8 character).
    """
    if isinstance(message, bytes) and len(message) <= chunk_size:
        yield b"\n#%d\n%b\n##\n" % (len(message), message)
        return
    group: list[bytes] = []
    room = chunk_size
    for piece in (message,) if isinstance(message, bytes) else message:
        if len(piece) > room and group:
            yield _chunk(group)
            group, room = [], chunk_size
        if len(piece) > chunk_size:
            for part in _split(piece, chunk_size):
                yield _chunk([part])
        elif piece:
            group.append(piece)
            room -= len(piece)
    if group:
        yield _chunk(group)
    yield END_OF_CHUNKS


def _chunk(group: list[bytes]) -> bytes:
    return b"".join((b"\n#%d\n" % sum(map(len, group)), *group))


def _split(text: bytes, size: int) -> Iterator[bytes]:
    """`text` in parts of at most `size` bytes and whole characters."""
    begin = 0
    while begin < len(text):
        end = min(begin + size, len(text))
        # A continuation byte is 10xxxxxx, and at most three follow a character's first byte.
        for _ in range(3):
            if end == len(text) or text[end] & 0xC0 != 0x80:
                break
            end -= 1
        yield text[begin:end]
        begin = end
