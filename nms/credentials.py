"""Who someone is: passwords, SSH public keys and client certificates against the users of the configuration.

Passwords are iana-crypt-hash values ($5$, $6$) of RFC 7317; slow by design, so that a success is remembered and a
request in RESTCONF (RFC 7617: the password comes with each) costs a keyed digest instead of thousands of rounds.
This module must not know of sockets or protocols: a front end asks, and gets the principal or nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import asyncssh
from passlib.hash import sha256_crypt, sha512_crypt

from nms.operations.request import Principal

#: First word of a public key in OpenSSH's format; DSA is left out on purpose.
KEY_TYPE = re.compile(r"ssh-(ed25519|ed448|rsa)|ecdsa-sha2-\S+|sk-(ssh|ecdsa)-\S+")

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
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def recovery(self) -> bool: ...


class Credentials:
    """The users' credentials; its methods are what the transports and RESTCONF ask for, from any thread.

    Args:
        users: the users of the configuration.
        remembered: how many successful passwords are remembered at most.
    """

    def __init__(self, users: Iterable[UserRecord], *, remembered: int = 1024) -> None:
        users = tuple(users)
        self._principals = {user.name: Principal(user.name, frozenset(user.groups), user.recovery) for user in users}
        self._hashes = {user.name: user.password_hash for user in users if user.password_hash}
        self._keys = {user.name: tuple(map(public_key, user.authorized_keys)) for user in users}
        self._owners = {certificate: user.name for user in users for certificate in user.certificates}
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._most = remembered
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def principal(self, user: str) -> Principal | None:
        """Who a user is whose identity somebody else has proven (SSH, the kernel)."""
        return self._principals.get(user)

    def authorized_keys(self, user: str) -> tuple[asyncssh.SSHKey, ...]:
        """The public keys that may log in as this user."""
        return self._keys.get(user, ())

    def authenticate_certificate(self, digest: str) -> Principal | None:
        """Whom a client certificate stands for; its chain is verified already.

        Args:
            digest: SHA-256 of the certificate's DER, 64 lower-case hexadecimal digits.
        """
        owner = self._owners.get(f"sha256:{digest}")
        return self._principals.get(owner) if owner is not None else None

    def believe(self, trust: Callable[[bytes], None]) -> None:
        """Have `trust` called with each client certificate (DER) that counts without its issuer: here there is none."""

    def authenticate_password(self, user: str, password: str) -> Principal | None:
        """Who it is, if this is the user's password.

        A success is remembered as an HMAC under a key of this process, so that memory holds no password; a failure is
        never remembered, and an unknown user costs as much as a wrong password (for hashes of the usual 5,000 rounds).
        """
        stored = self._hashes.get(user)
        token = self._token(user, password)
        with self._lock:
            known = token in self._remembered
            if known:
                self._remembered.move_to_end(token)
        if not known:
            # computed for an unknown user too: the time that it takes must not tell who exists
            if not _matches(password, stored or _NOBODY) or stored is None:
                return None
            with self._lock:
                self._remembered[token] = None
                while len(self._remembered) > self._most:
                    self._remembered.popitem(last=False)
        return self._principals[user]

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


def public_key(line: str) -> asyncssh.SSHKey:
    """The key of one line of an OpenSSH public key or authorized_keys file.

    Raises:
        ValueError: it is no such line, or carries options, which we do not enforce and therefore refuse.
    """
    words = line.split()
    if len(words) < 2 or not KEY_TYPE.fullmatch(words[0]):
        raise ValueError(f'"{line[:40]}" is no public key; expected "ssh-ed25519 AAAA...", without options before it')
    try:
        return asyncssh.import_public_key(" ".join(words[:2]))
    except ValueError:
        raise ValueError(f'"{line[:40]}" is a damaged public key, or one of an unknown type') from None


def fingerprint(der: bytes) -> str:
    """SHA-256 fingerprint of a certificate (DER), as in the configuration: ``sha256:`` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(der).hexdigest()


def fingerprint_of(text: str) -> str | None:
    """The fingerprint in its one form, from a form that people write (colons as openssl prints, capitals), or None."""
    scheme, _, digits = text.strip().lower().partition(":")
    digits = digits.replace(":", "")
    return f"{scheme}:{digits}" if scheme == "sha256" and re.fullmatch("[0-9a-f]{64}", digits) else None
