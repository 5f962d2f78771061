"""Reading OCI archives: what is chosen of them, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.oci import archive
from nms.oci.archive import Image
from tests.drivers.oci_images import ARCHITECTURE, INDEX, LAYER, MANIFEST, Layout, build, files, layer, member

HELLO = files({"hello": "hello"})


def read(file: Path) -> Image:
    with archive.opened(file) as opened:
        opened.check()
        return opened.image()


def refused(file: Path) -> RpcError:
    with pytest.raises(RpcError) as error:
        read(file)
    assert "\n" not in error.value.message
    return error.value


def test_an_image_says_how_it_is_run(tmp_path: Path) -> None:
    wishes = {
        "Entrypoint": ["serve"],
        "Cmd": ["--port", "80"],
        "Env": ["PATH=/opt/bin", "EMPTY=", "A=b=c"],
        "WorkingDir": "/srv",
        "StopSignal": "SIGQUIT",
        "User": "www-data",
    }
    image = read(build(tmp_path / "image", HELLO, layer(), **wishes))
    assert image.command == ("serve", "--port", "80")
    assert image.environment == {"PATH": "/opt/bin", "EMPTY": "", "A": "b=c"}
    assert (image.folder, image.signal) == ("/srv", signal.SIGQUIT)
    assert [each.content for each in image.layers] == [hashlib.sha256(each).hexdigest() for each in (HELLO, layer())]
    assert Image.parse(image.text()) == image
    silent = read(build(tmp_path / "silent", HELLO))
    assert (silent.command, silent.environment, silent.folder, silent.signal) == ((), {}, "/", signal.SIGTERM)
    for wish, number in (("9", 9), ("SIGNONE", 15), ("0", 15), (9, 15)):
        assert read(build(tmp_path / "signal", HELLO, StopSignal=wish)).signal == number


def test_of_several_platforms_this_machines_is_taken(tmp_path: Path) -> None:
    layout = Layout()
    ours = layout.manifest([HELLO])
    other = layout.manifest([layer()], architecture="mips")
    here, there = ({"os": "linux", "architecture": name} for name in (ARCHITECTURE, "mips"))
    unknown = {**other, "platform": {"os": "unknown", "architecture": "unknown"}}
    index = {"manifests": [{**ours, "platform": here}, {**other, "platform": there}, unknown]}
    file = layout.write(tmp_path / "image", layout.blob(index, INDEX))
    assert f"sha256:{read(file).digest}" == ours["digest"]
    # Where the index does not say, the image's configuration does.
    assert f"sha256:{read(layout.write(tmp_path / 'image', other, ours)).digest}" == ours["digest"]
    assert f"sha256:{read(layout.write(tmp_path / 'image', ours, ours)).digest}" == ours["digest"]
    missing = refused(layout.write(tmp_path / "image", other))
    assert (missing.tag, ARCHITECTURE in missing.message) == ("data-missing", True)
    two = refused(layout.write(tmp_path / "image", ours, layout.manifest([layer()])))
    assert (two.tag, "2 images" in two.message) == ("invalid-value", True)


def tampered(change: Callable[[Layout, dict[str, Any]], object]) -> Callable[[Path], Path]:
    """An archive whose layout, or the descriptor of its manifest, was changed after the digests were made."""

    def make(folder: Path) -> Path:
        layout = Layout()
        manifest = layout.manifest([HELLO])
        change(layout, manifest)
        return layout.write(folder / "image", manifest)

    return make


def blob_of(layout: Layout, kind: bytes) -> str:
    return next(name for name, content in layout.members.items() if name.startswith("blobs/") and kind in content)


def remade(**changes: Any) -> Callable[[Path], Path]:
    """An archive with another manifest, its digest right."""

    def make(folder: Path) -> Path:
        layout = Layout()
        made = layout.manifest([HELLO])
        content = json.loads(layout.members[f"blobs/sha256/{made['digest'].removeprefix('sha256:')}"])
        return layout.write(folder / "image", layout.blob({**content, **changes}, MANIFEST))

    return make


@pytest.mark.parametrize(
    ("make", "tag", "says"),
    [
        (lambda folder: folder / "nowhere", "data-missing", "does not exist"),
        (tampered(lambda layout, _: layout.members.pop(blob_of(layout, b'"layers"'))), "data-missing", "lacks blobs"),
        (
            tampered(lambda layout, _: layout.members.update({blob_of(layout, b'"config"'): b"{}"})),
            "invalid-value",
            "another digest or size",
        ),
        (
            tampered(lambda layout, _: layout.members.update({blob_of(layout, b"\x1f\x8b"): gzip.compress(b"evil")})),
            "invalid-value",
            "another digest or size",
        ),
        (tampered(lambda _, manifest: manifest.update(size=3)), "invalid-value", "another digest or size"),
        (tampered(lambda _, manifest: manifest.update(size=1 << 40)), "too-big", "too large"),
        (tampered(lambda _, manifest: manifest.update(digest="sha256:../../x")), "invalid-value", "SHA-256"),
        (tampered(lambda _, manifest: manifest.pop("mediaType")), "data-missing", "is not there for"),
        (remade(layers=[]), "invalid-value", "not those that it says"),
        (remade(layers="all"), "invalid-value", "no list of layers"),
        (remade(config=None), "invalid-value", "SHA-256"),
        (
            remade(layers=[{"mediaType": LAYER.replace("gzip", "zstd"), "digest": "sha256:" + "0" * 64, "size": 1}]),
            "operation-not-supported",
            "plain tar and tar+gzip",
        ),
        (
            remade(layers=[{"mediaType": ["a\nb"], "digest": "sha256:" + "0" * 64, "size": 1}]),
            "operation-not-supported",
            "plain tar and tar+gzip",
        ),
        (tampered(lambda _, manifest: manifest.update(size=-1)), "invalid-value", "SHA-256"),
    ],
)
def test_what_is_not_what_it_says_is_refused(tmp_path: Path, make: Callable[[Path], Path], tag: str, says: str) -> None:
    error = refused(make(tmp_path))
    assert (error.tag, says in error.message) == (tag, True), error.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"neither",
        gzip.compress(files({"index.json": "{}"})),
        files({"hello": "hello"}),
        files({"index.json": "["}),
        files({"index.json": "[]"}),
        files({"index.json": "[" * 100_000}),
        files({"index.json": '{"manifests": [1]}'}),
        layer(member("index.json", b"", tarfile.SYMTYPE, linkname="/etc/passwd")),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    assert refused(tmp_path / "image").tag == "invalid-value"


def test_an_index_that_names_the_same_thing_without_end_costs_little(tmp_path: Path) -> None:
    layout = Layout()
    again = {"manifests": [layout.manifest([HELLO])] * 20_000}
    error = refused(layout.write(tmp_path / "image", *[layout.blob(again, INDEX)] * 1000))
    assert (error.tag, "too large" in error.message) == ("too-big", True), error.message


@pytest.mark.parametrize(
    "wishes",
    [
        {"Env": "PATH=/bin"},
        {"Cmd": [1]},
        {"Entrypoint": ["a\0b"]},
        {"WorkingDir": "srv"},
        {"WorkingDir": ["/"]},
    ],
)
def test_malformed_wishes_are_refused(tmp_path: Path, wishes: dict[str, Any]) -> None:
    assert refused(build(tmp_path / "image", HELLO, **wishes)).tag == "invalid-value"
