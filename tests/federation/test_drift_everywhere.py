"""Drift under every boundary option, in either direction, as an operator sees it over NETCONF and over RESTCONF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nms.federation.options import OPTIONS
from nms.mec.entry import path_of
from nms.mec.session import DataEdit, Members
from tests.federation.outside import OUTSIDE, Seat, operating
from tests.federation.test_across_the_boundary import http, onboard
from tests.federation.test_all_or_nothing import left
from tests.federation.test_drift import AT_A, AT_B, findings
from tests.federation.test_options import resolve
from tests.federation.test_removed_partner import order
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
DEPLOYMENT = "/mec-system:system/deployment[id='o1.web']"
NAME = f"b/{AGREEMENT}"
RULES = "mec-resource:resources/data-plane-rule"
#: Boundary option -> list at B whose entry says whether the instance runs, or is served.
SAYS = {
    1: "mec-resource:resources/compute-instance",
    2: "mec-platform:platform/application",
    3: "mec-resource:resources/compute-instance",
    4: "mec-platform-manager:platform-manager/app-instance",
    5: "mec-system:system/deployment",
}


async def delivered(a: Domain, b: Domain, number: int) -> None:
    """A has what the customer ordered, made under a boundary option with B."""
    await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
    await onboard(a)
    await order(a)


async def found(seat: Seat, base: str, partner: str, kind: str) -> Members:
    """The one finding about a list, as the operator gets it."""

    async def asked() -> list[Members]:
        await seat.call("mec-federation", "reconcile", partner=partner)
        state = await seat.read(f"{base}/reconciliation/state")
        return [each for each in state.get("finding", ()) if each["kind"] == kind]

    (finding,) = await until(f"a {kind} is found", asked)
    return finding


async def alarmed(seat: Seat, name: str, *, cleared: bool) -> None:
    """The drift alarm is raised, or cleared again, and the operator was told."""
    about = {"resource": name, "alarm-type-id": "mec-types:drift-alarm", "is-cleared": cleared}
    await until("the operator is told", lambda: seat.told("mec-federation:alarm-notification", **about))
    alarms = (await seat.read("/mec-system:system"))["alarm"]
    mine = [each for each in alarms if (each["resource"], each["alarm-type-id"]) == (name, "mec-types:drift-alarm")]
    assert [each["is-cleared"] for each in mine] == [cleared]


async def repaired(seat: Seat, base: str, name: str, wanted: str = "repair") -> None:
    """The operator has it repaired, or adopted, and is told that nothing is left."""
    await seat.edit(f"{base}/reconciliation", {"policy": wanted, "interval": 1})

    async def nothing() -> bool:
        state = await seat.read(f"{base}/reconciliation/state")
        return "last-run" in state and "finding" not in state

    await until("nothing is left to find", nothing)
    await alarmed(seat, name, cleared=True)


@OUTSIDE
def test_what_the_partners_platform_has_lost(play: Play, outside: str) -> None:
    """Option 2: the application is gone from B's platform; it is served again, and the instance at A ran on."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, 2)
        endpoint = (a.publisher.read(DEPLOYMENT) or {})["state"]["instance"][0]["endpoint"][0]
        assert a.blocks.drivers is not None
        (before,) = await a.blocks.drivers.vim.list()
        async with operating(a, outside) as seat:
            await b.session(AT_B).edit([DataEdit(f"/{SAYS[2]}[id='o1.web']", "remove")])
            await until("b's DNS has it no more", lambda: named(b, endpoint["dns-name"], False))
            finding = await found(seat, AT_A, "b", SAYS[2])
            assert (finding["subject"], finding["shown"], finding["outcome"]) == ("o1.web", False, "reported")
            await alarmed(seat, NAME, cleared=False)
            await repaired(seat, AT_A, NAME)
        await until("b's DNS has it", lambda: named(b, endpoint["dns-name"], True))
        assert await a.blocks.drivers.vim.list() == [before]
        assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])
        await until("a has the rules in its data plane", lambda: rules(a))

    play(story)


