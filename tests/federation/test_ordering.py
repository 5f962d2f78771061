"""The same order, asked for twice under one key, is one order with one answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nms.errors import RpcError
from nms.mec.session import Members
from nms.model import json
from nms.operations.request import Invoke
from tests.federation.site import Site

ITEM = {"id": "web", "package": "hello", "acceptable-zone": ["z1"]}


def place(site: Site, key: str, *items: Members, customer: str = "acme") -> Members:
    """What the rpc answers."""
    node = site.core.schema.rpcs["mec-order", "place-order"]
    wish = {"idempotency-key": key, "customer": customer, "item": list(items)}
    reply = site.core.dispatch(site.session(), Invoke(node, json.decode(node.children[0], wish), ()))
    return json.plain(node.children[1], reply.data)


def test_one_order_for_one_key(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            asked = [asyncio.to_thread(place, site, "k1", ITEM) for _ in range(6)]
            answers = await asyncio.gather(*asked)
            assert len({each["order"] for each in answers}) == 1
            assert sorted(each["repeated"] for each in answers) == [False, *[True] * 5]
            name = answers[0]["order"]
            path = f"/mec-order:orders/order[id='{name}']"
            await site.until(f"{path}/state", lambda state: state.get("state") == "mec-types:completed")
            assert place(site, "k1", ITEM) == {"order": name, "repeated": True}
            assert len(site.entries("/mec-order:orders/order")) == 1
            assert len(await site.vim.list()) == 1
            assert site.read(path)["external-id"] == "k1"

            with pytest.raises(RpcError, match="take another key") as refused:
                place(site, "k1", {**ITEM, "acceptable-zone": ["z2"]})
            assert (refused.value.app_tag, refused.value.status) == ("idempotency-key-reused", 422)
            assert place(site, "k1", ITEM, customer="other")["order"] != name  # a key is its customer's

            await site.edit(path, "remove")
            assert place(site, "k1", ITEM)["repeated"] is False

    asyncio.run(story())
