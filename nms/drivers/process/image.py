"""Unpacking of a process image, a tar (plain, gz, bz2, xz) or zip archive of files.

An image comes from another domain: only plain files and folders below the target are written, at most as many bytes
as the instance may store, and no header makes us hold much.  Knows no VIM.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial as applied
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nms.drivers.api import RpcError
from nms.oci.tar import TarReader

MAX_ENTRIES = 10_000
#: Folders within each other.
_DEPTH = 32
_CHUNK = 1 << 20
#: Bytes of an archive for each entry beside its content: headers, long names, padding; of a zip, its directory too.
_OVERHEAD = 4096
#: Most memory for the dictionary of xz, in bytes; its highest preset takes 65 MiB.
_DICTIONARY = 96 << 20
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, ValueError,
    OverflowError, NotImplementedError,
)  # fmt: skip

#: name, permission bits, content in pieces (None: a folder)
_Member = tuple[str, int, Iterator[bytes] | None]


def unpack(archive: Path, target: Path, limit: int) -> None:
    """Unpack `archive` into the new folder `target`, all or nothing.

    Args:
        archive: tar or zip file.
        target: must not exist; its parent must.
        limit: most bytes that the files may have together.

    Raises:
        RpcError: data-missing (no such file), invalid-value (no archive, or a hostile one), too-big.
    """
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        with _opened(archive, limit) as entries:
            for count, (name, mode, content) in enumerate(entries):
                if count >= MAX_ENTRIES:
                    raise RpcError("too-big", f"image {archive.name} has more than {MAX_ENTRIES} entries")
                limit -= _write(archive.name, partial, name, mode, content, limit)
        partial.rename(target)
    except FileNotFoundError as error:
        raise RpcError("data-missing", f"image {archive} does not exist") from error
    except _DAMAGE as error:
        raise RpcError("invalid-value", f"image {archive.name} is damaged: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RpcError("invalid-value", f"image {archive.name} names the same place twice") from error
    except OSError as error:
        raise RpcError("operation-failed", f"image {archive.name} cannot be unpacked: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _opened(archive: Path, limit: int) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(_Frugal(file)) as zipped:
                yield _zip_members(zipped)
            return
        with tempfile.TemporaryFile(dir=archive.parent) as plain:
            try:
                reader = TarReader(_uncompressed(archive.name, file, plain, limit), MAX_ENTRIES + 1)
            except tarfile.TarError as error:
                raise RpcError("invalid-value", f"image {archive.name} is neither a tar nor a zip archive") from error
            yield _tar_members(reader)


class _Frugal:
    """A zip file as `zipfile` reads it, which would read a directory of any size into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_ENTRIES * _OVERHEAD:
            raise zipfile.BadZipFile("its directory is too large")
        return self._file.read(-1 if size is None else size)


def _uncompressed(name: str, file: BinaryIO, plain: BinaryIO, limit: int) -> BinaryIO:
    """The file itself if it is not compressed, else `plain`, with what is in it."""
    file.seek(0)
    magic = file.read(len(_XZ))
    file.seek(0)
    if magic == _XZ:
        pieces = _unxz(file)
    elif magic.startswith((_GZIP, _BZIP2)):
        opened = gzip.GzipFile(fileobj=file) if magic.startswith(_GZIP) else bz2.BZ2File(file)
        pieces = iter(applied(opened.read, _CHUNK), b"")
    else:
        return file
    left = limit + MAX_ENTRIES * _OVERHEAD
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise RpcError("too-big", f"image {name} needs more storage than the instance has")
        plain.write(piece)
    return plain


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    """What one stream of xz holds, in pieces."""
    decoder = lzma.LZMADecompressor(memlimit=_DICTIONARY)
    while not decoder.eof:
        fed = file.read(_CHUNK) if decoder.needs_input else b""
        if decoder.needs_input and not fed:
            raise EOFError("it ends too early")
        if piece := decoder.decompress(fed, _CHUNK):
            yield piece


def _tar_members(reader: TarReader) -> Iterator[_Member]:
    for member in reader:
        if not member.isfile() and not member.isdir():
            raise RpcError("invalid-value", f"image holds {member.name[:200]!r}, neither a file nor a folder")
        yield member.name, member.mode, reader.content(member) if member.isfile() else None


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RpcError("invalid-value", f"image holds {member.filename[:200]!r}, neither a file nor a folder")
        if member.flag_bits & 0x1:
            raise RpcError("invalid-value", f"image holds {member.filename[:200]!r}, which is encrypted")
        if member.is_dir():
            yield member.filename, mode, None
        else:
            with archive.open(member) as stream:
                yield member.filename, mode, iter(applied(stream.read, _CHUNK), b"")


def _write(image: str, root: Path, name: str, mode: int, content: Iterator[bytes] | None, limit: int) -> int:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or len(path.parts) > _DEPTH:
        raise RpcError("invalid-value", f"image {image} holds {name[:200]!r}, which leaves its folder, or is too deep")
    place = root.joinpath(*path.parts)
    if content is None:
        place.mkdir(parents=True, exist_ok=True)
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    # Our permission bits: no set-uid, nothing for others to write, always readable to ourselves.
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if mode & 0o100 else 0o644)
    with open(descriptor, "wb") as file:
        for chunk in content:
            written += len(chunk)
            if written > limit:
                raise RpcError("too-big", f"image {image} needs more storage than the instance has")
            file.write(chunk)
    return written
