"""The same order under each boundary option: what each side then holds, what crossed, and that nobody is left behind.

Tables 3 and 4 of the paper, options 1 to 4; option 5 is test_across_the_boundary.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from nms.mec.session import Members
from tests.federation.test_across_the_boundary import deploy, http, onboard, resolve
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]

INSTANCES = "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance"
APPLICATIONS = "/mec-platform:platforms/platform[id='mep-1']/application"
MANAGED = "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/app-instance"
AT = "/mec-federation:federation/partner[id='{}']/agreement[id='" + AGREEMENT + "']"

#: option -> (identity, what runs where: computes, applications, managed instances; A's and B's count)
HOSTED = {
    1: ("option-infrastructure", {"compute": "b", "application": "a", "managed": "a"}),
    2: ("option-platform-consumer-infrastructure", {"compute": "a", "application": "b", "managed": "a"}),
    3: ("option-platform-provider-infrastructure", {"compute": "b", "application": "b", "managed": "a"}),
    4: ("option-service", {"compute": "b", "application": "b", "managed": "b"}),
}
LISTS = {"compute": INSTANCES, "application": APPLICATIONS, "managed": MANAGED}


def hosted(a: Domain, b: Domain) -> dict[str, str]:
    """Which domain has the compute instance, the application at the platform, and the managed instance."""
    return {
        what: "".join(domain.id for domain in (a, b) if domain.publisher.entries(path)) for what, path in LISTS.items()
    }


@pytest.mark.parametrize("number", HOSTED)
def test_the_same_order_under_each_option(play: Play, number: int) -> None:
    identity, where = HOSTED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        assert state["instance"][0]["zone"] == "b.zone-1"
        assert hosted(a, b) == where
        endpoint = state["instance"][0]["endpoint"][0]
        served_by = a if where["application"] == "a" else b
        assert await resolve(served_by, endpoint["dns-name"]) == [endpoint["address"]]
        assert b'"application": "hello-edge"' in await http(endpoint["address"], endpoint["port"])

        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        assert hosted(a, b) == {"compute": "", "application": "", "managed": ""}
        assert await resolve(served_by, endpoint["dns-name"]) is None
        for domain in (a, b):
            assert domain.blocks.drivers is not None
            assert await domain.blocks.drivers.vim.list() == []
        await asyncio.wait_for(a.blocks.mm1.offboard("hello"), 20)
        print(
            left(a, b),
            a.publisher.entries("/mec-system:system/operation-occurrence"),
            b.publisher.entries(AT.format("a") + "/mec-resource:resources/operation-occurrence"),
        )
        await until("nothing is left under the agreement", lambda: not left(a, b))
        assert "orphan" not in a.read("")

    play(story)


def left(a: Domain, b: Domain) -> list[Members]:
    """Entries of intents under the agreement on either side."""
    found: list[Members] = []
    for domain, partner in ((a, "b"), (b, "a")):
        agreement = domain.publisher.read(AT.format(partner), config=True) or {}
        for container, members in agreement.items():
            if ":" in container:
                found += [entry for name, held in members.items() if name != "configuration" for entry in held]
    return found


@pytest.mark.parametrize("number", HOSTED)
def test_inner_names_do_not_cross(play: Play, number: int) -> None:
    identity, _ = HOSTED[number]

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a)
        await deploy(a)
        inner = {str(b.folder), "host-1", "mep-1", "mepm-1"}
        for path in LISTS.values():
            inner |= {entry["id"] for entry in b.publisher.entries(path)}
        received = "".join(a.received)
        assert [name for name in inner if re.search(rf"[>/']{re.escape(name)}[<.']", received)] == []

    play(story)