async def named(domain: Domain, name: str, wanted: bool) -> bool:
    return bool(await resolve(domain, name)) is wanted


async def rules(domain: Domain) -> list[Any]:
    assert domain.blocks.drivers is not None
    return list(await domain.blocks.drivers.data_plane.rules())  # type: ignore[attr-defined]


@OUTSIDE
@pytest.mark.parametrize(("number", "change"), [(1, "removed"), (2, "removed"), (2, "changed"), (2, "extra")])
def test_rules_in_the_partners_data_plane(play: Play, outside: str, number: int, change: str) -> None:
    """Mp2: who has the platform (A under option 1, B under option 2) finds out what its rules at the other are."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        steers, plane = (a, b) if number == 1 else (b, a)
        here, there = (AT_A, AT_B) if number == 1 else (AT_B, AT_A)
        name = f"{plane.id}/{AGREEMENT}"
        (rule,) = plane.publisher.entries(f"{there}/{RULES}")
        (active,) = await rules(plane)
        path = path_of((RULES, f"{rule['instance']}/{rule['id']}"))
        edits = {
            "removed": DataEdit(path, "remove"),
            "changed": DataEdit(path, "merge", {"priority": 7}),
            "extra": DataEdit(path_of((RULES, "x/y")), "create", {"action": "mec-app-descriptor:drop"}),
        }
        async with operating(steers, outside) as seat:
            await plane.session(there).edit([edits[change]])
            finding = await found(seat, here, plane.id, RULES)
            same = f"{rule['instance']}/{rule['id']}"
            assert finding["subject"] == ("x/y" if change == "extra" else same)
            assert (finding["intended"], finding["shown"]) == (change != "extra", change != "removed")
            if change == "changed":
                assert [(each["name"], each["shown"]) for each in finding["change"]] == [("priority", "7")]
            await alarmed(seat, name, cleared=False)
            await repaired(seat, here, name)

        async def as_before() -> bool:
            return await rules(plane) == [active]

        await until("the data plane is as before", as_before)
        await until("no orphan is left", lambda: "orphan" not in steers.read(""))

    play(story)


@pytest.mark.parametrize("number", SAYS)
def test_what_was_changed_at_the_partner(play: Play, number: int) -> None:
    """Somebody at B has stopped an entry of A's: found as what it is; made as agreed, or adopted, or reported."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        (entry,) = b.publisher.entries(f"{AT_B}/{SAYS[number]}")
        path = path_of((SAYS[number], entry["id"]))
        stop = DataEdit(path, "merge", {"desired-state": "stopped"})
        async with operating(a, "netconf" if number % 2 else "restconf") as seat:
            await b.session(AT_B).edit([stop])
            finding = await found(seat, AT_A, "b", SAYS[number])
            assert (finding["subject"], finding["intended"], finding["shown"]) == (entry["id"], True, True)
            (change,) = finding["change"]
            assert (change["name"], change["shown"]) == ("desired-state", '"stopped"')
            await alarmed(seat, NAME, cleared=False)
            await repaired(seat, AT_A, NAME)
            await until("it runs", lambda: is_state(seat, "started"))
            endpoint = (await seat.read(DEPLOYMENT))["state"]["instance"][0]["endpoint"][0]
            await until("it is found", lambda: named(a if number == 1 else b, endpoint["dns-name"], True))
            assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])

            await seat.edit(f"{AT_A}/reconciliation", {"policy": "adopt"})
            await b.session(AT_B).edit([stop])

            async def wanted() -> bool:
                return (await seat.read(DEPLOYMENT)).get("desired-state") == "stopped"

            await until("a wants it stopped", wanted)
            await until("it is stopped", lambda: is_state(seat, "stopped"))
            await seat.edit(DEPLOYMENT, {"desired-state": "started"})
            await until("it can be started again", lambda: is_state(seat, "started"))
            await until("a and b are of one mind", lambda: not findings(a, AT_A))

            leaf, value = UNSAID[number]
            await b.session(AT_B).edit([DataEdit(path, "merge", {leaf: value})])
            finding = await found(seat, AT_A, "b", SAYS[number])
            assert (finding["outcome"], finding["detail"]) == ("reported", f"a deployment cannot say {leaf}")
        assert "orphan" not in a.read("")

    play(story)


