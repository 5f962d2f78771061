"""What lives in a partner's zone is scaled, updated and relocated, under each boundary option as at home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nms.errors import RpcError
from nms.federation.options import OPTIONS
from nms.mec.reference_points import Mm1
from nms.mec.session import Members
from tests.federation.site import build
from tests.federation.test_across_the_boundary import http, resolve
from tests.federation.test_cascade import offer
from tests.federation.test_options import HOSTED, left
from tests.federation.test_revision import BROKEN, version
from tests.federation.two_domains import Domain, federate, until

Play = Callable[..., None]

#: option -> (identity, whose DNS its clients ask)
SERVED = {
    **{number: (identity, where["application"]) for number, (identity, where) in HOSTED.items()},
    5: ("option-system", "b"),
}


def mm1(domain: Domain) -> Mm1:
    assert domain.blocks.mm1 is not None
    return domain.blocks.mm1


async def onboard(domain: Domain, number: str, program: str = "") -> None:
    """A version of the sample is on-boarded."""
    file = domain.folder / f"v{number}.csar"
    info = build(domain.folder / f"src-{number}", file, version(number, program))
    wish = {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)}
    await mm1(domain).onboard(f"v{number}", wish)


async def instances(domain: Domain) -> list[Members]:
    state = (await mm1(domain).deployment("web") or {})["state"]
    return list(state.get("instance", ()))


async def served(domain: Domain, found: list[Members]) -> bool:
    """Whether the name gives the addresses of these instances and no other, and each answers."""
    ends = [each["endpoint"][0] for each in found]
    named = set(await resolve(domain, ends[0]["dns-name"]) or ())
    return named == {end["address"] for end in ends} and all(
        [b'"application": "hello-edge"' in await http(end["address"], end["port"]) for end in ends]
    )


async def running(*domains: Domain) -> int:
    """How many instances the infrastructures have."""
    drivers = [domain.blocks.drivers for domain in domains]
    return sum([len(await each.vim.list()) for each in drivers if each is not None])


@pytest.mark.parametrize("number", SERVED)
def test_scaled_and_updated(play: Play, number: int) -> None:
    identity, server = SERVED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        for each in ("1.0", "2.0"):
            await onboard(a, each)
        await onboard(a, "3.0", BROKEN)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        dns = {"a": a, "b": b}[server]
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "v1.0", "zone": "b.zone-1"})
            await mm1(a).scale("web", 2)
            assert await served(dns, await instances(a))
            assert await running(a, b) == 2

            await mm1(a).update("web", "v2.0")
            found = await instances(a)
            assert [(each["software-version"], each["zone"]) for each in found] == [("2.0", "b.zone-1")] * 2
            assert await served(dns, found)

            with pytest.raises(RpcError):
                await mm1(a).update("web", "v3.0")
            assert await instances(a) == found
            assert await served(dns, found)
            assert await running(a, b) == 2

            await mm1(a).update("web", "v2.0")
            await mm1(a).scale("web", 1)
            assert await instances(a) == found[:1]
            assert await served(dns, found[:1])

            await mm1(a).terminate("web")
            assert await running(a, b) == 0
            for each in ("1.0", "2.0", "3.0"):
                await mm1(a).offboard(f"v{each}")
            await until("nothing is left under the agreement", lambda: not left(a, b))
            assert "orphan" not in a.read("")

    play(story)


@pytest.mark.parametrize("number", SERVED)
def test_there_and_back(play: Play, number: int) -> None:
    """From A's zone to B's, then back; the name follows, and what fails leaves the old instance in use."""
    identity, server = SERVED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a, "1.0")
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "v1.0", "zone": "zone-1"})
            (before,) = await instances(a)
            await mm1(a).relocate("there", "web", "b.zone-1")
            (there,) = await instances(a)
            assert there["zone"] == "b.zone-1"
            dns = {"a": a, "b": b}[server]
            assert await served(dns, [there])
            if dns is not a:
                assert await resolve(a, before["endpoint"][0]["dns-name"]) is None
            assert await running(a, b) == 1

            await mm1(a).relocate("back", "web", "zone-1")
            (back,) = await instances(a)
            assert back["zone"] == "zone-1"
            assert await served(a, [back])
            assert await running(a, b) == 1
            await mm1(a).terminate("web")
            await mm1(a).offboard("v1.0")
            await until("nothing is left under the agreement", lambda: not left(a, b))

    play(story)


async def cut_off(a: Domain, b: Domain, identity: str) -> None:
    """A has an application at B, which answers no more."""
    await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
    await onboard(a, "1.0")
    await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
    await mm1(a).instantiate("web", {"package": "v1.0", "zone": "b.zone-1"})
    await b.deaf()
    await until("a shows that b is gone", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)


@pytest.mark.parametrize("number", SERVED)
def test_away_from_a_partner_that_does_not_answer(play: Play, number: int) -> None:
    """What is left there is in the ledger, and given back when it answers again."""
    identity, _ = SERVED[number]

    async def story(a: Domain, b: Domain) -> None:
        async with asyncio.timeout(60):
            await cut_off(a, b, identity)
            await mm1(a).relocate("home", "web", "zone-1")
            (home,) = await instances(a)
            assert home["zone"] == "zone-1"
            assert await served(a, [home])
            assert a.read("").get("orphan")
            await b.listen()
            await until("the ledger is empty", lambda: "orphan" not in a.read(""))
            async with asyncio.timeout(20):
                while await running(a, b) != 1:  # noqa: ASYNC110 - the driver tells nobody
                    await asyncio.sleep(0.02)

    play(story)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("option-service", "option-service"),
        ("option-system", "option-system"),
        ("option-platform-provider-infrastructure", "option-service"),
        ("option-platform-provider-infrastructure", "option-system"),
    ],
)
def test_a_name_that_another_partners_application_has_is_not_shared(play: Play, first: str, second: str) -> None:
    """Else half of the one's clients would be sent to the other."""

    async def story(a: Domain, b: Domain, c: Domain) -> None:
        for partner, identity in ((a, first), (c, second)):
            await federate(partner, b, **{"boundary-option": f"mec-types:{identity}"})
            await onboard(partner, "1.0")
            await until(
                "b's zone is seen", lambda who=partner: who.publisher.read("/mec-system:system/zone[id='b.zone-1']")
            )
        wish = {"package": "v1.0", "zone": "b.zone-1"}
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {**wish, "dns-name": "shop"})
            with pytest.raises(RpcError):
                await mm1(c).instantiate("web", {**wish, "dns-name": "SHOP.mec.b"})
            assert await served(b, await instances(a))
            assert await running(b) == 1
            await mm1(a).scale("web", 2)  # one's own instances share it
            assert await served(b, await instances(a))

    play(story, names=("a", "b", "c"))


