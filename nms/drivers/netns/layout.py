"""Names and numbers of a domain's network on one host, all of them out of its block of addresses; pure.

The first subnet is the access network (clients, and this host); each of the others is a slice's.  The fabric has the
first address of each subnet.  Blocks do not overlap, so neither do the names of two domains on one machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from nms.drivers.api import ConfigError, RpcError, setting

BLOCK = "10.81.0.0/16"
ACCESS = "access"
#: Prefix length of a subnet, and the host numbers in it that instances get.
SUBNET = 24
FIRST, LAST = 2, 254


_BRIDGE = "slice"


def is_bridge(interface: str) -> bool:
    """Whether an interface in a fabric is the bridge of a slice."""
    return interface.startswith(_BRIDGE)


class Layout:
    """The layout of a block.

    Attributes:
        block: all addresses.
        fabric: the fabric's namespace.
        uplink: this host's interface on the access network.
        gateway: the fabric's address there, and `host` this host's.
    """

    def __init__(self, driver: str, config: Mapping[str, object]) -> None:
        text = setting(driver, config, "addresses", str, BLOCK)
        try:
            self.block = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise ConfigError(f"driver {driver}: 'addresses' is no IPv4 network: {error}") from error
        if not self.block.is_private or self.block.is_loopback or not 8 <= self.block.prefixlen <= SUBNET - 1:
            raise ConfigError(f"driver {driver}: 'addresses' must be a private block from /8 to /{SUBNET - 1}")
        self._subnets = 2 ** (SUBNET - self.block.prefixlen)
        self.fabric = f"mec-{self.block.network_address}"
        self.uplink = f"mec{int(self.block.network_address):08x}"
        self.gateway, self.host = self.router(0), self._address(0, 2)

    def _address(self, subnet: int, host: int) -> str:
        return str(self.block[subnet * 2 ** (32 - SUBNET) + host])

    def router(self, subnet: int) -> str:
        """The fabric's address in a subnet."""
        return self._address(subnet, 1)

    def subnet_of(self, address: str) -> int:
        """Number of the subnet that holds an address of the block."""
        return (int(ipaddress.IPv4Address(address)) - int(self.block.network_address)) >> (32 - SUBNET)

    def on_access(self, address: str) -> bool:
        """Whether an address is on the access network.  Raises `ValueError`: it is no IPv4 address."""
        return ipaddress.IPv4Address(address) in self.block and self.subnet_of(address) == 0

    def bridge(self, address: str) -> str:
        """The bridge of the slice that has the address, in the fabric."""
        return f"{_BRIDGE}{self.subnet_of(address)}"

    def namespace(self, address: str) -> str:
        """An instance's namespace."""
        return f"mec-{address}"

    def port(self, address: str) -> str:
        """An instance's port, in the fabric."""
        return f"port{int(ipaddress.IPv4Address(address)):08x}"

    def hardware(self, address: str) -> str:
        """An instance's MAC address, the same after each start: neighbours remember it for a while."""
        return "02:6d:" + ipaddress.IPv4Address(address).packed.hex(":")

    def user(self, address: str) -> int:
        """User and group of an instance's processes: nobody else's, as its address is nobody else's."""
        return int(ipaddress.IPv4Address(address))

    def place(self, slice: str, taken: Mapping[str, str], start: int) -> str:
        """An address for a new instance of the slice.

        Args:
            taken: address -> slice of all that are there.
            start: host numbers are tried from here on, so that a client of a deleted instance does not meet a
                stranger at once.

        Raises:
            RpcError: resource-denied.
        """
        subnets = {each: self.subnet_of(address) for address, each in taken.items()}
        subnet = subnets.get(slice)
        if subnet is None:
            used = set(subnets.values())
            subnet = next((number for number in range(1, self._subnets) if number not in used), None)
        if subnet is None:
            raise RpcError("resource-denied", f"every slice of {self.block} is taken; configure a larger block")
        for step in range(LAST - FIRST + 1):
            address = self._address(subnet, FIRST + (start + step) % (LAST - FIRST + 1))
            if address not in taken:
                return address
        raise RpcError("resource-denied", f"every address of slice {slice or 'of the domain itself'} is taken")
