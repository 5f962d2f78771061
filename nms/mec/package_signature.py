"""Signatures over a package's manifest: Ed25519 (RFC 8032) or ECDSA with SHA-256, detached, in base 64.

Trust is pinned: a signature counts when it was made with one of the given keys.  The certificate beside a signature
tells which key and whose; it vouches for nothing by itself, so its dates and issuer are not looked at.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nms.errors import RpcError

_PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key: SHA-256 `fingerprint` of the public key (SubjectPublicKeyInfo), and a `name` for people."""

    fingerprint: str
    name: str


def sign(content: bytes, key: bytes) -> bytes:
    """The signature of `content` with a private key (PEM, no passphrase).  Raises `RpcError`: invalid-value."""
    private = _private(key)
    if isinstance(private, Ed25519PrivateKey):
        signature = private.sign(content)
    else:
        # Deterministic (RFC 6979), so that the same input makes the same package.
        signature = private.sign(content, ECDSA(hashes.SHA256(), deterministic_signing=True))
    return base64.encodebytes(signature)


def public_key(key: bytes) -> bytes:
    """The public half of a private key, both PEM.  Raises `RpcError`: invalid-value."""
    return _private(key).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip


def signer(pem: bytes) -> Signer:
    """Whose public key or certificate (PEM) this is.  Raises `RpcError`: invalid-value."""
    key, name = _public(pem)
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = hashlib.sha256(spki).hexdigest()
    return Signer(fingerprint, name or f"sha-256:{fingerprint}")


def check(content: bytes, signature: bytes, pem: bytes) -> Signer:
    """Who signed `content`: the holder of the key in `pem`.  Raises `RpcError`: invalid-value, when nobody did."""
    key, _ = _public(pem)
    try:
        raw = base64.b64decode(b"".join(signature.split()), validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, content)
        else:
            key.verify(raw, content, ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error) as error:
        raise RpcError("invalid-value", "the signature of the package does not match its manifest") from error
    return signer(pem)


def trusted(candidate: Signer, keys: Iterable[bytes]) -> bool:
    """Whether one of the keys (PEM, public key or certificate) is the candidate's.

    Raises `RpcError`: invalid-value (no key).
    """
    return any(signer(key).fingerprint == candidate.fingerprint for key in keys)


def _public(pem: bytes) -> tuple[_PublicKey, str]:
    try:
        if b"BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(pem)
            key, name = certificate.public_key(), certificate.subject.rfc4514_string()
        else:
            key, name = serialization.load_pem_public_key(pem), ""  # type: ignore[assignment]
    except Exception as error:  # the library documents no common ancestor for what hostile PEM makes it raise
        raise RpcError("invalid-value", "the signer's key is neither a PEM certificate nor a PEM public key") from error
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise RpcError("invalid-value", "the signer's key is neither Ed25519 nor elliptic curve (ECDSA)")
    return key, name


def _private(pem: bytes) -> Ed25519PrivateKey | EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise RpcError("invalid-value", "the signing key is no PEM private key without passphrase") from error
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise RpcError("invalid-value", "the signing key is neither Ed25519 nor elliptic curve (ECDSA)")
    return key
