"""What is there is no more what is configured, and nobody here has changed it: reported, repaired or adopted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nms.federation.options import OPTIONS
from nms.mec.reconcile import Difference, differences
from nms.mec.session import DataEdit, LocalSession, Members
from nms.model import json
from nms.operations.request import Invoke
from tests.federation.test_across_the_boundary import http, onboard
from tests.federation.test_all_or_nothing import left
from tests.federation.test_removed_partner import in_state, order
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
AT_A = f"/mec-federation:federation/partner[id='b']/agreement[id='{AGREEMENT}']"
AT_B = f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']"
VIM = "/mec-resource:infrastructure/vim[id='vim-1']"
ORDER = "/mec-order:orders/order[id='o1']"
#: Boundary option -> list in which B holds what runs there for A.
RUNS = {
    1: "mec-resource:resources/compute-instance",
    3: "mec-resource:resources/compute-instance",
    4: "mec-platform-manager:platform-manager/app-instance",
    5: "mec-system:system/deployment",
}


def test_the_three_way_difference() -> None:
    intended = {
        ("l", "same"): True,
        ("l", "gone"): True,
        ("l", "new"): False,
        ("l", "other"): True,
        ("l", "busy"): False,
    }
    agreed = {("l", name): {"a": 1, "b": 2} for name in ("same", "gone", "other", "busy")}
    shown = {("l", "same"): {"a": 1, "b": 2}, ("l", "other"): {"a": 1, "c": 3}, ("l", "busy"): {}, ("l", "x"): {}}
    assert differences(intended, shown, agreed) == [
        Difference(("l", "gone"), True, False, True),
        Difference(("l", "other"), True, True, True, {"b": (2, None), "c": (None, 3)}),
        Difference(("l", "x"), False, True, False),
    ]
    assert differences({}, {("l", "x"): {}}, {("l", "x"): {}})[0].known is True


def reconcile(domain: Domain, **wanted: str) -> None:
    """The rpc."""
    node = domain.core.schema.rpcs["mec-federation", "reconcile"]
    session = LocalSession(domain.core, "/mec-federation:federation")
    domain.core.dispatch(session._session, Invoke(node, json.decode(node.children[0], wanted), ()))
    session.close()


def findings(domain: Domain, base: str) -> list[Members]:
    state = domain.publisher.read(f"{base}/reconciliation/state") or {}
    return list(state.get("finding", ()))


def alarmed(domain: Domain, name: str) -> bool:
    return any(
        (each["resource"], each["alarm-type-id"]) == (name, "mec-types:drift-alarm") and not each["is-cleared"]
        for each in domain.publisher.entries("/mec-system:system/alarm")
    )


async def policy(domain: Domain, base: str, wanted: str) -> None:
    top, _, rest = base[1:].partition("/")
    session = domain.session(f"/{top}")
    await session.edit([DataEdit(f"/{rest}/reconciliation", "merge", {"policy": wanted, "interval": 1})])


@pytest.mark.parametrize("number", RUNS)
def test_what_was_removed_at_the_partner(play: Play, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        await onboard(a)
        await order(a)
        assert findings(a, AT_A) == []
        there = b.publisher.entries(f"{AT_B}/{RUNS[number]}")[0]["id"]
        await b.session(AT_B).edit([DataEdit(f"/{RUNS[number]}[id='{there}']", "remove")])
        path = "/mec-system:system/deployment[id='o1.web']/state"
        await until("a knows that it has failed", lambda: "error" in (a.publisher.read(path) or {}))

        def found() -> Any:
            reconcile(a, partner="b")
            return [each for each in findings(a, AT_A) if each["kind"] == RUNS[number]]

        (finding,) = await until("a finds it", found)
        assert (finding["subject"], finding["outcome"]) == (there, "reported")
        assert (finding["intended"], finding["shown"], finding["known"]) == (True, False, True)
        assert alarmed(a, f"b/{AGREEMENT}")

        await policy(a, AT_A, "repair")
        await until("it runs again", lambda: runs(a, path))
        endpoint = await until("a's customer is told where", lambda: reached(a, path))
        assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])
        await until("nothing is left to find", lambda: not findings(a, AT_A))
        assert not alarmed(a, f"b/{AGREEMENT}")
        assert "orphan" not in a.read("")

    play(story)


def reached(a: Domain, path: str) -> Members | None:
    """Where the customer reaches what was ordered, once that is where it runs."""
    state = in_state(a, "completed") or {}
    here = [each.get("endpoint") for each in (a.publisher.read(path) or {})["instance"]]
    shown = [item.get("endpoint") for item in state.get("item", ())]
    return here[0][0] if shown == here and here[0] and "error" not in state else None


@pytest.mark.parametrize("wanted", ["repair", "adopt"])
def test_what_nobody_has_asked_for(play: Play, wanted: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await order(a)
        extra = {"package": "hello", "zone": "zone-1", "dns-name": "ghost.mec.b"}
        await b.session(AT_B).edit([DataEdit("/mec-system:system/deployment[id='ghost']", "create", extra)])

        def found() -> Any:
            reconcile(a)
            return findings(a, AT_A)

        (finding,) = await until("a finds it", found)
        assert (finding["subject"], finding["intended"], finding["shown"]) == ("ghost", False, True)
        assert alarmed(a, f"b/{AGREEMENT}")
        await policy(a, AT_A, wanted)
        deployed = f"{AT_B}/mec-system:system/deployment"
        if wanted == "repair":
            await until("b runs the other only", lambda: [e["id"] for e in b.publisher.entries(deployed)] == ["o1.web"])
            await until("the ledger is empty", lambda: "orphan" not in a.read(""))
        else:
            path = "/mec-system:system/deployment[id='ghost']"
            started = "mec-types:started"
            await until(
                "a has taken it on",
                lambda: ((a.publisher.read(path) or {}).get("state", {})).get("operational-state") == started,
            )
            assert {each["id"] for each in b.publisher.entries(deployed)} == {"o1.web", "ghost"}
        await until("nothing is left to find", lambda: not findings(a, AT_A))
        assert not alarmed(a, f"b/{AGREEMENT}")

    play(story)


def test_what_was_removed_is_wanted_no_more(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await order(a)
        await policy(a, AT_A, "adopt")
        await b.session(AT_B).edit([DataEdit("/mec-system:system/deployment[id='o1.web']", "remove")])
        await until("a has given it up", lambda: not a.publisher.entries("/mec-system:system/deployment"))
        await until("the customer is told", lambda: in_state(a, "failed"))
        await until("nothing is left to find", lambda: not findings(a, AT_A))

        async def nothing() -> bool:
            return not await left((a, b))

        await until("nothing is left", nothing)

    play(story)


@pytest.mark.parametrize("number", [3, 5])
def test_a_process_that_was_killed(play: Play, number: int) -> None:
    """B's driver has lost it; B repairs its own infrastructure, and A sees it run again."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        await onboard(a)
        await order(a)
        (instance,) = b.publisher.entries(f"{VIM}/compute-instance")
        os.kill(pid(b, instance["id"]), signal.SIGKILL)
        path = "/mec-system:system/deployment[id='o1.web']/state"
        await until("a knows that it has failed", lambda: "error" in (a.publisher.read(path) or {}))

        def found() -> Any:
            reconcile(b)
            return findings(b, VIM)

        (finding,) = await until("b finds it", found)
        assert (finding["subject"], finding["shown"]) == (instance["id"], False)
        assert alarmed(b, "vim-1")
        await policy(b, VIM, "repair")
        await until("a sees it run again", lambda: runs(a, path))
        endpoint = (a.publisher.read(path) or {})["instance"][0]["endpoint"][0]
        assert b"hello-edge" in await http(endpoint["address"], endpoint["port"])
        await until("nothing is left to find", lambda: not findings(b, VIM))
        assert not alarmed(b, "vim-1")

    play(story)


def runs(a: Domain, path: str) -> bool:
    state = a.publisher.read(path) or {}
    return "error" not in state and state.get("operational-state") == "mec-types:started"


def pid(domain: Domain, instance: str) -> int:
    """Of the process that the embedded driver runs for an instance."""
    drivers: Any = domain.blocks.drivers
    return int(drivers.vim._records[instance].pid)


def test_an_instance_that_the_driver_has_and_nobody_wants(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await order(a)
        assert b.blocks.drivers is not None
        (mine,) = await b.blocks.drivers.vim.list()
        drivers: Any = b.blocks.drivers
        stray = replace(drivers.vim._records[mine.id].spec, id="stray")
        await b.blocks.drivers.vim.start(stray)
        await policy(b, VIM, "repair")

        async def alone() -> bool:
            reconcile(b)
            return [each.id for each in await b.blocks.drivers.vim.list()] == [mine.id]  # type: ignore[union-attr]

        await until("only what is wanted runs", alone)
        assert runs(a, "/mec-system:system/deployment[id='o1.web']/state")

    play(story)
