"""Loopback addresses for instances, out of a configured block of 127.0.0.0/8."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Collection

from nms.drivers.api import ConfigError, RpcError

#: Addresses tried before giving up on a port that others hold.
MAX_PROBES = 64


class Addresses:
    """The block.  Raises `ConfigError` when it is no loopback network."""

    def __init__(self, driver: str, block: str) -> None:
        try:
            self._block = ipaddress.IPv4Network(block)
        except ValueError as error:
            raise ConfigError(f"driver {driver}: 'addresses' is no network: {error}") from error
        if not self._block.is_loopback:
            raise ConfigError(f"driver {driver}: 'addresses' must be a block of 127.0.0.0/8, not {block}")
        # The first and the last address of a block are left out: 127.0.0.0 and its like confuse many programs.
        self._first, self._size = (1, self._block.num_addresses - 2) if self._block.prefixlen < 31 else (0, 1)
        self._next = 0

    def free(self, used: Collection[str], port: int | None) -> str:
        """The next address that is not in use and on which no other program holds the port.

        Raises `RpcError`: resource-denied.
        """
        held = 0
        # Next after the last one given, so that a client of a deleted instance does not meet a stranger at once.
        for step in range(self._size):
            offset = (self._next + step) % self._size
            address = str(self._block[self._first + offset])
            if address in used:
                continue
            if _bindable(address, port):
                self._next = offset + 1
                return address
            held += 1
            if held == MAX_PROBES:
                break
        why = f"port {port} is held by other programs on the addresses" if held else "every address is taken"
        raise RpcError("resource-denied", f"{why} of {self._block}; configure another block")


def _bindable(address: str, port: int | None) -> bool:
    """Whether the port is free on the address.  Raises `RpcError` where we could never bind it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port or 0))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise RpcError("resource-denied", f"{address} port {port} cannot be used: {error.strerror}") from error
    return True
