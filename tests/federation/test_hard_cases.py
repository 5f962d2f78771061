"""Cases that break other systems, across the boundary, under each option that does them another way.

docs/failures.md lists every case with its tests; here are those that no other file has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.client import Unanswered
from nms.federation.options import OPTIONS
from nms.federation.over_netconf import NetconfClient
from nms.mec.occurrence import TEMPORARY
from nms.mec.session import SYSTEM, DataEdit, Members
from nms.operations.request import Lock, Unlock
from tests.federation.site import build
from tests.federation.test_across_the_boundary import deploy, onboard, resolve
from tests.federation.test_all_or_nothing import _nothing as nothing
from tests.federation.test_all_or_nothing import alarmed, left
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
ENTRY = f"/partner[id='{{}}']/agreement[id='{AGREEMENT}']"
#: Accepts nothing and never ends: its instantiation stays PROCESSING until somebody decides.
SILENT = "import time\ntime.sleep(600)\n"
#: Boundary option -> lists in which the partner then holds something of one deployment.
HELD = {
    1: {"compute-instance", "reservation"},
    2: {"application"},
    3: {"application", "compute-instance"},
    4: {"app-instance", "reservation"},
    5: {"deployment", "package"},
}


def terms(number: int, **more: Any) -> Members:
    return {"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}", **more}


async def silent(a: Domain) -> None:
    """A package whose application never answers is on-boarded at A."""

    def change(folder: Path, descriptor: Any) -> None:
        (folder / "image/hello-edge/app.py").write_text(SILENT)

    file = a.folder / "silent.csar"
    info = build(a.folder / "src", file, change)
    assert a.blocks.mm1 is not None
    await a.blocks.mm1.onboard("hello", {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)})


async def begun(a: Domain, b: Domain) -> asyncio.Task[Members]:
    """A deployment is under way and something of it runs in one of the two."""
    task = asyncio.ensure_future(deploy(a))

    async def runs() -> bool:
        return any([await domain.blocks.drivers.vim.list() for domain in (a, b)])  # type: ignore[union-attr]

    await until("an instance was begun", runs)
    return task


def occurrence(a: Domain, operation: str) -> Members:
    """The newest one about the deployment."""
    found = [
        each
        for each in a.publisher.entries("/mec-system:system/operation-occurrence")
        if (each["operation"], each["subject"]) == (f"mec-types:{operation}", "web")
    ]
    return max(found, key=lambda each: each["start-time"], default={})


@pytest.mark.parametrize("number", HELD)
def test_a_dead_partner_is_removed_and_the_ledger_says_what_it_holds(play: Play, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        await onboard(a)
        await deploy(a)
        await b.deaf()
        await until("a shows that b is gone", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)
        zone = await until("its zone is not ready", lambda: _down(a))
        assert zone["partner"] == "b"
        await a.change("/partner[id='b']", "remove")
        orphans = await until("a lists orphans", lambda: a.read("").get("orphan"))
        assert {each["path"].split("/")[-1].split("=")[0] for each in orphans} >= HELD[number]
        await until("each has an alarm", lambda: {each["id"] for each in a.read("")["orphan"]} == alarmed(a))
        state = "/mec-system:system/deployment[id='web']/state"
        await until("the deployment has failed", lambda: "error" in (a.publisher.read(state) or {}))

    play(story, farewell=0.5)


def _down(a: Domain) -> Members | None:
    zone = a.publisher.read("/mec-system:system/zone[id='b.zone-1']") or {}
    return zone if zone.get("state") == "mec-types:down" else None


@pytest.mark.parametrize("number", [1, 4, 5])
@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_what_is_under_way_is_called_off(play: Play, number: int, how: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        await silent(a)
        task = await begun(a, b)
        assert a.blocks.mm1 is not None
        if how == "cancel":
            await a.blocks.mm1.cancel(occurrence(a, "instantiate")["id"])
            await until("it is cancelled", lambda: occurrence(a, "instantiate").get("state") == "mec-types:cancelled")
            await until("nothing is left at b", lambda: nothing([b]))
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        assert occurrence(a, "instantiate")["state"] == "mec-types:cancelled"
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], RpcError)
        await until("nothing is left", lambda: nothing((a, b)))
        assert "orphan" not in a.read("")

    play(story)


async def ended(a: Domain, b: Domain, number: int, name: str) -> None:
    """An agreement under which something was found by `name` is over: DNS and workloads are withdrawn."""
    try:
        await until("b runs nothing", lambda: _empty(b))
    except AssertionError:
        raise AssertionError(f"left at b: {await left([b])}") from None
    server = a if number == 1 else b

    async def unknown() -> bool:
        return await resolve(server, name) is None

    await until("the name is withdrawn", unknown)
    state = "/mec-system:system/deployment[id='web']/state"
    stopped = {"operational-state": "mec-types:stopped"}.items()
    shown = await until("a says so", lambda: (held := a.publisher.read(state) or {}).items() >= stopped and held)
    assert "error" in shown


async def _empty(b: Domain) -> bool:
    return not await left([b])


@pytest.mark.parametrize("number", [1, 3, 4, 5])
@pytest.mark.parametrize("why", ["terminated", "expired"])
def test_dns_and_workloads_are_withdrawn_when_a_federation_ends(play: Play, number: int, why: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        until_then = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await federate(a, b, **terms(number, **{"valid-until": until_then, "grace-period": 3600}))
        await onboard(a)
        state = await deploy(a)
        endpoint = state["instance"][0]["endpoint"][0]
        server = a if number == 1 else b
        assert await resolve(server, endpoint["dns-name"]) == [endpoint["address"]]
        if why == "terminated":
            await b.change(ENTRY.format("a"), "merge", {"admin-state": "terminated"})
        else:
            b.clock.ahead = timedelta(hours=1, minutes=1)
            await until("b's agreement is over", lambda: b.state("a") == "expired")
            assert await resolve(server, endpoint["dns-name"]) == [endpoint["address"]]  # there is a grace period
            alarms = [each for each in b.publisher.entries("/mec-system:system/alarm") if not each["is-cleared"]]
            assert "mec-types:agreement-expired-alarm" in {each["alarm-type-id"] for each in alarms}
            b.clock.ahead = timedelta(hours=2, minutes=1)
        await until("b's agreement has ended", lambda: b.state("a") == "terminated")
        await ended(a, b, number, endpoint["dns-name"])

    play(story)


@pytest.mark.parametrize("released", [True, False])
def test_a_lock_is_held_at_the_partner(play: Play, monkeypatch: pytest.MonkeyPatch, released: bool) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        operator = b.core.open_session(SYSTEM, "test", "", lambda reason: None)
        b.core.dispatch(operator, Lock("running"))
        task = asyncio.ensure_future(deploy(a))
        try:
            if not released:
                monkeypatch.setattr("nms.mec.reference_point.LOCK_PAUSES", (0.1, 0.1))
                with pytest.raises(RpcError) as error:
                    await task
                assert (error.value.tag, error.value.app_tag) == ("in-use", TEMPORARY)
                assert occurrence(a, "instantiate")["state"] == "mec-types:failed-temp"
            await asyncio.sleep(0.3)
        finally:
            b.core.dispatch(operator, Unlock("running"))
            b.core.close_session(operator)
        if not released:
            assert a.blocks.mm1 is not None
            await a.blocks.mm1.retry(occurrence(a, "instantiate")["id"])
            await until("it runs", lambda: occurrence(a, "instantiate")["state"] == "mec-types:completed")
        else:
            assert (await task)["operational-state"] == "mec-types:started"

    play(story)


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_content_that_is_not_what_was_promised(play: Play, number: int) -> None:
    """A serves another image, or package, than it has named: B takes nothing of it, and says why."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        info = await onboard(a)
        for digest in (info.digest, info.image.digest):
            file = a.store.path(digest)
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.chmod(0o600)
            file.write_bytes(content)
        with pytest.raises(RpcError, match=r"digest|checksum|accept") as error:
            await deploy(a)
        assert error.value.tag == "invalid-value"
        assert info.digest not in b.store
        assert info.image.digest not in b.store
        await until("nothing is left", lambda: _empty(b))

    play(story)


