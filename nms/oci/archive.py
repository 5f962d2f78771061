"""An OCI image as it is handed over: an image layout in a tar archive (``oci-archive``; specification: image-layout).

``index.json`` names a manifest, the manifest a configuration and layers, each by its SHA-256 digest.  What other tools
write under the name of Docker in the same shape is read too.  Of an image for several platforms the one for this
machine is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import signal
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nms.errors import RpcError
from nms.oci.tar import TarReader

#: Most bytes of a document (the specification's advice) and of all that are read of an archive, members of an archive,
#: and layers of an image.
DOCUMENT, DOCUMENTS, MEMBERS, LAYERS = 4 << 20, 16 << 20, 2000, 127
#: What others call the machines that `platform.machine` names.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}
_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker.distribution.manifest."
_INDEXES = (f"{_OCI}index.v1+json", f"{_DOCKER}list.v2+json")
_MANIFESTS = (f"{_OCI}manifest.v1+json", f"{_DOCKER}v2+json")
#: Media type of a layer -> whether it is compressed by gzip.
_LAYERS = {
    f"{_OCI}layer.v1.tar": False,
    f"{_OCI}layer.v1.tar+gzip": True,
    "application/vnd.docker.image.rootfs.diff.tar": False,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": True,
}
_INDEX, _BLOBS = "index.json", "blobs/sha256/"
_NAME = re.compile(rf"(?:\./)?({re.escape(_INDEX)}|{_BLOBS}[0-9a-f]{{64}})")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: SHA-256 `digest` and `size` as it is in the archive, `content` the digest of the tar inside."""

    digest: str
    size: int
    content: str
    gzip: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An image, and how it wishes to be run.

    Attributes:
        digest: of its manifest, which names everything else by digest: its identity (64 hexadecimal digits).
        command: entry point and arguments; may be empty.
        environment: variables.
        folder: to start in, absolute.
        signal: number of the one by which it is asked to end.
    """

    digest: str
    layers: tuple[Layer, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    signal: int

    def text(self) -> str:
        """What `parse` reads back."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> Image:
        """Of what `text` gave."""
        members = json.loads(text)
        layers = tuple(Layer(**each) for each in members.pop("layers"))
        return Image(**{**members, "layers": layers, "command": tuple(members["command"])})


class OciArchive:
    """An archive.  Use `opened` or `reading`.

    Args:
        architecture: in the words of OCI (``amd64``); default: this machine's.
    """

    def __init__(self, file: BinaryIO, architecture: str = "") -> None:
        self._reader = TarReader(file, MEMBERS)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._left = DOCUMENTS
        for member in self._reader:
            if member.isfile() and (match := _NAME.fullmatch(member.name)):
                member.pax_headers = {}  # whatever else it says would be remembered
                self._members[match[1]] = member
        machine = platform.machine()
        self._architecture = architecture or _ARCHITECTURES.get(machine, machine)

    def image(self) -> Image:
        """The image for this machine.

        Raises:
            RpcError: data-missing (a part is not there, or there is no image for this machine), invalid-value (it is
                no OCI image, or contradicts itself), operation-not-supported (a kind of layer).
        """
        chosen = self._choose(self._index(), depth=2)
        if not chosen:
            raise RpcError("data-missing", f"the OCI image is not there for linux/{self._architecture}")
        if len(chosen) > 1:
            raise RpcError("invalid-value", f"the OCI archive holds {len(chosen)} images; make one of a single image")
        ((digest, manifest),) = chosen.items()
        config = self._blob(_descriptor(manifest.get("config")))
        return _image(digest, manifest, config)

    def _index(self) -> Mapping[str, Any]:
        member = self._members.get(_INDEX)
        if member is None:
            raise RpcError("invalid-value", f"the image is no OCI image layout: it has no {_INDEX}")
        self._allow(member.size)
        index = _document(_INDEX, b"".join(self._reader.content(member)))
        _objects(index, "manifests")
        return index

    def _choose(self, index: Mapping[str, Any], depth: int) -> dict[str, Mapping[str, Any]]:
        """Manifests for this machine by digest."""
        found: dict[str, Mapping[str, Any]] = {}
        for entry in _objects(index, "manifests"):
            kind, place = entry.get("mediaType"), entry.get("platform")
            if kind in _INDEXES and depth:
                found |= self._choose(self._blob(_descriptor(entry)), depth - 1)
            elif kind in _MANIFESTS and (place is None or self._ours(place)):
                digest, size = _descriptor(entry)
                manifest = self._blob((digest, size))
                if place is not None or self._ours(self._blob(_descriptor(manifest.get("config")))):
                    found[digest] = manifest
        return found

    def _ours(self, place: object) -> bool:
        return isinstance(place, dict) and (place.get("os"), place.get("architecture")) == ("linux", self._architecture)

    def check(self) -> None:
        """Whether it is sound, for whichever machines: there is an index, and every blob is what its name says.

        Raises `RpcError`: invalid-value, too-big.
        """
        self._index()
        for name, member in self._members.items():
            if name.startswith(_BLOBS):
                for _ in self.blob(name.removeprefix(_BLOBS), member.size):
                    pass

    def prove(self, image: Image) -> None:
        """Whether all that `image` consists of is here, and is what its digests say.

        Raises `RpcError`: data-missing, invalid-value.
        """
        for layer in image.layers:
            for _ in self.blob(layer.digest, layer.size):
                pass

    def blob(self, digest: str, size: int) -> Iterator[bytes]:
        """A content by its digest, in pieces; only with the end of it is it known to be right.

        Raises:
            RpcError: data-missing, invalid-value (digest or size differ).
        """
        name = _BLOBS + digest
        member = self._members.get(name)
        if member is None:
            raise RpcError("data-missing", f"the OCI image lacks {name}")
        hasher = hashlib.sha256()
        if member.size == size:
            for chunk in self._reader.content(member):
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != digest:
            raise RpcError("invalid-value", f"{name} of the OCI image has another digest or size")

    def _blob(self, descriptor: tuple[str, int]) -> Mapping[str, Any]:
        self._allow(descriptor[1])
        return _document(descriptor[0], b"".join(self.blob(*descriptor)))

    def _allow(self, size: int) -> None:
        self._left -= size
        if size > DOCUMENT or self._left < 0:
            raise RpcError("too-big", "the documents of the OCI image are too large")


