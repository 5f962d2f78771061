"""Unpacking of a process image, a tar (plain, gz, bz2, xz) or zip archive of files.

An image comes from another domain: only plain files and folders below the target are written, at most as many bytes
as the instance may store.  Knows no VIM.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from nms.drivers.api import RpcError

MAX_ENTRIES = 10_000
_CHUNK = 1 << 20


#: name, permission bits, content (None: a folder)
_Member = tuple[str, int, IO[bytes] | None]


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
        with _opened(archive) as entries:
            for count, (name, mode, stream) in enumerate(entries):
                if count >= MAX_ENTRIES:
                    raise RpcError("too-big", f"image {archive.name} has more than {MAX_ENTRIES} entries")
                limit -= _write(archive.name, partial, name, mode, stream, limit)
        partial.rename(target)
    except FileNotFoundError as error:
        raise RpcError("data-missing", f"image {archive} does not exist") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise RpcError("invalid-value", f"image {archive.name} is damaged: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RpcError("invalid-value", f"image {archive.name} names {error.filename} twice") from error
    except OSError as error:
        raise RpcError("operation-failed", f"image {archive.name} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        if zipfile.is_zipfile(file):
            file.seek(0)
            with zipfile.ZipFile(file) as zipped:
                yield _zip_members(zipped)
            return
        file.seek(0)
        try:
            tarred = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115 (closed below)
        except tarfile.TarError as error:
            raise RpcError("invalid-value", f"image {archive.name} is neither a tar nor a zip archive") from error
        with tarred:
            yield _tar_members(tarred)


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for member in archive:
        if not member.isfile() and not member.isdir():
            raise RpcError("invalid-value", f"image holds {member.name}, neither a file nor a folder")
        yield member.name, member.mode, archive.extractfile(member) if member.isfile() else None


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RpcError("invalid-value", f"image holds {member.filename}, neither a file nor a folder")
        if member.flag_bits & 0x1:
            raise RpcError("invalid-value", f"image holds {member.filename}, which is encrypted")
        if member.is_dir():
            yield member.filename, mode, None
        else:
            with archive.open(member) as stream:
                yield member.filename, mode, stream


def _write(image: str, root: Path, name: str, mode: int, stream: IO[bytes] | None, limit: int) -> int:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise RpcError("invalid-value", f"image {image} holds {name!r}, which leaves its folder")
    place = root.joinpath(*path.parts)
    if stream is None:
        place.mkdir(parents=True, exist_ok=True)
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    # Our permission bits: no set-uid, nothing for others to write, always readable to ourselves.
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if mode & 0o100 else 0o644)
    with open(descriptor, "wb") as file:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise RpcError("too-big", f"image {image} needs more storage than the instance has")
            file.write(chunk)
    return written
