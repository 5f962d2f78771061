"""Domains that pass on what others offer: a broker, a cascade, and loops that are not followed (paper, section 5.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.federation.test_across_the_boundary import http, onboard
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
RESOLD = {"sharing": {"resale": True, "max-hops": 3}}


async def offer(seller: Domain, buyer: Domain, zone: str) -> None:
    """`seller` offers a zone, its own or one that it has from others, which may be resold."""
    await until(f"{seller.id} has {zone}", lambda: seller.publisher.read(f"/mec-system:system/zone[id='{zone}']"))
    await federate(buyer, seller, zones=(zone,), **RESOLD)


def test_a_broker_sells_what_is_not_its_own(play: Play) -> None:
    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await offer(c, b, "zone-1")
        await offer(b, a, "c.zone-1")
        await onboard(a)
        zone = await until("a sees it", lambda: a.publisher.read("/mec-system:system/zone[id='b.c.zone-1']"))
        assert zone["domain-path"] == ["b", "c"]
        assert a.blocks.mm1 is not None
        state = await asyncio.wait_for(
            a.blocks.mm1.instantiate("anas-arcade", {"package": "hello", "zone": "b.c.zone-1"}), 20
        )
        endpoint = state["instance"][0]["endpoint"][0]
        assert endpoint["dns-name"].endswith(".mec.c")
        assert b'"application": "hello-edge"' in await http(endpoint["address"], endpoint["port"])
        assert c.blocks.drivers is not None
        (instance,) = await c.blocks.drivers.vim.list()
        assert instance.id not in "".join(a.received + b.received)
        assert "anas" not in "".join(b.received)  # what a calls it is the broker's business, not c's
        await asyncio.wait_for(a.blocks.mm1.terminate("anas-arcade"), 20)
        assert await c.blocks.drivers.vim.list() == []
        await asyncio.wait_for(a.blocks.mm1.offboard("hello"), 20)

    play(story, names=("a", "b", "c"), blocks={"b": ("meo", "oss")})


def test_a_loop_is_not_followed(play: Play) -> None:
    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await offer(a, c, "zone-1")
        await offer(c, b, "a.zone-1")
        await offer(b, a, "c.a.zone-1")
        at_b = f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']/mec-system:system"
        assert b.publisher.read("/mec-system:system/zone[id='c.a.zone-1']") is not None
        assert b.publisher.read(f"{at_b}/zone[id='c.a.zone-1']") is None
        assert a.publisher.read("/mec-system:system/zone[id='b.c.a.zone-1']") is None

    play(story, names=("a", "b", "c"))


def test_what_may_not_be_resold_is_not(play: Play) -> None:
    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await federate(b, c)
        await until("b sees it", lambda: b.publisher.read("/mec-system:system/zone[id='c.zone-1']"))
        await federate(a, b, zones=("zone-1", "c.zone-1"), sharing={"max-hops": 3})
        await until("a sees b's own", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        assert a.publisher.read("/mec-system:system/zone[id='b.c.zone-1']") is None

    play(story, names=("a", "b", "c"))
