"""A partner, or an agreement with it, is removed while something runs under it: everybody is told the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from nms.mec.scope import Scope
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import deploy, onboard
from tests.federation.test_remote_session import PACKAGE, SUBTREE, session, system
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

Play = Callable[..., None]
ORDER = "/mec-order:orders/order[id='o1']"
DEPLOYMENT = "/mec-system:system/deployment[id='o1.web']"


async def order(a: Domain) -> Members:
    """A customer orders at A what runs at B; the order's state."""
    await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
    item = {"id": "web", "package": "hello", "acceptable-zone": ["b.zone-1"]}
    await a.session("/mec-order:orders").edit(
        [DataEdit("/order[id='o1']", "create", {"customer": "acme", "item": [item]})]
    )
    return await until("the order is delivered", lambda: in_state(a, "completed"))


def in_state(a: Domain, wanted: str) -> Members | None:
    state = a.publisher.read(f"{ORDER}/state") or {}
    return state if state.get("state") == f"mec-types:{wanted}" else None


@pytest.mark.parametrize("removed", ["/partner[id='b']", f"/partner[id='b']/agreement[id='{AGREEMENT}']"])
def test_what_ran_at_a_removed_partner_has_failed(play: Play, removed: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await order(a)
        await a.change(removed, "remove")
        state = await until("the order has failed", lambda: in_state(a, "failed"))
        assert "agreement" in state["error"]["detail"]
        assert state["item"][0]["state"] == "mec-types:failed"
        assert "endpoint" not in state["item"][0]
        assert any("lost" in step["detail"] for step in state["trail"])
        shown = (a.publisher.read(DEPLOYMENT) or {})["state"]
        assert shown["instantiation-state"] == "mec-types:not-instantiated"
        assert shown["operational-state"] == "mec-types:stopped"
        assert shown["part"][0]["state"] == "mec-types:failed"
        alarms = [each for each in a.publisher.entries("/mec-system:system/alarm") if each["resource"] == "o1.web"]
        assert [(each["alarm-type-id"], each["is-cleared"]) for each in alarms] == [
            ("mec-types:application-failed-alarm", False)
        ]
        await until("b has nothing of a", lambda: not (b.publisher.read(SUBTREE, config=True) or {}))
        await until("a's ledger is empty", lambda: "orphan" not in a.read(""))

        await a.session("/mec-order:orders").edit([DataEdit("/order[id='o1']", "remove")])
        await until("the deployment is gone", lambda: a.publisher.read(DEPLOYMENT) is None)
        ended = await until("the termination has ended", lambda: ending(a))
        assert [each["state"] for each in ended] == ["mec-types:completed"]
        assert "orphan" not in a.read("")

    play(story)


def ending(a: Domain) -> list[Members]:
    """The occurrences of the deployment's termination once none is under way."""
    found = [
        each
        for each in a.publisher.entries("/mec-system:system/operation-occurrence")
        if (each["operation"], each["subject"]) == ("mec-types:terminate", "o1.web")
    ]
    return [each for each in found if each["state"] not in ("mec-types:starting", "mec-types:processing")]


def test_the_provider_ends_the_agreement_and_the_customer_is_told(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await order(a)
        await b.change(f"/partner[id='a']/agreement[id='{AGREEMENT}']", "merge", {"admin-state": "terminated"})
        await until("a's agreement has ended", lambda: a.state("b") == "terminated")
        state = await until("the order has failed", lambda: in_state(a, "failed"))
        assert "withdrawn" in state["error"]["detail"]
        await until("nothing is used", lambda: used(b) == (0, 0))

    play(story)


def test_nothing_is_used_any_more_when_everything_was_given_back(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await deploy(a)
        assert used(b) == (1, 1)
        await a.change("/partner[id='b']", "remove")
        await until("nothing is used", lambda: used(b) == (0, 0))

    play(story)


def used(b: Domain) -> tuple[int, int]:
    state = b.read(f"/partner[id='a']/agreement[id='{AGREEMENT}']/state").get("used", {})
    return int(state.get("packages", -1)), int(state.get("deployments", -1))


@OVER_BOTH
def test_the_sessions_of_a_removed_partner_are_closed_at_once(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await until("b has both its sessions", lambda: sessions_of(a, "b") == 2)
        await a.change("/partner[id='b']", "remove")
        await until("b has no session in a", lambda: sessions_of(a, "b") == 0)
        await until("b knows", lambda: b.read("/partner[id='a']")["state"]["reachable"] is False)
        mine = f"/partner[id='a']/agreement[id='{AGREEMENT}']"
        await until("b shows it", lambda: b.read(mine)["session"][0]["state"] != "mec-types:established")

    play(story)


def test_a_session_that_begins_while_its_partner_is_removed_is_closed(play: Play) -> None:
    """It was let in before the removal, and was not among the sessions then."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        let_in = a.federation.principal("b")
        assert let_in is not None
        await a.change("/partner[id='b']", "remove")
        await until("b has no session in a", lambda: sessions_of(a, "b") == 0)
        closed: list[str] = []
        late = a.core.open_session(let_in, "netconf-ssh", "127.0.0.1", closed.append)
        await until("it is closed", lambda: closed)
        assert late.id not in a.core.context.sessions

    play(story)


def test_a_new_key_ends_the_sessions_of_the_old_one(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        before = {s.id for s in a.core.context.sessions.values() if s.principal.name == "b"}
        another = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3lDywqugA3ZPg5Nu15JQkpMOfOAgw1gH2VH0nXOdt4"
        await a.change("/partner[id='b']/authorized-key", "replace", [another])
        await until("b's sessions are closed", lambda: not before & set(a.core.context.sessions))

    play(story)


def sessions_of(domain: Domain, user: str) -> int:
    return sum(session.principal.name == user for session in list(domain.core.context.sessions.values()))


def test_what_is_permitted_to_everybody_is_not_permitted_to_partners(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        everything = {"name": "all", "module-name": "*", "access-operations": "*", "action": "permit"}
        before = [{"name": "operator", "group": ["*"], "rule": [everything]}]
        nacm = b.session("/ietf-netconf-acm:nacm")
        await nacm.edit([DataEdit("", "merge", {"rule-list": before})])
        await federate(a, b)
        lists = [each["name"] for each in (await nacm.get("", "config") or {})["rule-list"]]
        assert lists[0] == "partner-a"
        assert "operator" in lists
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        await b.change("/domain", "merge", {"name": "B"})
        seen = (await session(a).read("/mec-federation:federation")) or {}
        assert [each["id"] for each in seen["partner"]] == ["a"]
        assert "authorized-key" not in seen["partner"][0]
        # Later than everything that was changed: what could have come has come.
        b.publisher.notify(Scope(SUBTREE, "a", AGREEMENT), "mec-system:deployment-changed", {"deployment": "last"})
        await until("a has received the last", lambda: any("last" in message for message in a.received))
        assert not any("netconf-config-change" in message for message in a.received)

    play(story)


def test_an_orphan_is_asked_for_again_when_the_partner_is_back(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await deploy(a)
        await b.deaf()
        await until("a knows that b is gone", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)
        assert a.blocks.mm1 is not None
        await a.blocks.mm1.terminate("web")
        orphan = (await until("a lists an orphan", lambda: a.read("").get("orphan")))[0]
        assert (orphan["subject"], orphan["path"]) == ("web", "/mec-system:system/deployment=web")
        await b.listen()
        a.clock.ahead = timedelta(hours=1)
        await until("the orphan is settled", lambda: "orphan" not in a.read(""))
        await until("b runs nothing of a", lambda: not b.publisher.entries(f"{SUBTREE}/deployment"))
        alarm = next(e for e in a.publisher.entries("/mec-system:system/alarm") if e["resource"] == orphan["id"])
        assert alarm["is-cleared"] is True

    play(story)


def test_an_orphan_that_is_wanted_again_is_none(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await deploy(a)
        a.federation.zones.orphan("b", AGREEMENT, "deployment", "web", "said by the test")
        assert a.blocks.mm1 is not None
        await a.blocks.mm1.instantiate("web", {"package": "hello", "acceptable-zone": ["b.zone-1"], "name": "again"})
        a.federation.zones.orphan("b", AGREEMENT, "deployment", "web2", "said by the test")
        assert await deploy(a)
        assert b.publisher.entries(f"{SUBTREE}/deployment")

    play(story)


@OVER_BOTH
def test_a_partner_without_an_endpoint_is_removed(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await deploy(a)
        for endpoint in b.card["endpoint"]:
            await a.change(f"/partner[id='b']/endpoint[id='{endpoint['id']}']", "remove")
        await until("a shows why", lambda: "endpoint" in a.read("/partner[id='b']")["state"].get("last-error", ""))
        assert "error" not in (a.publisher.read("/mec-system:system/deployment[id='web']") or {})["state"]
        await a.change("/partner[id='b']", "remove")
        orphans = await until("a lists orphans", lambda: a.read("").get("orphan"))
        assert {each["subject"] for each in orphans} == {"web", "hello"}
        deployment = "/mec-system:system/deployment[id='web']/state"
        await until("the deployment has failed", lambda: "error" in (a.publisher.read(deployment) or {}))

    play(story)
