"""What crosses the boundary: requests of A carried out at B, and what A may not see or do there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.federation.adaptor import RemoteSession
from nms.federation.netconf_client import Client, Peer
from nms.federation.payload import config_element
from nms.mec import package
from nms.mec.reference_points import Mx3
from nms.mec.scope import Scope
from nms.mec.session import RESYNC, DataEdit, Subtree
from nms.pki import ssh_key_pair
from tests.federation.site import SAMPLE
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

Play = Callable[..., None]
SUBTREE = f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']/mec-system:system"
PACKAGE = {"name": "Greeter", "source": "https://127.0.0.1:1/packages/" + "a" * 64, "digest": "a" * 64, "size": "10"}


def session(a: Domain) -> RemoteSession:
    """A's session with B."""
    return a.federation.partners.links["b", AGREEMENT].session


def system(a: Domain) -> Subtree:
    """What B shows A of its system, over that session."""
    return Subtree(session(a), "/mec-system:system")


@OVER_BOTH
def test_an_edit_at_the_partner(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        at_b = system(a)
        await at_b.edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        assert await at_b.get("/package[id='p']", "config") == {"id": "p", **PACKAGE}
        assert b.publisher.read(SUBTREE + "/package[id='p']", config=True) == {"id": "p", **PACKAGE}
        # asked again, as after a lost answer: the same thing is there already
        await at_b.edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        with pytest.raises(RpcError) as refused:
            await at_b.edit([DataEdit("/package[id='p']", "create", {**PACKAGE, "digest": "b" * 64})])
        assert refused.value.tag == "data-exists"
        await at_b.edit([DataEdit("/package[id='p']", "remove")])
        assert await at_b.get("/package[id='p']") is None
        assert b.publisher.read(SUBTREE + "/package[id='p']", config=True) is None

    play(story)


@OVER_BOTH
def test_a_zone_that_was_not_accepted_is_refused(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        info = package.build(SAMPLE, b.folder / "hello.csar")
        with (b.folder / "hello.csar").open("rb") as content:
            b.store.add(content)
        wanted = {"digest": info.digest, "size": str(info.size), "source": PACKAGE["source"]}
        await a.federation.zones.point(Mx3, "b", AGREEMENT).onboard("p", wanted)
        deployment = {"package": "p", "zone": "zone-7"}
        with pytest.raises(RpcError) as refused:
            await system(a).edit([DataEdit("/deployment[id='d']", "create", deployment)])
        assert "zone-7" in refused.value.message
        assert b.publisher.read(SUBTREE + "/deployment", config=True) is None

    play(story)


@OVER_BOTH
def test_the_quota_is_kept(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, quota={"packages": 1, "package-size": "100"})
        at_b = system(a)
        with pytest.raises(RpcError) as refused:
            await at_b.edit([DataEdit("/package[id='big']", "create", {**PACKAGE, "size": "101"})])
        assert refused.value.tag == "too-big"
        await at_b.edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        with pytest.raises(RpcError) as refused:
            await at_b.edit([DataEdit("/package[id='q']", "create", PACKAGE)])
        assert refused.value.tag == "resource-denied"

    play(story)


def test_a_partner_sees_its_own_subtree_only(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await b.add(
            {"id": "c", "endpoint": [_endpoint(4711)], "authorized-key": [_key()]}, "provider", zones=("zone-1",)
        )
        await federate(a, b)
        secret = f"/mec-federation:federation/partner[id='c']/agreement[id='{AGREEMENT}']"
        assert b.publisher.read(secret) is not None
        everything = await _as_partner(a, b, lambda client: client.get())
        text = etree.tostring(everything).decode()
        tops = {etree.QName(child).localname for child in everything}
        assert tops <= {"federation", "yang-library"}
        partners = everything.findall(".//{urn:mec-nms:yang:mec-federation}partner/{urn:mec-nms:yang:mec-federation}id")
        assert [partner.text for partner in partners] == ["a"]
        for hidden in ("authorized-key", "<session>", "user-name", "orphan", "nacm", "4711"):
            assert hidden not in text

    play(story)


def test_a_partner_writes_its_own_subtree_only(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        for path, data in (
            ("/mec-federation:federation/domain", {"name": "taken"}),
            (f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']/quota", {"deployments": 99}),
            ("/mec-system:system/package[id='p']", PACKAGE),
            ("/ietf-netconf-acm:nacm", {"enable-nacm": False}),
        ):
            config = config_element(a.core.schema, "", [DataEdit(path, "merge", data)])
            with pytest.raises(RpcError) as refused:
                await _as_partner(a, b, lambda client, config=config: client.edit(config))  # type: ignore[misc]
            assert refused.value.tag == "access-denied"
        kill = etree.fromstring('<kill-session xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
        etree.SubElement(kill, "{urn:ietf:params:xml:ns:netconf:base:1.0}session-id").text = "1"
        with pytest.raises(RpcError) as refused:
            await _as_partner(a, b, lambda client: client.call(kill))
        assert refused.value.tag == "access-denied"

    play(story)


def test_a_removed_partner_is_locked_out(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        nacm = b.session("/ietf-netconf-acm:nacm")
        assert await _partners_rules(nacm) == ["partner-a"]
        await b.change("/partner[id='a']", "remove")
        await until("b has no rules for a", lambda: _no_rules(nacm))
        with pytest.raises(RpcError) as refused:
            await _as_partner(a, b, lambda client: client.get())
        assert refused.value.type == "transport"

    play(story)


def test_a_server_with_another_host_key_is_not_spoken_to(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await b.add(a.card, "provider")
        wrong = b.card
        wrong["endpoint"][0]["host-key"] = _key()
        await a.add(wrong, "consumer")
        await until(
            "a says why", lambda: "host key" in a.read("/partner[id='b']").get("state", {}).get("last-error", "")
        )
        assert a.read("/partner[id='b']")["state"]["reachable"] is False

    play(story)


@OVER_BOTH
def test_notifications_are_followed_and_lost_ones_noticed(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        heard: list[tuple[str, dict[str, Any]]] = []
        handle = session(a).watch(lambda name, members: heard.append((name, members)))
        scope = Scope(SUBTREE, "a", AGREEMENT)
        before = session(a).counters.lost
        b.publisher.notify(scope, "mec-system:deployment-changed", {"deployment": "one"})
        await until("a has heard of one", lambda: any(m.get("deployment") == "one" for _, m in heard))
        b.streams.lose = True
        b.publisher.notify(scope, "mec-system:deployment-changed", {"deployment": "two"})
        b.streams.lose = False
        b.publisher.notify(scope, "mec-system:deployment-changed", {"deployment": "three"})
        b.streams.again()
        b.publisher.notify(scope, "mec-system:deployment-changed", {"deployment": "four"})
        await until("a has heard of four", lambda: any(m.get("deployment") == "four" for _, m in heard))
        about = [name if name == RESYNC else members["deployment"] for name, members in heard if _told(name)]
        assert about == ["one", RESYNC, "three", "four"]
        assert session(a).counters.lost == before + 1
        handle.close()
        # what is b's own, or another's, does not cross
        b.publisher.notify(Scope("/mec-system:system"), "mec-system:deployment-changed", {"deployment": "inner"})
        b.publisher.notify(scope, "mec-system:deployment-changed", {"deployment": "five"})
        await until("a has received five", lambda: any("five" in message for message in a.received))
        assert not any("inner" in message for message in a.received)

    play(story)


def _told(name: str) -> bool:
    return name in (RESYNC, "mec-system:deployment-changed")


async def _no_rules(nacm: Any) -> bool:
    return not await _partners_rules(nacm)


async def _partners_rules(nacm: Any) -> list[str]:
    lists = (await nacm.get("/rule-list") or {}).get("rule-list", ())
    return [each["name"] for each in lists if each["name"].startswith("partner-")]


async def _as_partner(a: Domain, b: Domain, work: Callable[[Client], Any]) -> Any:
    """What A's key can do at B without A's adaptor."""

    def attempt() -> Any:
        key = a.config.federation.key
        assert key is not None
        client = Client(Peer("127.0.0.1", b.port, b.card["endpoint"][0]["host-key"], "a", key, 5.0))
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(attempt)


def _key() -> str:
    return " ".join(ssh_key_pair("x").public.split()[:2])


def _endpoint(port: int) -> dict[str, Any]:
    return {
        "id": "ssh",
        "protocol": "mec-types:netconf-ssh",
        "address": "127.0.0.1",
        "port": port,
        "host-key": _key(),
    }


@OVER_BOTH
def test_a_partner_decides_about_its_own_occurrences(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        at_b = Mx3(system(a))
        await at_b.session.edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        found = await until("it cannot be fetched", lambda: _ended(at_b))
        with pytest.raises(RpcError) as caught:
            await at_b.cancel(found)
        assert caught.value.tag == "operation-failed"
        above = Subtree(session(a), "")
        with pytest.raises(RpcError):
            await above.edit([DataEdit("/quota", "merge", {"deployments": 9})])

    play(story)


async def _ended(point: Mx3) -> str | None:
    """The occurrence about the package, when it has ended."""
    found = await point.latest("p")
    return found.id if found is not None and found.ended else None
