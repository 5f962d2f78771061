"""A body that grows, on its way to one client: in chunks (RFC 9112 section 7.1), kept alive by beats.  Pure."""

from __future__ import annotations

from collections.abc import Callable

from restconf.wsgi import LiveBody


class LiveAnswer:
    """The body of one answer, which is the last one of its connection.

    Args:
        write: takes bytes for the client.
        chunked: whether the client knows chunks (HTTP/1.1).

    Attributes:
        last: when something was written last.
    """

    def __init__(self, body: LiveBody, write: Callable[[bytes], None], *, chunked: bool, now: float) -> None:
        self.body = body
        self.last = now
        self._write = write
        self._chunked = chunked

    def pump(self, is_read: Callable[[], bool], now: float) -> bool:
        """Send what is ready, while the client reads; has all been sent that will ever be?"""
        while is_read() and (data := self.body.take()):
            self._send(data, now)
        if not self.body.ended or not is_read():
            return False
        if self._chunked:
            self._write(b"0\r\n\r\n")
        return True

    def beat(self, now: float) -> None:
        """Send what shows that the answer is alive."""
        self._send(self.body.beat(), now)

    def _send(self, data: bytes, now: float) -> None:
        if data:
            self.last = now
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
