"""Drift below a domain: what its drivers of names and of traffic have is not what its blocks have put there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nms.drivers import api
from nms.errors import RpcError
from nms.mec.session import DataEdit, Members
from tests.federation.outside import OUTSIDE, Seat, operating
from tests.federation.test_drift import AT_B
from tests.federation.test_drift_everywhere import RULES, alarmed, delivered, named, repaired
from tests.federation.two_domains import Domain, until

Play = Callable[..., None]
DNS = "/mec-platform:platforms/platform[id='mep-1']/dns"
DATA_PLANE = "/mec-resource:infrastructure/data-plane"
APPLICATION = "/mec-platform:platforms/platform[id='mep-1']/application"
ORDER = "/mec-order:orders/order[id='o1']"


def drivers(domain: Domain) -> Any:
    assert domain.blocks.drivers is not None
    return domain.blocks.drivers


async def finding(seat: Seat, base: str) -> Members:
    """The one finding about a driver, as the operator gets it."""

    async def asked() -> list[Members]:
        await seat.call("mec-federation", "reconcile")
        return list((await seat.read(f"{base}/reconciliation/state")).get("finding", ()))

    (found,) = await until("it is found", asked)
    return found


async def at_home(a: Domain, b: Domain) -> api.DnsRecord:
    """B runs it for A (option 5), all of it on infrastructure and a platform of its own; the name that its DNS has."""
    await delivered(a, b, 5)
    (record,) = await drivers(b).dns.records()
    return record  # type: ignore[no-any-return]


@OUTSIDE
def test_a_name_that_the_dns_has_lost(play: Play, outside: str) -> None:
    """The customer's operator sees that it cannot be found; it is published again, and all is well."""

    async def story(a: Domain, b: Domain) -> None:
        record = await at_home(a, b)
        async with operating(b, outside) as seat:
            await drivers(b).dns.withdraw(record.name, record.type, record.address)
            found = await finding(seat, DNS)
            assert (found["kind"], found["subject"]) == ("dns-record", f"{record.name}/A/{record.address}")
            assert (found["intended"], found["shown"], found["outcome"]) == (True, False, "reported")
            await alarmed(seat, "dns", cleared=False)
            told = {"rule-type": "dns-rule", "state": "mec-types:inactive"}
            assert await until("told of the rule", lambda: seat.told("mec-platform:rule-changed", **told))

            async def application() -> Members:
                (entry,) = (await seat.read(APPLICATION.rpartition("/")[0]))["application"]
                assert isinstance(entry, dict)
                return entry

            lost = await application()
            assert lost["state"]["ready"] is False
            assert "removed by somebody else" in lost["state"]["error"]["detail"]
            assert lost["dns-rule"][0]["state"]["error"]["error-tag"] == "data-missing"

            async def said() -> str:
                (item,) = (a.publisher.read(f"{ORDER}/state") or {})["item"]
                assert item["state"] == "mec-types:completed"
                return str(item.get("error", {}).get("detail", ""))

            assert await until("a's customer is told", said)
            await repaired(seat, DNS, "dns")
            await until("it is found", lambda: named(b, record.name, True))
            assert await drivers(b).dns.records() == [record]
            assert (await application())["state"]["ready"] is True

            async def nothing() -> bool:
                return not await said()

            await until("nothing is wrong any more", nothing)

    play(story)


