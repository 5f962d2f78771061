"""AES-GCM for the packets of one direction of an SSH connection (RFC 5647 section 7), with its key set up once.

asyncssh makes a cipher of the key for each packet, which takes twice the time of encrypting a short one.
"""

from __future__ import annotations

from typing import Final

from asyncssh.encryption import Encryption, GCMEncryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Bytes of the nonce that stay; the others count the packets, modulo 2 ** 64 (section 7.1).
_FIXED: Final = 4
_LAST: Final = 2**64 - 1


class Gcm(Encryption):
    """Takes the place of an `asyncssh.encryption.GCMEncryption`.

    Args:
        key: 16 or 32 bytes.
        nonce: the 12 bytes of the next packet.
    """

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fixed = nonce[:_FIXED]
        self._counter = int.from_bytes(nonce[_FIXED:], "big")

    def _next(self) -> bytes:
        counter = self._counter
        self._counter = (counter + 1) & _LAST
        return self._fixed + counter.to_bytes(8, "big")

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        """What goes over the line: the packet with its tag, and nothing after it."""
        return header + self._cipher.encrypt(self._next(), packet, header), b""

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        """The block as it is, and the length of the packet, which is not encrypted."""
        return first_block, first_block[:header_len]

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:
        """The packet, None if it is not what the client has sent."""
        try:
            return self._cipher.decrypt(self._next(), first[header_len:] + rest + mac, first[:header_len])
        except InvalidTag:
            return None


def keyed(encryption: Encryption | None) -> Encryption | None:
    """`encryption` with its key set up, where it is AES-GCM and the library keeps the key where it did."""
    cipher = getattr(encryption, "_cipher", None)
    key, nonce = getattr(cipher, "_key", None), getattr(cipher, "_iv", None)
    return Gcm(key, nonce) if isinstance(encryption, GCMEncryption) and key and nonce else encryption
