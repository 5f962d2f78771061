"""Application packages: a CSAR zip file with metadata, manifest, descriptor and image (ETSI GS MEC 010-2, NFV-SOL 004).

``TOSCA-Metadata/TOSCA.meta`` names descriptor and manifest; the manifest (``.mf``) holds a SHA-256 digest of every
file; a detached signature (``.mf.sig``) with the signer's certificate or public key (``.cert``) covers the manifest,
and through it everything.  The descriptor is a JSON instance of the YANG module mec-app-descriptor; of its leafs
only those that identify the application and its image are known here, the rest is for the caller's `validate`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nms.errors import RpcError
from nms.mec import package_image, package_signature
from nms.mec.package_archive import Archive, Limits, sound_name

META = "TOSCA-Metadata/TOSCA.meta"
DESCRIPTOR = "descriptor.json"
TOP = "mec-app-descriptor:app-descriptor"
#: Packages carry no time, so that the same input makes the same bytes; this is the first that zip can tell.
EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20

Validate = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Image:
    """The software image in a package: its `path` there, SHA-256 `digest` and `size` in bytes."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """A package that was found sound.

    Attributes:
        digest: SHA-256 of the whole file, its identity.
        size: of the whole file, in bytes.
        descriptor: the JSON document, with its top member ``mec-app-descriptor:app-descriptor``.
        files: path in the package to SHA-256, as the manifest has it.
        signed_by: name of the trusted signer; empty: unsigned, or signed by a key that is not trusted.
    """

    digest: str
    size: int
    id: str
    name: str
    provider: str
    version: str
    image: Image
    descriptor: Mapping[str, Any]
    files: Mapping[str, str]
    signed_by: str = ""


# -- reading


def verify(
    path: Path,
    trusted_keys: Iterable[bytes] = (),
    *,
    allow_unsigned: bool = False,
    limits: Limits | None = None,
    validate: Validate | None = None,
) -> PackageInfo:
    """Check a package from end to end.

    Args:
        path: the file.
        trusted_keys: PEM public keys or certificates whose signature counts.
        allow_unsigned: accept a package without a trusted signature; one that does not match is refused all the same.
        limits: how large a package may be; default `Limits()`.
        validate: called with the descriptor document; raises `RpcError` where YANG says no.

    Raises:
        RpcError: data-missing (a part is not there), invalid-value (damaged, hostile or contradicting itself), too-big,
            access-denied (no trusted signature).
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, os.SEEK_END)
            with closing(Archive(file, limits or Limits())) as archive:
                return _inspect(archive, digest, size, list(trusted_keys), allow_unsigned, validate)
    except OSError as error:
        raise RpcError("data-missing", f"package {path} cannot be read: {error.strerror}") from error


def extract(path: Path, info: PackageInfo, name: str, out: BinaryIO) -> None:
    """Copy a file of a verified package to `out`.

    Raises `RpcError`: data-missing, invalid-value (the package is no longer what was verified).
    """
    # Found harmless by `verify`, whatever limits that had; the digest tells whether it still is what that saw.
    lenient = Limits(info.size, total=1 << 62, ratio=1 << 40)
    with path.open("rb") as file, closing(Archive(file, lenient)) as archive:
        digest = hashlib.sha256()
        for chunk in archive.chunks(name):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != info.files.get(name):
        raise RpcError("invalid-value", f"{name} of package {path} has changed since it was verified")


