"""The same order under each boundary option: what each side then holds, what crossed, and that nobody is left behind.

Tables 3 and 4 of the paper, options 1 to 4; option 5 is test_across_the_boundary.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from nms.federation.options import OPTIONS, BoundaryOption
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, LocalSession, Members
from nms.mec.zones import OWN
from tests.federation.test_across_the_boundary import deploy, http, onboard, resolve
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

Play = Callable[..., None]

SLICES = "/mec-resource:infrastructure/vim[id='vim-1']/slice"
INSTANCES = "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance"
APPLICATIONS = "/mec-platform:platforms/platform[id='mep-1']/application"
MANAGED = "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/app-instance"
AT = "/mec-federation:federation/partner[id='{}']/agreement[id='" + AGREEMENT + "']"

#: option -> (identity, what runs where: computes, applications, managed instances; A's and B's count)
HOSTED = {
    1: ("option-infrastructure", {"compute": "b", "application": "a", "managed": "a"}),
    2: ("option-platform-consumer-infrastructure", {"compute": "a", "application": "b", "managed": "a"}),
    3: ("option-platform-provider-infrastructure", {"compute": "b", "application": "b", "managed": "a"}),
    4: ("option-service", {"compute": "b", "application": "b", "managed": "b"}),
}
LISTS = {"compute": INSTANCES, "application": APPLICATIONS, "managed": MANAGED}


def hosted(a: Domain, b: Domain) -> dict[str, str]:
    """Which domain has the compute instance, the application at the platform, and the managed instance."""
    return {
        what: "".join(domain.id for domain in (a, b) if domain.publisher.entries(path)) for what, path in LISTS.items()
    }


@pytest.mark.parametrize("number", HOSTED)
def test_the_same_order_under_each_option(play: Play, number: int) -> None:
    identity, where = HOSTED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        assert state["instance"][0]["zone"] == "b.zone-1"
        assert hosted(a, b) == where
        endpoint = state["instance"][0]["endpoint"][0]
        served_by = a if where["application"] == "a" else b
        assert await resolve(served_by, endpoint["dns-name"]) == [endpoint["address"]]
        assert b'"application": "hello-edge"' in await http(endpoint["address"], endpoint["port"])

        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        assert hosted(a, b) == {"compute": "", "application": "", "managed": ""}
        assert await resolve(served_by, endpoint["dns-name"]) is None
        for domain in (a, b):
            assert domain.blocks.drivers is not None
            assert await domain.blocks.drivers.vim.list() == []
        await asyncio.wait_for(a.blocks.mm1.offboard("hello"), 20)
        await until("nothing is left under the agreement", lambda: not left(a, b))
        assert "orphan" not in a.read("")

    play(story)


def left(a: Domain, b: Domain) -> list[Members]:
    """Entries of intents under the agreement on either side."""
    found: list[Members] = []
    for domain, partner in ((a, "b"), (b, "a")):
        agreement = domain.publisher.read(AT.format(partner), config=True) or {}
        for container, members in agreement.items():
            if ":" in container:
                found += [entry for name, held in members.items() if name != "configuration" for entry in held]
    return found


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.identity)
def test_what_runs_for_a_partner_runs_in_the_slice_of_its_agreement(play: Play, option: BoundaryOption) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{option.identity}", "quota": {"cpu": "2"}})
        await onboard(a)
        await deploy(a)
        (running,) = [entry for domain in (a, b) for entry in domain.publisher.entries(INSTANCES)]
        if a.publisher.entries(INSTANCES):  # option 2: on one's own infrastructure, for oneself
            assert "slice" not in running
            return
        (shared,) = b.publisher.entries(SLICES)
        assert (running["slice"], shared["quota"]) == (shared["id"], {"cpu": "2.0"})
        await b.change("/partner[id='a']", "remove")
        await until("the slice is gone with what was in it", lambda: not b.publisher.entries(SLICES))

    play(story)


@OVER_BOTH
@pytest.mark.parametrize("number", HOSTED)
def test_inner_names_do_not_cross(play: Play, number: int) -> None:
    identity, _ = HOSTED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a)
        await deploy(a)
        inner = {str(b.folder), "host-1", "mep-1", "mepm-1"}
        for path in LISTS.values():
            inner |= {entry["id"] for entry in b.publisher.entries(path)}
        received = "".join(a.received)
        assert [name for name in inner if re.search(rf"[>/'\"]{re.escape(name)}[<.'\"]", received)] == []

    play(story)


#: Table 4: option -> (server, reference point) -> what messages are about -> kinds of those that cross when an
#: application is on-boarded and instantiated: e(dit), r(ead), n(otification).
CROSSES: dict[int, dict[tuple[str, str], dict[str, str]]] = {
    1: {
        ("b", "mm4"): {"image": "en", "reservation": "ern", "operation-occurrence": "r"},
        ("b", "mm6"): {"image": "r", "compute-instance": "ern", "operation-occurrence": "r"},
        ("b", "mp2"): {"data-plane-rule": "er"},
    },
    2: {
        ("b", "mm5"): {"application": "ern", "configuration": "r", "mp1": "r"},
        ("a", "mp2"): {"data-plane-rule": "er"},
    },
    3: {
        ("b", "mm6"): {"image": "ern", "compute-instance": "ern", "operation-occurrence": "r"},
        ("b", "mm5"): {"application": "ern", "configuration": "r", "mp1": "r"},
    },
    4: {
        ("b", "mm4"): {"image": "en", "reservation": "ern", "operation-occurrence": "r"},
        ("b", "mm3"): {"package": "ern", "app-instance": "ern", "operation-occurrence": "r", "vim": "r"},
    },
    5: {("b", "mx3"): {"package": "ern", "deployment": "ern", "operation-occurrence": "r"}},
}
KINDS = {"e": "edit", "r": "read", "n": "notification"}
#: What is measured is told now and then.
MEASURED = "kpi"
CONTENT = {"image", "package"}


def crossed(a: Domain, b: Domain) -> Counter[tuple[str, str, str, str]]:
    """(server, reference point, kind, about) -> how often."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for client, server in ((a, b), (b, a)):
        link = client.federation.partners.links[server.id, AGREEMENT]
        for (point, kind, about), count in link.traffic.counts.items():
            found[server.id, point, kind, about] += count
    return found


