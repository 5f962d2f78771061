"""One domain from outside: an order becomes a process that a DNS query finds and an HTTP request reaches."""

import asyncio
from pathlib import Path
from typing import Any

from tests.federation.site import DNS_ZONE, Site

DEPLOYMENT = "/mec-system:system/deployment[id='o1.web']"


def run(story: Any) -> None:
    asyncio.run(story)


def test_an_order_is_delivered_used_and_withdrawn(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            state = await site.order("o1", {"web": {"package": "hello", "acceptable-zone": ["z1", "z2"]}})
            assert state["state"] == "mec-types:completed", state
            endpoint = state["item"][0]["endpoint"][0]
            assert endpoint["dns-name"] == f"hello-edge.{DNS_ZONE}"
            assert await site.resolve(endpoint["dns-name"]) == [endpoint["address"]]
            assert b'"application": "hello-edge"' in await site.http(endpoint["address"], endpoint["port"])
            assert len(await site.data_plane.rules()) == 1

            await site.edit("/mec-order:orders/order[id='o1']", "remove")
            await site.until(DEPLOYMENT, lambda entry: not entry)
            await asyncio.gather(*site.domain.oss._work.values())
            assert await site.resolve(endpoint["dns-name"]) is None
            await site.free()

    run(story())
