"""Who applications are to their platforms (Mp1; ETSI GS MEC 003 clause 7.2).

Whoever runs an instance makes its user name and password of a secret of its own, gives them to the instance and to
nobody else; whoever serves it knows the digest of the password.  So an application is let in wherever the boundary
between the two is cut, and no password is in a datastore or crosses a boundary.  It must not know what an application
may do.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nms.config import Config
from nms.mec.session import Members

#: What all user names of applications begin with.
USER: Final = "app."


@dataclass(frozen=True, slots=True)
class Identities:
    """Of the instances that this domain runs: nothing has to be kept for each."""

    secret: bytes

    @classmethod
    def of(cls, file: Path) -> Identities:
        """With the secret in `file`, which is made if it is missing, for its owner only."""
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as made:
                made.write(secrets.token_bytes(32))
        return cls(file.read_bytes())

    @classmethod
    def configured(cls, config: Config) -> Identities | None:
        """As the daemon's file says; None: there is no folder for a secret."""
        state = config.drivers.state
        if state is None:
            return None
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls.of(state / "mp1.key")

    def environment(self, instance: str, platform: Mapping[str, Any]) -> Mapping[str, str]:
        """What an instance is given so that it can show its platform who it is.

        Args:
            platform: members of mec-types:platform-access; {} where nobody serves it.
        """
        given = {
            "MEC_MP1_URI": platform.get("uri", ""),
            "MEC_MP1_USER": self._user(instance),
            "MEC_MP1_PASSWORD": self._password(instance),
            "MEC_MP1_FINGERPRINT": platform.get("certificate-fingerprint", ""),
        }
        return {name: value for name, value in given.items() if value} if platform else {}

    def identity(self, instance: str) -> Members:
        """What its platform is told of it: members of mec-types:application-identity."""
        return {"user-name": self._user(instance), "password-digest": digest(self._password(instance))}

    def _user(self, instance: str) -> str:
        return USER + hmac.digest(self.secret, f"user {instance}".encode(), "sha256").hex()[:32]

    def _password(self, instance: str) -> str:
        return hmac.digest(self.secret, instance.encode(), "sha256").hex()


def digest(password: str) -> str:
    """What is known of a password where it is asked for; it is random, so nothing has to be added to it."""
    return hashlib.sha256(password.encode(errors="surrogatepass")).hexdigest()


def access_of(config: Config) -> Members:
    """Where applications reach the platform of this domain: members of mec-types:platform-access.

    {}: there is no RESTCONF listener, and nobody is let in.
    """
    restconf = config.restconf
    if restconf is None:
        return {}
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(restconf.listen.host, restconf.listen.host)  # noqa: S104
    place = f"[{host}]" if ":" in host else host
    certificate = None if restconf.insecure else restconf.cert
    scheme = "http" if certificate is None else "https"
    found = {"uri": f"{scheme}://{place}:{restconf.listen.port}/restconf"}
    if certificate is not None:
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        found["certificate-fingerprint"] = leaf.fingerprint(hashes.SHA256()).hex()
    return found