@OVER_BOTH
@pytest.mark.parametrize("number", CROSSES)
def test_what_crosses_in_each_phase_is_what_table_4_says(play: Play, number: int) -> None:
    option = OPTIONS[number - 1]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{option.identity}"})
        before = crossed(a, b)
        await onboard(a)
        state = await deploy(a)
        made = {each for each in crossed(a, b) - before if each[3] != MEASURED}
        assert made == {
            (*where, KINDS[kind], about)
            for where, messages in CROSSES[number].items()
            for about, kinds in messages.items()
            for kind in kinds
        }
        assert any(each[3] in CONTENT for each in made) is bool(option.phases.onboarding)
        assert {point for _, point, _, _ in made} <= {point.name for point in option.points}
        if number == 3:  # the consumer receives faults and performance (Table 4)
            b.publisher.alarm(OWN, "x", "application-failed-alarm", "major", "somebody else's")
            (compute,) = b.publisher.entries(INSTANCES)
            vim = Scope("/mec-resource:infrastructure/vim[id='vim-1']")
            b.publisher.alarm(vim, compute["id"], "application-failed-alarm", "major", "too hot in rack 7")
            alarm = await until("a hears of the fault", lambda: told(a, "alarm"))
            assert (alarm["resource"], alarm["alarm-type-id"]) == ("web.1", "mec-types:application-failed-alarm")
            assert "rack" not in alarm["alarm-text"]
            await until("a hears of the performance", lambda: told(a, "kpi"))

        # Phases 3 and 4: the client asks the DNS of whoever serves it, and uses the application; nothing crosses.
        served_by = a if number == 1 else b
        endpoint = state["instance"][0]["endpoint"][0]

        async def use() -> bool:
            """Whether nothing has crossed meanwhile; what domains watch each other by does, now and then."""
            before = crossed(a, b)
            assert await resolve(served_by, endpoint["dns-name"]) == [endpoint["address"]]
            assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])
            await asyncio.sleep(0.05)  # what it has caused would cross now
            return crossed(a, b) == before

        before = crossed(a, b)
        assert any([await use() for _ in range(10)])
        assert edits(crossed(a, b)) == edits(before)

        shown = a.read(f"/partner[id='b']/agreement[id='{AGREEMENT}']")["session"]
        assert {each["reference-point"] for each in shown} == {
            f"mec-types:{point.name}" for point in option.points if "provider" in point.servers
        }

    play(story, measure_interval=0.3)


def edits(counts: Counter[tuple[str, str, str, str]]) -> dict[tuple[str, str, str, str], int]:
    """Of what has crossed, what changed something."""
    return {key: count for key, count in counts.items() if key[2] in ("edit", "action")}


def told(a: Domain, what: str) -> Any:
    """The first entry of a list that B shows A of its infrastructure, if A was told that there is one."""
    link = a.federation.partners.links["b", AGREEMENT]
    if not any(kind == "notification" and about == what for _, kind, about in link.traffic.counts):
        return None
    return next(iter(link.subtree("mec-resource:resources").get(what, ())), None)


@pytest.mark.parametrize("number", HOSTED)
def test_the_platform_manager_goes_on_telling_of_performance(play: Play, number: int) -> None:
    """Also where several places share one infrastructure, as under option 2."""
    identity, where = HOSTED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        manager = a if where["managed"] == "a" else b
        path = MANAGED.rpartition("/")[0]
        session = LocalSession(manager.core, path)
        await session.edit([DataEdit("/configuration", "merge", {"kpi-interval": 1})])
        session.close()
        await onboard(a)
        await deploy(a)

        def measured() -> str:
            rows = manager.publisher.entries(f"{path}/kpi")
            return next((each["window-end"] for each in rows if each["metric"].endswith("memory-utilisation")), "")

        first = await until("performance is told", measured)
        await until("it is told again", lambda: measured() > first)

    play(story, measure_interval=0.3)
