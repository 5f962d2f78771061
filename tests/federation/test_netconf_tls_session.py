"""Sessions over NETCONF and TLS: the same story, and nobody is spoken to whose certificate is not the pinned one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nms.errors import RpcError
from nms.mec.session import DataEdit
from tests.federation.test_across_the_boundary import deploy, onboard
from tests.federation.test_remote_session import PACKAGE, SUBTREE, system
from tests.federation.test_restconf_session import shown
from tests.federation.two_domains import Domain, federate, until

Play = Callable[..., None]


def test_a_deployment_over_tls(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        mine = await until("a shows its session", lambda: shown(a) if shown(a).get("endpoint") else None)
        assert (mine["transport"], mine["endpoint"]) == ("mec-types:netconf-tls", "tls")
        await onboard(a)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        theirs = {each.protocol for each in list(b.core.context.sessions.values()) if each.principal.name == "a"}
        assert theirs == {"netconf-tls"}
        with pytest.raises(RpcError) as refused:
            await system(a).edit([DataEdit("/package[id='hello']", "create", PACKAGE)])
        assert refused.value.tag == "data-exists"
        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        await until("b has no deployment", lambda: not b.publisher.entries(f"{SUBTREE}/deployment"))
        await b.change("/partner[id='a']", "remove")
        await until("a knows", lambda: a.read("/partner[id='b']")["state"]["reachable"] is False)

    play(story, protocol="netconf-tls")


def test_a_server_with_another_certificate_is_not_spoken_to(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await b.add(a.card, "provider")
        wrong = b.card
        next(each for each in wrong["endpoint"] if each["id"] == "tls")["certificate-fingerprint"] = "0" * 64
        await a.add(wrong, "consumer")
        await until(
            "a says why", lambda: "certificate" in a.read("/partner[id='b']").get("state", {}).get("last-error", "")
        )

    play(story, protocol="netconf-tls")
