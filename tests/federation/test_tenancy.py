"""One domain that shows partners its infrastructure, platform and platform manager: what they may, and may not, ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec import package
from nms.mec.reference_points import Mm3, Mm4, Mm5, Mm6, Mp2
from nms.mec.session import LocalSession, Members, Subtree
from tests.federation.site import SAMPLE, Site
from tests.federation.test_one_domain_for_partners import FromFolder, agree, listen
from tests.federation.two_domains import until

VIM = "/mec-resource:infrastructure/vim[id='vim-1']"
PLATFORM = "/mec-platform:platforms/platform[id='mep-1']"
OPTIONS = {
    1: "option-infrastructure",
    2: "option-platform-consumer-infrastructure",
    3: "option-platform-provider-infrastructure",
    4: "option-service",
}
SMALL: Members = {"cpu": "0.5", "memory": "64", "storage": "1"}


async def tenant(site: Site, number: int, name: str = "a", **terms: Any) -> Subtree:
    """A partner's end of an agreement under that option."""
    await agree(site, name, **{"boundary-option": f"mec-types:{OPTIONS[number]}", **terms})
    path = f"/mec-federation:federation/partner[id='{name}']/agreement[id='x']"
    return Subtree(LocalSession(site.core, path), "")


def image(site: Site) -> Members:
    """The sample's image, at the partner; the members of its entry."""
    info = package.build(SAMPLE, site.folder / "sample.csar")
    with (site.folder / "image").open("wb") as out:
        package.extract(site.folder / "sample.csar", info, info.image.path, out)
    return {
        "digest": info.image.digest,
        "size": str(info.image.size),
        "format": "mec-types:process-archive",
        "source": "test:image",
    }


def compute(site: Site, of: str = "i", **more: Any) -> Members:
    descriptor = json.loads((SAMPLE / package.DESCRIPTOR).read_text())[package.TOP]
    point = descriptor["external-connection-point"][0]
    command = {"command": descriptor["sw-image"]["command"]} if "command" in descriptor["sw-image"] else {}
    return {"image": of, "zone": "z1", "port": [{"name": "http", "port": point["port"]}], **SMALL, **command, **more}


def resources(at: Subtree) -> tuple[Mm4, Mm6]:
    below = Subtree(at, "/mec-resource:resources")
    return Mm4(below), Mm6(below)


def run(tmp_path: Path, story: Any, **options: Any) -> None:
    async def all_of_it() -> None:
        async with Site(tmp_path, **options).running(source=FromFolder(tmp_path)) as site:
            await story(site)

    asyncio.run(all_of_it())


async def refused(work: Any, tag: str, says: str | None = None) -> RpcError:
    with pytest.raises(RpcError, match=says) as error:
        await work
    assert error.value.tag == tag
    return error.value


@pytest.mark.parametrize("agreed", ["z1", "z2"])
def test_what_names_no_zone_is_in_an_agreed_one(tmp_path: Path, agreed: str) -> None:
    async def story(site: Site) -> None:
        at = await tenant(site, 1, zone=[{"id": agreed, "accepted": True}, {"id": "z3"}])
        mm4, mm6 = resources(at)
        await mm4.add_image("i", image(site))
        for name in ("c", "d"):
            wish = {leaf: value for leaf, value in compute(site).items() if leaf != "zone"}
            assert (await mm6.allocate(name, wish))["zone"] == agreed
            assert (await mm6.operate(name, "stopped"))["zone"] == agreed  # and stays there

    run(tmp_path, story)