@OUTSIDE
def test_a_name_that_is_otherwise_or_that_nobody_wants(play: Play, outside: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        record = await at_home(a, b)
        async with operating(b, outside) as seat:
            await drivers(b).dns.publish(record.name, record.type, record.address, 3600)
            found = await finding(seat, DNS)
            assert (found["intended"], found["shown"]) == (True, True)
            change = {"name": "ttl", "agreed": str(record.ttl), "shown": "3600"}
            assert found["change"] == [change]
            # It is found all the same.
            state = (await seat.read(APPLICATION.rpartition("/")[0]))["application"][0]["state"]
            assert state["ready"] is True
            await repaired(seat, DNS, "dns")
            assert await drivers(b).dns.records() == [record]

            await seat.edit(f"{DNS}/reconciliation", {"policy": "adopt"})
            ghost = replace(record, name=f"ghost.{record.name.partition('.')[2]}")
            await drivers(b).dns.publish(ghost.name, ghost.type, ghost.address, ghost.ttl)
            found = await finding(seat, DNS)
            assert (found["intended"], found["shown"], found["outcome"]) == (False, True, "reported")
            assert "has to decide" in found["detail"]
            assert await named(b, ghost.name, True)
            await repaired(seat, DNS, "dns")
            assert await drivers(b).dns.records() == [record]

    play(story)


def test_a_name_that_could_not_be_withdrawn(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The DNS refuses for a while: what was published is not forgotten, whatever the policy."""

    async def story(a: Domain, b: Domain) -> None:
        record = await at_home(a, b)
        dns = drivers(b).dns

        async def refuse(*_: Any) -> None:
            raise RpcError("operation-failed", "the server is on strike")

        async with operating(b, "netconf") as seat:

            async def nothing() -> bool:
                await seat.call("mec-federation", "reconcile")
                return not await dns.records()

            with monkeypatch.context() as patch:
                patch.setattr(dns, "withdraw", refuse)
                await a.session("/mec-order:orders").edit([DataEdit("/order[id='o1']", "remove")])
                await until("it has ended", lambda: not b.publisher.entries(APPLICATION))
                assert (await finding(seat, DNS))["subject"].startswith(record.name)
                await alarmed(seat, "dns", cleared=False)
            await until("it is withdrawn", nothing)
            await alarmed(seat, "dns", cleared=True)

    play(story)


@OUTSIDE
@pytest.mark.parametrize("change", ["removed", "changed", "extra"])
def test_rules_of_ones_own_in_the_data_plane(play: Play, outside: str, change: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await at_home(a, b)
        plane = drivers(b).data_plane
        (rule,) = await plane.rules()
        other = replace(rule, instance_id="x", rule_id="y", action="drop")
        changes = {
            "removed": lambda: plane.deactivate(rule.instance_id, rule.rule_id),
            "changed": lambda: plane.activate(replace(rule, action="drop")),
            "extra": lambda: plane.activate(other),
        }
        async with operating(b, outside) as seat:
            await changes[change]()
            found = await finding(seat, DATA_PLANE)
            subject = "x/y" if change == "extra" else f"{rule.instance_id}/{rule.rule_id}"
            assert (found["kind"], found["subject"]) == ("traffic-rule", subject)
            assert (found["intended"], found["shown"]) == (change != "extra", change != "removed")
            if change == "changed":
                (member,) = found["change"]
                assert (member["name"], member["shown"]) == ("action", '"drop"')
            await alarmed(seat, "data-plane", cleared=False)
            (entry,) = (await seat.read(APPLICATION.rpartition("/")[0]))["application"]
            assert entry["state"]["ready"] is (change != "removed")
            await repaired(seat, DATA_PLANE, "data-plane")
            assert await plane.rules() == [rule]
            (entry,) = (await seat.read(APPLICATION.rpartition("/")[0]))["application"]
            assert entry["state"]["ready"] is True

    play(story)


@OUTSIDE
def test_a_partners_rule_in_our_data_plane(play: Play, outside: str) -> None:
    """Option 1: A's platform steers B's data plane, which has lost the rule; both see it, B repairs it."""

    async def story(a: Domain, b: Domain) -> None:
        await delivered(a, b, 1)
        plane = drivers(b).data_plane
        (rule,) = await plane.rules()
        await plane.deactivate(rule.instance_id, rule.rule_id)
        async with operating(b, outside) as seat:
            found = await finding(seat, DATA_PLANE)
            assert (found["subject"], found["shown"]) == (f"{rule.instance_id}/{rule.rule_id}", False)
            (shown,) = b.publisher.entries(f"{AT_B}/{RULES}")
            assert shown["state"]["state"] == "mec-types:inactive"
            assert rule.instance_id not in str(shown["state"])
            await until("a's platform knows it", lambda: not ready(a))
            assert "removed by somebody else" in a.publisher.entries(APPLICATION)[0]["state"]["error"]["detail"]
            await repaired(seat, DATA_PLANE, "data-plane")
            await until("all is well at a", lambda: ready(a))
        assert await plane.rules() == [rule]
        (shown,) = b.publisher.entries(f"{AT_B}/{RULES}")
        assert shown["state"] == {"state": "mec-types:active"}

    play(story)


def ready(domain: Domain) -> bool:
    (entry,) = domain.publisher.entries(APPLICATION)
    return entry["state"]["ready"] is True and "error" not in entry["state"]
