"""What every DNS driver owes to its caller: the embedded one, and the one for real servers at BIND and at Knot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from nms.drivers.api import Dns, DnsRecord, RpcError
from nms.drivers.dns_embedded import EmbeddedDns
from nms.drivers.dns_update import UpdateDns
from tests.drivers.name_servers import ZONE, running

Story = Callable[[Dns], Awaitable[None]]


@pytest.fixture(params=["embedded", "bind", "knot"])
def served(request: pytest.FixtureRequest, tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[Any]:
    """Runs a story with a driver that is open."""

    def run(driver: Dns, story: Story) -> None:
        async def whole() -> None:
            await driver.open()
            try:
                await story(driver)
            finally:
                await driver.close()

        asyncio.run(whole())

    if request.param == "embedded":
        yield lambda story: run(EmbeddedDns({"zones": [ZONE]}, tmp_path), story)
    else:
        with running(request.param, tmp_path / "server", need) as server:
            yield lambda story: run(UpdateDns(server.config, tmp_path), story)


async def ask(driver: Dns, name: str, type: str = "A") -> list[tuple[str, int]]:
    """What a client is answered: addresses with their TTL."""
    host, port = driver.listening()
    answer = await asyncio.to_thread(dns.query.udp, dns.message.make_query(name, type), host, 5, port)
    return sorted((rdata.to_text(), rrset.ttl) for rrset in answer.answer for rdata in rrset)


def test_clients_find_what_is_published_until_it_is_withdrawn(served: Callable[[Story], None]) -> None:
    async def story(driver: Dns) -> None:
        name = f"app.{ZONE}"
        assert await ask(driver, name) == []
        await driver.publish(name, "A", "10.0.0.1", 1)
        await driver.publish(name, "AAAA", "2001:db8::1", 0)
        assert await ask(driver, name) == [("10.0.0.1", 1)]
        assert await ask(driver, name, "AAAA") == [("2001:db8::1", 0)]
        await driver.withdraw(name)
        assert await ask(driver, name) == []
        assert await ask(driver, name, "AAAA") == []
        await driver.publish(name, "A", "10.0.0.2", 1)
        assert await ask(driver, name) == [("10.0.0.2", 1)]

    served(story)


def test_publish_is_idempotent_and_withdraw_is_selective(served: Callable[[Story], None]) -> None:
    async def story(driver: Dns) -> None:
        name = f"app.{ZONE}"
        for address, ttl in [("10.0.0.1", 30), ("10.0.0.1", 30), ("10.0.0.2", 60)]:
            await driver.publish(name, "A", address, ttl)
        await driver.publish(f"App.{ZONE.upper()}.", "AAAA", "2001:DB8:0::1", 30)
        v6 = DnsRecord(f"{name}.", "AAAA", "2001:db8::1", 30)
        # One TTL for all addresses of a type (RFC 2181, 5.2).
        assert await driver.records() == [
            DnsRecord(f"{name}.", "A", "10.0.0.1", 60), DnsRecord(f"{name}.", "A", "10.0.0.2", 60), v6
        ]  # fmt: skip
        assert await ask(driver, name) == [("10.0.0.1", 60), ("10.0.0.2", 60)]
        await driver.withdraw(name, "A", "10.0.0.1")
        await driver.withdraw(name, "A", "10.0.0.9")
        assert await driver.records() == [DnsRecord(f"{name}.", "A", "10.0.0.2", 60), v6]
        await driver.withdraw(name, "A")
        assert await driver.records() == [v6]
        await driver.withdraw(name, address="2001:db8:0::1")
        await driver.withdraw("never.published.example")
        assert await driver.records() == []

    served(story)


def test_many_at_once_are_all_there(served: Callable[[Story], None]) -> None:
    async def story(driver: Dns) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(driver.publish(f"n{number % 3}.{ZONE}", "A", f"10.0.0.{number}", 5))
        wanted = {(f"n{number % 3}.{ZONE}.", f"10.0.0.{number}") for number in range(12)}
        assert {(each.name, each.address) for each in await driver.records()} == wanted
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(driver.withdraw(f"n{number % 3}.{ZONE}", "A", f"10.0.0.{number}"))
        assert await driver.records() == []
        assert await ask(driver, f"n0.{ZONE}") == []

    served(story)


#: name, type, address and TTL that no driver takes
WRONG: list[tuple[str, Any, str, int]] = [
    ("outside.example", "A", "10.0.0.1", 30),
    (f"bad..{ZONE}", "A", "10.0.0.1", 30),
    (f"{'x' * 64}.{ZONE}", "A", "10.0.0.1", 30),
    (f"a.{ZONE}", "A", "2001:db8::1", 30),
    (f"a.{ZONE}", "AAAA", "10.0.0.1", 30),
    (f"a.{ZONE}", "TXT", "10.0.0.1", 30),
    (f"a.{ZONE}", "A", "10.0.0", 30),
    (f"a.{ZONE}", "A", "10.0.0.1", -1),
    (f"a.{ZONE}", "A", "10.0.0.1", 2**31),
]


def test_what_cannot_be_published_is_refused(served: Callable[[Story], None]) -> None:
    async def story(driver: Dns) -> None:
        for wrong in WRONG:
            with pytest.raises(RpcError) as refused:
                await driver.publish(*wrong)
            assert refused.value.tag == "invalid-value", wrong
            assert "\n" not in refused.value.message
        assert await driver.records() == []

    served(story)
