"""Parts of an infrastructure that are lent to managers of their own (`nms.drivers.api.Divisible`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nms.drivers.api import Capacity, Divisible, Host, Resources, RpcError, Vim
from nms.drivers.netns import NetnsVim
from nms.mec.chosen import Drivers
from nms.mec.session import LocalSession, Subtree
from tests.drivers.netns_site import Site as Isolated
from tests.drivers.netns_site import inside
from tests.drivers.test_vim_contract import bench as bench
from tests.drivers.vim_contract import Bench
from tests.federation.site import Site
from tests.federation.test_one_domain_for_partners import FromFolder
from tests.federation.test_tenancy import compute, image, resources, tenant


def amounts(bench: Bench) -> tuple[Resources, Resources]:
    """What an instance takes, and what is lent: room for two of them."""
    small = bench.spec("any").resources
    return small, small + small


def part_of(bench: Bench) -> list[Host]:
    """What is lent, as hosts."""
    return [Host("h1", "z1", Capacity(amounts(bench)[1], Resources()))]


def test_a_part_has_its_own_instances_and_the_rest_is_as_it_was(bench: Bench) -> None:
    small, amount = amounts(bench)

    async def story(vim: Vim) -> None:
        assert isinstance(vim, Divisible)
        whole = await vim.capacity()
        ours = await vim.start(bench.spec("ours", slice="s1"))
        part = vim.dedicated("p", part_of(bench))
        assert (await vim.capacity()).free == whole.free - amount - small
        await part.open(bench.reported.append)
        assert [(host.name, host.zone, host.capacity.free) for host in await part.hosts()] == [("h1", "z1", amount)]
        theirs = await part.start(bench.spec("theirs", slice="s2"))
        assert theirs.address != ours.address
        assert [each.id for each in await vim.list()] == ["ours"]
        assert [each.id for each in await part.list()] == ["theirs"]
        assert (await part.capacity()).free == amount - small
        assert (await vim.capacity()).free == whole.free - amount - small
        reached = await inside(theirs, f"print(connects({ours.address!r}, 8080))")
        assert reached == str(not bench.isolates)
        with pytest.raises(RpcError, match="no room"):
            await part.allocate(bench.spec("more", resources=Resources(1500, 64, 16)))

        # Whoever ends first leaves the other what it stands on.
        await part.delete("theirs", 0)
        await part.close()
        await vim.discard("p")
        await vim.discard("p")
        assert (await vim.capacity()).free == whole.free - small
        assert await inside(ours, "print('here')") == "here"
        assert await vim.start(bench.spec("later", slice="s2"))

    bench.run(story)
    assert bench.reported == []


def test_parts_are_found_again_before_anything_new_is_given_away(bench: Bench) -> None:
    async def before() -> str:
        vim, part = lent(bench)
        await vim.open(bench.reported.append)
        await part.open(bench.reported.append)
        address = (await part.start(bench.spec("theirs", slice="s"))).address
        await vim.close()
        await part.close()
        return address

    async def after(address: str) -> None:
        vim, part = lent(bench)
        await part.open(bench.reported.append)  # the ground is there for whoever comes first, and until the last goes
        await vim.open(bench.reported.append)
        (found,) = await part.list()
        assert (found.id, found.state, found.address) == ("theirs", "started", address)
        ours = await vim.start(bench.spec("ours", slice="s"))
        assert ours.address != address
        await vim.delete("ours", 0)
        await vim.close()
        assert await inside(found, "print('here')") == "here"
        await part.delete("theirs", 0)
        await part.close()
        await vim.discard("p")
        assert (await vim.capacity()).used == Resources()

    asyncio.run(after(asyncio.run(before())))
    assert bench.reported == []


def lent(bench: Bench) -> tuple[Vim, Vim]:
    """A VIM, and the one of a part of it; neither is open."""
    vim = bench.make()
    assert isinstance(vim, Divisible)
    return vim, vim.dedicated("p", part_of(bench))


class IsolatedSite(Site):
    """A domain on isolated infrastructure."""

    def __init__(self, isolated: Isolated) -> None:
        self.isolated = isolated
        super().__init__(isolated.folder)

    def drivers(self) -> Drivers:
        (self.folder / "vim").mkdir(exist_ok=True)
        options = {"addresses": self.isolated.addresses, "hosts": self.hosts}
        made = super().drivers()
        self.vim: Any = NetnsVim(options, self.folder / "vim")
        return replace(made, vim=self.vim)


def test_a_slice_on_isolated_infrastructure_has_a_manager_of_its_own(isolated: Isolated) -> None:
    async def story() -> None:
        async with IsolatedSite(isolated).running(source=FromFolder(isolated.folder)) as site:
            addresses = []
            for name, own in (("a", True), ("c", False)):
                mm4, mm6 = resources(await tenant(site, 1, name))
                if own:
                    quota = {"cpu": "1", "memory": "256", "storage": "64"}
                    await mm4.add_slice("mine", {"dedicated-vim": True, "quota": quota})
                await mm4.add_image("i", image(site))
                state = await mm6.allocate("i1", compute(site))
                addresses.append(state["address"][0])
            assert len({address.rpartition(".")[0] for address in addresses}) == 2  # a bridge for each
            assert b'"application": "hello-edge"' in await site.http(addresses[0], 8080)
            (theirs,) = await site.vim.list()
            assert theirs.address == addresses[1]
            mm4, mm6 = resources(Subtree(LocalSession(site.core, scope("a")), ""))
            await mm6.release("i1")
            await mm4.remove_image("i")
            await mm4.remove_slice("mine")
            assert await site.vim.list() == [theirs]
            assert b'"application": "hello-edge"' in await site.http(addresses[1], 8080)

    asyncio.run(story())


def scope(partner: str) -> str:
    return f"/mec-federation:federation/partner[id='{partner}']/agreement[id='x']"
