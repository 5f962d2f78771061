"""Packages and images on disk, each under its SHA-256, whole or on its way.

A content appears under its digest only when it is complete, checked and durable (a partial file, fsync, rename);
a download broken off is taken up where it ended, over restarts too.  Who still needs what is counted by the caller.
The calls block on the disk; asynchronous callers use a thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nms.errors import RpcError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


class PackageStore:
    """A folder of contents.

    Args:
        root: the folder; made when it does not exist.
        max_size: the largest content accepted, in bytes.
    """

    def __init__(self, root: Path, max_size: int = 4 << 30) -> None:
        self._root = root
        self._max_size = max_size
        self._expected: dict[str, int] = {}
        with _disk("store"):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in root.glob("add-*.part"):  # by a crash within `add`; a store has one owner
                left.unlink()

    def __contains__(self, digest: str) -> bool:
        return _DIGEST.fullmatch(digest) is not None and (self._root / digest).is_file()

    def path(self, digest: str) -> Path:
        """The file of a complete content; not to be written to.  Raises `RpcError`: data-missing, invalid-value."""
        path = self._place(digest)
        if not path.is_file():
            raise RpcError("data-missing", f"content {digest} is not in the store", status=404)
        return path

    def digests(self) -> list[str]:
        """Every complete content."""
        return sorted(name for name in os.listdir(self._root) if _DIGEST.fullmatch(name))

    def begin(self, digest: str, size: int) -> int:
        """Start or resume a download of `size` bytes.

        Returns the offset to go on from; `size` when nothing is missing (`finish` is due all the same).
        Raises `RpcError`: invalid-value, too-big.
        """
        place, part = self._place(digest), self._part(digest)
        if not 0 <= size <= self._max_size:
            raise RpcError("too-big", f"content {digest} has {size} bytes; at most {self._max_size} are accepted")
        self._expected[digest] = size
        if place.is_file():
            if place.stat().st_size != size:
                raise RpcError("invalid-value", f"content {digest} has {place.stat().st_size} bytes, not {size}")
            return size
        with _disk(digest):
            there = part.stat().st_size if part.exists() else 0
            if there > size:  # begun under another, wrong size
                part.unlink()
                there = 0
            part.touch(mode=0o600)
        return there

    def append(self, digest: str, offset: int, data: bytes) -> int:
        """Add data at `offset`, which must be the end of what is there; returns the new end.

        Raises `RpcError`: data-missing (no `begin`), invalid-value (another offset), too-big (more than announced).
        """
        part, size = self._part(digest), self._size(digest)
        with _disk(digest), part.open("r+b") as file:
            there = file.seek(0, os.SEEK_END)
            if offset != there:
                raise RpcError("invalid-value", f"content {digest} goes on at offset {there}, not {offset}")
            if there + len(data) > size:
                raise RpcError("too-big", f"content {digest} is longer than the {size} bytes announced")
            try:
                file.write(data)
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(there)  # so that what is there stays a prefix of the content
                raise
            return there + len(data)

    def finish(self, digest: str) -> Path:
        """Check and keep a download; returns its file.

        Raises `RpcError`: data-missing (not begun, or bytes are missing: go on from `begin`), invalid-value (the digest
        differs: what came is thrown away).
        """
        place, part, size = self._place(digest), self._part(digest), self._size(digest)
        if not place.is_file():
            with _disk(digest), part.open("rb") as file:
                there = os.fstat(file.fileno()).st_size
                if there < size:
                    raise RpcError("data-missing", f"content {digest} is incomplete: {there} of {size} bytes are there")
                found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != digest:
                    part.unlink()
                    raise RpcError("invalid-value", f"what was sent as {digest} has digest {found} and is thrown away")
                os.fsync(file.fileno())
                part.rename(place)
            self._sync()
        del self._expected[digest]
        return place

    def add(self, content: BinaryIO) -> str:
        """Keep a content that is at hand, from its present position; returns its digest.

        Raises `RpcError`: too-big, resource-denied (disk full).
        """
        hasher, size = hashlib.sha256(), 0
        with self._temporary() as (path, file):
            while chunk := content.read(_CHUNK):
                size += len(chunk)
                if size > self._max_size:
                    raise RpcError("too-big", f"the content has more than {self._max_size} bytes")
                hasher.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            path.rename(self._root / hasher.hexdigest())
        self._sync()
        return hasher.hexdigest()

    def remove(self, digest: str) -> None:
        """Forget a content, complete or not; an unknown one is no error."""
        self._expected.pop(digest, None)
        with _disk(digest):
            self._place(digest).unlink(missing_ok=True)
            self._part(digest).unlink(missing_ok=True)
        self._sync()

    @contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        path = self._root / f"add-{os.urandom(8).hex()}.part"
        try:
            with _disk("new"), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise RpcError("invalid-value", f"{digest[:80]!r} is no SHA-256 digest in lower-case hexadecimal")
        return self._root / digest

    def _part(self, digest: str) -> Path:
        return self._place(digest).with_suffix(".part")

    def _size(self, digest: str) -> int:
        if digest not in self._expected:
            raise RpcError("data-missing", f"no download of {digest} has begun")
        return self._expected[digest]

    def _sync(self) -> None:
        """Make a rename or removal durable."""
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _disk(what: str) -> Iterator[None]:
    """The disk's own errors as `RpcError`: resource-denied (full), data-missing (gone meanwhile), operation-failed."""
    tags = {errno.ENOSPC: "resource-denied", errno.EDQUOT: "resource-denied", errno.ENOENT: "data-missing"}
    try:
        yield
    except OSError as error:
        raise RpcError(
            tags.get(error.errno or 0, "operation-failed"), f"content {what} cannot be stored: {error.strerror}"
        ) from error
