"""Certificates of a server and its clients, in files."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates:
    """Self-signed certificates of a server and two clients in a folder; `bundle` is what the server trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fingerprints = {name: self._make(name) for name in ("server", "alice", "stranger", "untrusted")}
        self.bundle = folder / "bundle.pem"
        self.bundle.write_bytes(self.cert("alice").read_bytes() + self.cert("stranger").read_bytes())

    def cert(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _make(self, name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.now(UTC) - timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=10))
            .sign(key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        self.cert(name).write_bytes(certificate.public_bytes(pem))
        self.key(name).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def client(self, name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.cert("server"))
        context.check_hostname = False
        if name is not None:
            context.load_cert_chain(self.cert(name), self.key(name))
        return context
