"""Server-sent events as they come in (HTML Living Standard section 9.2.6; RFC 8040 section 6.3): bytes in, data out.

Pure.  Only the field `data` means something in RESTCONF; comments are heartbeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: Bytes of one event; a server that sends a longer one is not listened to any more.
LONGEST: Final = 16 * 1024 * 1024


class TooLong(Exception):
    """An event has more than `LONGEST` bytes."""


class EventStream:
    """One stream."""

    def __init__(self) -> None:
        self._line = b""  # the line that has begun
        self._data: list[bytes] = []  # of the event that has begun
        self._size = 0

    def feed(self, content: bytes) -> Iterator[bytes]:
        """The data of each event that `content` completes, lines joined by a newline.

        Raises:
            TooLong: afterwards nothing can be understood.
        """
        # a carriage return at the very end is kept until it is known whether it is half of a line end
        text = self._line + content
        kept = b"\r" if text.endswith(b"\r") else b""
        lines = text.removesuffix(kept).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line = lines.pop() + kept
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                yield b"\n".join(self._data)
                self._data, self._size = [], 0
        if len(self._line) + self._size > LONGEST:
            raise TooLong

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
            if self._size > LONGEST:
                raise TooLong
