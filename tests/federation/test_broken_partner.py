"""Partners that stop, forget, answer too late, or are gone: both sides stay consistent and say so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.client import Unanswered
from nms.mec.occurrence import TEMPORARY
from nms.mec.session import SYSTEM, DataEdit, Members, to_edit
from nms.operations.request import EditConfig
from tests.federation.test_remote_session import PACKAGE, SUBTREE, session, system
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

Play = Callable[..., None]
ENTRY = f"/partner[id='{{}}']/agreement[id='{AGREEMENT}']"
ALARMS = "/mec-system:system/alarm"


@dataclass
class Road:
    """A TCP relay to a partner; `blocked` keeps back what comes from there, `silent` what goes there as well."""

    to: int
    port: int = 0
    blocked: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.append(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        self.writers.append(back)
        await asyncio.gather(self.carry(reader, back, hold=False), self.carry(there, writer, hold=True))

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, hold: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if hold and self.blocked:
                    continue
                sink.write(data)
        sink.close()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


@contextlib.asynccontextmanager
async def road(to: int) -> AsyncIterator[Road]:
    """A relay that listens."""
    relay = Road(to)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in relay.tasks:  # also of a connection that is only half made
            task.cancel()
        await asyncio.gather(*relay.tasks, return_exceptions=True)
        relay.cut()


def port_of(b: Domain) -> int:
    """Where B listens for the protocol of the test."""
    return int(endpoint_of(b.card, b.protocol)["port"])


def endpoint_of(card: Members, protocol: str) -> Members:
    """The endpoint of a card that speaks a protocol."""
    return next(each for each in card["endpoint"] if each["protocol"] == f"mec-types:{protocol}")


async def federate_over(relay: Road, a: Domain, b: Domain) -> None:
    """A reaches B over the relay."""
    await b.add(a.card, "provider")
    card = b.card
    endpoint_of(card, b.protocol)["port"] = relay.port
    await a.add(card, "consumer")
    await until("a's agreement is active", lambda: a.state("b") == "active")
    await until("b's agreement is active", lambda: b.state("a") == "active")


async def idle(a: Domain) -> None:
    """From now on nothing but the test asks anything of B."""
    link = a.federation.partners.links["b", AGREEMENT]
    assert link.task is not None
    link.task.cancel()
    await asyncio.gather(link.task, return_exceptions=True)


@OVER_BOTH
def test_an_answer_that_is_lost_after_success(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        async with road(port_of(b)) as relay:
            await federate_over(relay, a, b)
            await idle(a)
            relay.blocked = True
            asking = asyncio.ensure_future(system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)]))
            await until("b has done it", lambda: b.publisher.read(SUBTREE + "/package[id='p']", config=True))
            relay.blocked = False
            relay.cut()
            await asking
            packages = b.publisher.read(SUBTREE, config=True) or {}
            assert [package["id"] for package in packages["package"]] == ["p"]
            assert session(a).counters.reconnects >= 1

    play(story)


@OVER_BOTH
def test_an_answer_that_never_comes_says_that_the_outcome_is_unknown(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        async with road(port_of(b)) as relay:
            await federate_over(relay, a, b)
            await idle(a)
            relay.blocked = True
            with pytest.raises(Unanswered) as error:
                await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
            assert (error.value.tag, error.value.type) == ("operation-failed", "transport")
            assert error.value.app_tag == TEMPORARY
            assert session(a).established is False

    play(story, patience=0.5)


@OVER_BOTH
def test_a_partner_that_is_gone_and_comes_back(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await b.deaf()
        await until("a shows that b is gone", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)
        alarms = {each["resource"]: each for each in a.publisher.entries(ALARMS)}
        assert alarms["b"]["alarm-type-id"] == "mec-types:partner-unreachable-alarm"
        assert alarms["b"]["is-cleared"] is False
        with pytest.raises(RpcError) as error:
            await session(a).get()
        assert (error.value.type, error.value.app_tag) == ("transport", TEMPORARY)
        await b.listen()
        await until("a shows that b is back", lambda: a.read("/partner[id='b']")["state"]["reachable"] is True)
        assert a.state("b") == "active"
        assert {each["resource"]: each for each in a.publisher.entries(ALARMS)}["b"]["is-cleared"] is True

    play(story)


def test_a_dead_partner_is_removed_and_what_it_holds_is_listed(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        await until("a has seen it", lambda: a.federation.partners.links["b", AGREEMENT].held())
        await b.deaf()
        await until("a shows that b is gone", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)
        await a.change("/partner[id='b']", "remove")
        orphans = await until("a lists an orphan", lambda: a.read("").get("orphan"))
        assert [(each["partner"], each["agreement"], each["subject"]) for each in orphans] == [("b", AGREEMENT, "p")]
        alarm = await until("it has an alarm", lambda: _alarm(a, orphans[0]["id"]))
        assert alarm["alarm-type-id"] == "mec-types:orphan-alarm"
        assert "partner" not in a.read("")
        assert next(each for each in a.publisher.entries(ALARMS) if each["resource"] == "b")["is-cleared"] is True
        await a.session().invoke(f"/orphan[id='{orphans[0]['id']}']", "settle", {"note": "b was shut down"})
        assert "orphan" not in a.read("")

    play(story)


def test_a_domain_that_ends_as_soon_as_a_partner_is_removed_leaves_no_session(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        operator = a.core.open_session(SYSTEM, "test", "", lambda reason: None)
        removal = to_edit(a.core.schema, "/mec-federation:federation", DataEdit("/partner[id='b']", "remove"))
        a.core.dispatch(operator, EditConfig("running", [removal]))
        while a.federation.partners.links:  # noqa: ASYNC110 - the very turn in which it goes is meant
            await asyncio.sleep(0)

    play(story)  # it waits until the sessions' threads have ended


def test_removing_a_partner_gives_back_what_we_have_there(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        await until("a has seen it", lambda: a.federation.partners.links["b", AGREEMENT].held())
        await a.change("/partner[id='b']", "remove")
        await until("b has nothing of a", lambda: b.publisher.read(SUBTREE + "/package[id='p']", config=True) is None)
        await until("a has no session left", lambda: not a.federation.partners.links)
        await until("a's ledger is empty", lambda: "orphan" not in a.read(""))

    play(story)


def test_terminating_withdraws_everything_on_both_sides(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        await b.change(ENTRY.format("a"), "merge", {"admin-state": "terminated"})
        await until("b's agreement has ended", lambda: b.state("a") == "terminated")
        await until("a's agreement has ended", lambda: a.state("b") == "terminated")
        assert b.publisher.read(SUBTREE, config=True) is None
        with pytest.raises(RpcError) as refused:
            await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        assert refused.value.tag == "access-denied"

    play(story)


def test_an_agreement_expires_with_something_alive(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        until_then = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await federate(a, b, **{"valid-until": until_then, "grace-period": 3600})
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        b.clock.ahead = timedelta(hours=1, minutes=1)
        await until("b's agreement is over", lambda: b.state("a") == "expired")
        assert b.publisher.read(SUBTREE + "/package[id='p']", config=True) is not None
        alarm = await until("b has an alarm", lambda: _alarm(b, f"a/{AGREEMENT}"))
        assert alarm["alarm-type-id"] == "mec-types:agreement-expired-alarm"
        with pytest.raises(RpcError) as refused:
            await system(a).edit([DataEdit("/package[id='q']", "create", PACKAGE)])
        assert refused.value.tag == "access-denied"
        b.clock.ahead = timedelta(hours=2, minutes=1)
        await until("the grace period is over", lambda: b.state("a") == "terminated")
        assert b.publisher.read(SUBTREE, config=True) is None

    play(story)


def _alarm(domain: Domain, resource: str) -> dict[str, object] | None:
    return next(
        (each for each in domain.publisher.entries(ALARMS) if each["resource"] == resource and not each["is-cleared"]),
        None,
    )
