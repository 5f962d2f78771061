"""The embedded DNS from outside: real sockets, a real `dig`, and hostile bytes."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.drivers.api import ConfigError, DnsRecord
from nms.drivers.dns_embedded import EmbeddedDns, Zones, reply

ZONE = "edge-a.example"


def served(story: Callable[[EmbeddedDns], Awaitable[None]], **config: Any) -> None:
    """Run a story against a server on a free port."""

    async def run() -> None:
        server = EmbeddedDns({"listen": "127.0.0.1:0", "zones": [ZONE, "example.org"], **config}, Path("."))
        await server.open()
        try:
            await story(server)
        finally:
            await server.close()

    asyncio.run(run())


async def dig(server: EmbeddedDns, *words: str) -> str:
    host, port = server.listening()
    process = await asyncio.create_subprocess_exec(
        "dig", f"@{host}", "-p", str(port), "+time=5", "+tries=1", *words, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output.decode()


async def ask(server: EmbeddedDns, name: str, type: str = "A", **options: Any) -> dns.message.Message:
    host, port = server.listening()
    query = dns.message.make_query(name, type, **options)
    return await dns.asyncquery.udp(query, host, port=port, timeout=5)


def test_dig_finds_published_addresses_over_udp_and_tcp(need: Callable[[str, str], str]) -> None:
    need("dig", "bind9-dnsutils")

    async def story(server: EmbeddedDns) -> None:
        await server.publish(f"hello.{ZONE}", "A", "127.81.0.1", 30)
        await server.publish(f"hello.{ZONE}", "AAAA", "2001:db8::1", 60)
        assert (await dig(server, f"hello.{ZONE}", "A", "+short")).split() == ["127.81.0.1"]
        assert (await dig(server, f"hello.{ZONE}", "AAAA", "+short")).split() == ["2001:db8::1"]
        assert (await dig(server, f"hello.{ZONE}", "A", "+short", "+tcp")).split() == ["127.81.0.1"]
        whole = await dig(server, f"hello.{ZONE}")
        assert "status: NOERROR" in whole
        assert "flags: qr aa" in whole
        assert "WARNING: Message" not in whole
        assert "\t30\tIN\tA\t127.81.0.1" in whole
        await server.withdraw(f"hello.{ZONE}")
        assert "status: NXDOMAIN" in await dig(server, f"hello.{ZONE}")

    served(story)


def test_dig_sees_a_proper_zone(need: Callable[[str, str], str]) -> None:
    need("dig", "bind9-dnsutils")

    async def story(server: EmbeddedDns) -> None:
        assert f"ns1.{ZONE}. hostmaster.{ZONE}." in await dig(server, ZONE, "SOA", "+short")
        listed = await dig(server, ZONE, "NS")
        assert f"IN\tNS\tns1.{ZONE}." in listed
        assert f"ns1.{ZONE}.\t300\tIN\tA\t127.0.0.1" in listed
        assert "status: REFUSED" in await dig(server, "other.example")
        assert "status: REFUSED" in await dig(server, ZONE, "CH", "TXT")
        assert "Transfer failed" in await dig(server, ZONE, "AXFR")
        assert "status: NOERROR" in await dig(server, ZONE, "SOA", "+noedns")
        assert "status: NOERROR" in await dig(server, ZONE, "SOA", "+cookie", "+nsid", "+subnet=10.0.0.0/8")
        assert "status: BADVERS" in await dig(server, ZONE, "SOA", "+edns=1", "+noednsnegotiation")

    served(story)


def test_absent_name_and_absent_type_are_told_apart() -> None:
    async def story(server: EmbeddedDns) -> None:
        await server.publish(f"a.b.{ZONE}", "A", "10.0.0.1", 30)
        for name, kind, rcode in [
            (f"a.b.{ZONE}", "AAAA", dns.rcode.NOERROR),
            (f"b.{ZONE}", "A", dns.rcode.NOERROR),  # an empty non-terminal exists
            (f"c.{ZONE}", "A", dns.rcode.NXDOMAIN),
            (f"x.a.b.{ZONE}", "A", dns.rcode.NXDOMAIN),
            ("example.org", "A", dns.rcode.NOERROR),
        ]:
            answer = await ask(server, name, kind)
            assert (answer.rcode(), answer.answer) == (rcode, []), name
            assert [str(rrset.name) for rrset in answer.authority] == [
                "example.org." if name == "example.org" else f"{ZONE}."
            ]
            assert answer.flags & dns.flags.AA

    served(story)


def test_case_is_ignored_and_echoed() -> None:
    async def story(server: EmbeddedDns) -> None:
        await server.publish(f"Hello.{ZONE.upper()}.", "A", "10.0.0.1", 30)
        answer = await ask(server, f"hElLo.{ZONE}")
        assert answer.answer[0].to_text() == f"hElLo.{ZONE}. 30 IN A 10.0.0.1"
        assert await server.records() == [DnsRecord(f"hello.{ZONE}.", "A", "10.0.0.1", 30)]

    served(story)


def test_long_answers_are_truncated_over_udp_and_whole_over_tcp() -> None:
    async def story(server: EmbeddedDns) -> None:
        for number in range(200):
            await server.publish(f"many.{ZONE}", "A", f"10.0.0.{number}", 30)
        host, port = server.listening()
        short = await ask(server, f"many.{ZONE}")
        assert short.flags & dns.flags.TC
        assert len(short.to_wire()) <= 512
        larger = await ask(server, f"many.{ZONE}", use_edns=0, payload=4096)
        assert larger.flags & dns.flags.TC
        assert len(larger.to_wire()) <= 1232
        for options in ({}, {"use_edns": 0, "payload": 512}):
            query = dns.message.make_query(f"many.{ZONE}", "A", **options)  # type: ignore[arg-type]
            whole = await dns.asyncquery.tcp(query, host, port=port, timeout=5)
            assert not whole.flags & dns.flags.TC
            assert len(whole.answer[0]) == 200

    served(story)


def test_the_serial_grows_with_every_change() -> None:
    zones = Zones([ZONE], serial=2**32 - 1)
    serials = [zones.soa(dns.name.from_text(ZONE))[0].serial]
    zones.publish(dns.name.from_text(f"a.{ZONE}"), "A", "10.0.0.1", 1)
    serials.append(zones.soa(dns.name.from_text(ZONE))[0].serial)
    assert serials == [2**32 - 1, 0]


def test_garbage_is_ignored_and_the_next_query_answered() -> None:
    async def story(server: EmbeddedDns) -> None:
        host, port = server.listening()
        response = dns.message.make_response(dns.message.make_query(ZONE, "SOA"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for bad in (b"", b"x", b"\0" * 12, b"\xff" * 600, response.to_wire()):
                client.sendto(bad, (host, port))
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(struct.pack("!H", 5) + b"hello")
        assert await asyncio.wait_for(reader.read(), 5) == b""  # the connection is closed
        writer.close()
        assert (await ask(server, ZONE, "SOA")).rcode() == dns.rcode.NOERROR

    served(story)


def test_other_opcodes_are_not_implemented() -> None:
    async def story(server: EmbeddedDns) -> None:
        host, port = server.listening()
        update = dns.update.UpdateMessage(ZONE)
        update.add("app", 30, "A", "10.0.0.1")
        answer = await dns.asyncquery.udp(update, host, port=port, timeout=5)
        assert answer.rcode() == dns.rcode.NOTIMP
        assert await server.records() == []

    served(story)


QUERY = dns.message.make_query(f"app.{ZONE}", "A", use_edns=0).to_wire()


def test_answers_sent_to_us_are_never_answered() -> None:
    query = dns.message.make_query(ZONE, "SOA")
    assert reply(Zones([ZONE]), query.to_wire(), udp=True) is not None
    assert reply(Zones([ZONE]), dns.message.make_response(query).to_wire(), udp=True) is None


@given(st.binary(max_size=200) | st.builds(lambda cut, tail: QUERY[:cut] + tail, st.integers(0, 60), st.binary()))
def test_no_bytes_upset_the_responder(wire: bytes) -> None:
    zones = Zones([ZONE], nameserver_address="10.0.0.53")
    answer = reply(zones, wire, udp=True)
    assert answer is None or (answer[:2] == wire[:2] and len(answer) <= 1232)


@pytest.mark.parametrize(
    "config",
    [
        {"zones": []},
        {"zones": ["a..b"]},
        {"zones": "edge-a.example"},
        {"zones": [ZONE], "listen": "localhost:53"},
        {"zones": [ZONE], "listen": "127.0.0.1:99999"},
        {"zones": [ZONE], "nameserver-address": "here"},
        {"zones": [ZONE], "zone": 1},
    ],
)
def test_a_wrong_configuration_is_one_clear_line(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"driver dns embedded: [^\n]+$"):
        EmbeddedDns(config, Path("."))


def test_a_taken_port_is_one_clear_line() -> None:
    async def story(server: EmbeddedDns) -> None:
        host, port = server.listening()
        second = EmbeddedDns({"listen": f"{host}:{port}", "zones": [ZONE]}, Path("."))
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:"):
            await second.open()
        await second.close()

    served(story)