@pytest.mark.parametrize("number", [1, 4, 5])
def test_a_partner_that_says_yes_and_does_nothing(play: Play, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        await onboard(a)
        session = a.federation.partners.links["b", AGREEMENT].session
        edit = session.edit

        async def lie(edits: Any) -> None:
            if not any(word in edits[0].path for word in ("/deployment", "/app-instance", "/compute-instance")):
                await edit(edits)

        monkeypatch.setattr(session, "edit", lie)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        item = {"id": "web", "package": "hello", "acceptable-zone": ["b.zone-1"]}
        await a.session("/mec-order:orders").edit(
            [DataEdit("/order[id='o']", "create", {"customer": "acme", "item": [item]})]
        )
        path = "/mec-order:orders/order[id='o']/state"
        state = await until("the order has failed", lambda: _failed(a.publisher.read(path)))
        assert state["item"][0]["state"] == "mec-types:failed"
        monkeypatch.undo()
        await until("nothing is left", lambda: nothing((a, b)))

    play(story)


def _failed(state: Members | None) -> Members | None:
    return state if state is not None and state.get("state") == "mec-types:failed" else None


def test_a_service_level_that_nobody_can_keep(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        zone = b.session("/mec-resource:infrastructure")
        await zone.edit([DataEdit("/vim[id='vim-1']/zone[id='zone-1']", "merge", {"access-latency": "20.0"})])
        await federate(a, b)
        await onboard(a)
        path = "/mec-system:system/zone[id='b.zone-1']"
        await until("a knows the latency", lambda: "access-latency" in (a.publisher.read(path) or {}))
        link = a.federation.partners.links["b", AGREEMENT]
        assert a.blocks.mm1 is not None
        wish = {"package": "hello", "acceptable-zone": ["b.zone-1"], "requirement": {"max-latency": "5.0"}}
        with pytest.raises(RpcError, match=r"latency 20 ms exceeds 5 ms"):
            await a.blocks.mm1.instantiate("web", wish)
        assert not [key for key in link.traffic.counts if key[1] == "edit"]  # nothing was asked of b

    play(story)


def test_a_partner_that_is_closed_keeps_nobody_from_others(play: Play) -> None:
    async def story(a: Domain, b: Domain, c: Domain) -> None:
        await federate(a, b)
        await federate(a, c)
        await onboard(a)
        await deploy(a)
        await until("a sees c's zone", lambda: a.publisher.read("/mec-system:system/zone[id='c.zone-1']"))
        await b.deaf()
        assert a.blocks.mm1 is not None
        wish = {"package": "hello", "acceptable-zone": ["c.zone-1"]}
        state = await asyncio.wait_for(a.blocks.mm1.instantiate("other", wish), 5)
        assert state["operational-state"] == "mec-types:started"
        await asyncio.wait_for(a.change("/domain", "merge", {"name": "A"}), 2)
        await asyncio.wait_for(a.blocks.mm1.terminate("other"), 5)
        await until("b's zone is not ready", lambda: _down(a))

    play(story, names=("a", "b", "c"))


@pytest.mark.parametrize("number", [1, 4, 5])
def test_notifications_are_lost_doubled_and_come_in_another_order(
    play: Play, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whatever becomes of them, the deployment is followed to its end, and what A shows is what B has."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        await onboard(a)
        session = a.federation.partners.links["b", AGREEMENT].session
        notified, late, count = session._notified, [], 0

        def disordered(message: Any) -> None:
            nonlocal count
            count += 1
            if count % 4 == 0:
                return  # lost
            if count % 4 == 1:
                late.append(message)  # after the next
                return
            notified(message)
            notified(message)
            while late:
                notified(late.pop())

        monkeypatch.setattr(session, "_notified", disordered)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        await until("a loss was noticed", lambda: session.counters.lost)
        assert session.counters.resyncs > 0
        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        await until("nothing is left", lambda: nothing((a, b)))

    play(story)


@pytest.mark.parametrize("number", [1, 4, 5])
def test_a_partner_that_answers_slowly(play: Play, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Every answer comes later than A waits for it: what was done is found done, once."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **terms(number))
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        edit, late = NetconfClient.edit, 0

        def slow(client: Any, base: str, edits: Any) -> None:
            nonlocal late
            edit(client, base, edits)
            late += 1
            if late % 2:
                raise Unanswered("operation-failed", "no answer in time", type="transport", app_tag=TEMPORARY)

        monkeypatch.setattr(NetconfClient, "edit", slow)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        assert late >= 2
        assert len(await b.blocks.drivers.vim.list()) == 1  # type: ignore[union-attr]

    play(story)
