"""Root file systems out of layers: whiteouts, links, and what hostile layers try."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.oci import archive, rootfs
from tests.drivers import oci_images
from tests.drivers.oci_images import build, files, layer, member

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE
LIMIT = 1 << 20


def unpack(folder: Path, *layers: bytes, limit: int = LIMIT) -> Path:
    with archive.opened(build(folder / "image", *layers)) as opened:
        rootfs.unpack(opened, opened.image(), folder / "root", limit)
    return folder / "root"


def tree(root: Path) -> dict[str, str | None]:
    """Path -> content, target of a link, or None for a folder."""
    found: dict[str, str | None] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = None if path.is_dir() else path.read_text()
    return found


def test_layers_lie_over_each_other(tmp_path: Path) -> None:
    below = files({"a/one": "1", "a/two": "2", "a/deep/three": "3", "b/four": "4", "c": "file", "d/five": "5"})
    above = layer(
        member("a/new", b"new"),  # before the marker, and yet not hidden by it: it is of the same layer
        member("a/.wh..wh..opq"),
        member("b/.wh.four"),
        member(".wh.gone-anyway"),
        member("c", b"", tarfile.DIRTYPE),
        member("c/inside", b"now a folder"),
        member("d", b"now a file"),
    )
    assert tree(unpack(tmp_path, below, above)) == {
        "a": None, "a/new": "new", "b": None, "c": None, "c/inside": "now a folder", "d": "now a file"
    }  # fmt: skip


def test_links_are_resolved_inside_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    below = layer(
        member("usr/bin", b"", tarfile.DIRTYPE),
        member("bin", b"", SYMLINK, linkname="usr/bin"),
        member("absolute", b"", SYMLINK, linkname=str(outside)),
        member("up", b"", SYMLINK, linkname="../../../../../.."),
    )
    above = layer(
        member("bin/sh", b"sh"),
        member("bin/bash", b"", HARDLINK, linkname="bin/sh"),
        member("absolute/evil", b"caught"),
        member("up/top", b"top"),
        member("absolute/.wh.kept"),
    )
    root = unpack(tmp_path, below, above)
    assert tree(root) == {
        "usr": None, "usr/bin": None, "usr/bin/sh": "sh", "usr/bin/bash": "sh", "bin": "-> usr/bin",
        "absolute": f"-> {outside}", "up": "-> ../../../../../..", "top": "top",
        **{outside.relative_to("/").parents[n].as_posix(): None for n in range(len(outside.parts) - 2)},
        outside.relative_to("/").as_posix(): None, f"{outside.relative_to('/').as_posix()}/evil": "caught",
    }  # fmt: skip
    assert os.listdir(outside) == ["kept"]
    assert (root / "usr/bin/sh").stat().st_nlink == 2


def test_modes_lose_what_would_give_rights(tmp_path: Path) -> None:
    root = unpack(
        tmp_path,
        layer(
            member("su", b"", mode=0o6755),
            member("closed", b"", mode=0o000),
            member("folder", b"", tarfile.DIRTYPE, mode=0o1777),
            member("old", b"", mtime=1_000_000),
        ),
    )
    modes = {name: (root / name).stat().st_mode & 0o7777 for name in ("su", "closed", "folder")}
    assert modes == {"su": 0o755, "closed": 0o400, "folder": 0o777}
    assert (root / "old").stat().st_mtime == 1_000_000


def test_a_layer_without_the_end_of_a_tar_file_is_read(tmp_path: Path) -> None:
    """As umoci writes it."""
    whole = files({"first": "first", "last": "the last bytes"})
    cut = whole[: whole.index(b"the last bytes") + len(b"the last bytes")]
    assert tree(unpack(tmp_path, cut)) == {"first": "first", "last": "the last bytes"}


def sparse() -> bytes:
    """A file that announces a map of its holes without end."""
    info, content = member("sparse", b"1\n" * (2 << 20))
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    content = str(2 << 20).encode() + b"\n" + content
    info.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("layers", "tag"),
    [
        ([files({"../evil": ""})], "invalid-value"),
        ([files({"/etc/evil": ""})], "invalid-value"),
        ([files({"a/../../evil": ""})], "invalid-value"),
        ([files({"a/.wh...": ""})], "invalid-value"),
        ([files({"a/x": ""}), files({"a/.wh..": ""})], "invalid-value"),
        ([layer(member("null", b"", tarfile.CHRTYPE, devmajor=1, devminor=3))], "invalid-value"),
        ([layer(member("disk", b"", tarfile.BLKTYPE))], "invalid-value"),
        ([layer(member("pipe", b"", tarfile.FIFOTYPE))], "invalid-value"),
        ([layer(member("hard", b"", HARDLINK, linkname="/etc/passwd"))], "invalid-value"),
        ([layer(member("hard", b"", HARDLINK, linkname="../../etc/passwd"))], "invalid-value"),
        ([layer(member("hard", b"", HARDLINK, linkname="nothing"))], "invalid-value"),
        (
            [layer(member("out", b"", SYMLINK, linkname="/etc"), member("h", b"", HARDLINK, linkname="out/passwd"))],
            "invalid-value",
        ),
        (
            [layer(member("l", b"", SYMLINK, linkname="l"), member("l/x", b""))],
            "invalid-value",
        ),
        ([files({"file": "", "file/below": ""})], "invalid-value"),
        ([files({"/".join("d" * 200): ""})], "invalid-value"),
        ([files({"x" * 300: ""})], "operation-failed"),
        ([files({"n" * (2 << 20): ""})], "invalid-value"),
        ([sparse()], "invalid-value"),
        ([files({"big": b"\0" * (2 << 20)})], "too-big"),
        ([files({"big": b"\0" * (600 << 10)})] * 2, "too-big"),
        (
            [layer(member("a", b"\0" * (300 << 10)), *(member(f"{n}", b"", HARDLINK, linkname="a") for n in range(9)))],
            "too-big",
        ),
    ],
)
def test_hostile_layers_write_nothing(tmp_path: Path, layers: list[bytes], tag: str) -> None:
    limit = 16 << 20 if tag != "too-big" else LIMIT
    with pytest.raises(RpcError) as refused:
        unpack(tmp_path, *layers, limit=limit)
    assert (refused.value.tag, "\n" in refused.value.message) == (tag, False), refused.value.message
    assert os.listdir(tmp_path) == ["image"]
    assert os.stat("/etc/passwd").st_nlink == 1


def test_what_counts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "ENTRIES", 20)
    assert len(tree(unpack(tmp_path, files({f"f{n}": "" for n in range(20)})))) == 20
    for names in ([f"f{n}" for n in range(21)], ["/".join("abcdefghijklmnopqrstuvw")]):
        (tmp_path / str(len(names))).mkdir()
        with pytest.raises(RpcError) as refused:
            unpack(tmp_path / str(len(names)), files(dict.fromkeys(names, "")))
        assert refused.value.tag == "too-big"


@pytest.mark.parametrize("damage", ["cut", "other", "rubbish"])
def test_a_damaged_layer_is_refused(tmp_path: Path, damage: str) -> None:
    layout = oci_images.Layout()
    plain = files({"hello": "hello" * 1000})
    stored = {"cut": b"\x1f\x8b\x08", "other": b"", "rubbish": b"no gzip"}[damage]
    kind = oci_images.LAYER.removesuffix("+gzip") if damage == "other" else oci_images.LAYER
    wishes: dict[str, Any] = {"os": "linux", "architecture": oci_images.ARCHITECTURE}
    config = layout.blob({**wishes, "rootfs": {"diff_ids": [oci_images.digest(plain)]}}, "config")
    made = layout.blob({"config": config, "layers": [layout.blob(stored, kind)]}, oci_images.MANIFEST)
    with archive.opened(layout.write(tmp_path / "image", made)) as opened, pytest.raises(RpcError) as refused:
        rootfs.unpack(opened, opened.image(), tmp_path / "root", LIMIT)
    assert refused.value.tag == "invalid-value"
    assert os.listdir(tmp_path) == ["image"]
