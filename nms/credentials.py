"""Who someone is: passwords, SSH public keys and client certificates against the users of the configuration.

Passwords are iana-crypt-hash values ($5$, $6$) of RFC 7317; slow by design, so that a success is remembered and a
request in RESTCONF (RFC 7617: the password comes with each) costs a keyed digest instead of thousands of rounds.
This module must not know of sockets or protocols: a transport asks, and gets yes, no, or a user's name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from passlib.hash import sha256_crypt, sha512_crypt

#: The crypt hashes that we check: scheme, rounds, salt (its length bounds are crypt(5)'s), digest.
HASH = re.compile(
    r"\$(?:5\$(?:rounds=\d{4,9}\$)?[./0-9A-Za-z]{0,16}\$[./0-9A-Za-z]{43}"
    r"|6\$(?:rounds=\d{4,9}\$)?[./0-9A-Za-z]{0,16}\$[./0-9A-Za-z]{86})"
)

_SCHEMES = {"$5$": sha256_crypt, "$6$": sha512_crypt}

#: Hash of a password that nobody knows, checked when a user is unknown so that the answer takes as long.
_NOBODY = sha512_crypt.using(rounds=5000).hash(secrets.token_urlsafe(24))


class UserRecord(Protocol):
    """What is needed of `nms.config.User`."""

    @property
    def name(self) -> str: ...
    @property
    def password_hash(self) -> str | None: ...
    @property
    def authorized_keys(self) -> tuple[str, ...]: ...
    @property
    def certificates(self) -> tuple[str, ...]: ...


class Credentials:
    """The users' credentials, safe to ask from several threads.

    Args:
        users: the users of the configuration.
        remembered: how many successful passwords are remembered at most.
    """

    def __init__(self, users: Iterable[UserRecord], *, remembered: int = 1024) -> None:
        users = tuple(users)
        self._hashes = {user.name: user.password_hash for user in users if user.password_hash}
        self._keys = {user.name: frozenset(map(public_key, user.authorized_keys)) for user in users}
        self._owners = {certificate: user.name for user in users for certificate in user.certificates}
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._most = remembered
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def password(self, user: str, password: str) -> bool:
        """Whether this is the user's password.

        A success is remembered as an HMAC under a key of this process, so that memory holds no password; a failure is
        never remembered, and an unknown user costs as much as a wrong password (for hashes of the usual 5,000 rounds).
        """
        stored = self._hashes.get(user)
        token = self._token(user, password)
        with self._lock:
            if token in self._remembered:
                self._remembered.move_to_end(token)
                return True
        right = _matches(password, stored or _NOBODY) and stored is not None
        if right:
            with self._lock:
                self._remembered[token] = None
                while len(self._remembered) > self._most:
                    self._remembered.popitem(last=False)
        return right

    def public_key(self, user: str, blob: bytes) -> bool:
        """Whether the key (wire format of RFC 4253 section 6.6, before its possession was proven) is the user's."""
        return blob in self._keys.get(user, frozenset())

    def certificate(self, der: bytes) -> str | None:
        """The user whom a client certificate (DER, its chain already verified) stands for, by its fingerprint."""
        return self._owners.get(fingerprint(der))

    def _token(self, user: str, password: str) -> bytes:
        name = user.encode(errors="surrogatepass")
        # the length keeps ("ab", "c") and ("a", "bc") apart
        return hmac.digest(
            self._secret, b"%d:%b%b" % (len(name), name, password.encode(errors="surrogatepass")), "sha256"
        )


def _matches(password: str, stored: str) -> bool:
    """Check a password against a crypt hash; the digests are compared in constant time."""
    try:
        return bool(_SCHEMES[stored[:3]].verify(password, stored))
    except (ValueError, TypeError):  # a NUL, a lone surrogate, more than 4,096 characters: nobody's password
        return False


def public_key(line: str) -> bytes:
    """The key of one line of an OpenSSH public key or authorized_keys file, in the wire format of RFC 4253 section 6.6.

    Raises:
        ValueError: it is no such line, or carries options, which we do not enforce and therefore refuse.
    """
    words = line.split()
    if len(words) < 2 or not re.fullmatch(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+", words[0]):
        raise ValueError(f'"{line[:40]}" is no public key; expected "ssh-ed25519 AAAA...", without options before it')
    try:
        load_ssh_public_key(" ".join(words[:2]).encode())
        return base64.b64decode(words[1], validate=True)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError(f'"{line[:40]}" is a damaged public key, or of a kind that is no longer safe') from None


def fingerprint(der: bytes) -> str:
    """SHA-256 fingerprint of a certificate (DER), as in the configuration: ``sha256:`` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(der).hexdigest()


def fingerprint_of(text: str) -> str | None:
    """The fingerprint in its one form, from a form that people write (colons as openssl prints, capitals), or None."""
    scheme, _, digits = text.strip().lower().partition(":")
    digits = digits.replace(":", "")
    return f"{scheme}:{digits}" if scheme == "sha256" and re.fullmatch("[0-9a-f]{64}", digits) else None
