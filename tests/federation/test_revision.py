"""A deployment that lives is scaled, updated and relocated: made before it is broken, and undone where it fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec.occurrence import Occurrence
from nms.mec.reference_points import Mm1
from nms.mec.session import Members
from tests.federation.site import Site

#: Ends at once.
BROKEN = "raise SystemExit('this version is broken')\n"


def run(story: Any) -> None:
    asyncio.run(story)


def mm1(site: Site) -> Mm1:
    assert site.domain.mm1 is not None
    return site.domain.mm1


def version(number: str, program: str = "") -> Any:
    """A change of the sample: another version, and perhaps another program."""

    def change(folder: Path, descriptor: Any) -> None:
        descriptor["id"] = f"hello-edge-{number}"
        descriptor["software-version"] = number
        if program:
            (folder / "image/hello-edge/app.py").write_text(program)

    return change


async def instances(site: Site, deployment: str = "d") -> list[Members]:
    state = (await mm1(site).deployment(deployment) or {})["state"]
    return list(state.get("instance", ()))


async def answers(site: Site, found: list[Members]) -> int:
    """How many of the instances serve, where their state says."""
    said = [await site.http(each["endpoint"][0]["address"], each["endpoint"][0]["port"]) for each in found]
    return sum(b'"application": "hello-edge"' in each for each in said)


def test_scaled_out_and_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            state = await mm1(site).instantiate("d", {"package": "hello"})
            name = state["instance"][0]["endpoint"][0]["dns-name"]
            await mm1(site).scale("d", 3)
            found = await instances(site)
            assert [each["id"] for each in found] == ["1", "2", "3"]
            assert await answers(site, found) == 3
            addresses = {each["endpoint"][0]["address"] for each in found}
            assert set(await site.resolve(name) or ()) == addresses
            assert len(await site.data_plane.rules()) == 3
            await mm1(site).scale("d", 1)
            assert [each["id"] for each in await instances(site)] == ["1"]
            assert await site.resolve(name) == [found[0]["endpoint"][0]["address"]]
            assert len(await site.vim.list()) == len(await site.data_plane.rules()) == 1
            await mm1(site).scale("d", 2)
            assert await answers(site, await instances(site)) == 2
            await mm1(site).terminate("d")
            await site.free()
            await mm1(site).offboard("hello")

    run(story())


def test_scaled_beyond_the_room_stays_as_it_was(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            before = await mm1(site).instantiate("d", {"package": "hello"})
            with pytest.raises(RpcError, match="no room") as caught:
                await mm1(site).scale("d", 40)
            assert caught.value.tag == "resource-denied"
            assert [each["endpoint"] for each in await instances(site)] == [before["instance"][0]["endpoint"]]
            occurrence = await mm1(site).latest("d")
            assert occurrence is not None
            assert (occurrence.operation, occurrence.state) == ("scale", "failed")
            await mm1(site).terminate("d")
            await site.free()

    run(story())


def test_updated_and_the_old_version_goes_when_the_new_one_runs(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard("v1", version("1.0"))
            await site.onboard("v2", version("2.0"))
            before = await mm1(site).instantiate("d", {"package": "v1", "zone": "z2", "requirement": {"scale": 2}})
            assert [each["software-version"] for each in before["instance"]] == ["1.0", "1.0"]
            name = before["instance"][0]["endpoint"][0]["dns-name"]
            await mm1(site).update("d", "v2")
            after = await instances(site)
            assert [(each["package"], each["software-version"], each["zone"]) for each in after] == [
                ("v2", "2.0", "z2"),
                ("v2", "2.0", "z2"),
            ]
            assert await answers(site, after) == 2
            assert set(await site.resolve(name) or ()) == {each["endpoint"][0]["address"] for each in after}
            usage = {each["id"]: each["state"]["usage-state"] for each in await mm1(site).packages()}
            assert usage == {"v1": "mec-types:not-in-use", "v2": "mec-types:in-use"}
            await mm1(site).offboard("v1")
            await mm1(site).terminate("d")
            await site.free()

    run(story())


def test_an_update_that_does_not_come_up_is_rolled_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard("v1", version("1.0"))
            await site.onboard("v2", version("2.0", BROKEN))
            before = await mm1(site).instantiate("d", {"package": "v1"})
            with pytest.raises(RpcError):
                await mm1(site).update("d", "v2")
            (after,) = await instances(site)
            assert (after["package"], after["software-version"], after["id"]) == ("v1", "1.0", "1")
            assert "change" not in after
            endpoint = before["instance"][0]["endpoint"][0]
            assert await site.resolve(endpoint["dns-name"]) == [endpoint["address"]]
            assert await answers(site, [after]) == 1
            occurrence = await mm1(site).latest("d")
            assert occurrence is not None
            assert (occurrence.operation, occurrence.state) == ("update", "failed")
            assert len(await site.vim.list()) == 1
            assert await site.data_plane.rules() != []
            with pytest.raises(RpcError):  # v1 is what runs, whatever is wished
                await mm1(site).offboard("v1")
            await mm1(site).update("d", "v1")
            assert [each["id"] for each in await instances(site)] == ["1"]
            await mm1(site).offboard("v2")
            await mm1(site).terminate("d")
            await site.free()

    run(story())


def test_what_else_of_a_deployment_cannot_change(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            await mm1(site).instantiate("d", {"package": "hello"})
            deployment = "/mec-system:system/deployment[id='d']"
            with pytest.raises(RpcError, match="requirement of deployment d cannot change"):
                await site.edit(deployment, "merge", {"requirement": {"max-latency": "3.0"}})
            with pytest.raises(RpcError, match="zone of deployment d cannot change"):
                await site.edit(deployment, "merge", {"zone": "z2"})

    run(story())


def test_a_deployment_ends_whatever_it_was_moved_by(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            await mm1(site).instantiate("d", {"package": "hello", "zone": "z1", "requirement": {"scale": 2}})
            await mm1(site).relocate("move", "d", "z2")
            found = await instances(site)
            assert [each["zone"] for each in found] == ["z2", "z2"]
            assert await answers(site, found) == 2
            state = site.read("/mec-system:system/deployment[id='d']/state")
            assert [each["zone"] for each in state["part"]] == ["z2", "z2"]
            await mm1(site).terminate("d")
            await site.free()
            await site.edit("/mec-system:system/relocation[id='move']", "remove")

    run(story())


#: Accepts nothing and never ends: what waits for it stays PROCESSING.
SILENT = "import time\ntime.sleep(600)\n"


async def under_way(site: Site, operation: str, *states: str) -> Occurrence:
    """Wait for the latest occurrence about the deployment to be in one of the states."""
    async with asyncio.timeout(20):
        while True:
            found = await mm1(site).latest("d")
            if found is not None and found.operation == operation and found.state in states:
                return found
            await asyncio.sleep(0.02)


async def joined(site: Site) -> None:
    """Wait until the infrastructure has the instance that joins."""
    async with asyncio.timeout(20):
        while len(await site.vim.list()) < 2:  # noqa: ASYNC110 - the driver tells nobody
            await asyncio.sleep(0.02)


def test_an_update_goes_on_after_a_restart_and_can_be_cancelled(tmp_path: Path) -> None:
    async def story() -> None:
        site = Site(tmp_path)
        await site.start()
        await site.onboard("v1", version("1.0"))
        await site.onboard("v2", version("2.0", SILENT))
        await mm1(site).instantiate("d", {"package": "v1"})
        before = await instances(site)
        await site.edit("/mec-system:system/deployment[id='d']", "merge", {"package": "v2"})
        first = await under_way(site, "update", "processing")
        await joined(site)
        shown = {each["package"]: each.get("change") for each in await instances(site)}
        assert shown == {"v1": "leaving", "v2": "joining"}
        await site.domain.close()
        site.core.close()
        site.open()
        async with site.running():
            again = await under_way(site, "update", "processing")
            assert again.id == first.id
            assert await answers(site, [each for each in await instances(site) if each["package"] == "v1"]) == 1
            await mm1(site).cancel(again.id)
            await under_way(site, "update", "cancelled")
            (left,) = await instances(site)
            assert (left["package"], left["endpoint"]) == ("v1", before[0]["endpoint"])
            assert await answers(site, [left]) == 1
            assert len(await site.vim.list()) == 1
            await mm1(site).terminate("d")
            await site.free()

    run(story())


def test_its_end_cancels_what_is_under_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard("v1", version("1.0"))
            await site.onboard("v2", version("2.0", SILENT))
            await mm1(site).instantiate("d", {"package": "v1"})
            await site.edit("/mec-system:system/deployment[id='d']", "merge", {"package": "v2"})
            await joined(site)
            await mm1(site).terminate("d")
            await site.free()

    run(story())


def test_by_force_nothing_is_waited_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            said: list[float | None] = []
            delete = site.vim.delete

            async def spy(instance: str, grace: float | None = None) -> None:
                said.append(grace)
                await delete(instance, grace)

            site.vim.delete = spy  # type: ignore[method-assign]
            await mm1(site).instantiate("d", {"package": "hello"})
            await mm1(site).instantiate("e", {"package": "hello", "graceful-timeout": 7})
            await mm1(site).terminate("d", grace=0)
            await mm1(site).terminate("e")
            assert said == [0, 7]
            await site.free()

    run(story())


def test_an_order_is_amended_and_its_customer_sees_what_runs(tmp_path: Path) -> None:
    async def story() -> None:
        order, item = "/mec-order:orders/order[id='o1']", "/mec-order:orders/order[id='o1']/item[id='web']"

        def shown(entry: Members) -> list[str]:
            state = entry.get("state", {}).get("item", [{}])[0]
            done = state.get("state") == "mec-types:completed"
            return [each["software-version"] for each in state.get("instance", ())] if done else []

        async with Site(tmp_path).running() as site:
            await site.onboard("v1", version("1.0"))
            await site.onboard("v2", version("2.0"))
            await site.onboard("v3", version("3.0", BROKEN))
            await site.order("o1", {"web": {"package": "v1"}})
            await site.edit(item, "merge", {"requirement": {"scale": 2}})
            await site.until(order, lambda entry: shown(entry) == ["1.0", "1.0"])
            await site.edit(item, "merge", {"package": "v2", "requirement": {"scale": 1}})
            await site.until(order, lambda entry: shown(entry) == ["2.0"])
            await site.edit(item, "merge", {"package": "v3"})
            entry = await site.until(order, lambda entry: shown(entry) and "error" in entry["state"]["item"][0])
            assert entry["state"]["state"] == "mec-types:completed"
            assert shown(entry) == ["2.0"]
            assert await answers(site, entry["state"]["item"][0]["instance"]) == 1
            assert "not changed" in entry["state"]["trail"][-1]["detail"]
            for change in ({"dns-name": "other"}, {"requirement": {"max-latency": "1.0"}}):
                with pytest.raises(RpcError, match="only be cancelled, scaled or updated"):
                    await site.edit(item, "merge", change)
            await site.edit(item, "merge", {"package": "v2"})
            await site.until(order, lambda entry: shown(entry) and "error" not in entry["state"]["item"][0])
            await site.edit(order, "remove")
            async with asyncio.timeout(20):
                while await site.vim.list():  # noqa: ASYNC110 - the driver tells nobody
                    await asyncio.sleep(0.02)

    run(story())
