"""Who someone is: passwords, SSH public keys and client certificates against the users that are known here.

Users stand in the daemon's file, and in the datastore, from where `configure` takes them; the file's come first.
Passwords are iana-crypt-hash values ($5$, $6$) of RFC 7317; slow by design, so that a success is remembered and a
request in RESTCONF (RFC 7617: the password comes with each) costs a keyed digest instead of thousands of rounds.
This module must not know of sockets or protocols: a front end asks, and gets the principal or nobody.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from passlib.hash import sha256_crypt, sha512_crypt

from nms import cert_to_name
from nms.cert_to_name import CertToName
from nms.errors import ConfigError
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


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known at one moment; replaced as a whole, since it is read from any thread."""

    principals: Mapping[str, Principal]
    hashes: Mapping[str, str]
    keys: Mapping[str, tuple[asyncssh.SSHKey, ...]]
    owners: Mapping[str, str]  # fingerprint of a certificate -> user
    entries: tuple[CertToName, ...] = ()
    anchors: tuple[bytes, ...] = ()


def _known(users: Sequence[UserRecord]) -> _Known:
    return _Known(
        principals={user.name: Principal(user.name, frozenset(user.groups), user.recovery) for user in users},
        hashes={user.name: user.password_hash for user in users if user.password_hash},
        keys={user.name: tuple(map(public_key, user.authorized_keys)) for user in users},
        owners={certificate: user.name for user in users for certificate in user.certificates},
    )


class Credentials:
    """The users' credentials; its methods are what the transports and RESTCONF ask for, from any thread.

    Args:
        users: the users of the file.
        authorities: trusted certificates of the file (DER), which cert-to-name entries may name.
        remembered: how many successful passwords are remembered at most.
    """

    def __init__(
        self, users: Iterable[UserRecord], *, authorities: Iterable[bytes] = (), remembered: int = 1024
    ) -> None:
        self._fixed = tuple(users)
        self._authorities = tuple(authorities)
        self._now = _known(self._fixed)
        self._believers: list[Callable[[bytes], None]] = []
        self._withdrawn: frozenset[bytes] = frozenset()
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._most = remembered
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    @property
    def fixed(self) -> frozenset[str]:
        """Names of the users of the file."""
        return frozenset(user.name for user in self._fixed)

    def configure(
        self, users: Iterable[UserRecord], entries: Iterable[CertToName] = (), anchors: Iterable[bytes] = ()
    ) -> None:
        """Know these users, beside the file's, from now on, and no others; none of them can have a recovery session.

        Args:
            users: of the datastore; one whose name the file has is passed over.
            entries: of cert-to-name.
            anchors: trusted certificates, DER; those of an earlier call that are missing count no more.
        """
        added = [user for user in users if user.name not in self.fixed]
        anchors = tuple(anchors)
        before = self._now.anchors
        known = _known([*self._fixed, *added])
        principals = {
            name: principal if name in self.fixed else replace(principal, recovery=False)
            for name, principal in known.principals.items()
        }
        self._withdrawn = (self._withdrawn | set(before)) - {*anchors, *self._authorities}
        self._now = replace(known, principals=principals, entries=tuple(entries), anchors=anchors)
        for anchor in anchors:
            if anchor not in before:
                for trust in list(self._believers):
                    trust(anchor)

    def principal(self, user: str) -> Principal | None:
        """Who a user is whose identity somebody else has proven (SSH, the kernel)."""
        return self._now.principals.get(user)

    def authorized_keys(self, user: str) -> tuple[asyncssh.SSHKey, ...]:
        """The public keys that may log in as this user."""
        return self._now.keys.get(user, ())

    def authenticate_certificate(self, chain: Sequence[bytes]) -> Principal | None:
        """Whom a client certificate stands for: its owner in the file, else whom cert-to-name makes of it.

        A name that cert-to-name finds needs no entry among the users (RFC 7589 section 7): access control knows what
        it may.  It never opens a recovery session, whoever has that name.

        Args:
            chain: the certificates that TLS verified, DER, the client's own first; not empty.
        """
        now = self._now
        # TLS learns of new anchors, but forgets none
        if chain[-1] in self._withdrawn and not {*now.anchors, *self._authorities} & set(chain):
            return None
        owner = now.owners.get(fingerprint(chain[0]))
        if owner is not None:
            return now.principals[owner]
        name = cert_to_name.name_of(tuple(chain), now.entries, (*now.anchors, *self._authorities))
        if name is None:
            return None
        return replace(now.principals.get(name, Principal(name)), recovery=False)

    def believe(self, trust: Callable[[bytes], None]) -> Callable[[], None]:
        """Have `trust` called with each certificate (DER) that clients' certificates may lead to; later ones too.

        Returns:
            What ends it.
        """
        self._believers.append(trust)
        for anchor in self._now.anchors:
            trust(anchor)
        return lambda: self._believers.remove(trust)

    def authenticate_password(self, user: str, password: str) -> Principal | None:
        """Who it is, if this is the user's password.

        A success is remembered as an HMAC under a key of this process, so that memory holds no password; a failure is
        never remembered, and an unknown user costs as much as a wrong password (for hashes of the usual 5,000 rounds).
        """
        now = self._now
        stored = now.hashes.get(user)
        token = self._token(user, password, stored or "")
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
        return now.principals[user]

    def _token(self, user: str, password: str, stored: str) -> bytes:
        name = user.encode(errors="surrogatepass")
        # The length keeps ("ab", "c") and ("a", "bc") apart; with the hash in it, a new password ends the old one.
        text = b"%d:%b%b:%b" % (len(name), name, stored.encode(), password.encode(errors="surrogatepass"))
        return hmac.digest(self._secret, text, "sha256")


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


def authorities(files: Iterable[Path]) -> tuple[bytes, ...]:
    """The certificates (DER) in PEM files.

    Raises:
        ConfigError: a file cannot be read or holds no certificate.
    """
    found: dict[bytes, None] = {}
    for file in files:
        try:
            certificates = x509.load_pem_x509_certificates(file.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"client-ca: {file}: {error}") from None
        found.update((certificate.public_bytes(Encoding.DER), None) for certificate in certificates)
    return tuple(found)


def fingerprint(der: bytes) -> str:
    """SHA-256 fingerprint of a certificate (DER), as in the configuration: ``sha256:`` and 64 hexadecimal digits."""
    return "sha256:" + cert_to_name.fingerprint(der)


def fingerprint_of(text: str) -> str | None:
    """The fingerprint in its one form, from a form that people write (colons as openssl prints, capitals), or None."""
    scheme, _, digits = text.strip().lower().partition(":")
    digits = digits.replace(":", "")
    return f"{scheme}:{digits}" if scheme == "sha256" and re.fullmatch("[0-9a-f]{64}", digits) else None