@contextlib.contextmanager
def opened(path: Path, architecture: str = "") -> Iterator[OciArchive]:
    """An archive for reading.  Raises `RpcError`: data-missing (no such file), those of `reading`."""
    try:
        with path.open("rb") as file, reading(file, architecture) as archive:
            yield archive
    except FileNotFoundError as error:
        raise RpcError("data-missing", f"image {path} does not exist") from error


@contextlib.contextmanager
def reading(file: BinaryIO, architecture: str = "") -> Iterator[OciArchive]:
    """An archive out of an open file.  Raises `RpcError`: invalid-value (damaged, or no uncompressed tar), too-big."""
    try:
        yield OciArchive(file, architecture)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise RpcError("invalid-value", f"the OCI image is damaged, or no plain tar: {error}") from error


def _document(what: str, content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RpcError("invalid-value", f"{what} of the OCI image is no JSON") from error
    if not isinstance(found, dict):
        raise RpcError("invalid-value", f"{what} of the OCI image is no object")
    return found


def _objects(members: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = members.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise RpcError("invalid-value", f"the OCI image has no list of {name}")
    return found


def _descriptor(entry: object) -> tuple[str, int]:
    """SHA-256 and size (image specification, descriptor)."""
    digest, size = (entry.get("digest"), entry.get("size")) if isinstance(entry, dict) else (None, None)
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None or not isinstance(size, int) or size < 0:
        raise RpcError("invalid-value", "the OCI image names something without its size and SHA-256 digest")
    return match[1], size


def _image(digest: str, manifest: Mapping[str, Any], config: Mapping[str, Any]) -> Image:
    wishes, rootfs = config.get("config") or {}, config.get("rootfs") or {}
    if not isinstance(wishes, dict) or not isinstance(rootfs, dict):
        raise RpcError("invalid-value", "the configuration of the OCI image is malformed")
    layers, contents = _objects(manifest, "layers"), _texts(rootfs, "diff_ids")
    if len(layers) != len(contents) or len(layers) > LAYERS:
        raise RpcError("invalid-value", "the OCI image has too many layers, or not those that it says")
    variables = dict(each.partition("=")[::2] for each in _texts(wishes, "Env"))
    folder = wishes.get("WorkingDir") or "/"
    command = (*_texts(wishes, "Entrypoint"), *_texts(wishes, "Cmd"))
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise RpcError("invalid-value", f"the OCI image cannot start in {str(folder)[:80]!r}")
    if any("\0" in text for text in (folder, *command, *variables, *variables.values())):
        raise RpcError("invalid-value", "the configuration of the OCI image is malformed")
    made = tuple(_layer(layer, content) for layer, content in zip(layers, contents, strict=True))
    return Image(digest, made, command, variables, folder, _signal(wishes.get("StopSignal")))


def _layer(entry: Mapping[str, Any], content: str) -> Layer:
    kind = str(entry.get("mediaType"))
    if kind not in _LAYERS:
        said = f"a layer of the OCI image is {kind[:80]!r}; plain tar and tar+gzip are read"
        raise RpcError("operation-not-supported", said)
    match = _DIGEST.fullmatch(content)
    if match is None:
        raise RpcError("invalid-value", "a layer of the OCI image has no SHA-256 digest")
    digest, size = _descriptor(entry)
    return Layer(digest, size, match[1], _LAYERS[kind])


def _signal(wish: object) -> int:
    """Number of a signal given by name or number; SIGTERM where it is not said, or nothing that is known here."""
    with contextlib.suppress(KeyError, ValueError):
        if isinstance(wish, str):
            return int(signal.Signals(int(wish)) if wish.isascii() and wish.isdigit() else signal.Signals[wish])
    return int(signal.SIGTERM)


def _texts(members: Mapping[str, Any], name: str) -> list[str]:
    found = members.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise RpcError("invalid-value", f"{name} of the OCI image is malformed")
    return found
