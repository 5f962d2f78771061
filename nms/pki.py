"""Keys and certificates: SSH key pairs (Ed25519), and an authority with its certificates (ECDSA P-256, RFC 5280).

What is made is returned as bytes; `write_new` is the only function that touches a disk.  The time is an argument.
This module must not know what the keys are for.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nms.credentials import fingerprint

#: Certificates are valid from a little before they are made: the partner's clock may be behind.
CLOCK_SKEW = datetime.timedelta(minutes=5)
AUTHORITY_LIFE = datetime.timedelta(days=3650)
CERTIFICATE_LIFE = datetime.timedelta(days=825)


@dataclass(frozen=True)
class SshKeyPair:
    """Private key in OpenSSH's format, and the public key as one line for an authorized_keys file."""

    private: bytes
    public: str


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, both PEM, and the certificate's fingerprint as the configuration writes it."""

    certificate: bytes
    private: bytes
    fingerprint: str


def ssh_key_pair(comment: str) -> SshKeyPair:
    """A fresh Ed25519 key pair (RFC 8709)."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return SshKeyPair(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), f"{public} {comment}")


class Authority:
    """A self-signed certification authority that issues certificates to servers and clients.

    Args:
        name: common name.
        now: time zone aware time of issue.
    """

    def __init__(self, name: str, now: datetime.datetime) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = _common_name(name)
        self._now = now
        builder = self._builder(name, self._key, AUTHORITY_LIFE).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.own = self._sign(builder, self._key, _usage(certificates=True))

    def server(self, name: str, hosts: Iterable[str]) -> Certificate:
        """A certificate for a server reached as `hosts` (names and IP addresses).

        It serves as client certificate too: towards a partner, a domain is a client under the same identity.
        """
        names = [_subject_name(host) for host in dict.fromkeys(hosts)]
        return self._leaf(name, [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH], names)

    def client(self, name: str) -> Certificate:
        """A certificate for a client (RFC 7589, RFC 8040 section 2.5)."""
        return self._leaf(name, [ExtendedKeyUsageOID.CLIENT_AUTH], [])

    def _leaf(self, name: str, purposes: list[x509.ObjectIdentifier], names: list[x509.GeneralName]) -> Certificate:
        key = generate_private_key(SECP256R1())
        builder = (
            self._builder(name, key, CERTIFICATE_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._sign(builder, key, _usage(certificates=False))

    def _builder(self, name: str, key: EllipticCurvePrivateKey, life: datetime.timedelta) -> x509.CertificateBuilder:
        issuer = self._key.public_key()
        return (
            x509.CertificateBuilder(self._name, _common_name(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(self._now - CLOCK_SKEW)
            .not_valid_after(self._now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        )

    def _sign(
        self, builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey, usage: x509.KeyUsage
    ) -> Certificate:
        signed = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Certificate(signed.public_bytes(Encoding.PEM), private, fingerprint(signed.public_bytes(Encoding.DER)))


def _usage(*, certificates: bool) -> x509.KeyUsage:
    """Key usage of an authority, which signs certificates and revocations, or of everybody else (RFC 5280 4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])  # ub-common-name of RFC 5280


def _subject_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_new(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file that does not exist yet: whole or not at all, and never readable by others meanwhile.

    Raises:
        FileExistsError: it exists; it is left alone.
        OSError: it cannot be written.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.link(draft, file)  # unlike rename, never replaces
    finally:
        draft.unlink()
