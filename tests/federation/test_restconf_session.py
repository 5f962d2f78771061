"""Sessions over RESTCONF: what a partner may see and do, whom we speak to, and how a session changes its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.client import Client
from nms.federation.endpoints import Proofs, endpoints_of
from nms.federation.pinned import ClientCertificate
from nms.mec.session import RESYNC, DataEdit, Members
from tests.federation.test_across_the_boundary import deploy, onboard
from tests.federation.test_remote_session import PACKAGE, SUBTREE, session, system
from tests.federation.two_domains import AGREEMENT, ROOT, Domain, federate, until

Play = Callable[..., None]
BASE = f"{ROOT}/partner[id='a']/agreement[id='{AGREEMENT}']"
SYSTEM = "/mec-system:system"


async def as_partner(a: Domain, b: Domain, work: Callable[[Client], Any]) -> Any:
    """What A's certificate can do at B without A's adaptor."""
    cert, key = a.config.federation.cert, a.config.federation.cert_key
    assert cert is not None
    assert key is not None
    entry = {**b.card, "session-protocol": "mec-types:restconf"}
    (endpoint,) = endpoints_of(entry, Proofs("a", None, ClientCertificate(cert, key), 5.0))

    def attempt() -> Any:
        client = endpoint.open(a.core.schema)
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(attempt)


def shown(a: Domain) -> Members:
    """What A shows of its session with B."""
    (found,) = a.read(f"/partner[id='b']/agreement[id='{AGREEMENT}']").get("session", [{}])
    return dict(found)


def test_which_protocol_is_used_is_shown(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        mine = await until("a shows its session", lambda: shown(a) if shown(a).get("endpoint") else None)
        assert (mine["transport"], mine["endpoint"]) == ("mec-types:restconf", "restconf")
        assert {each.protocol for each in b.core.context.sessions.values() if each.principal.name == "a"} == {
            "restconf"
        }
        assert int(mine["messages-out"]) > 0
        assert int(mine["messages-in"]) > 0

    play(story, protocol="restconf")


def test_the_protocol_changes_while_something_runs(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await deploy(a)
        assert shown(a)["transport"] == "mec-types:netconf-ssh"
        states: list[str] = []
        watch = a.session(SYSTEM).watch(lambda name, members: states.append(members.get("federation-state", "")))
        await a.change("/partner[id='b']", "merge", {"session-protocol": "mec-types:restconf"})
        await until("a's session is restconf", lambda: shown(a).get("transport") == "mec-types:restconf")
        await until("it is established", lambda: shown(a)["state"] == "mec-types:established")
        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.operate("web", "stopped"), 20)
        subtree = b.publisher.read(SUBTREE) or {}
        assert subtree["deployment"][0]["state"]["operational-state"] == "mec-types:stopped"
        assert (a.state("b"), [each for each in states if each]) == ("active", [])
        await until("no session of a is NETCONF's", lambda: protocols(b) == {"restconf"})
        await a.change("/partner[id='b']/session-protocol", "remove")
        await until("a's session is NETCONF again", lambda: shown(a).get("transport") == "mec-types:netconf-ssh")
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        watch.close()

    play(story)


def protocols(b: Domain) -> set[str]:
    """Of the sessions that A has with B."""
    return {each.protocol for each in list(b.core.context.sessions.values()) if each.principal.name == "a"}


def test_a_server_with_another_certificate_is_not_spoken_to(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await b.add(a.card, "provider")
        wrong = b.card
        for endpoint in wrong["endpoint"]:
            if "certificate-fingerprint" in endpoint:
                endpoint["certificate-fingerprint"] = "0" * 64
        await a.add(wrong, "consumer")
        await until(
            "a says why", lambda: "certificate" in a.read("/partner[id='b']").get("state", {}).get("last-error", "")
        )
        assert a.read("/partner[id='b']")["state"]["reachable"] is False
        assert protocols(b) == set()

    play(story, protocol="restconf")


def test_a_partner_sees_its_own_subtree_only(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        endpoints = [{**each, "port": 4711} for each in b.card["endpoint"]]
        await b.add({"id": "c", "endpoint": endpoints, "authorized-key": b.card["authorized-key"]}, "provider")
        await federate(a, b)
        everything = await as_partner(a, b, lambda client: client.get(ROOT))
        assert [partner["id"] for partner in everything["partner"]] == ["a"]
        for hidden in ("authorized-key", "'session'", "user-name", "orphan", "client-certificate", "4711"):
            assert hidden not in str(everything)
        for path in ("/ietf-netconf-acm:nacm", "/mec-system:system", f"{ROOT}/partner[id='c']"):
            assert await as_partner(a, b, lambda client, path=path: client.get(path)) is None  # type: ignore[misc]

    play(story, protocol="restconf")


def test_a_partner_writes_its_own_subtree_only(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        for base, path, data in (
            (f"{ROOT}/domain", "", {"name": "taken"}),
            (BASE, "/quota", {"deployments": 99}),
            ("/mec-system:system", "/package[id='p']", PACKAGE),
            ("/ietf-netconf-acm:nacm", "", {"enable-nacm": False}),
        ):
            edit = DataEdit(path, "merge", data)
            with pytest.raises(RpcError) as refused:
                await as_partner(a, b, lambda client, base=base, edit=edit: client.edit(base, [edit]))  # type: ignore[misc]
            assert refused.value.tag in ("access-denied", "data-missing")  # what is hidden is not there

    play(story, protocol="restconf")


def test_edits_are_made_together_or_not_at_all(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, quota={"packages": 2})
        await system(a).edit([DataEdit("/package[id='p']", "create", PACKAGE)])
        edits = [
            DataEdit("/package[id='q']", "create", PACKAGE),
            DataEdit("/package[id='p']", "remove"),
            DataEdit("/package[id='nowhere']", "merge", {"digest": "no digest"}),
        ]
        with pytest.raises(RpcError):
            await system(a).edit(edits)
        with pytest.raises(RpcError) as refused:
            await system(a).edit([*edits[:2], *(DataEdit(f"/package[id='r{n}']", "create", PACKAGE) for n in (1, 2))])
        assert refused.value.tag == "resource-denied"
        assert [each["id"] for each in (b.publisher.read(SUBTREE, config=True) or {})["package"]] == ["p"]
        await system(a).edit(edits[:2])
        assert [each["id"] for each in (b.publisher.read(SUBTREE, config=True) or {})["package"]] == ["q"]

    play(story, protocol="restconf")


def test_a_removed_partner_has_no_connection_left(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        assert b.server is not None
        theirs = {each for each in b.server.connections if each.user is not None and each.user.name == "a"}  # type: ignore[attr-defined]
        assert theirs
        await b.change("/partner[id='a']", "remove")
        await until("a has no connection to b", lambda: not theirs & set(b.server.connections))  # type: ignore[union-attr]
        await until("a knows", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)
        await until("a knows why", lambda: "not admit us" in a.read("/partner[id='b']")["state"]["last-error"])
        with pytest.raises(RpcError) as refused:
            await as_partner(a, b, lambda client: client.get(ROOT))
        assert refused.value.type == "transport"

    play(story, protocol="restconf")


def test_a_stream_that_breaks_is_opened_again_and_the_state_read(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        heard: list[str] = []
        watch = session(a).watch(lambda name, members: heard.append(name))
        before = session(a).counters.reconnects
        for each in list(b.core.context.sessions.values()):
            if each.principal.name == "a":
                b.core.close_session(each)
                each.close("said by the test")
        await until("the session is up again", lambda: session(a).counters.reconnects > before)
        await until("it was told that something may be lost", lambda: RESYNC in heard)
        assert a.state("b") == "active"
        watch.close()

    play(story, protocol="restconf")
