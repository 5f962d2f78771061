"""A whole domain whose VIM is a cloud: an order becomes a server that answers over HTTP, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest

from nms.drivers.openstack import OpenstackVim
from nms.mec import chosen
from tests.federation import site as federation
from tests.federation.site import DNS_ZONE, Site
from tests.openstack.control_plane import ControlPlane


class CloudSite(Site):
    """The domain of the other tests, on a cloud."""

    def __init__(self, folder: Path, make: Callable[..., OpenstackVim]) -> None:
        self.make = make
        super().__init__(folder)

    def drivers(self) -> chosen.Drivers:
        others = super().drivers()
        self.vim = self.make()  # type: ignore[assignment]
        return chosen.Drivers(self.vim, others.dns, others.data_plane)


def test_an_order_is_delivered_used_and_withdrawn(
    plane: ControlPlane, make: Callable[..., OpenstackVim], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation, "DEADLINE", 120.0)  # a cloud takes its time

    async def story() -> None:
        async with CloudSite(tmp_path, make).running() as site:
            await site.onboard()
            state = await site.order("o1", {"web": {"package": "hello", "acceptable-zone": ["z1", "z2"]}})
            assert state["state"] == "mec-types:completed", state
            endpoint = state["item"][0]["endpoint"][0]
            assert ipaddress.ip_address(endpoint["address"]) in ipaddress.ip_network(plane.pool)
            # As a client does it: ask the name server, and go to the address that it gives.
            (found,) = await site.resolve(f"hello-edge.{DNS_ZONE}") or ()
            assert b'"application": "hello-edge"' in await site.http(found, endpoint["port"])
            with plane.connection() as cloud:
                (server,) = cloud.compute.servers(all_projects=True)
                assert server.status == "ACTIVE"

            await site.edit("/mec-order:orders/order[id='o1']", "remove")
            async with asyncio.timeout(60):
                while await site.vim.list():  # noqa: ASYNC110 (the driver tells nobody)
                    await asyncio.sleep(0.05)
            await site.until(
                "/mec-resource:infrastructure/vim[id='vim-1']",
                lambda vim: "compute-instance" not in vim and "reservation" not in vim,
            )
            await site.until("/mec-platform:platforms/platform[id='mep-1']", lambda mep: "application" not in mep)
            assert await site.resolve(f"hello-edge.{DNS_ZONE}") is None
            await site.free()
            with plane.connection() as cloud:
                assert list(cloud.compute.servers(all_projects=True)) == []

    asyncio.run(story())
