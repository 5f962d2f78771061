"""The DNS driver for a name server that takes dynamic updates (RFC 2136) signed with a shared key (TSIG, RFC 8945).

`Memory` is what we have published, kept in a file: it is written before the server is asked, so that nothing that may
stand in the zone is ever forgotten.  `UpdateDns` is the driver: it adds and removes only its own addresses, never those
that others keep under the same name, and believes only answers that carry the key's signature.  It knows no other
driver, and nothing of who asks.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import json
import logging
import os
import re
import stat
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from nms.drivers.api import ConfigError, DnsRecord, RecordType, RpcError, setting, strict
from nms.drivers.dns_names import MAX_TTL, Name, canonical, check_ttl, enclosing, parse_address, parse_name

ME = "dns rfc2136"
#: error-app-tag of what may pass by itself.
TEMPORARY = "temporary"
_KEYS = (
    "server", "port", "zones", "key-name", "key-algorithm", "key-file", "ttl-min", "ttl-max", "timeout",
)  # fmt: skip
_log = logging.getLogger(__name__)

#: How a server refuses (RFC 2136 section 2.2.2, RFC 8945 section 5.3): error-tag, app-tag, and what it means.
_REFUSALS: Mapping[dns.rcode.Rcode, tuple[str, str, str]] = {
    dns.rcode.REFUSED: ("access-denied", "", "refuses it: zone {zone} is not its own, or not granted to key {key}"),
    dns.rcode.NOTAUTH: ("operation-failed", "", "has no zone {zone} of its own"),
    dns.rcode.NOTZONE: ("operation-failed", "", "has no zone {zone} that holds the name"),
    dns.rcode.NOTIMP: ("operation-not-supported", "", "knows no dynamic update"),
    dns.rcode.SERVFAIL: ("operation-failed", TEMPORARY, "failed; its log says why"),
}
_KEY_TROUBLES: Mapping[type[dns.exception.DNSException], str] = {
    dns.tsig.PeerBadKey: "does not know key {key} (with this algorithm), or grants it nothing",
    dns.tsig.PeerBadSignature: "has another secret for key {key}",
    dns.tsig.PeerBadTime: "has another time of day than this machine",
    dns.tsig.BadTime: "has another time of day than this machine",
    dns.exception.FormError: "gives no answer signed with key {key}: it may not have zone {zone}",
}


class Memory:
    """The records that we have asked a server to hold, in a file that is replaced with every change.

    Raises `ConfigError` when the file is damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
            self._records = {(each["name"], each["type"], each["address"]): DnsRecord(**each) for each in held}
        except FileNotFoundError:
            self._records = {}
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{file} is damaged ({error}); without it nobody knows which records are ours") from error

    def records(self, name: str = "", type: RecordType | None = None, address: str | None = None) -> list[DnsRecord]:
        """Those that match, ordered by name (RFC 4034, 6.1), type and address; what is not given matches everything."""
        found = (
            each
            for each in self._records.values()
            if name in ("", each.name) and type in (None, each.type) and address in (None, each.address)
        )
        return sorted(found, key=lambda each: (dns.name.from_text(each.name), each.type, each.address))

    def change(self, gone: Iterable[DnsRecord], come: Iterable[DnsRecord]) -> None:
        """Forget some and keep others, durably.  Raises `RpcError`: operation-failed."""
        records = dict(self._records)
        for each in gone:
            records.pop((each.name, each.type, each.address), None)
        records |= {(each.name, each.type, each.address): each for each in come}
        if records == self._records:
            return
        partial = self._file.with_name(self._file.name + ".part")
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump([asdict(each) for each in records.values()], file)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._file)
        except OSError as error:
            raise RpcError("operation-failed", f"the published DNS records cannot be written down: {error}") from error
        self._records = records


