"""An order over several domains is all or nothing: whichever step fails, and however, nothing is left anywhere.

What could not be withdrawn is in the ledger of orphans with an alarm, and given back when the partner answers again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.adaptor import RemoteSession
from nms.federation.client import Unanswered
from nms.federation.options import OPTIONS
from nms.mec.occurrence import TEMPORARY
from nms.mec.session import DataEdit, LocalSession, Members
from tests.federation.test_across_the_boundary import onboard
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
Edit = Callable[[Any, Sequence[DataEdit]], Awaitable[None]]
ALARMS = "/mec-system:system/alarm"
#: Lists in which something of an order stands inside a domain.
INSIDE = (
    "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance",
    "/mec-resource:infrastructure/vim[id='vim-1']/reservation",
    "/mec-platform:platforms/platform[id='mep-1']/application",
    "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/app-instance",
    "/mec-system:system/deployment",
)
#: Ways in which the answer to an edit goes wrong.
REFUSED, GONE, UNANSWERED, DEAD = "refused", "gone", "unanswered", "dead"


@dataclass
class Faults:
    """Counts what A has others, and its own blocks, do for an order, and lets one of it fail.

    Attributes:
        about: what stands in the path of what is counted.
    """

    at: int = -1
    how: str = ""
    about: str = ""
    seen: list[str] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)

    def wrap(self, edit: Edit, wanted: Callable[[Any], bool]) -> Edit:
        """`edit` of a kind of session, for those sessions that are `wanted`."""

        async def faulty(session: Any, edits: Sequence[DataEdit]) -> None:
            if not wanted(session):
                return await edit(session, edits)
            if id(session) in self.dead:
                raise RpcError("operation-failed", "said by the test: dead", type="transport", app_tag=TEMPORARY)
            if all(each.operation == "remove" for each in edits) or self.about not in edits[0].path:
                return await edit(session, edits)
            number = len(self.seen)
            self.seen.append(edits[0].path)
            if number != self.at:
                return await edit(session, edits)
            if self.how == REFUSED:
                raise RpcError("resource-denied", "said by the test: refused")
            if self.how == UNANSWERED:
                await edit(session, edits)
                raise Unanswered("operation-failed", "said by the test", type="transport", app_tag=TEMPORARY)
            if self.how == DEAD and isinstance(session, RemoteSession):
                self.dead.add(id(session))
            raise RpcError("operation-failed", "said by the test: gone", type="transport", app_tag=TEMPORARY)

        return faulty


def faults_in(a: Domain, monkeypatch: pytest.MonkeyPatch, *others: Domain) -> Faults:
    """Have them in everything that A's orchestrator and platform manager ask, and in what others ask of A."""
    faults = Faults()
    inside = ("platform-manager[id='mepm-1']", "vim[id='vim-1']", "platform[id='mep-1']")

    def own(session: Any) -> bool:
        return session._core is a.core and session._base.endswith(inside)

    def remote(session: Any) -> bool:
        return any(link.session is session for each in (a, *others) for link in each.federation.partners.links.values())

    monkeypatch.setattr(LocalSession, "edit", faults.wrap(LocalSession.edit, own))
    monkeypatch.setattr(RemoteSession, "edit", faults.wrap(RemoteSession.edit, remote))
    return faults


async def order(a: Domain, name: str, zones: Sequence[str]) -> Members:
    """A customer orders an application in each of the zones; the order's state at its end."""
    items = [{"id": zone.replace(".", "-"), "package": "hello", "acceptable-zone": [zone]} for zone in zones]
    await a.session("/mec-order:orders").edit(
        [DataEdit(f"/order[id='{name}']", "create", {"customer": "acme", "item": items})]
    )
    path = f"/mec-order:orders/order[id='{name}']/state"
    ended = ("mec-types:completed", "mec-types:failed")
    return await until(f"{name} has ended", lambda: _if(a.publisher.read(path), "state", ended))


def _if(members: Members | None, leaf: str, values: Sequence[str]) -> Members | None:
    return members if members is not None and members.get(leaf) in values else None


async def left(domains: Sequence[Domain]) -> list[str]:
    """What exists of any application, in any domain."""
    found: list[str] = []
    for domain in domains:
        drivers = domain.blocks.drivers
        assert drivers is not None
        found += [f"{domain.id} runs {each.id}" for each in await drivers.vim.list()]
        found += [f"{domain.id} has {each.name}" for each in await drivers.dns.records()]  # type: ignore[attr-defined]
        found += [f"{domain.id} has rule {each}" for each in await drivers.data_plane.rules()]  # type: ignore[attr-defined]
        found += [f"{domain.id}: {path}: {each['id']}" for path in INSIDE for each in domain.publisher.entries(path)]
        for partner in domain.read("").get("partner", ()):
            for agreement in partner.get("agreement", ()):
                found += [
                    f"{domain.id} under {partner['id']}: {name}: {each.get('id')}"
                    for container, members in agreement.items()
                    if ":" in container
                    for name in ("deployment", "app-instance", "application", "compute-instance", "reservation")
                    for each in members.get(name, ())
                ]
                rules = agreement.get("mec-resource:resources", {}).get("data-plane-rule", ())
                found += [f"{domain.id} under {partner['id']}: rule of {each['instance']}" for each in rules]
    return found


def alarmed(a: Domain) -> set[str]:
    """Orphans that have an alarm."""
    return {
        each["resource"]
        for each in a.publisher.entries(ALARMS)
        if each["alarm-type-id"] == "mec-types:orphan-alarm" and not each["is-cleared"]
    }


