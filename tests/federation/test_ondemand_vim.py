"""An infrastructure manager that a slice has of its own, on demand (Table 3 of the paper, comment on options 1 and 3).

One domain, as the partner's reference points end at it; between two domains: test_ondemand_vim_across.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError, RpcErrors
from nms.mec.chosen import Drivers
from nms.mec.lifecycle import ENDED
from nms.mec.occurrence import plain
from nms.mec.reference_points import Mm4, Mm6
from nms.mec.session import DataEdit, LocalSession, Members, Subtree
from tests.federation.site import Site
from tests.federation.test_one_domain_for_partners import FromFolder, listen
from tests.federation.test_tenancy import (
    SMALL,
    VIM,
    compute,
    eventually,
    image,
    refused,
    resources,
    run,
    tenant,
)
from tests.federation.two_domains import until

VIMS = "/mec-resource:infrastructure/vim"
QUOTA: Members = {"cpu": "1.0", "memory": "256", "storage": "64"}
OWN: Members = {"quota": QUOTA, "dedicated-vim": True}


def managers(site: Site) -> list[Members]:
    """Entries of the managers that slices have of their own."""
    return [vim for vim in site.entries(VIMS) if vim["id"] != "vim-1"]


def shown(site: Site, partner: str = "a") -> Members:
    """What a partner sees under its agreement of our infrastructure."""
    return site.read(f"/mec-federation:federation/partner[id='{partner}']/agreement[id='x']/mec-resource:resources")


def available(site: Site, zone: str = "z1") -> str:
    """Virtual processors that the domain's own manager has left in a zone."""
    return str(site.read(f"{VIM}/zone[id='{zone}']/state/available").get("cpu"))


async def in_use(folder: Path) -> tuple[Site, Members]:
    """A domain at work whose tenant has a manager of its own, and the state of what runs there."""
    site = Site(folder)
    await site.start(source=FromFolder(folder))
    mm4, mm6 = resources(await tenant(site, 1))
    await mm4.add_slice("mine", OWN)
    return site, await running(site, mm4, mm6)


async def running(site: Site, mm4: Mm4, mm6: Mm6, id: str = "c", **more: Any) -> Members:
    """A compute instance of the sample's; its state."""
    await mm4.add_image("i", image(site))
    return await mm6.allocate(id, compute(site, **more))


@pytest.mark.parametrize("number", [1, 3])
def test_a_manager_comes_and_goes_with_the_slice(tmp_path: Path, number: int) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, number))
        assert managers(site) == []
        before = available(site)
        events = listen(site, "user-a")
        point = mm4 if number == 1 else mm6
        state = await point.add_slice("mine", OWN)
        assert (state["state"], state["manager"]["kind"], state["manager"]["name"]) == (
            "mec-types:active", "dedicated", "mine",
        )  # fmt: skip
        assert state["manager"]["reachable"] is True

        (manager,) = managers(site)
        assert manager["state"]["reachable"] is True
        assert manager["slice"][0]["dedicated-vim"] is True
        assert [host["zone"] for host in manager["host"]] == ["z1"]
        assert manager["host"][0]["capacity"]["cpu"] == "1.0"
        assert float(available(site)) == float(before) - 1

        assert (await running(site, mm4, mm6))["operational-state"] == "mec-types:started"
        assert "compute-instance" not in site.read(VIM)
        (manager,) = managers(site)
        (inner,) = manager["compute-instance"]
        assert inner["slice"] == manager["slice"][0]["id"]
        assert await site.vim.list() == []
        await eventually(lambda: _used(site), "0.5")

        await refused(point.session.edit([DataEdit("/slice[id='mine']", "remove")]), "in-use", "still has")
        await mm6.release("c")
        await mm4.remove_image("i")
        await point.remove_slice("mine")
        assert managers(site) == []
        assert "reservation" not in site.read(VIM)
        assert available(site) == before
        assert not (tmp_path / "vim" / "dedicated").exists() or not list((tmp_path / "vim" / "dedicated").iterdir())
        assert "slice" not in shown(site)
        await eventually(lambda: _zones(site), ["z1", "z2"])

        told = [(each["resource-type"], each["state"]) for name, each in events if name == "resource-changed"]
        assert [state for kind, state in told if kind == "slice"] == ["active", "terminated"]
        operations = [
            each["operation"]
            for name, each in events
            if name == "operation-occurrence-changed" and each["subject-type"] == "slice"
        ]
        assert operations[0].endswith("instantiate")
        assert operations[-1].endswith("terminate")
        await site.free()

    run(tmp_path, story)


