"""Reading a tar archive that may be hostile: no header makes us hold much, and the members are counted.

`tarfile` reads whatever a header announces into memory, a long name or the map of a sparse file; here it can read no
more for one header than `HEADER`.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from nms.errors import RpcError

CHUNK = 1 << 20
#: Most bytes that the headers of one member may have.
HEADER = 1 << 18


class TarReader:
    """The members of an uncompressed archive.

    Args:
        file: can be sought; read from its beginning.
        most: members, before `RpcError` too-big.

    Raises `tarfile.TarError`, here and later: it is damaged.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        file.seek(0)
        self._frugal = _Frugal(file)
        self._most = most
        self._tar = tarfile.open(fileobj=self._frugal, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115 (theirs)

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        count = 0
        while True:
            self._frugal.left = HEADER
            member = self._tar.next()
            if member is None:
                return
            count += 1
            if count > self._most:
                raise RpcError("too-big", f"an archive of the image has more than {self._most} members")
            yield member
            self._tar.members.clear()  # it would remember them all

    def content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """What a file holds, in pieces."""
        stream = self._tar.extractfile(member)
        if stream is None:
            raise tarfile.ReadError(f"{member.name} has no content")
        with stream:
            while True:
                self._frugal.left = 2 * CHUNK
                chunk = stream.read(CHUNK)
                if not chunk:
                    return
                yield chunk


class _Frugal:
    """A file of which only `left` bytes may be read before somebody allows more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = HEADER
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.left:
            raise tarfile.ReadError("a header is too large")
        self.left -= size
        return self._file.read(size)
