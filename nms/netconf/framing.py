"""NETCONF message framing in both directions: end-of-message and chunked (RFC 6242 sections 4.2 and 4.3).

A stream of bytes that arrives in pieces of any size becomes complete messages, each byte looked at a bounded number of
times; a message becomes frames.  Pure: no sockets, no event loop, no clock, and it must not know that messages are XML.

Theory: every session starts with the end-of-message delimiter ``]]>]]>`` and may change to chunks after one message
(the hello).  The bytes behind that message may already be chunks, hence messages are taken one by one with
`FrameReader.next_message`, so that the owner can call `FrameReader.use_chunks` in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

Buffer: TypeAlias = bytes | memoryview

END_OF_MESSAGE: Final = b"]]>]]>"
END_OF_CHUNKS: Final = b"\n##\n"

#: A chunk-size has at most ten digits (RFC 6242 section 4.2: 1 to 4294967295).
MAX_CHUNK_DIGITS: Final = 10
MAX_CHUNK_SIZE: Final = 4294967295

#: Default limit of one received message in bytes.
MAX_MESSAGE: Final = 64 * 1024 * 1024

#: Size of a written chunk in bytes: one SSH window packet's order, so that large replies are interleaved with others.
WRITE_CHUNK: Final = 64 * 1024

_LF: Final = 0x0A
_HASH: Final = 0x23


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
        while True:
            if self._left:
                taken = min(self._left, len(self._buffer) - self._start)
                if not taken:
                    return None
                with memoryview(self._buffer) as view:
                    self._message += view[self._start : self._start + taken]
                self._start += taken
                self._left -= taken
                continue
            header = self._read_header()
            if header is None:
                return None
            if header:
                self._left = header
                if len(self._message) + header > self._max:
                    raise FramingError(f"message is larger than {self._max} bytes")
            elif not self._message:
                raise FramingError("end of chunks without a chunk")
            else:
                message = bytes(self._message)
                self._message = bytearray()
                return message

    def _read_header(self) -> int | None:
        """Consume ``LF # size LF`` (its size) or ``LF # # LF`` (0); None while it is incomplete."""
        buffer, begin = self._buffer, self._start
        available = len(buffer) - begin
        if available and buffer[begin] != _LF:
            raise FramingError("a chunk does not start with LF")
        if available > 1 and buffer[begin + 1] != _HASH:
            raise FramingError("a chunk does not start with LF #")
        if available > 2 and buffer[begin + 2] == _HASH:
            if available == 3:
                return None
            if buffer[begin + 3] != _LF:
                raise FramingError("end of chunks is not LF # # LF")
            self._start = begin + 4
            return 0
        digits = begin + 2
        limit = digits + MAX_CHUNK_DIGITS
        for position in range(digits, min(len(buffer), limit + 1)):
            byte = buffer[position]
            if byte == _LF and position > digits:
                size = int(buffer[digits:position])
                if size > MAX_CHUNK_SIZE:
                    raise FramingError("chunk-size is larger than 4294967295")
                self._start = position + 1
                return size
            if position == limit or not 0x30 <= byte <= 0x39 or (byte == 0x30 and position == digits):
                raise FramingError("chunk-size is not a positive number of at most ten digits")
        return None


def frame_delimited(message: bytes) -> bytes:
    """`message` in end-of-message framing (RFC 6242 section 4.3).

    Raises:
        FramingError: the message holds the delimiter; XML that is written by a serializer never does.
    """
    if END_OF_MESSAGE in message:
        raise FramingError("message holds the end-of-message delimiter")
    return message + END_OF_MESSAGE


def frame_chunked(message: bytes, chunk_size: int = WRITE_CHUNK) -> Iterator[Buffer]:
    """`message` (UTF-8, not empty) in chunked framing (RFC 6242 section 4.2): buffers to write one after the other.

    No chunk ends inside a UTF-8 character: there are clients that decode chunk by chunk.

    Args:
        chunk_size: the largest chunk in bytes, at least 4 (the longest UTF-8 character).
    """
    total = len(message)
    if total <= chunk_size:
        yield b"\n#%d\n%b\n##\n" % (total, message)
        return
    view = memoryview(message)
    begin = 0
    while begin < total:
        end = min(begin + chunk_size, total)
        # A continuation byte is 10xxxxxx, and at most three follow a character's first byte.
        for _ in range(3):
            if end == total or message[end] & 0xC0 != 0x80:
                break
            end -= 1
        yield b"\n#%d\n" % (end - begin)
        yield view[begin:end]
        begin = end
    yield END_OF_CHUNKS