async def _used(site: Site) -> str:
    return str(shown(site)["slice"][0]["state"]["used"]["cpu"])


async def _zones(site: Site) -> list[str]:
    return [zone["id"] for zone in shown(site).get("zone", ())]


def test_no_more_than_was_agreed_and_than_there_is(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, 1, quota={"cpu": "4"}))
        await refused(mm4.add_slice("big", slice_of(cpu="4.5")), "resource-denied", "quota of cpu is 4")
        assert "slice" not in shown(site)
        error = await refused(mm4.add_slice("big", slice_of(cpu="3")), "resource-denied", "no room")
        assert "vim" not in error.message
        assert shown(site)["slice"][0]["state"]["state"] == "mec-types:down"
        assert shown(site)["slice"][0]["state"]["error"]["error-tag"] == "resource-denied"
        assert managers(site) == []
        assert "reservation" not in site.read(VIM)
        # Nothing goes elsewhere meanwhile.
        await refused(mm4.reserve("r", "z1", SMALL, 60), "operation-failed")
        assert "reservation" not in site.read(VIM)
        await mm4.session.edit([DataEdit("/reservation[id='r']", "remove")])
        await eventually(lambda: _gone(site, "reservation"), True)
        await mm4.remove_slice("big")

        await mm4.add_slice("mine", OWN)
        await mm4.add_image("i", image(site))
        await refused(mm6.allocate("c", compute(site, cpu="1.5")), "resource-denied", "slice's quota of cpu")
        await mm4.reserve("r", "z1", {"cpu": "0.6"}, 60)
        await refused(mm6.allocate("c", compute(site)), "resource-denied", "slice's quota of cpu")
        assert "compute-instance" not in shown(site)
        assert len(managers(site)[0]["reservation"]) == 1

    run(tmp_path, story)


async def _gone(site: Site, name: str) -> bool:
    return name not in shown(site)


def slice_of(**quota: str) -> Members:
    return {**OWN, "quota": {**QUOTA, **quota}}