async def _nothing(domains: Sequence[Domain]) -> bool:
    return not await left(domains)


async def shared(a: Domain, *others: Domain, **terms: Any) -> list[str]:
    """The others offer their zones to A, which has a package to deploy; A's own zone and theirs, as A calls them."""
    zones = ["zone-1"]
    for other in others:
        await federate(a, other, **terms)
        zones.append(f"{other.id}.zone-1")
        await until("a sees it", lambda: a.publisher.read(f"/mec-system:system/zone[id='{zones[-1]}']"))
    await onboard(a)
    return zones


async def withdraw(a: Domain, name: str) -> None:
    """The customer wants an order no more."""
    await a.session("/mec-order:orders").edit([DataEdit(f"/order[id='{name}']", "remove")])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_whichever_step_fails_nothing_is_left(play: Play, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        zones = await shared(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        faults = faults_in(a, monkeypatch, b)
        hows = (REFUSED, GONE, UNANSWERED, DEAD)
        for step in range(100):
            faults.seen.clear()
            faults.at, faults.how = step, hows[step % len(hows)]
            name = f"o{step}"
            state = await order(a, name, zones)
            if len(faults.seen) <= step:
                assert state["state"] == "mec-types:completed", state
                assert step > 2 * len(zones)
                break  # it went through without the fault: every step has failed once
            said = f"step {step}, {faults.how}: {faults.seen[step]}"
            if state["state"] == "mec-types:completed":
                assert faults.how != REFUSED, said  # it was asked for again
                await withdraw(a, name)
            elif faults.dead:
                orphans = {each["id"] for each in a.read("").get("orphan", ())}
                assert orphans == alarmed(a), said
                if not orphans:
                    await until(f"{said}: b has given back what it was asked for", lambda: _nothing([b]))
                faults.dead.clear()
                a.clock.ahead = (a.clock.ahead or timedelta()) + timedelta(hours=1)
            await until(f"{said}: nothing is left", lambda: _nothing((a, b)))
            await until(f"{said}: the ledger is empty", lambda: "orphan" not in a.read(""))
            assert alarmed(a) == set()

    play(story, interval=0.1)


def test_the_data_plane_of_the_consumer_fails(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option 2 in the other direction: what B's platform asks of A's data plane goes wrong."""

    async def story(a: Domain, b: Domain) -> None:
        zones = (await shared(a, b, **{"boundary-option": f"mec-types:{OPTIONS[1].identity}"}))[1:]
        faults = faults_in(a, monkeypatch, b)
        faults.about = "data-plane-rule"
        for faults.how in (REFUSED, GONE, UNANSWERED, DEAD):
            faults.seen.clear()
            faults.at = 0
            state = await order(a, faults.how, zones)
            assert faults.seen
            assert state["state"] == "mec-types:failed", faults.how
            faults.dead.clear()
            b.clock.ahead = (b.clock.ahead or timedelta()) + timedelta(hours=1)
            await until(f"{faults.how}: nothing is left", lambda: _nothing((a, b)))
            await until(f"{faults.how}: b's ledger is empty", lambda: "orphan" not in b.read(""))
            assert alarmed(b) == set()
        faults.at = -1
        assert (await order(a, "last", zones))["state"] == "mec-types:completed"
        faults.dead.add(id(b.federation.partners.links["a", AGREEMENT].session))
        await withdraw(a, "last")
        (orphan,) = await until("b lists what it could not end", lambda: b.read("").get("orphan"))
        assert "data-plane-rule" in orphan["path"]
        assert alarmed(b) == {orphan["id"]}
        assert [each for each in await left((a, b)) if "rule" in each]
        faults.dead.clear()
        b.clock.ahead = (b.clock.ahead or timedelta()) + timedelta(hours=1)
        await until("nothing is left", lambda: _nothing((a, b)))
        await until("b's ledger is empty", lambda: "orphan" not in b.read(""))
        assert alarmed(b) == set()
        assert "orphan" not in a.read("")

    play(story, interval=0.1)


def test_a_deployment_in_two_domains_is_prepared_in_both_first(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(a: Domain, b: Domain, c: Domain) -> None:
        zones = (await shared(a, b, c))[1:]
        ran: list[str] = []
        for domain in (b, c):
            assert domain.blocks.drivers is not None
            start = domain.blocks.drivers.vim.start

            async def started(spec: Any, id: str = domain.id, start: Any = start) -> Any:
                ran.append(id)
                return await start(spec)

            monkeypatch.setattr(domain.blocks.drivers.vim, "start", started)
        refused = {"quota": {"deployments": 0}}
        await c.change(f"/partner[id='a']/agreement[id='{AGREEMENT}']", "merge", refused)
        wish = {"package": "hello", "acceptable-zone": zones, "requirement": {"scale": 2, "affinity": "apart"}}
        assert a.blocks.mm1 is not None
        with pytest.raises(RpcError, match="quota of deployments is 0") as error:
            await a.blocks.mm1.instantiate("web", wish)
        assert error.value.tag == "resource-denied"
        assert ran == []
        await a.blocks.mm1.terminate("web")
        await until("nothing is left", lambda: _nothing((a, b, c)))

        await c.change(f"/partner[id='a']/agreement[id='{AGREEMENT}']/quota", "remove")
        state = await asyncio.wait_for(a.blocks.mm1.instantiate("web", wish), 20)
        assert sorted(each["zone"] for each in state["instance"]) == zones
        assert sorted(ran) == ["b", "c"]

    play(story, names=("a", "b", "c"))
