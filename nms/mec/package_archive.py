"""Reading a zip file that a stranger made, without being hurt by it.

Every name, size and kind of entry is checked before anything is unpacked, and what is unpacked is counted again,
since an archive may lie about itself.  Nothing is ever written to a path that comes out of the archive.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO

from nms.errors import RpcError

_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What zipfile and zlib raise on damaged input.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, NotImplementedError, OSError)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a package may be: `size` of the file and `total` unpacked in bytes, `files`, and `ratio` of the two."""

    size: int = 4 << 30
    total: int = 8 << 30
    files: int = 4096
    ratio: int = 200


class _Frugal(io.BufferedIOBase):
    """A file that refuses one huge read: zipfile reads the whole central directory at once, however long it says."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self._most:
            raise RpcError("too-big", "the package's list of files is too long")
        return self._file.read(-1 if size is None else size)


class Archive:
    """A checked zip archive; `names` are its files, sorted.

    Raises `RpcError`: invalid-value (no zip, damaged, or a hostile entry), too-big.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        size = file.seek(0, io.SEEK_END)
        if size > limits.size:
            raise RpcError("too-big", f"the package has {size} bytes; at most {limits.size} are accepted")
        with _damage():
            # 512 bytes an entry is room for long names; the end record alone may take 64 KiB.
            self._zip = zipfile.ZipFile(_Frugal(file, max(limits.files * 512, 1 << 17)))
        entries = self._zip.infolist()
        if len(entries) > limits.files:
            raise RpcError("too-big", f"the package has {len(entries)} files; at most {limits.files} are accepted")
        total = sum(entry.file_size for entry in entries)
        if total > limits.total:
            raise RpcError("too-big", f"the package unpacks to {total} bytes; at most {limits.total} are accepted")
        if total > limits.ratio * size:
            raise RpcError("too-big", f"the package unpacks to more than {limits.ratio} times its size")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            _check(entry)
            if entry.filename in self._entries:
                raise RpcError("invalid-value", f"the package holds {entry.filename!r} twice")
            self._entries[entry.filename] = entry
        self.names = sorted(name for name in self._entries if not name.endswith("/"))

    def close(self) -> None:
        """Let go of the archive; the file stays open."""
        self._zip.close()

    def size(self, name: str) -> int:
        """Bytes of a file, unpacked."""
        return self._entry(name).file_size

    def read(self, name: str, most: int = 1 << 20) -> bytes:
        """A small file.  Raises `RpcError`: data-missing, too-big, invalid-value."""
        if self.size(name) > most:
            raise RpcError("too-big", f"{name} in the package has more than {most} bytes")
        return b"".join(self.chunks(name))

    def digest(self, name: str) -> str:
        """SHA-256 of a file, in hexadecimal."""
        digest = hashlib.sha256()
        for chunk in self.chunks(name):
            digest.update(chunk)
        return digest.hexdigest()

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's content, piece by piece.  Raises `RpcError`: data-missing, invalid-value."""
        entry, count = self._entry(name), 0
        with _damage(), self._zip.open(entry) as stream:
            while chunk := _read(stream):
                count += len(chunk)
                if count > entry.file_size:
                    raise RpcError("invalid-value", f"{name} in the package is longer than the package says")
                yield chunk
        if count != entry.file_size:
            raise RpcError("invalid-value", f"{name} in the package is shorter than the package says")

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self._entries or name.endswith("/"):
            raise RpcError("data-missing", f"the package has no file {name}")
        return self._entries[name]


def _read(stream: IO[bytes]) -> bytes:
    return stream.read(_CHUNK)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise RpcError("invalid-value", f"the package is no sound zip file: {error or type(error).__name__}") from error
    except RuntimeError as error:  # zipfile's word for an encrypted entry
        raise RpcError("invalid-value", f"the package cannot be read: {error}") from error


def _check(entry: zipfile.ZipInfo) -> None:
    # `orig_filename` is what the archive says; zipfile cuts `filename` at a NUL and turns backslashes round.
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    parts = name.removesuffix("/").split("/")
    if not sound_name(name.removesuffix("/")) or len(parts) > 32:
        raise RpcError("invalid-value", f"the package holds {name[:100]!r}, which is no acceptable path")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RpcError("invalid-value", f"the package holds {name}, neither a file nor a folder")
    if entry.flag_bits & 0x1:
        raise RpcError("invalid-value", f"the package holds {name}, which is encrypted")
    if entry.compress_type not in _METHODS:
        raise RpcError("invalid-value", f"the package holds {name}, compressed by another method than deflate")


def sound_name(name: str) -> bool:
    """Whether a name is a relative path below its root on every system: no ``..``, no drive, no control character."""
    return (
        0 < len(name) <= 255
        and name.isprintable()
        and not any(each in name for each in '\\:*?"<>|')
        and all(part not in ("", ".", "..") for part in name.split("/"))
    )
