"""The root file system that the layers of an image make, one over the other (image specification, layer).

A layer adds, replaces and, by a *whiteout*, hides what the layers below it have.  Names are resolved as inside the root
file system: a link in it leads nowhere else.  Set-user-id bits, devices and owners are not taken over.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from nms.errors import RpcError
from nms.oci.archive import Image, Layer, OciArchive
from nms.oci.tar import CHUNK, TarReader

#: Most members of all layers together (with folders that they only imply), folders within each other, and links on the
#: way to a place.
ENTRIES, DEPTH, LINKS = 200_000, 100, 40
#: Zeros at the end of a tar file; some tools leave them out.
_END = 3 * tarfile.BLOCKSIZE
_HIDES, _HIDES_ALL = ".wh.", ".wh..wh..opq"


def unpack(archive: OciArchive, image: Image, target: Path, limit: int) -> int:
    """Make the root file system in the new folder `target`, all or nothing.

    Args:
        target: must not exist; its parent must.
        limit: most bytes of all layers together, uncompressed, and of all files.

    Returns:
        The bytes of its files, each as often as it is linked.

    Raises:
        RpcError: data-missing, invalid-value (damaged or hostile), too-big, operation-failed (the disk).
    """
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    tree = _Tree(partial, limit)
    try:
        partial.mkdir(mode=0o755)
        left = limit
        for layer in image.layers:
            with tempfile.TemporaryFile(dir=target.parent) as plain:
                left -= _inflate(archive, layer, plain, left)
                tree.apply(plain)
        partial.rename(target)
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, OverflowError) as error:
        raise RpcError("invalid-value", f"a layer of the OCI image is damaged: {error}") from error
    except OSError as error:
        raise RpcError("operation-failed", f"the OCI image cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return tree.written


def _inflate(archive: OciArchive, layer: Layer, out: BinaryIO, limit: int) -> int:
    """Write the tar of a layer; its size."""
    hasher, size = hashlib.sha256(), 0
    blob = _Stream(archive.blob(layer.digest, layer.size))
    source = gzip.GzipFile(fileobj=io.BufferedReader(blob)) if layer.gzip else blob
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise _too_big()
        hasher.update(chunk)
        out.write(chunk)
    out.write(bytes(_END))
    blob.exhaust()
    if hasher.hexdigest() != layer.content:
        raise RpcError("invalid-value", "a layer of the OCI image is not what its configuration says")
    return size


def _too_big() -> RpcError:
    return RpcError("too-big", "the OCI image needs more storage than the instance has")


class _Stream(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._held:
            self._held = next(self._pieces, b"")
        piece, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def exhaust(self) -> None:
        """To the end, where it is known whether all of it was right."""
        for _ in self._pieces:
            pass


class _Tree:
    """A root file system in the making."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._entries = ENTRIES
        self.written = 0

    def apply(self, layer: BinaryIO) -> None:
        """Put a layer over what is there: first what it hides, since it hides nothing of itself."""
        for member in TarReader(layer, ENTRIES):
            self._enter()
            if _last(member.name).startswith(_HIDES):
                self._hide(member.name)
        reader = TarReader(layer, ENTRIES)
        for member in reader:
            if not _last(member.name).startswith(_HIDES):
                self._put(reader, member)

    def _hide(self, name: str) -> None:
        last = _last(name)
        hidden = last.removeprefix(_HIDES)
        if hidden in ("", ".", ".."):
            raise _hostile(name)
        parent = self._parent(name, make=False)
        if parent is not None:
            for each in list(parent.iterdir()) if last == _HIDES_ALL else [parent / hidden]:
                _remove(each)

    def _put(self, reader: TarReader, member: tarfile.TarInfo) -> None:
        if not _last(member.name):
            return  # the root itself
        parent = self._parent(member.name, make=True)
        assert parent is not None
        place = parent / _last(member.name)
        if member.isdir():
            if not _is_folder(place):
                _remove(place)
                place.mkdir()
            place.chmod(member.mode & 0o777 | 0o700)
            return
        _remove(place)
        if member.issym():
            place.symlink_to(member.linkname)
        elif member.islnk():
            self._link(member.linkname, place)
        elif member.isfile():
            self._write(reader, member, place)
        else:
            raise RpcError("invalid-value", f"OCI image holds {member.name[:200]!r}, neither file, folder nor link")

    def _link(self, name: str, place: Path) -> None:
        parent = self._parent(name, make=False)
        source = parent / _last(name) if parent is not None else None
        if source is None or not os.path.lexists(source) or _is_folder(source):
            raise RpcError("invalid-value", f"OCI image links to {name[:200]!r}, which is no file in it")
        self._count(source.lstat().st_size)
        os.link(source, place, follow_symlinks=False)

    def _write(self, reader: TarReader, member: tarfile.TarInfo, place: Path) -> None:
        # Our permission bits: no set-uid, always readable to ourselves.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(place, flags, 0o600), "wb") as file:
            for chunk in reader.content(member):
                self._count(len(chunk))
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), member.mode & 0o777 | 0o400)
            # Interpreters compare the times of what they have compiled.
            os.utime(file.fileno(), (int(member.mtime),) * 2)

    def _enter(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise RpcError("too-big", f"the OCI image has more than {ENTRIES} files and folders")

    def _count(self, size: int) -> None:
        self.written += size
        if self.written > self._limit:
            raise _too_big()

    def _parent(self, name: str, *, make: bool) -> Path | None:
        """The folder of what is named, links resolved inside the root; None where it is missing and not made."""
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise _hostile(name)
        here: list[str] = []
        ahead, links = deque(_parts(name)[:-1]), 0
        while ahead:
            part = ahead.popleft()
            if part == "..":  # of a link
                del here[-1:]
                continue
            place = self._root.joinpath(*here, part)
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                if not make:
                    return None
                self._enter()
                place.mkdir(mode=0o755)
                mode = stat.S_IFDIR
            if stat.S_ISLNK(mode):
                links += 1
                target = os.readlink(place)
                if target.startswith("/"):
                    here.clear()
                ahead.extendleft(reversed(_parts(target)))
            elif stat.S_ISDIR(mode):
                here.append(part)
            elif make:
                raise _hostile(name)
            else:
                return None
            if links > LINKS or len(here) > DEPTH:
                raise _hostile(name)
        return self._root.joinpath(*here)


def _hostile(name: str) -> RpcError:
    return RpcError("invalid-value", f"OCI image holds {name[:200]!r}, which leads nowhere in it")


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _last(name: str) -> str:
    return (_parts(name) or [""])[-1]


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


def _remove(place: Path) -> None:
    if _is_folder(place):
        shutil.rmtree(place)
    else:
        with suppress(FileNotFoundError):
            place.unlink()