def test_infrastructure_is_lent_and_given_back(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        at = await tenant(site, 1)
        mm4, mm6 = resources(at)
        zones = await site.until("/mec-federation:federation/partner[id='a']/agreement[id='x']", _zones)
        assert sorted(zone["id"] for zone in zones["mec-resource:resources"]["zone"]) == ["z1", "z2"]
        await mm4.add_image("i", image(site))
        await mm4.reserve("r", "z1", {**SMALL, "instances": 1}, 60)
        await mm4.confirm("r")
        state = await mm6.allocate("c", compute(site, reservation="r"))
        assert state["operational-state"] == "mec-types:started"
        (inner,) = site.entries(f"{VIM}/compute-instance")
        assert inner["id"] != "c"
        assert inner["reservation"] in {each["id"] for each in site.entries(f"{VIM}/reservation")}
        used = site.read("/mec-federation:federation/partner[id='a']/agreement[id='x']/state/used")
        assert (used["cpu"], used["instances"]) == ("0.5", 1)
        assert (await mm6.operate("c", "stopped"))["operational-state"] == "mec-types:stopped"
        assert (await mm6.operate("c", "started"))["operational-state"] == "mec-types:started"
        await mm6.release("c")
        await mm4.release("r")
        await mm4.remove_image("i")
        for name in ("compute-instance", "reservation", "image"):
            await site.until(VIM, lambda vim, name=name: name not in vim)
        await site.free()

    run(tmp_path, story)


def _zones(agreement: Members) -> bool:
    return all("available" in zone for zone in agreement.get("mec-resource:resources", {}).get("zone", ({},)))


def test_no_more_than_was_agreed(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        mm4, mm6 = resources(await tenant(site, 1, quota={"cpu": "1", "instances": 2}))
        await mm4.add_image("i", image(site))
        await mm4.reserve("r", "z1", SMALL, 60)
        await refused(mm4.reserve("big", "z1", {"cpu": "0.6"}, 60), "resource-denied", "quota of cpu")
        await refused(mm4.reserve("far", "z2", SMALL, 60), "invalid-value", "not accepted")
        await refused(mm4.reserve("away", "z9", SMALL, 60), "invalid-value", "no zone z9")
        await refused(mm6.allocate("c", compute(site, cpu="0.6")), "resource-denied", "quota of cpu")
        await refused(mm6.allocate("c", compute(site, of="nowhere")), "data-missing")
        assert [each["amount"]["cpu"] for each in site.entries(f"{VIM}/reservation")] == ["0.5"]
        assert site.entries(f"{VIM}/compute-instance") == []
        await refused(mm4.add_image("j", {**image(site), "digest": "0" * 64}), "invalid-value")
        await refused(mm4.add_image("k", {**image(site), "source": "file:///etc/passwd"}), "access-denied")

    run(tmp_path, story)


def test_two_partners_and_the_last_of_something(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        points = [resources(await tenant(site, 1, name))[0] for name in ("a", "c")]
        outcomes = await asyncio.gather(
            *(each.reserve("r", "z1", {"cpu": "0.4"}, 60) for each in points), return_exceptions=True
        )
        assert sorted(isinstance(each, RpcError) for each in outcomes) == [False, True]
        (lost,) = (each for each in outcomes if isinstance(each, RpcError))
        assert lost.tag == "resource-denied"
        (held,) = site.entries(f"{VIM}/reservation")
        assert held["amount"]["cpu"] == "0.4"

    run(tmp_path, story, cpu=0.5)


@pytest.mark.parametrize(
    ("held", "wanted"), [("shop.edge.test", "SHOP.edge.test."), ("shop", "shop.edge.test"), ("shop.Edge.test", "shop")]
)
def test_a_name_that_is_taken_stays_where_it_is(tmp_path: Path, held: str, wanted: str) -> None:
    async def story(site: Site) -> None:
        first, second = [Mm5(Subtree(await tenant(site, 3, name), "/mec-platform:platform")) for name in ("a", "c")]
        rule = {"id": "dns", "domain-name": held}
        state = (await first.serve("app", {"address": "127.1.1.1", "dns-rule": [rule]}))["state"]
        assert state["ready"] is True
        taken = {"address": "127.2.2.2", "dns-rule": [{**rule, "domain-name": wanted}]}
        await refused(second.serve("mine", taken), "data-exists", "is taken")
        assert [record.address for record in await site.dns.records()] == ["127.1.1.1"]
        assert await first.dns_zone() == "edge.test"
        await first.withdraw("app")
        await until("the platform serves it no more", lambda: not site.entries(f"{PLATFORM}/application"))
        await second.serve("mine", taken)
        assert [record.address for record in await site.dns.records()] == ["127.2.2.2"]

    run(tmp_path, story)


def test_a_partners_rules_in_our_data_plane_have_names_of_their_own(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        planes = [Mp2(Subtree(await tenant(site, 1, name), "/mec-resource:resources")) for name in ("a", "c")]
        rule = {"id": "r", "action": "mec-app-descriptor:passthrough", "priority": 7}
        for plane in planes:
            await plane.activate("app", rule)
        rules = await site.data_plane.rules()
        assert len({each.instance_id for each in rules}) == 2
        assert {each.priority for each in rules} == {7}
        await planes[0].deactivate("app", "r")
        await eventually(lambda: _instances(site), 1)

    run(tmp_path, story)


async def _instances(site: Site) -> int:
    return len({rule.instance_id for rule in await site.data_plane.rules()})


async def eventually(what: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Ask until the answer is the wanted one."""
    seen: Any = None
    for _ in range(500):
        seen = await what()
        if seen == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{seen!r} instead of {wanted!r}")


def test_a_platform_manager_is_lent(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        at = await tenant(site, 4)
        mm3 = Mm3(Subtree(at, "/mec-platform-manager:platform-manager"))
        mm4, _ = resources(at)
        info = package.build(SAMPLE, site.folder / "hello.csar")
        offer = {"digest": info.digest, "size": str(info.size), "source": "test:hello.csar"}
        events = listen(site, "user-a")
        state = await mm3.onboard("app", offer)
        assert state["descriptor"]["name"] == "hello-edge"
        await site.until("/mec-federation:federation/partner[id='a']/agreement[id='x']", _vims)
        (vim,) = await mm3.vims()
        assert vim["zone"] == ["z1", "z2"]
        await mm4.reserve("one", "z1", SMALL, 60)
        wish = {"package": "app", "zone": "z1", "vim": vim["id"], "reservation": "one"}
        await refused(mm3.instantiate("one", {**wish, "slice": "another"}), "invalid-value", "one slice")
        state = await mm3.instantiate("one", wish)
        assert state["operational-state"] == "mec-types:started"
        assert state["endpoint"][0]["dns-name"].endswith(".edge.test")
        assert "platform" not in state
        told = [members for name, members in events if name == "app-instance-changed"]
        assert {members["app-instance"] for members in told} == {"one"}
        await refused(mm3.offboard("app"), "data-missing")
        await mm3.terminate("one")
        await mm4.release("one")
        await mm3.offboard("app")
        await site.free()

    run(tmp_path, story)


def _vims(agreement: Members) -> bool:
    return bool(agreement.get("mec-platform-manager:platform-manager", {}).get("vim"))


def test_what_was_under_way_when_the_daemon_ended_is_taken_up(tmp_path: Path) -> None:
    async def story() -> None:
        site = Site(tmp_path)
        await site.start(source=FromFolder(tmp_path))
        mm4, mm6 = resources(await tenant(site, 1))
        await mm4.add_image("i", image(site))
        await mm6.allocate("c", compute(site))
        address = (await mm6.compute_instance("c") or {})["state"]["address"]
        await site.domain.close()
        site.core.close()

        site.open()
        async with site.running(source=FromFolder(tmp_path)):
            path = "/mec-federation:federation/partner[id='a']/agreement[id='x']"
            _, mm6 = resources(Subtree(LocalSession(site.core, path), ""))
            state = (await mm6.compute_instance("c") or {})["state"]
            assert (state["operational-state"], state["address"]) == ("mec-types:started", address)
            (instance,) = await site.vim.list()
            events = listen(site, "user-a")
            await site.vim.stop(instance.id, 0.0)
            await mm6.release("c")
            assert site.entries(f"{VIM}/compute-instance") == []
            assert "operation-occurrence-changed" in "".join(name for name, _ in events)

    asyncio.run(story())


def test_partners_do_not_choose_their_slice(tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        slices = []
        for name in ("a", "c"):
            at = await tenant(site, 1, name)
            _, mm6 = resources(at)
            await Mm4(mm6.session).add_image("i", image(site))
            await mm6.allocate("i", compute(site))
            held = {each["slice"] for each in site.entries(f"{VIM}/compute-instance")}
            slices += sorted(held - set(slices))
            await refused(mm6.allocate("j", compute(site, slice=slices[0])), "data-missing", "slice")
        assert sorted(each["id"] for each in site.entries(f"{VIM}/slice")) == sorted(slices)
        assert len(set(slices)) == 2

    run(tmp_path, story)


@pytest.mark.parametrize("number", [1, 3])
def test_an_agreement_that_is_removed_takes_everything_along(tmp_path: Path, number: int) -> None:
    async def story(site: Site) -> None:
        at = await tenant(site, number)
        mm4, mm6 = resources(at)
        await mm4.add_image("i", image(site))
        await mm6.allocate("c", compute(site))
        if number == 3:
            mm5 = Mm5(Subtree(at, "/mec-platform:platform"))
            await mm5.serve("app", {"address": "127.1.1.1", "dns-rule": [{"id": "d", "domain-name": "x.edge.test"}]})
        await site.edit("/mec-federation:federation/partner[id='a']", "remove")
        for name in ("compute-instance", "image"):
            await site.until(VIM, lambda vim, name=name: name not in vim)
        await site.until(PLATFORM, lambda platform: "application" not in platform)
        await eventually(site.dns.records, [])
        await site.free()

    run(tmp_path, story)
