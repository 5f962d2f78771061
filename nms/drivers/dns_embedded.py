"""The embedded DNS: an authoritative responder for a few zones, over UDP and TCP (RFC 1034, 1035, 2308, 6891, 7766).

`Zones` is the data and `reply` the protocol; both are pure, a message in and a message out.  `EmbeddedDns` is the
driver around them: sockets and the publish/withdraw interface.  Records live in memory: the platform publishes them
again after a restart.  No recursion, no transfer, no DNSSEC, no update over the wire.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from nms.drivers.api import ConfigError, DnsRecord, RecordType, RpcError, setting, strict
from nms.drivers.dns_names import Name, canonical, check_ttl, enclosing, parse_address, parse_name

#: The largest answer over UDP that passes every path unfragmented (DNS flag day 2020).
UDP_PAYLOAD = 1232
ZONE_TTL = 300
#: How long a resolver may remember that a name is absent (RFC 2308); short, since instances come and go.
NEGATIVE_TTL = 5
TCP_IDLE_SECONDS = 10.0
TCP_CONNECTIONS = 64

_Addresses = dict[str, None]


class Zones:
    """The zones with their published addresses.

    Args:
        origins: the zones' names, for instance ``edge-a.example``.
        nameserver: the name in every NS and SOA record; empty: ``ns1.`` and the zone.
        nameserver_address: address answered for that name where it lies in the zone; empty: none.
        serial: SOA serial to start from.
    """

    def __init__(
        self, origins: Iterable[str], nameserver: str = "", nameserver_address: str = "", serial: int = 1
    ) -> None:
        self._origins = {dns.name.from_text(origin.lower()) for origin in origins}
        self._nameserver = dns.name.from_text(nameserver.lower()) if nameserver else None
        self._nameserver_address = nameserver_address
        self._serial = serial
        self._published: dict[Name, dict[RecordType, tuple[int, _Addresses]]] = {}

    def origin_of(self, name: Name) -> Name | None:
        """The deepest zone that encloses the name, None outside all of them."""
        return enclosing(name, self._origins)

    def publish(self, name: Name, type: RecordType, address: str, ttl: int) -> None:
        """Add an address to a name; the TTL becomes that of all its addresses of the type."""
        types = self._published.setdefault(name, {})
        _, addresses = types.get(type, (ttl, {}))
        types[type] = (ttl, {**addresses, address: None})
        self._serial = (self._serial + 1) % 2**32

    def withdraw(self, name: Name, type: RecordType | None, address: str | None) -> None:
        """Remove what matches; None matches everything."""
        kept: dict[RecordType, tuple[int, _Addresses]] = {}
        for kind, (ttl, addresses) in self._published.get(name, {}).items():
            concerned = type is None or type == kind
            left = {each: None for each in addresses if not concerned or (address is not None and address != each)}
            if left:
                kept[kind] = (ttl, left)
        if kept:
            self._published[name] = kept
        else:
            self._published.pop(name, None)
        self._serial = (self._serial + 1) % 2**32

    def records(self) -> list[DnsRecord]:
        """Every published record, ordered by name (RFC 4034, 6.1), type and address."""
        return [
            DnsRecord(name.to_text(), kind, address, types[kind][0])
            for name, types in sorted(self._published.items())
            for kind in sorted(types)
            for address in sorted(types[kind][1])
        ]

    def exists(self, name: Name, origin: Name) -> bool:
        """Whether the name has records, or a name below it has (an empty non-terminal, RFC 4592, 2.2.2)."""
        holders = (origin, self.nameserver(origin), *self._published)
        return any(holder.is_subdomain(name) for holder in holders)

    def nameserver(self, origin: Name) -> Name:
        """The name of the zone's server."""
        return self._nameserver or dns.name.Name((b"ns1", *origin.labels))

    def soa(self, origin: Name, ttl: int = ZONE_TTL) -> dns.rrset.RRset:
        """The zone's start of authority."""
        text = f"{self.nameserver(origin)} hostmaster.{origin} {self._serial} 3600 600 86400 {NEGATIVE_TTL}"
        return dns.rrset.from_text(origin, ttl, "IN", "SOA", text)

    def rrsets(self, name: Name, origin: Name) -> list[dns.rrset.RRset]:
        """All record sets of a name in its zone."""
        found = []
        if name == origin:
            found += [self.soa(origin), dns.rrset.from_text(name, ZONE_TTL, "IN", "NS", str(self.nameserver(origin)))]
        types = self._published.get(name, {})
        if name == self.nameserver(origin) and self._nameserver_address:
            kind: RecordType = "AAAA" if ":" in self._nameserver_address else "A"
            types = {kind: (ZONE_TTL, {self._nameserver_address: None}), **types}
        found += [dns.rrset.from_text(name, ttl, "IN", kind, *addresses) for kind, (ttl, addresses) in types.items()]
        return found


def reply(zones: Zones, wire: bytes, *, udp: bool) -> bytes | None:
    """The answer to one query message.

    Args:
        zones: what we are authoritative for.
        wire: the message as received.
        udp: whether the answer must fit a datagram; a longer one is truncated and says so (TC).

    Returns:
        The answer, or None where silence is right: garbage, and answers sent to us (which could loop).
    """
    try:
        query = dns.message.from_wire(wire, ignore_trailing=True)
    except dns.exception.DNSException:
        return None
    except (ValueError, IndexError):  # dnspython's own slips on hostile bytes; to us they are garbage all the same
        return None
    if query.flags & dns.flags.QR:
        return None
    # A keyed query (TSIG) comes with no key of ours: from_wire raises, so none reaches this point.
    answer = dns.message.make_response(query, our_payload=UDP_PAYLOAD)
    answer.set_rcode(_fill(zones, query, answer))
    datagram = min(max(query.payload, 512), UDP_PAYLOAD) if query.edns >= 0 else 512
    return answer.to_wire(max_size=datagram if udp else 65535, prefer_truncation=True)