class UpdateDns:
    """The driver (`nms.drivers.api.Dns`).

    Configuration: ``server`` (IP address), ``port`` (default 53), ``zones`` (list of names), ``key-name``,
    ``key-algorithm`` (default ``hmac-sha256``), ``key-file`` (base64, or what tsig-keygen writes; readable by its owner
    only), ``ttl-min`` and ``ttl-max`` (seconds, default 0 and 86400: other times to live are refused), ``timeout``
    (seconds to wait for an answer, default 5).
    """

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict(ME, config, _KEYS)
        self._timeout = setting(ME, config, "timeout", float, 5.0)
        self._least, self._most = setting(ME, config, "ttl-min", int, 0), setting(ME, config, "ttl-max", int, 86400)
        origins = setting(ME, config, "zones", list)
        port = setting(ME, config, "port", int, 53)
        try:
            self._server = str(ipaddress.ip_address(setting(ME, config, "server", str))), port
            self._origins = {parse_name(str(origin)) for origin in origins}
        except (ValueError, RpcError) as error:
            said = error.message if isinstance(error, RpcError) else error
            raise ConfigError(f"driver {ME}: {said}; server is an IP address, zones are domain names") from error
        if not origins:
            raise ConfigError(f"driver {ME}: key 'zones' names no zone")
        if not 0 < port < 65536 or self._timeout <= 0 or not 0 <= self._least <= self._most <= MAX_TTL:
            raise ConfigError(f"driver {ME}: port, timeout, ttl-min or ttl-max is out of range")
        self._key = _key(
            setting(ME, config, "key-name", str),
            setting(ME, config, "key-algorithm", str, "hmac-sha256"),
            Path(setting(ME, config, "key-file", str)),
        )
        self._state = state
        self._memory: Memory | None = None
        self._turns: weakref.WeakValueDictionary[Name, asyncio.Lock] = weakref.WeakValueDictionary()

    async def open(self) -> None:
        """Read what was published before, and see that the server knows the zones and the key.

        A server that does not answer is only warned of: it may be back before anything is published.
        """
        self._memory = Memory(self._state / "published.json")
        for zone in sorted(self._origins):
            try:
                answer = await self._ask(dns.message.make_query(zone, dns.rdatatype.SOA), zone)
                if answer.get_rrset(answer.answer, zone, dns.rdataclass.IN, dns.rdatatype.SOA) is None:
                    said = _REFUSALS[dns.rcode.NOTAUTH][2].format(zone=zone.to_text(omit_final_dot=True))
                    raise RpcError("operation-failed", f"{self._named()} {said}")
            except RpcError as error:
                if error.app_tag != TEMPORARY:
                    raise ConfigError(f"driver {ME}: {error.message}") from error
                _log.warning("%s", error.message)

    async def close(self) -> None:
        """Nothing to end: what is published stays so, and is known to the next `open`."""
        self._memory = None

    def listening(self) -> tuple[str, int]:
        """The server's address and port."""
        return self._server

    async def publish(self, name: str, type: RecordType, address: str, ttl: int) -> None:
        """Add or renew; see `nms.drivers.api.Dns.publish`.

        Raises `RpcError` besides: access-denied (key or policy), operation-failed (with app-tag temporary where nobody
        knows whether it was done: asking again is harmless).
        """
        absolute = parse_name(name)
        zone = enclosing(absolute, self._origins)
        if zone is None:
            raise RpcError("invalid-value", f"{name} lies in none of the zones of this DNS server")
        check_ttl(name, ttl, self._least, self._most)
        new = DnsRecord(absolute.to_text(), type, parse_address(type, address), ttl)
        async with self._turn(absolute):
            before = self._known.records(new.name, type)
            # One TTL for all addresses of the type: those that were there are renewed in the same, atomic update.
            after = [DnsRecord(each.name, type, each.address, ttl) for each in before if each.address != new.address]
            after.append(new)
            self._known.change((), after)
            try:
                await self._update(zone, before, after)
            except RpcError as error:
                if error.app_tag != TEMPORARY:  # it certainly does not stand there
                    self._known.change(after, before)
                raise

    async def withdraw(self, name: str, type: RecordType | None = None, address: str | None = None) -> None:
        """Remove what we have published and matches; see `nms.drivers.api.Dns.withdraw`.

        What could not be removed is remembered, to be withdrawn by a later call.  Raises `RpcError` as `publish` does.
        """
        absolute = parse_name(name)
        async with self._turn(absolute):
            gone = self._known.records(absolute.to_text(), type, canonical(address))
            zone = enclosing(absolute, self._origins)
            if gone and zone is not None:
                await self._update(zone, gone, ())
            self._known.change(gone, ())

    async def records(self) -> Sequence[DnsRecord]:
        """What we have published and the server gives out, with the TTL that it gives.

        Raises `RpcError`: operation-failed (app-tag temporary) when it cannot be asked.
        """
        found = []
        answers: dict[tuple[str, RecordType], Mapping[str, int]] = {}
        for each in self._known.records():
            key = each.name, each.type
            if key not in answers:
                answers[key] = await self._resolve(*key)
            if each.address in answers[key]:
                found.append(DnsRecord(each.name, each.type, each.address, answers[key][each.address]))
        return found

    @property
    def _known(self) -> Memory:
        assert self._memory is not None, "not open"
        return self._memory

    def _turn(self, name: Name) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _named(self) -> str:
        return f"DNS server {self._server[0]} port {self._server[1]}"

    # -- messages

    async def _update(self, zone: Name, gone: Iterable[DnsRecord], come: Iterable[DnsRecord]) -> None:
        """One update message: the server does all of it or nothing (RFC 2136 section 3.7)."""
        message = dns.update.UpdateMessage(zone)
        for each in gone:
            message.delete(dns.name.from_text(each.name), each.type, each.address)
        for each in come:
            message.add(dns.name.from_text(each.name), each.ttl, each.type, each.address)
        await self._ask(message, zone)

    async def _resolve(self, name: str, type: RecordType) -> Mapping[str, int]:
        """The addresses that the server gives for a name, with their TTL."""
        absolute = dns.name.from_text(name)
        zone = enclosing(absolute, self._origins) or dns.name.root
        answer = await self._ask(dns.message.make_query(absolute, type), zone, (dns.rcode.NXDOMAIN,))
        return {
            rdata.to_text(): rrset.ttl
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.from_text(type)
            for rdata in rrset
        }

    async def _ask(
        self, message: dns.message.Message, zone: Name, also: Sequence[dns.rcode.Rcode] = ()
    ) -> dns.message.Message:
        """Sign, send over TCP (RFC 7766: as good as UDP, and a dead server is known at once), and read the answer.

        Args:
            also: response codes that are answers besides NOERROR.
        """
        message.use_tsig(self._key)
        words = {each: name.to_text(omit_final_dot=True) for each, name in (("key", self._key.name), ("zone", zone))}
        try:
            answer = await dns.asyncquery.tcp(message, self._server[0], self._timeout, self._server[1])
        except (dns.exception.Timeout, OSError, EOFError) as error:
            why = "does not answer in time" if isinstance(error, dns.exception.Timeout) else f"is not reached ({error})"
            raise RpcError("operation-failed", f"{self._named()} {why}", type="transport", app_tag=TEMPORARY) from error
        except dns.exception.DNSException as error:
            said = _KEY_TROUBLES.get(type(error), f"gives an answer that cannot be believed ({error!r})")
            raise RpcError("access-denied", f"{self._named()} {said.format(**words)}") from error
        if not answer.had_tsig:  # releases of dnspython differ in who looks
            raise RpcError("access-denied", f"{self._named()} {_KEY_TROUBLES[dns.exception.FormError].format(**words)}")
        if answer.rcode() not in (dns.rcode.NOERROR, *also):
            unknown = "operation-failed", "", f"answers {dns.rcode.to_text(answer.rcode())}"
            tag, app_tag, said = _REFUSALS.get(answer.rcode(), unknown)
            raise RpcError(tag, f"{self._named()} {said.format(**words)}", app_tag=app_tag)
        return answer


