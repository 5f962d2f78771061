"""The content-addressed store: complete or absent, resumable, never fooled."""

import hashlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.mec.package_store import PackageStore

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def refused(tag: str) -> "pytest.RaisesExc[RpcError]":
    return pytest.raises(RpcError, check=lambda error: error.tag == tag and "\n" not in error.message)


def test_a_download_appears_only_when_it_is_whole_and_checked(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "s")
    assert store.begin(DIGEST, len(CONTENT)) == 0
    assert store.append(DIGEST, 0, CONTENT[:100]) == 100
    assert DIGEST not in store
    assert store.digests() == []
    with refused("data-missing"):
        store.path(DIGEST)
    with refused("data-missing"):
        store.finish(DIGEST)
    assert store.append(DIGEST, 100, CONTENT[100:]) == len(CONTENT)
    assert store.finish(DIGEST) == store.path(DIGEST)
    assert store.path(DIGEST).read_bytes() == CONTENT
    assert store.digests() == [DIGEST]
    assert os.listdir(tmp_path / "s") == [DIGEST]
    assert store.begin(DIGEST, len(CONTENT)) == len(CONTENT)
    assert store.finish(DIGEST).is_file()
    store.remove(DIGEST)
    store.remove(DIGEST)
    assert os.listdir(tmp_path / "s") == []


def test_a_download_is_resumed_after_a_restart(tmp_path: Path) -> None:
    first = PackageStore(tmp_path)
    first.begin(DIGEST, len(CONTENT))
    first.append(DIGEST, 0, CONTENT[:5000])
    second = PackageStore(tmp_path)
    with refused("data-missing"):
        second.append(DIGEST, 5000, b"x")
    assert second.begin(DIGEST, len(CONTENT)) == 5000
    second.append(DIGEST, 5000, CONTENT[5000:])
    assert second.finish(DIGEST).read_bytes() == CONTENT


def test_a_wrong_content_is_thrown_away(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    store.begin(DIGEST, len(CONTENT))
    store.append(DIGEST, 0, CONTENT[:-1] + b"!")
    with refused("invalid-value"):
        store.finish(DIGEST)
    assert os.listdir(tmp_path) == []
    assert store.begin(DIGEST, len(CONTENT)) == 0  # and it can be fetched anew


def test_offsets_and_sizes_are_held_to(tmp_path: Path) -> None:
    store = PackageStore(tmp_path, max_size=20_000)
    with refused("too-big"):
        store.begin(DIGEST, 20_001)
    with refused("data-missing"):
        store.append(DIGEST, 0, b"x")
    with refused("data-missing"):
        store.finish(DIGEST)
    store.begin(DIGEST, 10)
    store.append(DIGEST, 0, b"12345")
    for offset in (0, 4, 6, -1):
        with refused("invalid-value"):
            store.append(DIGEST, offset, b"x")
    with refused("too-big"):
        store.append(DIGEST, 5, b"123456")
    assert store.begin(DIGEST, 10) == 5
    assert store.begin(DIGEST, 3) == 0  # what is there cannot be a part of it
    with refused("too-big"):
        store.add(io.BytesIO(b"x" * 20_001))
    assert os.listdir(tmp_path) == [f"{DIGEST}.part"]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, DIGEST + "\n", "ä" * 64])
def test_only_digests_name_contents(tmp_path: Path, name: str) -> None:
    store = PackageStore(tmp_path)
    assert name not in store
    for call in (store.path, store.finish, store.remove, lambda digest: store.begin(digest, 1)):
        with refused("invalid-value"):
            call(name)


def test_a_content_at_hand_is_added_once(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    assert store.add(io.BytesIO(CONTENT)) == DIGEST == store.add(io.BytesIO(CONTENT))
    assert store.begin(DIGEST, len(CONTENT)) == len(CONTENT)
    with refused("invalid-value"):
        store.begin(DIGEST, 3)
    assert os.listdir(tmp_path) == [DIGEST]


def test_what_a_crash_left_is_cleared_but_downloads_are_kept(tmp_path: Path) -> None:
    (tmp_path / "add-00.part").write_text("half")
    (tmp_path / f"{DIGEST}.part").write_bytes(CONTENT[:10])
    assert PackageStore(tmp_path).begin(DIGEST, len(CONTENT)) == 10
    assert os.listdir(tmp_path) == [f"{DIGEST}.part"]


def test_a_store_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refused("operation-failed"):
        PackageStore(tmp_path / "file")


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_cut_gives_the_content_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    root, content = tmp_path_factory.mktemp("store"), b"".join(pieces)
    digest = hashlib.sha256(content).hexdigest()
    for piece in pieces:
        store = PackageStore(root)  # a restart before each piece
        store.append(digest, store.begin(digest, len(content)), piece)
    store = PackageStore(root)
    store.begin(digest, len(content))
    assert store.finish(digest).read_bytes() == content
