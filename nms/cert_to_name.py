"""From a client certificate to a user name: the cert-to-name list of RFC 7407 as RFC 7589 section 7 uses it.

Pure: certificates are DER bytes, verified by whoever asks.  This module must not know users, files or sockets.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

#: First octet of a tls-fingerprint (IANA TLS HashAlgorithm registry, RFC 5246 section 7.4.1.4.1) -> hashlib's name.
#: MD5 and SHA-1 are left out: certificates that collide under them can be made.
HASHES: Final[Mapping[int, str]] = {3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"}


@dataclass(frozen=True, slots=True)
class CertToName:
    """An entry of the list.

    Attributes:
        id: entries are tried by ascending id.
        fingerprint: tls-fingerprint, lower-case hexadecimal without colons: algorithm octet, then the digest.
        map_type: identity of ietf-x509-cert-to-name, without its module, e.g. "san-any".
        name: the user's name for the map type "specified".
    """

    id: int
    fingerprint: str
    map_type: str
    name: str = ""


def tls_fingerprint(text: str) -> str | None:
    """A tls-fingerprint of ietf-x509-cert-to-name in the form of `CertToName.fingerprint`.

    None where the algorithm is none of `HASHES` or the digest is not as long as the algorithm's.
    """
    octets = bytes.fromhex(text.replace(":", ""))
    algorithm = HASHES.get(octets[0]) if octets else None
    if algorithm is None or len(octets) != 1 + hashlib.new(algorithm).digest_size:
        return None
    return octets.hex()


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


@lru_cache(1024)
def name_of(chain: tuple[bytes, ...], entries: tuple[CertToName, ...], anchors: tuple[bytes, ...]) -> str | None:
    """The user name of a client, or None.  Remembered, since RESTCONF asks with each request.

    Args:
        chain: the certificates that were verified, DER, the client's own first.
        entries: the cert-to-name list.
        anchors: the trusted certificates that are held here, DER; an entry for an authority counts for these only.
    """
    if not entries:
        return None
    own, *issuers = chain
    held = set(anchors)
    authorities = [der for der in _completed(issuers or [own], held) if der in held and der != own]
    for entry in sorted(entries, key=lambda entry: entry.id):
        algorithm = HASHES[int(entry.fingerprint[:2], 16)]
        if any(hashlib.new(algorithm, der).hexdigest() == entry.fingerprint[2:] for der in (own, *authorities)):
            name = entry.name if entry.map_type == "specified" else _derived(entry.map_type, own)
            if name:
                return name
    return None


def _completed(chain: Sequence[bytes], held: Iterable[bytes]) -> list[bytes]:
    """`chain` with the held authorities above it: verification ends at the first certificate that is trusted."""
    completed = list(chain)
    known = [(der, x509.load_der_x509_certificate(der)) for der in held]
    while True:
        top = x509.load_der_x509_certificate(completed[-1])
        above = next((der for der, each in known if der not in completed and _issued(top, each)), None)
        if above is None:
            return completed
        completed.append(above)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):  # other names, keys that cannot sign, another's signature
        return False
    return True


def _derived(map_type: str, der: bytes) -> str | None:
    certificate = x509.load_der_x509_certificate(der)
    if map_type == "common-name":
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else None
    kinds = _SUBJECT_NAMES if map_type == "san-any" else {k: v for k, v in _SUBJECT_NAMES.items() if v[0] == map_type}
    try:
        subject = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    for name in subject:
        if type(name) in kinds and (found := kinds[type(name)][1](name.value)) is not None:
            return found
    return None


def _mail(value: str) -> str | None:
    local, at, host = value.rpartition("@")
    return f"{local}@{host.lower()}" if at and local and host else None


def _address(value: object) -> str | None:
    if isinstance(value, ipaddress.IPv4Address):
        return str(value)
    return value.packed.hex() if isinstance(value, ipaddress.IPv6Address) else None


#: Kind of subjectAltName -> its map type, and what becomes of it (RFC 7407, the identities' descriptions).
_SUBJECT_NAMES: Final[Mapping[type, tuple[str, Callable[[Any], str | None]]]] = {
    x509.RFC822Name: ("san-rfc822-name", _mail),
    x509.DNSName: ("san-dns-name", str.lower),
    x509.IPAddress: ("san-ip-address", _address),
}


def verified_chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """The client's certificate and those that lead to the trusted one, DER, as OpenSSL verified them; () without one.

    `SSLObject.get_verified_chain` is public from Python 3.13 on; before, it has the same name one layer below.
    """
    public = getattr(connection, "get_verified_chain", None)
    if public is not None:
        return tuple(public())
    below = cast(Any, connection)._sslobj.get_verified_chain() or ()
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in below)