@pytest.mark.parametrize("number", SERVED)
def test_the_end_while_the_partner_does_not_answer(play: Play, number: int) -> None:
    """What is our own ends at once; the ledger lists what the partner has, and nothing else."""
    identity, _ = SERVED[number]

    async def story(a: Domain, b: Domain) -> None:
        async with asyncio.timeout(60):
            await cut_off(a, b, identity)
            await mm1(a).terminate("web")
            assert await running(a) == 0
            assert not a.publisher.entries("/mec-resource:infrastructure/vim[id='vim-1']/reservation")
            points = {point.model for point in OPTIONS[number - 1].points if "provider" in point.servers}
            assert {each["path"].split(":")[0].strip("/") for each in a.read("")["orphan"]} <= points
            await b.listen()
            await until("the ledger is empty", lambda: "orphan" not in a.read(""))

    play(story)


def test_a_relocation_that_fails_leaves_the_old_instance_in_use(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, quota={"cpu": "0.1"})
        await onboard(a, "1.0")
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "v1.0", "zone": "zone-1"})
            before = await instances(a)
            with pytest.raises(RpcError, match="quota"):
                await mm1(a).relocate("there", "web", "b.zone-1")
            assert await instances(a) == before
            assert await served(a, before)
            wish = a.publisher.read("/mec-system:system/relocation[id='there']") or {}
            assert wish["state"]["state"] == "mec-types:failed"
            assert wish["state"]["error"]["error-tag"] == "resource-denied"
            assert await running(a, b) == 1

    play(story)


def test_from_one_partner_to_another(play: Play) -> None:
    """B to C by A's order; the two need not know each other."""

    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await federate(a, b)
        await federate(a, c)
        await onboard(a, "1.0")
        for zone in ("b.zone-1", "c.zone-1"):
            await until(f"a sees {zone}", lambda zone=zone: a.publisher.read(f"/mec-system:system/zone[id='{zone}']"))
        async with asyncio.timeout(60):
            state = await mm1(a).instantiate("web", {"package": "v1.0", "zone": "b.zone-1"})
            await mm1(a).relocate("on", "web", "c.zone-1", "b.zone-1 is full")
            found = await instances(a)
            assert found[0]["zone"] == "c.zone-1"
            assert await served(c, found)
            assert await resolve(b, state["instance"][0]["endpoint"][0]["dns-name"]) is None
            assert (await running(a), await running(b), await running(c)) == (0, 0, 1)

    play(story, names=("a", "b", "c"))


def test_through_a_broker(play: Play) -> None:
    """What a broker has at C is scaled and updated by A, which knows the broker only."""

    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await offer(c, b, "zone-1")
        await offer(b, a, "c.zone-1")
        for each in ("1.0", "2.0"):
            await onboard(a, each)
        await until("a sees it", lambda: a.publisher.read("/mec-system:system/zone[id='b.c.zone-1']"))
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "v1.0", "zone": "b.c.zone-1"})
            await mm1(a).scale("web", 2)
            await mm1(a).update("web", "v2.0")
            found = await instances(a)
            assert [each["software-version"] for each in found] == ["2.0", "2.0"]
            assert await served(c, found)
            assert await running(c) == 2
            await mm1(a).terminate("web")
            assert await running(c) == 0

    play(story, names=("a", "b", "c"), blocks={"b": ("meo", "oss")})
