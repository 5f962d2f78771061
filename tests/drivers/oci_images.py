"""OCI images made on the spot, without a registry: this Python and what it loads, and files over it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: What the applications of the tests import.
MODULES = "encodings.idna, functools, html, http.server, json, os, signal, socket, subprocess, threading, time, ctypes"
#: MiB that an image with all this has room in.
STORAGE = 128
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST, LAYER = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """One member; `more` are attributes of its TarInfo."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = len(content), kind, 0o755
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info, content


def files(contents: Mapping[str, str | bytes]) -> bytes:
    """A layer of files."""
    return layer(*(member(name, text.encode() if isinstance(text, str) else text) for name, text in contents.items()))


@functools.cache
def compressed(content: bytes) -> bytes:
    """A layer as it is stored."""
    return gzip.compress(content, 1, mtime=0)


@functools.cache
def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Layout:
    """An image layout in the making: blobs by digest, and the index."""

    def __init__(self) -> None:
        self.members: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(self, content: bytes | Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Keep a blob; its descriptor."""
        stored = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.members[f"blobs/sha256/{digest(stored).removeprefix('sha256:')}"] = stored
        return {"mediaType": kind, "digest": digest(stored), "size": len(stored)}

    def manifest(
        self, layers: Sequence[bytes], wishes: Mapping[str, Any] | None = None, architecture: str = ARCHITECTURE
    ) -> dict[str, Any]:
        """Keep an image; the descriptor of its manifest."""
        config = {
            "os": "linux",
            "architecture": architecture,
            "config": dict(wishes or {}),
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
        }
        return self.blob(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
                "layers": [self.blob(compressed(each), LAYER) for each in layers],
            },
            MANIFEST,
        )

    def write(self, file: Path, *manifests: Mapping[str, Any]) -> Path:
        """The archive."""
        self.members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        file.write_bytes(files(self.members))
        return file


def build(file: Path, *layers: bytes, **wishes: Any) -> Path:
    """An archive of an image with these layers and wishes (the members of its configuration's ``config``)."""
    layout = Layout()
    return layout.write(file, layout.manifest(layers, wishes))


@functools.cache
def console() -> bytes:
    """An archive of an image with this interpreter, which runs whatever it is given as ``python3 -c``."""
    with tempfile.TemporaryDirectory() as folder:
        return build(Path(folder, "image"), python(), files({"app/.keep": ""}), WorkingDir="/app").read_bytes()


def _said(*words: str) -> list[str]:
    """The words that a program prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


@functools.cache
def python() -> bytes:
    """A layer with this interpreter, the modules above and the libraries of both, where they are here."""
    program = str(Path(sys.executable).resolve())
    ask = f"import sys, {MODULES}\nfor each in list(sys.modules.values()): print(getattr(each, '__file__', ''))"
    modules = [each for each in _said(program, "-I", "-S", "-c", ask) if each.startswith("/")]
    binary = [program, *(each for each in modules if ".so" in each)]
    libraries = {each for each in _said("ldd", *binary) if each.startswith("/") and not each.endswith(":")}
    # The C library loads it when a thread is cut short, as at the interpreter's end, and aborts without.
    libraries |= set(map(str, Path("/lib").glob("*-linux-gnu/libgcc_s.so.1")))
    contents = {each.lstrip("/"): Path(each).read_bytes() for each in {*binary, *modules, *libraries}}
    link = member("usr/local/bin/python3", b"", tarfile.SYMTYPE, linkname=program)
    return layer(*(member(name, content) for name, content in sorted(contents.items())), link)
