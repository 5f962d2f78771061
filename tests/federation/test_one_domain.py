"""One domain from outside: an order becomes a process that a DNS query finds and an HTTP request reaches."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec import mepm
from nms.mec.occurrence import Occurrence
from nms.mec.reference_points import Mm1
from tests.federation.site import DNS_ZONE, Site

DEPLOYMENT = "/mec-system:system/deployment[id='o1.web']"
OCCURRENCES = "/mec-system:system/operation-occurrence"
ORDER = "/mec-order:orders/order[id='o1']"
ITEM = {"package": "hello", "acceptable-zone": ["z1", "z2"]}
#: Accepts nothing and never ends: its instantiation stays PROCESSING until somebody decides.
SILENT = "import time\ntime.sleep(600)\n"


def run(story: Any) -> None:
    asyncio.run(story)


def program(text: str) -> Any:
    """A change of the sample: another program in its image."""

    def change(folder: Path, descriptor: Any) -> None:
        (folder / "image/hello-edge/app.py").write_text(text)

    return change


def mm1(site: Site) -> Mm1:
    assert site.domain.mm1 is not None
    return site.domain.mm1


async def occurrence(site: Site, subject: str, operation: str, *states: str) -> Occurrence:
    """Wait for an operation occurrence in one of the states."""
    async with asyncio.timeout(20):
        while True:
            found = await mm1(site).latest(subject)
            if found is not None and found.operation == operation and found.state in states:
                return found
            await asyncio.sleep(0.02)


async def running(site: Site) -> None:
    """Wait until the infrastructure has an instance."""
    async with asyncio.timeout(10):
        while not await site.vim.list():  # noqa: ASYNC110 - the driver tells nobody
            await asyncio.sleep(0.02)


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
            assert site.read(DEPLOYMENT)["state"]["instance"][0]["reason"][0] == "best of the zones that suit"
            assert [each["kind"] for each in state["trail"]] == ["mec-order:order", "mec-order:deployment"]

            await site.edit(ORDER, "remove")
            await occurrence(site, "o1.web", "terminate", "completed")
            assert await site.resolve(endpoint["dns-name"]) is None
            await site.free()

    run(story())


def test_an_application_that_ends_at_once_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard(change=program("raise SystemExit('no licence')\n"))
            state = await site.order("o1", {"web": ITEM})
            assert state["state"] == "mec-types:failed"
            assert "no licence" in state["error"]["detail"]
            assert state["item"][0]["state"] == "mec-types:failed"
            failed = [each for each in await mm1(site).occurrences() if each.operation == "instantiate"]
            assert [each.state for each in failed] == ["failed"]
            assert "no licence" in failed[0].error["detail"]
            await site.free()

    run(story())


def test_all_items_of_an_order_or_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            await site.onboard("broken", program("raise SystemExit('no licence')\n"))
            state = await site.order("o1", {"a": ITEM, "b": {"package": "broken"}})
            assert state["state"] == "mec-types:failed"
            assert [each["state"] for each in state["item"]] == ["mec-types:cancelled", "mec-types:failed"]
            await site.free()

    run(story())


def test_no_room_is_said_with_the_reason_of_every_zone(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path, cpu=0.25).running() as site:
            await site.onboard()
            state = await site.order("o1", {"web": ITEM})
            assert state["state"] == "mec-types:failed"
            assert state["error"] == {
                "error-tag": "resource-denied",
                "detail": "no zone suits: z1: no room; z2: no room",
            }
            await site.free()

    run(story())


def test_a_package_with_another_digest_is_not_onboarded(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            source = (tmp_path / "hello.csar").as_uri()
            with pytest.raises(RpcError, match="digest") as refused:
                await mm1(site).onboard("other", {"digest": "0" * 64, "source": source})
            assert refused.value.tag == "invalid-value"
            state = site.read("/mec-system:system/package[id='other']/state")
            assert state["onboarding-state"] == "mec-types:failed"
            with pytest.raises(RpcError, match="failed, not onboarded"):
                await mm1(site).instantiate("d", {"package": "other"})
            assert site.entries("/mec-system:system/deployment") == []

    run(story())


def test_what_a_deployment_needs_is_checked_before_anything_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            with pytest.raises(RpcError, match="no zone nowhere"):
                await mm1(site).instantiate("d", {"package": "hello", "zone": "nowhere"})
            path = "/mec-system:system/package[id='hello']"
            await site.edit(path, "merge", {"operational-state": "mec-types:disabled"})
            with pytest.raises(RpcError, match="disabled"):
                await mm1(site).instantiate("d", {"package": "hello"})
            await site.edit(path, "merge", {"operational-state": "mec-types:enabled"})
            await mm1(site).instantiate("d", {"package": "hello"})
            assert site.read(path)["state"]["usage-state"] == "mec-types:in-use"
            with pytest.raises(RpcError):
                await mm1(site).offboard("hello")
            await mm1(site).terminate("d")
            assert site.read(path)["state"]["usage-state"] == "mec-types:not-in-use"
            await mm1(site).offboard("hello")
            assert site.entries("/mec-system:system/package") == []
            assert "image" not in site.read("/mec-resource:infrastructure/vim[id='vim-1']")

    run(story())


def test_instantiation_is_idempotent_by_the_clients_identifier(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            wish = {"package": "hello", "zone": "z2"}
            first, second = await asyncio.gather(mm1(site).instantiate("d", wish), mm1(site).instantiate("d", wish))
            assert first["instance"] == second["instance"]
            assert len(await site.vim.list()) == 1
            assert len([each for each in await mm1(site).occurrences() if each.subject == "d"]) == 1

    run(story())


def test_cancel_while_processing_undoes_what_was_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard(change=program(SILENT))
            work = asyncio.create_task(mm1(site).instantiate("d", {"package": "hello"}))
            found = await occurrence(site, "d", "instantiate", "processing")
            await running(site)
            await mm1(site).cancel(found.id)
            with pytest.raises(RpcError):
                await work
            assert (await occurrence(site, "d", "instantiate", "cancelled")).id == found.id
            await site.free()
            with pytest.raises(RpcError, match="cannot be told to retry"):
                await mm1(site).retry(found.id)

    run(story())


def test_terminate_while_instantiating(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard(change=program(SILENT))
            work = asyncio.create_task(mm1(site).instantiate("d", {"package": "hello"}))
            await running(site)
            await mm1(site).terminate("d")
            with pytest.raises(RpcError):
                await work
            await site.free()
            states = {each.operation: each.state for each in await mm1(site).occurrences() if each.subject == "d"}
            assert states == {"instantiate": "cancelled", "terminate": "completed"}

    run(story())


def test_stop_and_start(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            state = await mm1(site).instantiate("d", {"package": "hello"})
            name = state["instance"][0]["endpoint"][0]["dns-name"]
            await mm1(site).operate("d", "stopped")
            assert (await mm1(site).deployment("d") or {})["state"]["operational-state"] == "mec-types:stopped"
            assert await site.resolve(name) is None
            assert [each.state for each in await site.vim.list()] == ["stopped"]
            await mm1(site).operate("d", "started")
            assert await site.resolve(name) is not None
            assert (await mm1(site).deployment("d") or {})["state"]["operational-state"] == "mec-types:started"

    run(story())


def test_a_deployment_is_prepared_then_confirmed_or_lapses(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            prepared = {"package": "hello", "zone": "z1", "phase": "prepared", "hold-time": 60}
            await mm1(site).instantiate("d", prepared)
            assert await site.vim.list() == []
            assert len(site.entries("/mec-resource:infrastructure/vim[id='vim-1']/reservation")) == 1
            state = await mm1(site).confirm("d")
            assert state["operational-state"] == "mec-types:started"
            await mm1(site).terminate("d")
            await mm1(site).instantiate("e", {**prepared, "hold-time": 1})
            await occurrence(site, "e", "terminate", "completed")
            with pytest.raises(RpcError, match="lapsed"):
                await mm1(site).confirm("e")
            await site.free()

    run(story())


def test_relocation_makes_before_it_breaks(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            before = await mm1(site).instantiate("d", {"package": "hello", "zone": "z1"})
            await mm1(site).relocate("move", "d", "z2", "maintenance")
            after = (await mm1(site).deployment("d") or {})["state"]
            assert [each["zone"] for each in after["instance"]] == ["z2"]
            endpoint = after["instance"][0]["endpoint"][0]
            assert endpoint["address"] != before["instance"][0]["endpoint"][0]["address"]
            assert await site.resolve(endpoint["dns-name"]) == [endpoint["address"]]
            assert [each.zone for each in await site.vim.list()] == ["z2"]
            with pytest.raises(RpcError, match="instance in the target zone"):
                await mm1(site).relocate("again", "d", "z2")
            # asked again, as after a lost answer: it is the same relocation, whatever has become of its occurrence
            occurrences = site.entries("/mec-system:system/operation-occurrence")
            await mm1(site).relocate("move", "d", "z2", "maintenance")
            assert site.entries("/mec-system:system/operation-occurrence") == occurrences
            with pytest.raises(RpcError, match="relocation move cannot change"):
                await mm1(site).relocate("move", "d", "z1", "maintenance")

    run(story())


def test_a_customer_sees_where_an_application_is_that_was_relocated(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            await site.order("o1", {"web": {**ITEM, "acceptable-zone": ["z1"]}})
            await mm1(site).relocate("move", "o1.web", "z2", "maintenance")
            (runs,) = await site.vim.list()

            def moved(order: Any) -> bool:
                (item,) = order["state"]["item"]
                at = [(each["zone"], each["endpoint"][0]["address"]) for each in item["instance"]]
                return at == [("z2", runs.address)] and item["endpoint"][0]["address"] == runs.address

            await site.until(ORDER, moved)

    run(story())


def test_an_application_that_dies_raises_an_alarm_up_to_the_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running() as site:
            await site.onboard()
            await site.order("o1", {"web": ITEM})
            os.kill(site.vim._records[(await site.vim.list())[0].id].pid, signal.SIGKILL)
            entry = await site.until(DEPLOYMENT, lambda each: "error" in each.get("state", {}))
            assert entry["state"]["operational-state"] == "mec-types:stopped"
            alarm = (await mm1(site).alarms())[0]
            assert (alarm["resource"], alarm["is-cleared"]) == ("o1.web", False)
            await site.until(ORDER, lambda each: "error" in each["state"]["item"][0])

    run(story())


def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    async def story() -> None:
        site = Site(tmp_path)
        await site.start()
        await site.onboard()
        state = await site.order("o1", {"web": ITEM})
        endpoint = state["item"][0]["endpoint"][0]
        await site.domain.close()
        site.core.close()
        site.open()
        async with site.running():
            assert await site.resolve(endpoint["dns-name"]) == [endpoint["address"]]
            assert b"hello-edge" in await site.http(endpoint["address"], endpoint["port"])
            assert [each.state for each in await site.vim.list()] == ["started"]
            await site.edit(ORDER, "remove")
            await occurrence(site, "o1.web", "terminate", "completed")
            await site.free()

    run(story())


def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        site = Site(tmp_path)
        await site.start()
        await site.onboard()
        edit = asyncio.create_task(
            site.edit("/mec-system:system/deployment[id='d']", "create", {"package": "hello", "zone": "z1"})
        )
        await occurrence(site, "d", "instantiate", "starting", "processing")
        await edit
        await site.domain.close()
        left = [each for each in site.entries(OCCURRENCES) if each["subject"] == "d"]
        assert [each["state"] for each in left] == ["mec-types:processing"]
        site.core.close()
        site.open()
        async with site.running():
            await occurrence(site, "d", "instantiate", "completed")
            assert [each.state for each in await site.vim.list()] == ["started"]

    run(story())


def test_an_instance_that_died_while_nobody_watched_is_reported(tmp_path: Path) -> None:
    async def story() -> None:
        site = Site(tmp_path)
        await site.start()
        await site.onboard()
        await site.order("o1", {"web": ITEM})
        pid = site.vim._records[(await site.vim.list())[0].id].pid
        await site.domain.close()
        os.kill(pid, signal.SIGKILL)
        site.core.close()
        site.open()
        async with site.running():
            await site.until(DEPLOYMENT, lambda each: "error" in each.get("state", {}))
            alarms = site.entries(f"{mepm.MANAGERS}[id='mepm-1']/alarm")
            assert [each["is-cleared"] for each in alarms] == [False]

    run(story())
