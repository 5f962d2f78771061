"""Passwords, keys and certificates against users."""

from __future__ import annotations

import base64

import pytest

from nms import credentials
from nms.config import User
from nms.credentials import Credentials, fingerprint, fingerprint_of, public_key
from nms.operations.request import Principal
from nms.pki import ssh_key_pair

#: Password and hash, from `openssl passwd -5` and `-6` and from crypt(3) with a number of rounds.
KNOWN = [
    ("horse", "$5$saltsalt$tD615IwoCtRKWUSzNmApsRpNsWHSTK95tutZuH6c34B"),
    ("horse", "$6$saltsalt$nCZ813ABYSDjKSlhJdHnZU4RAXlQL/Td7a5MH7ZlF8XgrOMKLnLkHIGu5NIUF6AE8n9U6WeB5XU0pDhXgDOyv/"),
    (
        "päss",
        "$5$rounds=1000$abc$gUuHo6YZQYy2UINa0AVOP23zFpKJgnbcopyxIfzNuW4",
    ),
]
HASH = KNOWN[0][1]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were really computed, in order."""
    done: list[str] = []
    really = credentials._matches

    def matches(password: str, stored: str) -> bool:
        done.append(stored)
        return really(password, stored)

    monkeypatch.setattr(credentials, "_matches", matches)
    return done


@pytest.mark.parametrize(("password", "stored"), KNOWN)
def test_passwords_of_others_tools(password: str, stored: str) -> None:
    known = Credentials([User(name="u", password_hash=stored)])
    assert known.authenticate_password("u", password)
    assert not known.authenticate_password("u", password + " ")
    assert not known.authenticate_password("u", "")


@pytest.mark.parametrize("password", ["\0", "a\0b", "\ud800", "x" * 5000])
def test_impossible_passwords_are_wrong_passwords(password: str) -> None:
    assert not Credentials([User(name="u", password_hash=HASH)]).authenticate_password("u", password)


def test_a_success_is_computed_once_and_a_failure_each_time(checks: list[str]) -> None:
    known = Credentials([User(name="u", password_hash=HASH), User(name="v", password_hash=HASH)])
    assert all(known.authenticate_password("u", "horse") for _ in range(10))
    assert checks == [HASH]
    assert not any(known.authenticate_password("u", "wrong") for _ in range(3))
    assert len(checks) == 4
    assert known.authenticate_password("v", "horse")
    assert len(checks) == 5


def test_what_is_remembered_is_bounded(checks: list[str]) -> None:
    known = Credentials([User(name=str(n), password_hash=HASH) for n in range(3)], remembered=2)
    for name in ("0", "1", "2", "2", "1", "0"):
        assert known.authenticate_password(name, "horse")
    assert len(checks) == 4


def test_names_and_passwords_do_not_run_into_each_other() -> None:
    known = Credentials([User(name="ab", password_hash=HASH), User(name="abh", password_hash=HASH)])
    assert known.authenticate_password("abh", "horse")
    assert not known.authenticate_password("ab", "hhorse")


@pytest.mark.parametrize("user", [User(name="u"), User(name="other", password_hash=HASH)])
def test_who_has_no_password_costs_as_much_as_a_wrong_one(user: User, checks: list[str]) -> None:
    known = Credentials([user])
    assert not known.authenticate_password("u", "horse")
    assert len(checks) == 1


def test_memory_holds_no_password() -> None:
    known = Credentials([User(name="u", password_hash=HASH)])
    assert known.authenticate_password("u", "horse")
    assert "horse" not in repr(vars(known))


def test_public_keys() -> None:
    line = ssh_key_pair("mine").public
    known = Credentials([User(name="u", authorized_keys=(line,)), User(name="v")])
    (key,) = known.authorized_keys("u")
    assert base64.b64encode(key.public_data).decode() == line.split()[1]
    assert known.authorized_keys("v") == ()
    assert known.authorized_keys("nobody") == ()


def test_who_it_is() -> None:
    known = Credentials([User(name="u", password_hash=HASH, groups=("g", "h"), recovery=True)])
    assert known.principal("u") == Principal("u", frozenset({"g", "h"}), True)
    assert known.authenticate_password("u", "horse") == known.principal("u")
    assert known.principal("nobody") is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 ÄÄÄÄ",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAINkbZbf1E4PXva3gVJdxJIKOQwRnvX9aLTTaYbWz2/5r",
        "no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkbZbf1E4PXva3gVJdxJIKOQwRnvX9aLTTaYbWz2/5r",
        "ssh-unheard AAAAC3NzaC1lZDI1NTE5",
    ],
)
def test_a_line_that_is_no_key(line: str) -> None:
    with pytest.raises(ValueError, match="public key"):
        public_key(line)


def test_certificates() -> None:
    known = Credentials([User(name="u", certificates=(fingerprint(b"der"),))])
    assert known.authenticate_certificate([b"der"]) == Principal("u")
    assert known.authenticate_certificate([b"other"]) is None


def test_fingerprints_as_people_write_them() -> None:
    assert fingerprint_of("SHA256:" + ":".join(["AB"] * 32)) == "sha256:" + "ab" * 32
    assert fingerprint_of("sha256:" + "ab" * 31) is None
    assert fingerprint_of("ab" * 32) is None


def test_users_of_the_datastore_come_and_go_beside_the_file() -> None:
    known = Credentials([User(name="root", recovery=True)])
    known.configure([User(name="carol", password_hash=HASH, recovery=True), User(name="root", password_hash=HASH)])
    assert known.authenticate_password("carol", "horse") == Principal("carol")  # no recovery session
    assert known.principal("root") == Principal("root", recovery=True)
    assert known.authenticate_password("root", "horse") is None  # the file's root has no password
    known.configure([])
    assert known.principal("carol") is None
    assert known.authenticate_password("carol", "horse") is None


def test_a_new_password_ends_the_old_one_at_once() -> None:
    known = Credentials([])
    known.configure([User(name="carol", password_hash=HASH)])
    assert known.authenticate_password("carol", "horse")
    known.configure([User(name="carol", password_hash=KNOWN[2][1])])
    assert not known.authenticate_password("carol", "horse")
    assert known.authenticate_password("carol", KNOWN[2][0])


def test_an_anchor_that_is_withdrawn_counts_no_more() -> None:
    trusted: list[bytes] = []
    known = Credentials([User(name="u", certificates=(fingerprint(b"leaf"),))], authorities=[b"file"])
    forget = known.believe(trusted.append)
    known.configure([], anchors=[b"one", b"two"])
    assert trusted == [b"one", b"two"]
    assert known.authenticate_certificate([b"leaf", b"one"]) == Principal("u")
    known.configure([], anchors=[b"two"])
    assert known.authenticate_certificate([b"leaf", b"one"]) is None
    assert known.authenticate_certificate([b"leaf", b"two", b"one"]) == Principal("u")
    assert known.authenticate_certificate([b"leaf", b"file"]) == Principal("u")
    known.configure([], anchors=[b"two", b"one"])
    assert known.authenticate_certificate([b"leaf", b"one"]) == Principal("u")
    forget()
    known.configure([], anchors=[b"three"])
    assert b"three" not in trusted