#: Member of an entry in SAYS that no deployment of A's can have changed, and another value for it.
UNSAID: Mapping[int, tuple[str, Any]] = {
    1: ("storage", "2"),
    2: ("address", "127.9.9.9"),
    3: ("storage", "2"),
    4: ("dns-rule", [{"id": "d", "active": False}]),
    5: ("customer", "x"),
}


async def is_state(seat: Seat, wanted: str) -> bool:
    """Whether the deployment is, without an error, as an operator reads it."""
    state = (await seat.read(DEPLOYMENT))["state"]
    return bool(state["operational-state"] == f"mec-types:{wanted}" and "error" not in state)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_what_was_removed_is_wanted_no_more(play: Play, number: int) -> None:
    """Adopted: what the partner has removed for good is a deployment less, and nothing is left of it."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        async with operating(a, "netconf" if number % 2 else "restconf") as seat:
            await seat.edit(f"{AT_A}/reconciliation", {"policy": "adopt", "interval": 1})
            (entry,) = b.publisher.entries(f"{AT_B}/{SAYS[number]}")
            await b.session(AT_B).edit([DataEdit(path_of((SAYS[number], entry["id"])), "remove")])

            async def gone() -> bool:
                return not await seat.read(DEPLOYMENT)

            await until("a has given it up", gone)
            await until(
                "the customer is told", lambda: seat.told("mec-order:order-state-changed", state="mec-types:failed")
            )
        await until("nothing is left to find", lambda: not findings(a, AT_A))
        await until("nothing is left", lambda: nothing_left(a, b))

    play(story)


async def nothing_left(*domains: Domain) -> bool:
    return not await left(domains)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_what_we_have_forgotten_is_ours_again(play: Play, number: int) -> None:
    """A was restored from a backup that is older than the deployment; B runs it still."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        had = held(b)
        await a.session("/mec-order:orders").edit([DataEdit("/order[id='o1']", "remove")])
        await until("nothing is left", lambda: nothing_left(a, b))
        again = [DataEdit(path_of(entry), "create", members) for entry, members in had.items()]
        async with operating(a, "netconf" if number % 2 else "restconf") as seat:
            await b.session(AT_B).edit(again)
            finding = await found(seat, AT_A, "b", SAYS[number])
            assert (finding["intended"], finding["shown"]) == (False, True)
            await alarmed(seat, NAME, cleared=False)
            await repaired(seat, AT_A, NAME, "adopt")

            await until("it is a deployment of a's", lambda: is_state(seat, "started"))
        assert without_addresses(held(b)) == without_addresses(had)
        endpoint = (a.publisher.read(DEPLOYMENT) or {})["state"]["instance"][0]["endpoint"][0]
        assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])

    play(story)


def without_addresses(found: Mapping[tuple[str, str], Members]) -> list[Members]:
    """What ran has got another one when it was made again at B by hand."""
    return [{name: value for name, value in each.items() if name != "address"} for each in found.values()]


def held(b: Domain) -> Mapping[tuple[str, str], Members]:
    """What B has of A's deployments, what others refer to first."""
    lists = (
        "mec-resource:resources/reservation",
        "mec-resource:resources/compute-instance",
        "mec-platform:platform/application",
        "mec-platform-manager:platform-manager/app-instance",
    )
    return {
        (kind, each["id"]): each
        for kind in lists
        for each in next(iter((b.publisher.read(f"{AT_B}/{kind}", config=True) or {"": ()}).values()))
    }
