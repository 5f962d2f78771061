"""A whole domain on real infrastructure: namespaces, a real name server, packets that are steered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nms.drivers.dns_update import UpdateDns
from nms.drivers.netns import NetnsDataplane, NetnsVim
from nms.mec import chosen
from nms.mec.session import Members
from tests.drivers import name_servers
from tests.drivers.netns_site import Site as Isolated
from tests.drivers.netns_site import output
from tests.federation.site import DNS_ZONE, Site

DNS = "/mec-platform:platforms/platform[id='mep-1']/dns"
DATA_PLANE = "/mec-resource:infrastructure/data-plane"


class RealSite(Site):
    """The domain of the other tests, on other drivers."""

    def __init__(self, isolated: Isolated, server: name_servers.NameServer) -> None:
        self.isolated, self.server = isolated, server
        super().__init__(isolated.folder)

    def drivers(self) -> chosen.Drivers:
        place = {"addresses": self.isolated.addresses}
        for name in ("vim", "dns", "dataplane"):
            (self.folder / name).mkdir(exist_ok=True)
        self.data_plane = NetnsDataplane(place, self.folder / "dataplane")
        self.dns = UpdateDns(self.server.config, self.folder / "dns")
        self.vim = NetnsVim({**place, "hosts": self.hosts}, self.folder / "vim")
        return chosen.Drivers(self.vim, self.dns, self.data_plane)

    async def delivered(self) -> Members:
        """An order is; where the application is found."""
        await self.onboard()
        state = await self.order("o1", {"web": {"package": "hello", "acceptable-zone": ["z1", "z2"]}})
        assert state["state"] == "mec-types:completed", state
        endpoint: Members = state["item"][0]["endpoint"][0]
        return endpoint


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_an_order_is_delivered_used_and_withdrawn(
    isolated: Isolated, kind: str, need: Callable[[str, str], str]
) -> None:
    async def story(server: name_servers.NameServer) -> None:
        async with RealSite(isolated, server).running() as site:
            endpoint = await site.delivered()
            assert endpoint["address"].startswith(isolated.prefix.rpartition(".")[0])
            # As a client does it: ask the name server, and go to the address that it gives.
            (found,) = await site.resolve(f"hello-edge.{DNS_ZONE}") or ()
            assert b'"application": "hello-edge"' in await site.http(found, endpoint["port"])
            assert [each.action for each in await site.data_plane.rules()] == ["passthrough"]
            assert "accept" in output(
                "ip", "netns", "exec", isolated.fabric, "nft", "list", "chain", "ip", "steering", "choose"
            )

            await site.edit("/mec-order:orders/order[id='o1']", "remove")
            await site.until(
                "/mec-resource:infrastructure/vim[id='vim-1']",
                lambda vim: not {"compute-instance", "reservation"} & vim.keys(),
            )
            async with asyncio.timeout(20):
                while await site.vim.list():  # noqa: ASYNC110 (the driver tells nobody)
                    await asyncio.sleep(0.02)
            await site.until("/mec-platform:platforms/platform[id='mep-1']", lambda mep: "application" not in mep)
            assert await site.resolve(f"hello-edge.{DNS_ZONE}") is None
            await site.free()

    with name_servers.running(kind, isolated.folder / "server", need) as server:
        asyncio.run(story(server))


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_what_somebody_has_changed_below_is_found_and_repaired(
    isolated: Isolated, kind: str, need: Callable[[str, str], str]
) -> None:
    """A colleague has edited the zone, and another has flushed the packet filter."""

    async def story(server: name_servers.NameServer) -> None:
        async with RealSite(isolated, server).running() as site:
            endpoint = await site.delivered()
            (address,) = await site.resolve(f"hello-edge.{DNS_ZONE}") or ()
            made = steering(isolated)
            (site.folder / "colleague").mkdir()
            colleague = UpdateDns(server.config, site.folder / "colleague")
            await colleague.open()
            record = f"hello-edge.{DNS_ZONE}", "A", address
            for what, base, change in (
                ("dns", DNS, lambda: colleague.withdraw(*record)),
                ("dns", DNS, lambda: colleague.publish(*record, 7)),
                ("data-plane", DATA_PLANE, lambda: nft(isolated, "flush", "chain", "ip", "steering", "choose")),
                ("data-plane", DATA_PLANE, lambda: nft(isolated, "delete", "table", "ip", "steering")),
            ):
                await site.edit(f"{base}/reconciliation", "merge", {"policy": "report", "interval": 1})
                await colleague.publish(*record, 30)
                await change()
                await site.until(f"{base}/reconciliation/state", lambda state: "finding" in state)
                await site.edit(f"{base}/reconciliation", "merge", {"policy": "repair"})
                await site.until(f"{base}/reconciliation/state", lambda state: "finding" not in state)
                alarms = {each["resource"]: each["is-cleared"] for each in site.entries("/mec-system:system/alarm")}
                assert alarms[what] is True
                assert server.ask("hello-edge") == [(address, 30)]
                assert steering(isolated) == made
            assert b'"application": "hello-edge"' in await site.http(address, endpoint["port"])

    with name_servers.running(kind, isolated.folder / "server", need) as server:
        asyncio.run(story(server))


async def nft(isolated: Isolated, *words: str) -> None:
    await asyncio.to_thread(output, "ip", "netns", "exec", isolated.fabric, "nft", *words)


def steering(isolated: Isolated) -> str:
    """What the kernel does with packets of clients."""
    return output("ip", "netns", "exec", isolated.fabric, "nft", "list", "table", "ip", "steering")
