"""Mp3 from outside: platforms of two domains joined, partners' services in the registry, and nothing not agreed.

Paper, section 3.2; ETSI GS MEC 011 (availability of services).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.options import OPTIONS
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import http, onboard
from tests.federation.test_mp1 import MEP, PLATFORM, _known, ask, given, place, request, unverified
from tests.federation.test_options import crossed
from tests.federation.test_revision_across import mm1
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, ROOT, Domain, federate, until

Play = Callable[..., None]
JOINED = {"interconnection": {"enabled": True, "share-services": True}}
TERMS = f"/partner[id='{{}}']/agreement[id='{AGREEMENT}']"
CHANGED = "mec-platform:service-availability-changed"
MAPS = {
    "name": "maps",
    "version": "2.0",
    "category": {"id": "geo"},
    "consumed-local-only": False,
    "scope-of-locality": "mec-platform:mec-system-locality",
    "uri": ["https://198.51.100.7:8443/maps"],
}


async def register(domain: Domain, id: str, **service: Any) -> None:
    """As the operator of a platform does it."""
    await domain.session(PLATFORM).edit([DataEdit(f"/service[id='{id}']", "replace", {**MAPS, **service})])


async def withdraw(domain: Domain, id: str) -> None:
    await domain.session(PLATFORM).edit([DataEdit(f"/service[id='{id}']", "remove")])


def learnt(domain: Domain) -> dict[str, Members]:
    """Name -> service of a partner in the registry."""
    found = domain.publisher.entries(f"{PLATFORM}/service")
    return {each["name"]: each for each in found if each["state"]["is-local"] is False}


def events(domain: Domain) -> list[Members]:
    """What consumers at a domain's platform are told from now on."""
    told: list[Members] = []

    def take(name: str, members: Members) -> None:
        if name == CHANGED:
            told.append({leaf: members.get(leaf) for leaf in ("name", "change", "state", "is-local", "platform")})

    domain.session(PLATFORM).watch(take)
    return told


def event(name: str, change: str, state: str) -> Members:
    return {"name": name, "change": change, "state": f"mec-types:{state}", "is-local": False, "platform": "mep-1"}


def peer(domain: Domain, partner: str) -> Members:
    """What a platform shows of the one that it is joined with."""
    return domain.publisher.read(f"{PLATFORM}/peer[partner='{partner}'][agreement='{AGREEMENT}']") or {}


