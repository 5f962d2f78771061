"""Names, addresses and times to live as every DNS driver takes them (RFC 1035, 2181); pure, and no driver itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

import dns.exception
import dns.name

from nms.drivers.api import RecordType, RpcError

#: RFC 2181, section 8.
MAX_TTL = 2**31 - 1

Name = dns.name.Name


def enclosing(name: Name, origins: Collection[Name]) -> Name | None:
    """The deepest of the zones that encloses the name, None outside all of them."""
    while True:
        if name in origins:
            return name
        if name == dns.name.root:
            return None
        name = name.parent()


def parse_name(text: str) -> Name:
    """An absolute name in lower case.  Raises `RpcError`: invalid-value."""
    try:
        return dns.name.from_text(text.lower())
    except (dns.exception.DNSException, UnicodeError) as error:
        raise RpcError("invalid-value", f"{text!r} is no domain name: {error}") from error


def parse_address(type: RecordType, text: str) -> str:
    """The canonical form of an address that fits the type.  Raises `RpcError`: invalid-value."""
    family: dict[str, int] = {"A": 4, "AAAA": 6}
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise RpcError("invalid-value", f"{text!r} is no IP address") from error
    if address.version != family.get(type):
        raise RpcError("invalid-value", f"{text} cannot stand in a record of type {type}")
    return str(address)


def canonical(address: str | None) -> str | None:
    """The canonical form where it is an address at all, to compare with."""
    try:
        return address and str(ipaddress.ip_address(address))
    except ValueError:
        return address


def check_ttl(name: str, ttl: int, least: int = 0, most: int = MAX_TTL) -> None:
    """Raises `RpcError`, invalid-value, for a time to live out of bounds."""
    if not least <= ttl <= most:
        raise RpcError("invalid-value", f"TTL {ttl} of {name} is not between {least} and {most} seconds")