def _inspect(
    archive: Archive, digest: str, size: int, keys: list[bytes], allow_unsigned: bool, validate: Validate | None
) -> PackageInfo:
    meta = _pairs(META, archive.read(META))
    manifest_name, descriptor_name = _member(meta, "ETSI-Entry-Manifest"), _member(meta, "Entry-Definitions")
    certificate_name = meta.get("ETSI-Entry-Certificate", manifest_name.removesuffix(".mf") + ".cert")
    signature_name = manifest_name + ".sig"
    manifest = archive.read(manifest_name)
    files = parse_manifest(manifest)

    # The manifest cannot vouch for itself, nor for what vouches for it.
    present = set(archive.names) - {manifest_name, signature_name, certificate_name}
    if missing := sorted(files.keys() - present):
        raise RpcError("data-missing", f"the manifest lists {missing[0]}, which the package does not hold")
    if extra := sorted(present - files.keys()):
        raise RpcError("invalid-value", f"the package holds {extra[0]}, which the manifest does not list")
    signed_by = ""
    if signature_name in archive.names:
        by = package_signature.check(manifest, archive.read(signature_name), archive.read(certificate_name))
        if package_signature.trusted(by, keys):
            signed_by = by.name
        elif not allow_unsigned:
            raise RpcError("access-denied", f"the package is signed by {by.name}, which is not trusted here")
    elif not allow_unsigned:
        raise RpcError("access-denied", "the package is not signed")
    for name, expected in files.items():
        if archive.digest(name) != expected:
            raise RpcError("invalid-value", f"{name} in the package does not have the digest that the manifest says")

    document = _document(archive.read(descriptor_name))
    if validate is not None:
        validate(document)
    descriptor = document[TOP]
    image = _image(descriptor)
    path = _text(image, "name", "sw-image")
    if path not in files:
        raise RpcError("data-missing", f"the descriptor's image {path} is not in the package")
    checksum = image.get("checksum")
    stated = checksum.get("value") if isinstance(checksum, dict) else None
    if stated != files[path]:
        raise RpcError("invalid-value", f"image {path} does not have the checksum that the descriptor says")
    if str(image.get("size", archive.size(path))) != str(archive.size(path)):
        raise RpcError("invalid-value", f"image {path} does not have the size that the descriptor says")
    return PackageInfo(
        digest,
        size,
        id=_text(descriptor, "id"),
        name=_text(descriptor, "name"),
        provider=_text(descriptor, "provider"),
        version=_text(descriptor, "software-version"),
        image=Image(path, files[path], archive.size(path)),
        descriptor=document,
        files=files,
        signed_by=signed_by,
    )


def parse_manifest(content: bytes) -> dict[str, str]:
    """File name to SHA-256 of a manifest (SOL 004, clause 4.3.2).  Raises `RpcError`: invalid-value."""
    files: dict[str, str] = {}
    source = algorithm = ""
    for key, value in _lines("the manifest", content):
        if key == "Source":
            source, algorithm = value, ""
        elif key == "Algorithm":
            algorithm = value
        elif key == "Hash":
            if not source or algorithm != "SHA-256":
                raise RpcError("invalid-value", f"the manifest gives {source or 'a file'} no SHA-256 digest")
            if source in files or not sound_name(source):
                raise RpcError("invalid-value", f"the manifest lists {source!r} twice, or it is no acceptable path")
            files[source], source = value.lower(), ""
    if source:
        raise RpcError("invalid-value", f"the manifest gives {source} no digest")
    return files