def _key(name: str, algorithm: str, file: Path) -> dns.tsig.Key:
    """The key from its file.  Raises `ConfigError`, which never holds any of the content."""
    try:
        with open(file, encoding="ascii") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise ConfigError(f"driver {ME}: key-file {file} can be read by others; run chmod 600 {file}")
            content = opened.read()
        quoted = re.search(r'\bsecret\s+"([^"]*)"', content)
        secret = base64.b64decode((quoted[1] if quoted else content).strip(), validate=True)
        if not secret:
            raise ValueError("empty")
    except OSError as error:
        raise ConfigError(f"driver {ME}: key-file {file} cannot be read: {error.strerror}") from error
    except (ValueError, binascii.Error):
        raise ConfigError(f"driver {ME}: key-file {file} holds no secret in base64") from None
    names = (each.to_text(omit_final_dot=True) for each in dns.tsig.mac_sizes)
    known = sorted(each for each in names if each.startswith("hmac-"))
    if algorithm.lower() not in known:
        raise ConfigError(f"driver {ME}: no key-algorithm {algorithm!r}; there are {', '.join(known)}")
    try:
        return dns.tsig.Key(parse_name(name), secret, algorithm.lower())
    except RpcError as error:
        raise ConfigError(f"driver {ME}: key-name: {error.message}") from error