def test_two_partners_and_the_last_of_the_infrastructure(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        points = [resources(await tenant(site, 1, name))[0] for name in ("a", "c")]
        outcomes = await asyncio.gather(
            *(each.add_slice("mine", slice_of(cpu="1.5")) for each in points), return_exceptions=True
        )
        assert sorted(isinstance(each, RpcError) for each in outcomes) == [False, True]
        assert len(managers(site)) == 1
        assert float(available(site)) == 0.5

    run(tmp_path, story)


def test_other_tenants_and_the_domain_itself_are_undisturbed(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        other4, other6 = resources(await tenant(site, 1, "c"))
        theirs = await running(site, other4, other6, "theirs")
        (before,) = await site.vim.list()
        mm4, mm6 = resources(await tenant(site, 1))
        await mm4.add_slice("mine", OWN)
        ours = await running(site, mm4, mm6)
        assert ours["address"] != theirs["address"]
        assert await site.vim.list() == [before]
        # What is lent is not given away twice: 2 processors, 1 of them lent, 0.5 taken.
        await refused(other4.reserve("r", "z1", {"cpu": "0.75"}, 60), "resource-denied")
        await other4.session.edit([DataEdit("/reservation[id='r']", "remove")])
        await other4.reserve("s", "z1", {"cpu": "0.5"}, 60)
        assert [each["id"] for each in shown(site, "c")["compute-instance"]] == ["theirs"]
        assert "slice" not in shown(site, "c")

        events = listen(site, "user-c")
        await mm6.release("c")
        await mm4.remove_image("i")
        await mm4.remove_slice("mine")
        assert await site.vim.list() == [before]
        assert [name for name, _ in events if name in ("resource-changed", "operation-occurrence-changed")] == []
        await other4.reserve("t", "z1", {"cpu": "1"}, 60)

    run(tmp_path, story)


def test_what_the_model_and_the_provider_refuse(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        for number in (2, 4):
            role = {2: "consumer", 4: "provider"}[number]
            mm4, _ = resources(await tenant(site, number, f"p{number}", role=role))
            error = await refused(mm4.add_slice("mine", OWN), "operation-failed", "options 1 and 3 only")
            assert error.app_tag == "must-violation"
        whole = await tenant(site, 1, "p5", **{"boundary-option": "mec-types:option-system"})
        with pytest.raises((RpcError, RpcErrors)):
            await whole.edit([DataEdit("/mec-resource:resources/slice[id='mine']", "create", OWN)])
        assert "mec-resource:resources" not in site.read(
            "/mec-federation:federation/partner[id='p5']/agreement[id='x']"
        )

        mm4, _ = resources(await tenant(site, 1))
        vague = {"dedicated-vim": True, "quota": {"cpu": "1.0"}}
        await refused(mm4.add_slice("mine", vague), "operation-failed", "how much")
        await refused(mm4.add_slice("mine", {**OWN, "zone": ["z2"]}), "invalid-value", "not accepted")
        await refused(mm4.add_slice("mine", {**OWN, "zone": ["z9"]}), "invalid-value", "no zone z9")
        await mm4.add_image("i", image(site))
        await refused(mm4.session.edit([DataEdit("/slice[id='mine']", "create", OWN)]), "in-use", "no image")
        await mm4.remove_image("i")

        await mm4.add_slice("mine", OWN)
        error = await refused(mm4.add_slice("other", OWN), "operation-failed")
        assert error.app_tag == "too-many-elements"
        for change in ({"dedicated-vim": False}, {"quota": {"cpu": "1.5"}}, {"zone": ["z1"]}):
            edit = mm4.session.edit([DataEdit("/slice[id='mine']", "merge", change)])
            await refused(edit, "operation-not-supported", "make another")
        (manager,) = managers(site)
        away = site.edit(f"{VIMS}[id='{manager['id']}']", "remove")
        await refused(away, "in-use", "serves a slice")
        assert managers(site)[0]["state"]["reachable"] is True
        assert shown(site)["slice"][0]["quota"] == QUOTA

    run(tmp_path, story)


def test_a_slice_without_a_manager_of_its_own_is_served_by_the_shared_one(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, 1))
        state = await mm4.add_slice("mine", {"quota": QUOTA})
        assert (state["manager"]["kind"], state["manager"]["name"]) == ("shared", "shared")
        assert managers(site) == []
        await running(site, mm4, mm6, slice="mine")
        (inner,) = site.entries(f"{VIM}/compute-instance")
        (held,) = site.entries(f"{VIM}/slice")
        assert (inner["slice"], held["quota"]) == (held["id"], QUOTA)
        await refused(mm4.reserve("r", "z1", {"cpu": "0.6"}, 60), "resource-denied", "slice's quota")

    run(tmp_path, story)


def test_several_zones_have_equal_parts(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        zones = [{"id": "z1", "accepted": True}, {"id": "z2", "accepted": True}]
        mm4, mm6 = resources(await tenant(site, 1, zone=zones))
        await mm4.add_slice("mine", slice_of(cpu="2.001"))
        (manager,) = managers(site)
        assert {host["zone"]: host["capacity"]["cpu"] for host in manager["host"]} == {"z1": "1.001", "z2": "1.0"}
        await eventually(lambda: _totals(site), {"z1": "1.001", "z2": "1.0"})
        await running(site, mm4, mm6, zone="z2")
        assert [each["state"]["zone"] for each in managers(site)[0]["compute-instance"]] == ["z2"]

    run(tmp_path, story)


async def _totals(site: Site) -> dict[str, str]:
    return {zone["id"]: zone["total"]["cpu"] for zone in shown(site).get("zone", ()) if "total" in zone}


def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        site, state = await in_use(tmp_path)
        before = shown(site)["slice"][0]["state"]
        await site.domain.close()
        site.core.close()

        site.open()
        async with site.running(source=FromFolder(tmp_path)):
            mm4, mm6 = again(site)
            assert shown(site)["slice"][0]["state"] == before
            assert (await mm6.compute_instance("c") or {})["state"]["address"] == state["address"]
            assert float(available(site)) == 1
            second = await mm6.allocate("d", compute(site))
            assert second["address"] != state["address"]
            (manager,) = managers(site)
            assert len(manager["compute-instance"]) == 2
            for name in ("c", "d"):
                await mm6.release(name)
            await mm4.remove_image("i")
            await mm4.remove_slice("mine")
            assert managers(site) == []
            await site.free()

    asyncio.run(story())


def again(site: Site) -> tuple[Mm4, Mm6]:
    """The partner's reference points, after a restart."""
    path = "/mec-federation:federation/partner[id='a']/agreement[id='x']"
    return resources(Subtree(LocalSession(site.core, path), ""))


def test_what_was_left_when_the_agreement_went_with_the_daemon_is_ended(tmp_path: Path) -> None:
    async def story() -> None:
        site, _ = await in_use(tmp_path)
        await site.domain.close()
        await site.edit("/mec-federation:federation/partner[id='a']", "remove")
        site.core.close()

        site.open()
        async with site.running(source=FromFolder(tmp_path)):
            await eventually(lambda: _managers(site), [])
            await site.free()

    asyncio.run(story())


async def _managers(site: Site) -> list[Members]:
    return managers(site)


def test_an_agreement_that_is_removed_takes_the_manager_along(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, 1))
        await mm4.add_slice("mine", OWN)
        await running(site, mm4, mm6)
        await site.edit("/mec-federation:federation/partner[id='a']", "remove")
        await eventually(lambda: _managers(site), [])
        await site.free()
        await eventually(lambda: _left(site), 2.0)

    run(tmp_path, story)


async def _left(site: Site) -> float:
    return float(available(site))


def test_all_of_it_in_one_edit_and_back_in_one(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, _ = resources(await tenant(site, 1))
        wish = {"slice": [{"id": "mine", **OWN}], "image": [{"id": "i", **image(site)}]}
        wish["compute-instance"] = [{"id": "c", **compute(site)}]
        await mm4.session.edit([DataEdit("", "merge", wish)])
        await eventually(lambda: _state(site, "c"), "mec-types:started")
        assert len(managers(site)[0]["compute-instance"]) == 1
        await mm4.session.edit([DataEdit("", "remove")])
        await eventually(lambda: _managers(site), [])
        await site.free()

        # What the slice cannot have, nothing else has either, and nobody waits for somebody who waits.
        wish["slice"] = [{"id": "mine", **slice_of(cpu="9")}]
        await mm4.session.edit([DataEdit("", "merge", wish)])
        await eventually(lambda: _failures(site), {"slice", "image", "compute-instance"})
        assert "image" not in site.read(VIM)
        await mm4.session.edit([DataEdit("", "remove")])

    run(tmp_path, story)


async def _state(site: Site, id: str) -> str:
    found = next((each for each in shown(site).get("compute-instance", ()) if each["id"] == id), {})
    return str(found.get("state", {}).get("operational-state"))


async def _failures(site: Site) -> set[str]:
    return {
        each["subject-type"]
        for each in shown(site).get("operation-occurrence", ())
        if each["state"] == "mec-types:failed"
    }


class Undivided:
    """A driver that lends nothing, as that of a cloud."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        if name in ("dedicated", "discard"):
            raise AttributeError(name)
        return getattr(self._driver, name)


class UndividedSite(Site):
    """A site on it."""

    def drivers(self) -> Drivers:
        return replace(super().drivers(), vim=Undivided(self.vim))


def test_where_the_infrastructure_cannot_be_divided_the_slice_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with UndividedSite(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mm4, mm6 = resources(await tenant(site, 1))
            await refused(mm4.add_slice("mine", OWN), "operation-not-supported", "does not do that")
            assert shown(site)["slice"][0]["state"]["state"] == "mec-types:down"
            await mm4.remove_slice("mine")
            assert managers(site) == []
            assert (await running(site, mm4, mm6))["operational-state"] == "mec-types:started"

    asyncio.run(story())


def test_faults_of_its_instances_are_its_own_and_the_partners(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, 1))
        await mm4.add_slice("mine", OWN)
        await running(site, mm4, mm6)
        (lent,) = site.domain.managers.running().values()  # type: ignore[union-attr]
        (instance,) = await lent.driver.list()
        _kill(tmp_path, instance.id)
        await eventually(lambda: _alarms(site), [("c", "major", False)])
        (manager,) = managers(site)
        assert [each["resource"] for each in manager["alarm"]] == [instance.id]
        assert "alarm" not in site.read(VIM)
        assert await _state(site, "c") == "mec-types:stopped"

        # The manager's own comparison with its driver (drift) has it started again.
        await site.edit(f"{VIMS}[id='{manager['id']}']/reconciliation", "merge", {"policy": "repair", "interval": 1})
        await eventually(lambda: _state(site, "c"), "mec-types:started")
        await eventually(lambda: _alarms(site), [("c", "major", True)])

    run(tmp_path, story)


def records(folder: Path, instance: str = "*") -> list[Path]:
    """What the drivers of managers of their own remember of an instance."""
    return list(folder.glob(f"vim/dedicated/*/instances/{instance}/instance.json"))


def _kill(folder: Path, instance: str) -> None:
    (record,) = records(folder, instance)
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)


async def _alarms(site: Site) -> list[tuple[str, str, bool]]:
    alarms = shown(site).get("alarm", ())
    return [(each["resource"], each["perceived-severity"], each["is-cleared"]) for each in alarms]


def _under_way(site: Site) -> Iterator[bool]:
    for each in shown(site)["operation-occurrence"]:
        yield plain(each["state"]) not in ENDED


def test_a_manager_that_cannot_be_taken_up_keeps_nobody_else_from_working(tmp_path: Path) -> None:
    async def story() -> None:
        site, _ = await in_use(tmp_path)
        await site.domain.close()
        site.core.close()
        (record,) = records(tmp_path)
        content = record.read_text()
        record.write_text("nonsense")

        site.open()
        await site.start(source=FromFolder(tmp_path))
        mm4, _ = again(site)
        state = shown(site)["slice"][0]["state"]
        assert (state["state"], state["manager"]["reachable"]) == ("mec-types:down", False)
        (manager,) = managers(site)
        assert manager["state"]["reachable"] is False
        assert "damaged" in manager["state"]["last-error"]
        assert [each["is-cleared"] for each in manager["alarm"]] == [False]
        await refused(mm4.reserve("r", "z1", SMALL, 60), "operation-failed")
        other4, other6 = resources(await tenant(site, 1, "c"))
        assert (await running(site, other4, other6))["operational-state"] == "mec-types:started"
        await other6.release("c")
        await mm4.session.edit([DataEdit("/reservation[id='r']", "remove")])
        await until("nothing is under way", lambda: not any(_under_way(site)))
        assert "zone" not in shown(site)

        record.write_text(content)
        assert site.domain.reconciliation is not None
        site.domain.reconciliation.now()
        await until("its slice is served", lambda: shown(site)["slice"][0]["state"]["state"] == "mec-types:active")
        await until("its zone is there", lambda: [each["id"] for each in shown(site).get("zone", ())] == ["z1"])
        await until("the alarm is over", lambda: [each["is-cleared"] for each in managers(site)[0]["alarm"]] == [True])
        await site.end()

    asyncio.run(story())
