"""cert-to-name of RFC 7407: which entry counts, and what name it makes of a certificate."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nms.cert_to_name import CertToName, name_of, tls_fingerprint, verified_chain

NOW = datetime.datetime.now(datetime.UTC)


class Issued:
    """A certificate with its key, signed by itself or by another one."""

    def __init__(self, name: str, issuer: Issued | None = None, names: tuple[x509.GeneralName, ...] = ()) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        above = issuer or self
        builder = (
            x509.CertificateBuilder(above.subject, self.subject, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca="CA" in name, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self.certificate = builder.sign(above.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def fingerprint(self, algorithm: str = "sha256") -> str:
        octet = {"sha224": "03", "sha256": "04", "sha384": "05", "sha512": "06"}[algorithm]
        return octet + hashlib.new(algorithm, self.der).hexdigest()

    def write(self, folder: Path, name: str, *above: Issued) -> tuple[Path, Path]:
        pem = serialization.Encoding.PEM
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(b"".join(each.certificate.public_bytes(pem) for each in (self, *above)))
        key.write_bytes(self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return cert, key


NAMES = (
    x509.UniformResourceIdentifier("urn:x"),
    x509.DNSName("Router.Example.COM"),
    x509.RFC822Name("FooBar@Example.COM"),
    x509.IPAddress(ipaddress.ip_address("2001:DB8::1")),
    x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
)
ROOT = Issued("root CA")
MIDDLE = Issued("middle CA", ROOT)
LEAF = Issued("Leaf One", MIDDLE, NAMES)
PLAIN = Issued("plain", MIDDLE)
NAMELESS = Issued("", MIDDLE)
OTHER = Issued("other CA")


@pytest.mark.parametrize(
    ("map_type", "name"),
    [
        ("specified", "joe"),
        ("san-rfc822-name", "FooBar@example.com"),
        ("san-dns-name", "router.example.com"),
        ("san-ip-address", "20010db8000000000000000000000001"),
        ("san-any", "router.example.com"),
        ("common-name", "Leaf One"),
    ],
)
def test_each_map_type(map_type: str, name: str) -> None:
    entry = CertToName(1, LEAF.fingerprint(), map_type, "joe" if map_type == "specified" else "")
    assert name_of((LEAF.der, MIDDLE.der, ROOT.der), (entry,), (ROOT.der,)) == name


def test_an_ipv4_address_is_dotted() -> None:
    leaf = Issued("x", ROOT, (x509.IPAddress(ipaddress.ip_address("192.0.2.1")),))
    assert name_of((leaf.der,), (CertToName(1, leaf.fingerprint(), "san-ip-address"),), ()) == "192.0.2.1"


@pytest.mark.parametrize("algorithm", ["sha224", "sha256", "sha384", "sha512"])
def test_each_algorithm(algorithm: str) -> None:
    entry = CertToName(1, LEAF.fingerprint(algorithm), "common-name")
    assert name_of((LEAF.der,), (entry,), ()) == "Leaf One"
    assert name_of((PLAIN.der,), (entry,), ()) is None


def test_lower_ids_come_first_and_those_that_give_no_name_are_passed_over() -> None:
    entries = (
        CertToName(30, PLAIN.fingerprint(), "specified", "last"),
        CertToName(20, PLAIN.fingerprint(), "common-name"),
        CertToName(10, PLAIN.fingerprint(), "san-any"),  # it has no subjectAltName
        CertToName(1, LEAF.fingerprint(), "specified", "another's"),
    )
    assert name_of((PLAIN.der,), entries, ()) == "plain"
    assert name_of((NAMELESS.der,), (CertToName(1, NAMELESS.fingerprint(), "common-name"),), ()) is None


@pytest.mark.parametrize(
    ("chain", "entry", "anchors", "found"),
    [
        ((LEAF, MIDDLE, ROOT), ROOT, (ROOT,), True),
        ((LEAF, MIDDLE, ROOT), MIDDLE, (ROOT,), False),  # no locally held copy
        ((LEAF, MIDDLE, ROOT), MIDDLE, (ROOT, MIDDLE), True),
        ((LEAF, MIDDLE), ROOT, (ROOT, MIDDLE), True),  # verification ended at the first that is trusted
        ((LEAF,), ROOT, (ROOT, MIDDLE, LEAF), True),
        ((LEAF, MIDDLE, ROOT), OTHER, (ROOT, OTHER), False),  # held, and not in the chain
    ],
)
def test_an_authority_stands_for_what_it_has_issued(
    chain: tuple[Issued, ...], entry: Issued, anchors: tuple[Issued, ...], found: bool
) -> None:
    entries = (CertToName(1, entry.fingerprint(), "common-name"),)
    name = name_of(tuple(each.der for each in chain), entries, tuple(each.der for each in anchors))
    assert name == ("Leaf One" if found else None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("04:" + ":".join(["AB"] * 32), "04" + "ab" * 32),
        ("04:" + ":".join(["ab"] * 31), None),
        ("01:" + ":".join(["ab"] * 16), None),  # MD5
        ("09:ab", None),
    ],
)
def test_fingerprints(text: str, found: str | None) -> None:
    assert tls_fingerprint(text) == found


def test_the_chain_that_tls_verified(tmp_path: Path) -> None:
    """With the intermediate certificate that the client sends, up to the trusted one."""

    async def run() -> tuple[bytes, ...]:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*OTHER.write(tmp_path, "server"))
        server.load_verify_locations(ROOT.write(tmp_path, "root")[0])
        server.verify_mode = ssl.CERT_REQUIRED
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.load_cert_chain(*LEAF.write(tmp_path, "leaf", MIDDLE))
        seen: asyncio.Future[tuple[bytes, ...]] = asyncio.get_running_loop().create_future()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(verified_chain(writer.get_extra_info("ssl_object")))
            writer.close()

        listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server)
        async with asyncio.timeout(20):
            _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), ssl=client)
            chain = await seen
            writer.close()
        listener.close()
        return chain

    assert asyncio.run(run()) == (LEAF.der, MIDDLE.der, ROOT.der)
