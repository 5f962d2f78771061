"""Packages from outside: built, opened, signed, and every way in which one can be wrong."""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.mec.package import META, TOP, PackageInfo, build, extract, parse_manifest, verify
from nms.mec.package_archive import Limits
from nms.oci import archive as oci_archive
from tests.drivers import oci_images

SAMPLE = Path(__file__).parents[3] / "nms/mec/sample/hello-edge"


def refused(tag: str, says: str = "") -> "pytest.RaisesExc[RpcError]":
    return pytest.raises(
        RpcError, check=lambda error: error.tag == tag and says in error.message and "\n" not in error.message
    )


def pem(key: Any) -> bytes:
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(key.private_bytes(*encodings))


def public(key: Any) -> bytes:
    spki = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(*spki))


ED, EC = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "hello-edge"))


def entries(package: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repack(package: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return package


def sealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with digests in the manifest that fit again."""
    manifest = files["hello-edge.mf"].decode()
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        manifest = re.sub(rf"(Source: {re.escape(name)}\n.*\nHash: )[0-9a-f]*", rf"\g<1>{digest}", manifest)
    return {**files, "hello-edge.mf": manifest.encode()}


def test_the_sample_is_built_verified_and_unpacked(folder: Path, tmp_path: Path) -> None:
    (folder / ".hidden").write_text("not packed")
    (folder / "image/hello-edge/__pycache__").mkdir()
    (folder / "image/hello-edge/__pycache__/app.pyc").write_text("not packed")
    out = tmp_path / "hello.csar"
    info = build(folder, out)
    assert info == verify(out, allow_unsigned=True)
    assert (info.id, info.name, info.provider, info.version) == ("hello-edge-1.0", "hello-edge", "mec-nms", "1.0")
    assert info.digest == hashlib.sha256(out.read_bytes()).hexdigest()
    assert info.size == out.stat().st_size
    assert info.signed_by == ""
    files = entries(out)
    assert list(files) == [META, "descriptor.json", "hello-edge.mf", "image/hello-edge.tar"]
    assert set(info.files) == set(files) - {"hello-edge.mf"}
    assert info.files == {name: hashlib.sha256(files[name]).hexdigest() for name in info.files}
    sink = io.BytesIO()
    extract(out, info, info.image.path, sink)
    assert hashlib.sha256(sink.getvalue()).hexdigest() == info.image.digest
    assert len(sink.getvalue()) == info.image.size
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        assert tar.getnames() == ["app.py"]
    image = info.descriptor[TOP]["sw-image"]
    assert image["checksum"] == {"algorithm": "sha-256", "value": info.image.digest}
    assert image["size"] == str(info.image.size)


@pytest.mark.parametrize("key", [None, ED, EC], ids=["unsigned", "ed25519", "ecdsa"])
def test_the_same_input_makes_the_same_bytes(folder: Path, tmp_path: Path, key: Any) -> None:
    secret = None if key is None else pem(key)
    build(folder, tmp_path / "a", secret)
    other = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    build(other, tmp_path / "b", secret)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("key", [ED, EC], ids=["ed25519", "ecdsa"])
def test_a_signature_counts_when_its_key_is_trusted(folder: Path, tmp_path: Path, key: Any) -> None:
    out = tmp_path / "p"
    info = build(folder, out, pem(key))
    fingerprint = hashlib.sha256(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()
    assert info.signed_by == f"sha-256:{fingerprint}"
    stranger = public(ed25519.Ed25519PrivateKey.generate())
    assert verify(out, [stranger, public(key)]) == info
    with refused("access-denied", "which is not trusted here"):
        verify(out, [stranger])
    assert verify(out, [stranger], allow_unsigned=True).signed_by == ""


def test_a_certificate_names_the_signer(folder: Path, tmp_path: Path) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Edge Apps")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, EC.public_key(), 1, start, start + timedelta(days=1))
    certificate = builder.sign(EC, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert build(folder, tmp_path / "p", pem(EC), certificate).signed_by == "CN=Edge Apps"
    assert verify(tmp_path / "p", [certificate]).signed_by == "CN=Edge Apps"
    with refused("invalid-value", "does not match"):
        build(folder, tmp_path / "q", pem(ED), certificate)
    assert not (tmp_path / "q").exists()


def test_an_unsigned_package_is_refused_unless_allowed(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "p")
    with refused("access-denied", "not signed"):
        verify(tmp_path / "p", [public(ED)])


def test_a_signature_covers_every_file(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "p", pem(ED))
    files = entries(tmp_path / "p")
    keys = [public(ED)]
    for name in files.keys() - {"hello-edge.cert"}:  # around its key, that file may hold any text
        changed = {**files, name: files[name] + b"\n# x: y\n"}
        for variant in (changed, sealed(changed)):
            with pytest.raises(RpcError) as error:
                verify(repack(tmp_path / "q", variant), keys)
            assert error.value.tag in ("invalid-value", "access-denied"), name
    # A stranger's own key beside a stranger's own signature
    build(folder, tmp_path / "r", pem(EC))
    with refused("access-denied"):
        verify(tmp_path / "r", keys)
    # Signature taken away, certificate taken away
    with refused("invalid-value", "does not list"):
        verify(repack(tmp_path / "q", {**files, "extra": b""}), keys)
    with refused("access-denied", "not signed"):
        verify(repack(tmp_path / "q", {n: c for n, c in files.items() if n != "hello-edge.mf.sig"}), keys)
    with refused("data-missing"):
        verify(repack(tmp_path / "q", {n: c for n, c in files.items() if n != "hello-edge.cert"}), keys)


def changed(leaf: str, value: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        document = json.loads(files["descriptor.json"])
        *parents, last = leaf.split("/")
        target = document[TOP]
        for parent in parents:
            target = target[parent]
        target.pop(last) if value is None else target.__setitem__(last, value)
        return sealed({**files, "descriptor.json": json.dumps(document).encode()})

    return change


def with_file(name: str, content: bytes | None, seal: bool = True) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        kept = {each: old for each, old in files.items() if each != name}
        result = kept if content is None else {**kept, name: content}
        return sealed(result) if seal and "hello-edge.mf" in result else result

    return change


@pytest.mark.parametrize(
    ("change", "tag", "says"),
    [
        (with_file(META, None), "data-missing", "no file TOSCA-Metadata/TOSCA.meta"),
        (with_file(META, b""), "data-missing", "does not name ETSI-Entry-Manifest"),
        (with_file(META, b"\xff"), "invalid-value", "not in UTF-8"),
        (with_file(META, b"hello"), "invalid-value", "line 1 of TOSCA-Metadata/TOSCA.meta"),
        (with_file("hello-edge.mf", None), "data-missing", "no file hello-edge.mf"),
        (with_file("hello-edge.mf", b"Source: a\nHash: 00\n"), "invalid-value", "gives a no SHA-256 digest"),
        (with_file("hello-edge.mf", b"Source: a\n"), "invalid-value", "gives a no digest"),
        (with_file("hello-edge.mf", b"Source: ../a\nAlgorithm: SHA-256\nHash: 0\n"), "invalid-value", "'../a'"),
        (with_file("image/hello-edge.tar", None), "data-missing", "lists image/hello-edge.tar"),
        (with_file("image/hello-edge.tar", b"x", seal=False), "invalid-value", "does not have the digest"),
        (with_file("image/hello-edge.tar", b"x"), "invalid-value", "does not have the checksum"),
        (with_file("more.txt", b"x"), "invalid-value", "holds more.txt, which the manifest does not list"),
        (with_file("descriptor.json", b"{"), "invalid-value", "is no JSON"),
        (with_file("descriptor.json", b"[" * 100_000), "invalid-value", "is no JSON"),
        (with_file("descriptor.json", b'{"a": 1, "a": 2}'), "invalid-value", "there twice"),
        (with_file("descriptor.json", b"[]"), "invalid-value", "must be one object"),
        (with_file("descriptor.json", b" " * (2 << 20)), "too-big", ""),
        (changed("id", None), "data-missing", "no id"),
        (changed("name", 7), "data-missing", "no name"),
        (changed("provider", ""), "data-missing", "no provider"),
        (changed("software-version", []), "data-missing", "no software-version"),
        (changed("sw-image", None), "data-missing", "no sw-image"),
        (changed("sw-image/name", "elsewhere.tar"), "data-missing", "image elsewhere.tar is not in the package"),
        (changed("sw-image/checksum", None), "invalid-value", "checksum"),
        (changed("sw-image/size", "1"), "invalid-value", "does not have the size"),
    ],
)
def test_a_wrong_package_is_refused_in_one_sentence(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], tag: str, says: str
) -> None:
    build(folder, tmp_path / "p")
    repack(tmp_path / "p", change(entries(tmp_path / "p")))
    with refused(tag, says):
        verify(tmp_path / "p", allow_unsigned=True)


def crafted(name: str, mode: int = 0o100644, content: bytes = b"x", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("n" * len(name.encode()))
        entry.external_attr, entry.compress_type = mode << 16, method
        archive.writestr(entry, content)
    return buffer.getvalue().replace(b"n" * len(name.encode()), name.encode())


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        (b"", "invalid-value"),
        (b"PK\5\6", "invalid-value"),
        (b"no zip at all", "invalid-value"),
        (crafted("../../evil"), "invalid-value"),
        (crafted("/etc/passwd"), "invalid-value"),
        (crafted("a/../../b"), "invalid-value"),
        (crafted("a//b"), "invalid-value"),
        (crafted("./a"), "invalid-value"),
        (crafted("C:\\windows"), "invalid-value"),
        (crafted("a\\..\\b"), "invalid-value"),
        (crafted("a\0.txt"), "invalid-value"),
        (crafted("a\nb"), "invalid-value"),
        (crafted("/".join("a" * 40)), "invalid-value"),
        (crafted("x" * 300), "invalid-value"),
        (crafted("link", 0o120777), "invalid-value"),
        (crafted("device", 0o020666), "invalid-value"),
        (crafted("lzma", method=zipfile.ZIP_LZMA), "invalid-value"),
        (crafted("bomb", content=b"\0" * 2_000_000), "too-big"),
        (crafted("large", content=os.urandom(60_000)), "too-big"),
    ],
)
def test_a_hostile_zip_is_refused(tmp_path: Path, content: bytes, tag: str) -> None:
    (tmp_path / "p").write_bytes(content)
    with refused(tag):
        verify(tmp_path / "p", allow_unsigned=True, limits=Limits(size=1 << 20, total=50_000, files=10))


def test_too_many_and_doubled_files_are_refused(tmp_path: Path) -> None:
    repack(tmp_path / "many", {f"f{number}": b"" for number in range(11)})
    with refused("too-big", "11 files"):
        verify(tmp_path / "many", allow_unsigned=True, limits=Limits(files=10))
    repack(tmp_path / "list", {f"{number:0200}": b"" for number in range(1000)})
    with refused("too-big", "list of files"):
        verify(tmp_path / "list", allow_unsigned=True, limits=Limits(files=10))
    repack(tmp_path / "bomb", {"zeros": bytes(1 << 20)})
    with refused("too-big", "more than 50 times its size"):
        verify(tmp_path / "bomb", allow_unsigned=True, limits=Limits(ratio=50))
    repack(tmp_path / "twice", {"one": b"1", "two": b"2"})
    (tmp_path / "twice").write_bytes((tmp_path / "twice").read_bytes().replace(b"two", b"one"))
    with refused("invalid-value", "twice"):
        verify(tmp_path / "twice", allow_unsigned=True)
    with refused("too-big", "bytes; at most 5"):
        verify(tmp_path / "twice", allow_unsigned=True, limits=Limits(size=5))
    with refused("data-missing", "cannot be read"):
        verify(tmp_path / "nowhere", allow_unsigned=True)


def test_an_entry_that_lies_about_its_size_is_refused(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "p")
    content = bytearray((tmp_path / "p").read_bytes())
    central = content.rindex(b"PK\1\2")
    content[central + 24] ^= 0x01  # uncompressed size of the last file
    (tmp_path / "p").write_bytes(content)
    with refused("invalid-value"):
        verify(tmp_path / "p", allow_unsigned=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("sound") / "p"
    build(SAMPLE, out, pem(ED))
    return out.read_bytes()


@given(data=st.data())
def test_no_damage_gets_through(tmp_path_factory: pytest.TempPathFactory, sound: bytes, data: st.DataObject) -> None:
    """Any change of bytes is refused, or leaves every file as it was signed."""
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1) | st.integers(len(sound) - 500, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "p"
    path.write_bytes(damaged)
    info: PackageInfo | None = None
    with suppress(RpcError):
        info = verify(path, [public(ED)])
    if info is not None:
        for name, digest in info.files.items():
            sink = io.BytesIO()
            extract(path, info, name, sink)
            assert hashlib.sha256(sink.getvalue()).hexdigest() == digest


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_manifest_reader(content: bytes) -> None:
    with suppress(RpcError):
        files = parse_manifest(content)
        assert all(".." not in name.split("/") for name in files)


def test_the_validator_has_the_last_word(folder: Path, tmp_path: Path) -> None:
    seen: list[Any] = []
    info = build(folder, tmp_path / "p", validate=seen.append)
    assert seen == [info.descriptor]

    def no(document: Any) -> None:
        raise RpcError("bad-element", "unknown leaf")

    with refused("bad-element"):
        verify(tmp_path / "p", allow_unsigned=True, validate=no)
    before = (tmp_path / "p").read_bytes()
    with refused("bad-element"):
        build(folder, tmp_path / "p", validate=no)
    assert (tmp_path / "p").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["hello-edge", "p"]


@pytest.mark.parametrize(
    ("spoil", "tag", "says"),
    [
        (lambda folder: (folder / "descriptor.json").unlink(), "data-missing", "no descriptor.json"),
        (lambda folder: shutil.rmtree(folder / "image"), "data-missing", "neither a file nor"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "invalid-value", "cannot be packed"),
        (lambda folder: (folder / "hello-edge.mf").write_text(""), "invalid-value", "is written by the build"),
    ],
)
def test_what_cannot_be_built_is_refused(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], Any], tag: str, says: str
) -> None:
    spoil(folder)
    with refused(tag, says):
        build(folder, tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("key", [b"", b"secret", pem(rsa.generate_private_key(65537, 2048))], ids=["no", "text", "rsa"])
def test_a_wrong_signing_key_is_refused(folder: Path, tmp_path: Path, key: bytes) -> None:
    with refused("invalid-value", "signing key"):
        build(folder, tmp_path / "p", key)


def test_an_oci_image_is_an_archive_or_a_layout_and_is_read_through(folder: Path, tmp_path: Path) -> None:
    """As skopeo, podman and buildah write them: ``oci-archive:x.tar`` and ``oci:x``."""
    descriptor = json.loads((folder / "descriptor.json").read_text())
    descriptor[TOP]["sw-image"].update(name="image/x.tar", format="mec-types:oci")
    del descriptor[TOP]["sw-image"]["command"]
    (folder / "descriptor.json").write_text(json.dumps(descriptor))
    file = oci_images.build(folder / "image/x.tar", oci_images.files({"hello": "hello"}), Cmd=["/hello"])
    info = build(folder, tmp_path / "archive.csar")
    assert info.image.digest == hashlib.sha256(file.read_bytes()).hexdigest()

    with tarfile.open(file) as tar:
        tar.extractall(folder / "image/x", filter="data")
    file.unlink()
    info = build(folder, tmp_path / "layout.csar")
    with (tmp_path / "image").open("wb") as out:
        extract(tmp_path / "layout.csar", info, "image/x.tar", out)
    with oci_archive.opened(tmp_path / "image") as opened:
        assert opened.image().command == ("/hello",)

    blob = next(iter((folder / "image/x/blobs/sha256").iterdir()))
    blob.write_bytes(b"other")
    with refused("invalid-value", "another digest"):
        build(folder, tmp_path / "damaged.csar")
    (folder / "image/x/index.json").unlink()
    with refused("invalid-value", "no index.json"):
        build(folder, tmp_path / "damaged.csar")
    file.write_bytes(b"an image for something else")
    with refused("invalid-value", "damaged, or no plain tar"):
        build(folder, tmp_path / "damaged.csar")
    assert not (tmp_path / "damaged.csar").exists()