@OVER_BOTH
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.identity)
def test_services_are_in_each_others_registry_under_each_option(play: Play, option: Any) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await register(b, "inner-name-1", name="maps")
        await register(b, "inner-name-2", name="mine-only", **{"consumed-local-only": True})
        told = events(a)
        await federate(a, b, **{"boundary-option": f"mec-types:{option.identity}"}, **JOINED)
        await register(a, "x", name="weather", port=99)
        await until("each sees the other's", lambda: "maps" in learnt(a) and "weather" in learnt(b))
        assert set(learnt(a)) == {"maps"}
        shown = learnt(a)["maps"]
        assert {name: shown[name] for name in MAPS} == MAPS
        state = shown["state"]
        assert (state["state"], state["partner"], state["agreement"]) == ("mec-types:active", "b", AGREEMENT)
        assert peer(a, "b") == {
            "partner": "b", "agreement": AGREEMENT, "state": "mec-types:active", "services": 1, "refused": 0
        }  # fmt: skip
        # Nothing of it is configuration, and nothing of the inside has crossed.
        assert [each["id"] for each in (a.publisher.read(PLATFORM, config=True) or {})["service"]] == ["x"]
        assert not re.search("inner-name|mep-1", "".join(a.received))

        await register(b, "inner-name-1", name="maps", version="2.1")
        await until("it has changed", lambda: learnt(a)["maps"]["version"] == "2.1")
        await register(b, "inner-name-1", name="maps", version="2.1", **{"desired-state": "inactive"})
        await until("it is inactive", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:inactive")
        await withdraw(b, "inner-name-1")
        await until("it is gone", lambda: not learnt(a))
        await until("its end is told", lambda: any(each["change"] == "removed" for each in told))
        assert [each for each in told if each["name"] == "maps"] == [
            event("maps", "added", "active"),
            event("maps", "attributes-changed", "active"),
            event("maps", "state-changed", "inactive"),
            event("maps", "removed", "inactive"),
        ]

        # It crossed on Mp3, and is counted there.
        made = {(server, point, about) for server, point, _, about in crossed(a, b)}
        assert {(server, point, about) for server, point, about in made if about == "service"} == {
            ("a", "mp3", "service"),
            ("b", "mp3", "service"),
        }
        rows = a.read(TERMS.format("b"))["session"]
        (row,) = (each for each in rows if each["reference-point"] == "mec-types:mp3")
        assert row["state"] == "mec-types:established"
        assert {each["kind"] for each in row["exchange"]} == {"read", "notification"}

    play(story)


async def consumer(a: Domain) -> tuple[dict[str, str], str]:
    """An application at A's platform: its environment and its entry there."""
    await onboard(a)
    await mm1(a).instantiate("shop", {"package": "hello", "zone": "zone-1"})
    (instance,) = a.publisher.entries("/mec-resource:infrastructure/vim[id='vim-1']/compute-instance")
    environment = given(a, instance["id"])
    await until("it is let in", lambda: _known(a, environment))
    (application,) = a.publisher.entries(f"{PLATFORM}/application")
    return environment, f"{MEP}/application={application['id']}"


@contextlib.asynccontextmanager
async def follow(environment: dict[str, str]) -> AsyncIterator[list[Members]]:
    """What an application is told over its event stream from now on (RFC 8040 section 6)."""
    told: list[Members] = []
    reader, writer = await asyncio.open_connection(*place(environment), ssl=unverified())
    writer.write(request(environment, "GET", "streams/NETCONF/json", accept="text/event-stream"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], head

    async def read() -> None:
        async for line in reader:
            if line.startswith(b"data:") and b"{" in line:
                event = json.loads(line[5:])["ietf-restconf:notification"]
                told.extend(value for name, value in event.items() if name != "eventTime")

    reading = asyncio.create_task(read())
    try:
        yield told
    finally:
        reading.cancel()
        writer.transport.abort()
        await asyncio.gather(reading, return_exceptions=True)


def test_an_application_discovers_and_is_told(play: Play) -> None:
    """Over RESTCONF with its own identity: the registry, the filter by locality, the notifications."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        shop, me = await consumer(a)
        async with follow(shop) as told:
            await discovery(a, b, shop, me, told)

    async def discovery(a: Domain, b: Domain, shop: dict[str, str], me: str, told: list[Members]) -> None:
        await register(a, "local-1", name="weather")
        await register(b, "remote-1", name="maps")
        await until("it is learnt", lambda: learnt(a))

        status, found = await ask(shop, "GET", f"{MEP}/service")
        registry = {each["name"]: each for each in found["mec-platform:service"]}
        assert (status, sorted(registry)) == (200, ["maps", "weather"])
        where = registry["maps"]["state"]
        assert (where["is-local"], where["partner"]) == (False, "b")
        assert registry["maps"]["uri"] == MAPS["uri"]

        async def discover(**wanted: Any) -> list[str]:
            body = {"mec-platform:input": wanted}
            status, said = await ask(shop, "POST", f"{me}/mec-platform:discover-services", body)
            assert status in (200, 204), said  # 204: nothing was found
            return sorted(each["name"] for each in said.get("mec-platform:output", {}).get("service", ()))

        assert await discover() == ["maps", "weather"]
        assert await discover(**{"is-local": True}) == ["weather"]
        assert await discover(**{"is-local": False}) == ["maps"]
        assert await discover(name=["maps", "nothing"]) == ["maps"]
        assert await discover(category="geo", **{"is-local": False}) == ["maps"]
        assert await discover(category="other") == []
        assert await discover(**{"consumed-local-only": True}) == []
        status, said = await ask(
            shop, "POST", f"{me}/mec-platform:discover-services", {"mec-platform:input": {"is": 1}}
        )
        assert status == 400, said

        # A partner's service is nobody's to change, nor is its name to be taken.
        name = registry["maps"]["id"]
        mine = {"id": name, "name": "maps", "application": me.rpartition("=")[2]}
        status, said = await ask(shop, "PUT", f"{MEP}/service={name}", {"mec-platform:service": [mine]})
        assert status in (403, 409), said
        status, said = await ask(shop, "DELETE", f"{MEP}/service={name}")
        assert status in (403, 404, 409), said
        assert learnt(a)["maps"]["uri"] == MAPS["uri"]

        await withdraw(b, "remote-1")
        await until("it hears that it is gone", lambda: any(each["change"] == "removed" for each in told))
        assert [(each["name"], each["change"], each["is-local"]) for each in told] == [
            ("weather", "added", True),
            ("maps", "added", False),
            ("maps", "removed", False),
        ]

    play(story)


@OVER_BOTH
def test_what_is_not_agreed_is_not_shared(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await register(b, "s", name="maps")
        await federate(a, b)
        link = a.federation.partners.links["b", AGREEMENT]
        there = "/mec-platform:peer-platform"

        async def looked() -> None:
            """Whatever follows from the change has been done."""
            last = link.session.counters.messages_in
            link.wake.set()
            await until("a has asked again", lambda: link.session.counters.messages_in > last + 2)

        await looked()
        assert learnt(a) == {}
        assert await link.session.get(there) is None
        wish = {"target-address": "127.1.1.1"}
        with pytest.raises(RpcError):
            await link.session.edit([DataEdit(f"{there}/context-transfer[id='web']", "create", wish)])
        assert b.publisher.read(f"{b_entry()}{there}", config=True) is None
        # One side alone joins nothing.
        await b.change(f"{TERMS.format('a')}/interconnection", "merge", JOINED["interconnection"])
        await looked()
        assert (learnt(a), peer(a, "b"), "mp3" in link.points) == ({}, {}, False)
        # Joined, but B shares nothing.
        await b.change(f"{TERMS.format('a')}/interconnection", "merge", {"share-services": False})
        await a.change(f"{TERMS.format('b')}/interconnection", "merge", JOINED["interconnection"])
        await until("they are joined", lambda: peer(a, "b"))
        await register(a, "x", name="weather")
        await until("b sees what a shares", lambda: "weather" in learnt(b))
        assert learnt(a) == {}
        # Shared, and no more.
        await b.change(f"{TERMS.format('a')}/interconnection", "merge", {"share-services": True})
        await until("a sees what b shares", lambda: "maps" in learnt(a))
        await b.change(f"{TERMS.format('a')}/interconnection", "merge", {"share-services": False})
        await until("it is shared no more", lambda: not learnt(a))
        await a.change(f"{TERMS.format('b')}/interconnection", "merge", {"enabled": False})
        await until("they are parted", lambda: not peer(a, "b") and not peer(b, "a") and not learnt(b))
        rows = a.read(TERMS.format("b"))["session"]
        assert [each["reference-point"] for each in rows] == ["mec-types:mx3"]

    play(story)


def b_entry() -> str:
    return f"{ROOT}{TERMS.format('a')}"


@OVER_BOTH
def test_services_of_a_partner_that_does_not_answer(play: Play) -> None:
    """They stay, suspended, until it answers again."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await register(b, "s", name="maps")
        await until("a sees it", lambda: "maps" in learnt(a))
        told = events(a)
        await b.deaf()
        await until("it is suspended", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:suspended")
        assert peer(a, "b")["state"] == "mec-types:suspended"
        assert learnt(a)["maps"]["uri"] == MAPS["uri"]
        await b.listen()
        a.federation.partners.called("b")
        await until("it is back", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:active")
        await until("both are told", lambda: len(told) == 2)
        assert told == [event("maps", "state-changed", "suspended"), event("maps", "state-changed", "active")]

    play(story)


@pytest.mark.parametrize("how", ["suspended", "terminated", "removed"])
def test_services_go_with_the_agreement(play: Play, how: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await register(b, "s", name="maps")
        await register(a, "t", name="weather")
        await until("each sees the other's", lambda: "maps" in learnt(a) and "weather" in learnt(b))
        told = events(a)
        if how == "removed":
            await a.change("/partner[id='b']", "remove")
        else:
            await b.change(TERMS.format("a"), "merge", {"admin-state": how})
        if how == "suspended":
            await until("it is suspended", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:suspended")
            await b.change(TERMS.format("a"), "merge", {"admin-state": "enabled"})
            await until("it is back", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:active")
            return
        await until("a has none", lambda: not learnt(a) and not peer(a, "b"))
        assert told[-1] == event("maps", "removed", "inactive")
        if how == "removed":  # nobody at a's answers b any more, who cannot know why
            await until("it is suspended", lambda: _states(b) == {"mec-types:suspended"})
            await b.change("/partner[id='a']", "remove")
        await until("b has none", lambda: not learnt(b))
        assert [each["name"] for each in a.publisher.entries(f"{PLATFORM}/service")] == ["weather"]

    play(story)


async def lie(b: Domain, *services: Members) -> None:
    """B's platform shows A what it likes."""
    assert b.blocks.interconnection is not None
    await b.blocks.interconnection.close()
    for number, service in enumerate(services):
        path = f"{b_entry()}/mec-platform:peer-platform/service[id='{number}']"
        b.publisher.state(path, {**MAPS, "state": "mec-types:active", **service}, durable=False)


def at(address: str) -> Members:
    return {"endpoint": [{"service-name": "s", "address": address}]}


def test_a_partner_that_lies_about_its_services(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await until("they are joined", lambda: peer(a, "b"))
        told = events(a)
        bad = [
            *(at(each) for each in ("0.0.0.0", "224.0.0.9", "255.255.255.255", "::", "ff02::1", "169.254.169.254")),
            *(at(each) for each in ("fe80::1%eth0", "::ffff:0.0.0.0")),
            *({"uri": [each]} for each in ("file:///etc/passwd", "javascript:alert(1)", "https://", "//x", "relative")),
            *({"uri": [each]} for each in ("https://admin:secret@b.example/", "http://0.0.0.0/", "http://[ff02::1]/")),
            {"consumed-local-only": True},
            {"category": {"name": "x" * 5000}},
        ]
        await lie(b, *bad, {"name": "good"}, at("198.51.100.1") | {"name": "better", "state": "mec-types:suspended"})
        assert a.blocks.peer_services is not None
        a.federation.partners.links["b", AGREEMENT].session.reconnect()
        b.publisher.notify(peer_scope(), CHANGED, {"service": "0", "name": "s", "change": "added", "is-local": False})
        await until("a has looked", lambda: learnt(a))
        assert set(learnt(a)) == {"good", "better"}
        assert learnt(a)["better"]["state"]["state"] == "mec-types:suspended"
        shown = peer(a, "b")
        assert (shown["services"], shown["refused"]) == (2, len(bad))
        assert shown["refusal"]
        await until("both are told of", lambda: {each["name"] for each in told} == {"good", "better"})

    play(story)


def peer_scope() -> Scope:
    return Scope(f"{b_entry()}/mec-platform:peer-platform", "a", AGREEMENT)


def test_ten_thousand_services_are_a_thousand(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await until("they are joined", lambda: peer(a, "b"))
        await register(a, "mine", name="weather")
        link = a.federation.partners.links["b", AGREEMENT]
        flood = [{"id": f"{number:05}", "name": f"s{number}", **UNBOUND} for number in range(10_000)]
        get = link.session.get

        async def lying(path: str = "", content: Any = "all") -> Members | None:
            return {"service": flood} if path.endswith("peer-platform/service") else await get(path, content)

        link.session.get = lying  # type: ignore[method-assign]
        b.publisher.notify(peer_scope(), CHANGED, {"service": "0", "name": "s", "change": "added", "is-local": False})
        await until("a has looked", lambda: peer(a, "b").get("refused"))
        assert (peer(a, "b")["services"], peer(a, "b")["refused"]) == (1000, 9000)
        assert "1000" in peer(a, "b")["refusal"]
        assert len(a.publisher.entries(f"{PLATFORM}/service")) == 1001

        # What cannot be read as a list of services changes nothing but that nobody can rely on them.
        async def nonsense(path: str = "", content: Any = "all") -> Members | None:
            if path.endswith("peer-platform/service"):
                raise RpcError("invalid-value", "'nowhere' is no ip-address")
            return await get(path, content)

        link.session.get = nonsense  # type: ignore[method-assign]
        b.publisher.notify(peer_scope(), CHANGED, {"service": "0", "name": "s", "change": "added", "is-local": False})
        await until("a says so", lambda: "nowhere" in peer(a, "b").get("refusal", ""))
        await until("all are suspended", lambda: _states(a) == {"mec-types:suspended"})
        link.session.get = get  # type: ignore[method-assign]
        b.publisher.notify(peer_scope(), CHANGED, {"service": "0", "name": "s", "change": "added", "is-local": False})
        await until("they are gone", lambda: not learnt(a))
        assert [each["name"] for each in a.publisher.entries(f"{PLATFORM}/service")] == ["weather"]

    play(story)


UNBOUND = {"consumed-local-only": False, "state": "mec-types:active"}


def _states(a: Domain) -> set[str]:
    return {each["state"]["state"] for each in learnt(a).values()}


def test_services_are_shown_where_they_are_and_not_passed_on(play: Play) -> None:
    """B shares what its own applications offer, with their zone and address; not what it has learnt itself."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await register(a, "x", name="weather")
        await onboard(b)
        await mm1(b).instantiate("maps", {"package": "hello", "zone": "zone-1"})
        (application,) = b.publisher.entries(f"{PLATFORM}/application")
        await register(b, "s", name="maps", application=application["id"], uri=[], port=8080)
        await until("each sees the other's", lambda: "maps" in learnt(a) and "weather" in learnt(b))
        state = learnt(a)["maps"]["state"]
        assert state["zone"] == "b.zone-1"
        endpoint = state["endpoint"][0]
        assert (endpoint["address"], endpoint["port"]) == (application["address"], 8080)
        assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])
        assert set(learnt(a)) == {"maps"}
        assert application["id"] not in json.dumps(learnt(a))
        await mm1(b).terminate("maps")
        await until("it goes with its producer", lambda: not learnt(a))

    play(story)


def test_a_domain_without_a_platform_is_joined_with_nobody(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await register(a, "x", name="weather")
        link = a.federation.partners.links["b", AGREEMENT]
        await until("a knows what b runs", lambda: link.domain.get("block") and link.theirs)
        assert (link.joined, a.federation.zones.peers(), b.federation.zones.peers()) == (False, {}, {})
        assert peer(a, "b") == {}

    play(story, blocks={"b": ("oss", "meo")})