def _fill(zones: Zones, query: dns.message.Message, answer: dns.message.Message) -> dns.rcode.Rcode:
    if query.edns > 0:
        return dns.rcode.BADVERS
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    name, wanted = question.name, question.rdtype
    origin = zones.origin_of(name)
    if origin is None or question.rdclass != dns.rdataclass.IN or wanted in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
        return dns.rcode.REFUSED
    answer.flags |= dns.flags.AA
    for rrset in zones.rrsets(name, origin):
        if wanted in (rrset.rdtype, dns.rdatatype.ANY):
            answer.answer.append(rrset)
    if not answer.answer:
        answer.authority.append(zones.soa(origin, NEGATIVE_TTL))
        return dns.rcode.NOERROR if zones.exists(name, origin) else dns.rcode.NXDOMAIN
    if wanted == dns.rdatatype.NS:
        server = zones.nameserver(origin)
        if zones.origin_of(server) == origin:
            addresses = (dns.rdatatype.A, dns.rdatatype.AAAA)
            answer.additional.extend(rrset for rrset in zones.rrsets(server, origin) if rrset.rdtype in addresses)
    return dns.rcode.NOERROR


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if (answer := reply(self._zones, data, udp=True)) is not None:
            self._transport.sendto(answer, address)


class EmbeddedDns:
    """The driver (`nms.drivers.api.Dns`).

    Configuration: ``listen`` (``address:port``, port 0 takes a free one; default ``127.0.0.1:0``), ``zones`` (list of
    names; default ``mec.test``, RFC 6761), ``nameserver`` (name in NS and SOA; default ``ns1.`` and the zone),
    ``nameserver-address`` (default: the listening address, unless that is a wildcard).
    """

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        me = "dns embedded"
        strict(me, config, ("listen", "zones", "nameserver", "nameserver-address"))
        host, _, port = setting(me, config, "listen", str, "127.0.0.1:0").rpartition(":")
        origins = setting(me, config, "zones", list, ["mec.test"])
        try:
            self._host, self._port = str(ipaddress.ip_address(host.strip("[]"))), int(port)
            if not 0 <= self._port < 65536:
                raise ValueError(f"{port} is no port")
            server = setting(me, config, "nameserver-address", str, "")
            if not server and not ipaddress.ip_address(self._host).is_unspecified:
                server = self._host
            server = server and str(ipaddress.ip_address(server))
            # The clock only seeds the serial, so that it grows over restarts as secondaries and caches expect.
            zones = Zones(map(str, origins), setting(me, config, "nameserver", str, ""), server, int(time.time()))
        except (ValueError, dns.exception.DNSException) as error:
            raise ConfigError(f"driver {me}: {error}; listen is address:port, zones are domain names") from error
        if not origins:
            raise ConfigError(f"driver {me}: key 'zones' names no zone")
        self._zones = zones
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen on UDP and TCP.  Raises `ConfigError` when the port is taken or not ours to take."""
        loop = asyncio.get_running_loop()
        # A free TCP port need not be free for UDP: with port 0 try a few pairs.
        for attempt in reversed(range(8 if self._port == 0 else 1)):
            try:
                self._tcp = await asyncio.start_server(self._accept, self._host, self._port)
                port = self._tcp.sockets[0].getsockname()[1]
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self._zones), local_addr=(self._host, port)
                )
            except OSError as error:
                if self._tcp is not None:
                    self._tcp.close()
                    self._tcp = None
                if not attempt:
                    raise ConfigError(
                        f"driver dns embedded: cannot listen on {self._host}:{self._port}: {error.strerror}; "
                        "choose another 'listen' (ports below 1024 need a privilege)"
                    ) from error
            else:
                return

    async def close(self) -> None:
        """Stop listening and end the open conversations."""
        if self._tcp is not None:
            self._tcp.close()
        if self._udp is not None:
            self._udp.close()
        for task in tuple(self._conversations):
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        self._tcp = self._udp = None

    def listening(self) -> tuple[str, int]:
        """Address and port; the port is the real one once open."""
        port = self._tcp.sockets[0].getsockname()[1] if self._tcp is not None else self._port
        return self._host, port

    async def publish(self, name: str, type: RecordType, address: str, ttl: int) -> None:
        """See `nms.drivers.api.Dns.publish`."""
        absolute = parse_name(name)
        if self._zones.origin_of(absolute) is None:
            raise RpcError("invalid-value", f"{name} lies in none of the zones of this DNS server")
        check_ttl(name, ttl)
        self._zones.publish(absolute, type, parse_address(type, address), ttl)

    async def withdraw(self, name: str, type: RecordType | None = None, address: str | None = None) -> None:
        """See `nms.drivers.api.Dns.withdraw`."""
        self._zones.withdraw(parse_name(name), type, canonical(address))

    async def records(self) -> Sequence[DnsRecord]:
        """Every published record."""
        return self._zones.records()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            if len(self._conversations) <= TCP_CONNECTIONS:
                await self._converse(reader, writer)
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass  # the client left or fell silent
        except asyncio.CancelledError:
            pass  # `close`: asyncio's own callback would report a cancelled handler as an error
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(TCP_IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(2))
                answer = reply(self._zones, await reader.readexactly(length), udp=False)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
