"""Images are unpacked whole or not at all, and nowhere else than they may."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nms.drivers.api import RpcError
from nms.drivers.process import image

HUGE_DICTIONARY = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]


def tar_with(member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, "/etc/passwd"
    return tar_with(member)


def zip_member(name: str, mode: int = 0o100644, content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive_file:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive_file.writestr(member, content)
    return buffer.getvalue()


def long_name(size: int) -> bytes:
    """A tar whose only header announces a name of so many bytes, and has it."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, size
    return member.tobuf(tarfile.GNU_FORMAT) + b"a" * size + tar_member("x")


HOSTILE = {
    "empty": (b"", "invalid-value"),
    "no archive": (b"neither tar nor zip", "invalid-value"),
    "tar: above": (tar_member("../evil"), "invalid-value"),
    "tar: from the root": (tar_member("/tmp/evil"), "invalid-value"),
    "tar: symbolic link": (tar_member("link", tarfile.SYMTYPE), "invalid-value"),
    "tar: hard link": (tar_member("link", tarfile.LNKTYPE), "invalid-value"),
    "tar: control characters": (tar_member("\x01\x1b[31m", tarfile.SYMTYPE), "invalid-value"),
    "tar: device": (tar_member("device", tarfile.CHRTYPE), "invalid-value"),
    "tar: too big": (tar_member("big", size=2000), "too-big"),
    "tar: cut": (tar_member("cut", size=900)[:700], "invalid-value"),
    "gzip: cut": (gzip.compress(tar_member("cut", size=900))[:-20], "invalid-value"),
    "xz: cut": (lzma.compress(tar_member("cut", size=900))[:-20], "invalid-value"),
    "xz: huge dictionary": (
        lzma.compress(tar_member("cut", size=900), filters=HUGE_DICTIONARY),
        "invalid-value",
    ),
    "tar: too deep": (tar_member("a/" * 2000 + "deep"), "invalid-value"),
    "tar: file and directory": (
        tar_member("same/", tarfile.DIRTYPE)[:512] + tar_member("same"),
        "invalid-value",
    ),
    "tar: long name": (long_name(1 << 20), "invalid-value"),
    "bzip2: too big": (bz2.compress(bytes(64 << 20)), "too-big"),
    "zip: above": (zip_member("../evil"), "invalid-value"),
    "zip: from the root": (zip_member("/tmp/evil"), "invalid-value"),
    "zip: symbolic link": (zip_member("link", 0o120777), "invalid-value"),
    "zip: too big": (zip_member("bomb", content=b"\0" * 100_000), "too-big"),
    "zip: cut": (zip_member("a")[:-30], "invalid-value"),
    "zip: two names": (zip_member("a").replace(b"a", b"b", 1), "invalid-value"),
}


@pytest.mark.parametrize(("content", "tag"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_images_write_nothing(tmp_path: Path, content: bytes, tag: str) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(RpcError) as refused:
        image.unpack(tmp_path / "image", tmp_path / "work", 1000)
    assert refused.value.tag == tag
    assert refused.value.message.isprintable()
    assert str(tmp_path) not in refused.value.message
    assert os.listdir(tmp_path) == ["image"]


def test_a_zip_image_keeps_its_executables(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(zip_member("bin/run", 0o104777))
    image.unpack(tmp_path / "image", tmp_path / "work", 1000)
    assert (tmp_path / "work/bin/run").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_image_may_be_compressed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / "image").write_bytes(compress(tar_member("bin/run", size=900)))
    image.unpack(tmp_path / "image", tmp_path / "work", 1000)
    assert (tmp_path / "work/bin/run").read_bytes() == b"x" * 900


def test_a_header_does_not_make_us_hold_much(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(gzip.compress(long_name(32 << 20)))
    tracemalloc.start()
    with pytest.raises(RpcError):
        image.unpack(tmp_path / "image", tmp_path / "work", 1 << 20)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 8 << 20
