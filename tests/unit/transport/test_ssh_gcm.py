"""AES-GCM with its key set up once: to the byte what the library's own does."""

from __future__ import annotations

import pytest
from asyncssh.encryption import GCMEncryption, get_encryption

from nms.transport.ssh_gcm import Gcm, keyed

HEADER = b"\0\0\0\x20"


@pytest.mark.parametrize(("name", "size"), [(b"aes128-gcm@openssh.com", 16), (b"aes256-gcm@openssh.com", 32)])
@pytest.mark.parametrize("counter", [bytes(8), b"\xff" * 8, b"\0\0\0\0\xff\xff\xff\xff"])
def test_packets_are_those_of_the_library(name: bytes, size: int, counter: bytes) -> None:
    def library() -> GCMEncryption:
        made = get_encryption(name, bytes(range(size)), b"abcd" + counter)
        assert isinstance(made, GCMEncryption)
        return made

    theirs, ours, receiver = library(), keyed(library()), keyed(library())
    assert isinstance(ours, Gcm)
    assert isinstance(receiver, Gcm)
    for number in range(4):
        packet = bytes([number]) * 32
        sent = b"".join(ours.encrypt_packet(number, HEADER, packet))
        assert sent == b"".join(theirs.encrypt_packet(number, HEADER, packet))
        assert receiver.decrypt_header(number, sent[:16], 4) == (sent[:16], HEADER)
        assert receiver.decrypt_packet(number, sent[:16], sent[16:-16], 4, sent[-16:]) == packet


def test_a_key_that_is_in_use_goes_on_where_it_is() -> None:
    used = get_encryption(b"aes128-gcm@openssh.com", b"k" * 16, b"n" * 12)
    other = get_encryption(b"aes128-gcm@openssh.com", b"k" * 16, b"n" * 12)
    for encryption in (used, other):
        encryption.encrypt_packet(0, HEADER, b"x" * 32)
    going_on = keyed(used)
    assert isinstance(going_on, Gcm)
    assert b"".join(going_on.encrypt_packet(1, HEADER, b"y" * 32)) == b"".join(
        other.encrypt_packet(1, HEADER, b"y" * 32)
    )


@pytest.mark.parametrize("at", [0, 4, 20, -1])
def test_what_was_changed_on_the_way_is_no_packet(at: int) -> None:
    sender, receiver = Gcm(b"k" * 16, b"n" * 12), Gcm(b"k" * 16, b"n" * 12)
    sent = bytearray(b"".join(sender.encrypt_packet(0, HEADER, b"x" * 32)))
    sent[at] ^= 1
    assert receiver.decrypt_packet(0, bytes(sent[:16]), bytes(sent[16:-16]), 4, bytes(sent[-16:])) is None


@pytest.mark.parametrize("name", [b"chacha20-poly1305@openssh.com", b"aes128-ctr"])
def test_other_ciphers_stay_as_they_are(name: bytes) -> None:
    other = get_encryption(name, b"k" * 64 if b"chacha" in name else b"k" * 16, b"n" * 16, b"hmac-sha2-256", b"m" * 32)
    assert keyed(other) is other
    assert keyed(None) is None