def _lines(what: str, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RpcError("invalid-value", f"{what} is not in UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            key, colon, value = line.partition(":")
            if not colon:
                raise RpcError("invalid-value", f"line {number} of {what} is not 'name: value'")
            yield key.strip(), value.strip()


def _pairs(what: str, content: bytes) -> dict[str, str]:
    return dict(_lines(what, content))


def _member(meta: Mapping[str, str], key: str) -> str:
    if key not in meta:
        raise RpcError("data-missing", f"{META} does not name {key}")
    return meta[key]


def _document(content: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("a member is there twice")
        return members

    try:
        document = json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise RpcError("invalid-value", f"the descriptor is no JSON: {error}") from error
    if not isinstance(document, dict) or list(document) != [TOP] or not isinstance(document[TOP], dict):
        raise RpcError("invalid-value", f"the descriptor must be one object {TOP}")
    return document


def _image(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    image = descriptor.get("sw-image")
    if not isinstance(image, dict):
        raise RpcError("data-missing", "the descriptor names no sw-image")
    return image


def _text(members: Mapping[str, Any], leaf: str, inside: str = "") -> str:
    value = members.get(leaf)
    if not isinstance(value, str) or not value or "\n" in value:
        raise RpcError("data-missing", f"the descriptor has no {inside + '/' if inside else ''}{leaf}")
    return value


# -- building


def build(
    directory: Path,
    out: Path,
    key: bytes | None = None,
    certificate: bytes | None = None,
    *,
    validate: Validate | None = None,
) -> PackageInfo:
    """Make the package `out` of a folder with ``descriptor.json`` and the image.

    Every file of the folder is packed, hidden ones apart.  Where the descriptor's image ``x.tar`` is no file but there
    is a folder ``x``, the image is made of that folder: an archive of files, or of an OCI image layout.  Checksum and
    size of the image are written into the packed descriptor.  The same input makes the same bytes (with the same zlib).

    Args:
        directory: what to pack.
        out: the package; replaced only when everything went well.
        key: private key (PEM) to sign with; None: unsigned.
        certificate: of that key (PEM), to go beside the signature; None: the bare public key.
        validate: as for `verify`.

    Raises:
        RpcError: data-missing, invalid-value, operation-failed (cannot be written).
    """
    try:
        sources = _sources(directory)
        if DESCRIPTOR not in sources:
            raise RpcError("data-missing", f"there is no {DESCRIPTOR} in {directory}")
        document = _document(sources.pop(DESCRIPTOR).read_bytes())
        name = _text(document[TOP], "name")
        if not sound_name(name) or "/" in name:
            raise RpcError("invalid-value", f"the application's name {name!r} cannot be a file name")
        with tempfile.TemporaryFile() as made, tempfile.TemporaryDirectory(dir=out.parent) as folder:
            contents: dict[str, bytes | Path | BinaryIO] = {**sources}
            image = _image(document[TOP])
            path = _text(image, "name", "sw-image")
            if path not in contents:
                package_image.pack(path, contents, made)
            with _reading(contents[path]) as stream:
                package_image.check(image.get("format"), stream)
            digest, size = _measure(contents[path])
            image["checksum"], image["size"] = {"algorithm": "sha-256", "value": digest}, str(size)
            contents[DESCRIPTOR] = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
            _describe(name, document[TOP], contents, key, certificate)
            partial = Path(folder, "package")
            _write_zip(partial, contents)
            trusted = [package_signature.public_key(key)] if key else []
            info = verify(partial, trusted, allow_unsigned=key is None, validate=validate)
            partial.rename(out)
            return info
    except OSError as error:
        raise RpcError("operation-failed", f"package {out} cannot be built: {error}") from error


def _sources(directory: Path) -> dict[str, Path]:
    """Every file to pack by its path in the package."""
    sources = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if any(part.startswith(".") or part == "__pycache__" for part in name.split("/")):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RpcError("invalid-value", f"{path} is neither a file nor a folder and cannot be packed")
        if path.is_file():
            sources[name] = path
    return sources


def _describe(
    name: str,
    descriptor: Mapping[str, Any],
    contents: dict[str, bytes | Path | BinaryIO],
    key: bytes | None,
    certificate: bytes | None,
) -> None:
    """Add metadata, manifest and signature."""
    manifest_name = f"{name}.mf"
    reserved = {META, manifest_name, f"{manifest_name}.sig", f"{name}.cert"}
    if taken := sorted(reserved & contents.keys()):
        raise RpcError("invalid-value", f"{taken[0]} is written by the build; remove it from the folder")
    meta = {
        "TOSCA-Meta-File-Version": "1.0",
        "CSAR-Version": "1.1",
        "Created-By": _text(descriptor, "provider"),
        "Entry-Definitions": DESCRIPTOR,
        "ETSI-Entry-Manifest": manifest_name,
        **({"ETSI-Entry-Certificate": f"{name}.cert"} if key else {}),
    }
    contents[META] = "".join(f"{key}: {value}\n" for key, value in meta.items()).encode()
    lines = [
        "metadata:",
        f"  app_product_name: {name}",
        f"  app_provider_id: {_text(descriptor, 'provider')}",
        f"  app_package_version: {_text(descriptor, 'software-version')}",
    ]
    for source in sorted(contents):
        lines += ["", f"Source: {source}", "Algorithm: SHA-256", f"Hash: {_measure(contents[source])[0]}"]
    manifest = ("\n".join(lines) + "\n").encode()
    contents[manifest_name] = manifest
    if key is not None:
        contents[f"{manifest_name}.sig"] = package_signature.sign(manifest, key)
        contents[f"{name}.cert"] = certificate or package_signature.public_key(key)


@contextmanager
def _reading(content: bytes | Path | BinaryIO) -> Iterator[BinaryIO]:
    """It, from its beginning."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield file
    else:
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        stream.seek(0)
        yield stream


def _measure(content: bytes | Path | BinaryIO) -> tuple[str, int]:
    """SHA-256 and size."""
    digest = hashlib.sha256()
    size = 0
    with _reading(content) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _write_zip(out: Path, contents: Mapping[str, bytes | Path | BinaryIO]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        # The metadata first, as SOL 004 readers expect; the rest by name.
        for name in sorted(contents, key=lambda each: (each != META, each)):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            entry.file_size = _measure(contents[name])[1]
            with _reading(contents[name]) as stream, archive.open(entry, "w") as target:
                while chunk := stream.read(_CHUNK):
                    target.write(chunk)
    with out.open("rb") as file:
        os.fsync(file.fileno())
