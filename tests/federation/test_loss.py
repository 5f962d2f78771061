"""Something that was delivered is lost: the customer's order tells the truth, and again when it runs again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from nms.mec.entry import path_of
from nms.mec.session import DataEdit, Members
from tests.federation.outside import Seat, operating
from tests.federation.test_across_the_boundary import http
from tests.federation.test_drift import AT_A, AT_B, VIM, pid
from tests.federation.test_drift_everywhere import DEPLOYMENT, SAYS, delivered
from tests.federation.two_domains import Domain, until

Play = Callable[..., None]
ORDER = "/mec-order:orders/order[id='o1']"


async def customer(seat: Seat, wanted: str) -> Members:
    """The customer was told of the order's state last, and reads it; the state of its item."""
    name = f"mec-types:{wanted}"

    def last() -> bool:
        told = [each for each in seat.told("mec-order:order-state-changed", order="o1") if "item" not in each]
        return bool(told) and told[-1]["state"] == name

    await until(f"the customer is told: {wanted}", last)
    state = (await seat.read(ORDER))["state"]
    assert state["state"] == name
    (item,) = state["item"]
    assert item["state"] == name
    assert ("error" in state, "error" in item) == (wanted == "failed", wanted == "failed")
    alarms = (await seat.read("/mec-system:system")).get("alarm", ())
    mine = [each for each in alarms if each["resource"] == "o1.web"]
    assert [(each["alarm-type-id"], each["is-cleared"]) for each in mine] == [
        ("mec-types:application-failed-alarm", wanted != "failed")
    ]
    assert seat.told("mec-federation:alarm-notification", **{"resource": "o1.web", "is-cleared": wanted != "failed"})
    return dict(item)


async def used(item: Members) -> bool:
    endpoint = item["endpoint"][0]
    return b"hello-edge" in await http(endpoint["address"], endpoint["port"])


@pytest.mark.parametrize("number", SAYS)
def test_a_host_that_has_lost_it(play: Play, number: int) -> None:
    """Whoever has the infrastructure repairs it."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        host = a if number == 2 else b
        (instance,) = host.publisher.entries(f"{VIM}/compute-instance")
        async with operating(a, "restconf" if number % 2 else "netconf") as seat:
            os.kill(pid(host, instance["id"]), signal.SIGKILL)
            await customer(seat, "failed")
            reconciliation = {"policy": "repair", "interval": 1}
            await host.session("/mec-resource:infrastructure").edit(
                [DataEdit("/vim[id='vim-1']/reconciliation", "merge", reconciliation)]
            )
            assert await used(await customer(seat, "completed"))

    play(story)


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_a_partner_that_has_removed_it(play: Play, number: int) -> None:
    """For good, as far as the partner knows; we have it made again."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        (entry,) = b.publisher.entries(f"{AT_B}/{SAYS[number]}")
        async with operating(a, "netconf" if number % 2 else "restconf") as seat:
            await b.session(AT_B).edit([DataEdit(path_of((SAYS[number], entry["id"])), "remove")])
            await customer(seat, "failed")
            state = (await seat.read(DEPLOYMENT))["state"]
            assert (state["instantiation-state"], state["part"][0]["state"]) == (
                "mec-types:not-instantiated",
                "mec-types:failed",
            )
            await seat.edit(f"{AT_A}/reconciliation", {"policy": "repair", "interval": 1})
            assert await used(await customer(seat, "completed"))

    play(story)


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_a_loss_that_nobody_tells_of(play: Play, number: int) -> None:
    """Every notification is lost: the comparison finds it."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        manager = "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/configuration"
        async with operating(a, "netconf" if number % 2 else "restconf") as seat:
            await seat.edit(manager, {"fault-interval": 1})
            await seat.edit(f"{AT_A}/reconciliation", {"interval": 1})
            (entry,) = b.publisher.entries(f"{AT_B}/{SAYS[number]}")
            b.streams.lose = True
            await b.session(AT_B).edit([DataEdit(path_of((SAYS[number], entry["id"])), "remove")])
            await customer(seat, "failed")

    play(story)


@pytest.mark.parametrize("number", [1, 3])
def test_a_partner_that_makes_it_again_by_itself(play: Play, number: int) -> None:
    """Restored from a backup, say: the same entry is there again, at another address perhaps."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, number)
        (entry,) = b.publisher.entries(f"{AT_B}/{SAYS[number]}")
        path = path_of((SAYS[number], entry["id"]))
        had = b.publisher.read(f"{AT_B}{path}", config=True)
        async with operating(a, "restconf") as seat:
            await b.session(AT_B).edit([DataEdit(path, "remove")])
            await customer(seat, "failed")
            await until("b has ended it", lambda: ended(b))
            await b.session(AT_B).edit([DataEdit(path, "create", had)])
            assert await used(await customer(seat, "completed"))

    play(story)


async def ended(b: Domain) -> bool:
    drivers: Any = b.blocks.drivers
    return not await drivers.vim.list()


def test_what_the_platform_does_not_serve(play: Play) -> None:
    """Option 2: it runs, and nobody finds it; the order stays delivered, and says what is wrong with it."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, 2)
        async with operating(a, "netconf") as seat:
            await b.session(AT_B).edit([DataEdit(path_of((SAYS[2], "o1.web")), "remove")])

            async def said() -> str:
                (item,) = (await seat.read(ORDER))["state"]["item"]
                assert item["state"] == "mec-types:completed"
                return str(item.get("error", {}).get("detail", ""))

            assert "does not serve" in await until("the customer is told what is wrong", said)
            about = {"resource": "o1.web", "is-cleared": False}
            await until("with an alarm", lambda: seat.told("mec-federation:alarm-notification", **about))
            await seat.edit(f"{AT_A}/reconciliation", {"policy": "repair", "interval": 1})

            async def nothing() -> bool:
                return not await said()

            await until("nothing is wrong any more", nothing)
            await until(
                "the alarm is over",
                lambda: seat.told("mec-federation:alarm-notification", **about | {"is-cleared": True}),
            )

    play(story)
