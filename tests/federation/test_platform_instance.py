"""B's platform as an instance on A's infrastructure (Table 3, option 2): asked for, limited, reached, lost, withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nms.mec.session import Members
from tests.federation.test_across_the_boundary import onboard
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
OPTION = {"boundary-option": "mec-types:option-platform-consumer-infrastructure"}
VIM = "/mec-resource:infrastructure/vim[id='vim-1']"


def at(partner: str) -> str:
    """The agreement, below /federation."""
    return f"/partner[id='{partner}']/agreement[id='{AGREEMENT}']"


async def permitted(a: Domain, b: Domain, permission: Members | None = None, wish: Members | None = None) -> None:
    """A permits an instance of B's platform, and B wishes for it."""
    await federate(a, b, **OPTION)
    if permission is not None:
        await a.change(at("b") + "/platform-instance", "create", permission)
    await b.change(at("a") + "/platform-instance", "create", wish or {})


def shown(domain: Domain, partner: str) -> Members:
    return domain.read(at(partner)).get("platform-instance", {}).get("state", {})


async def in_service(a: Domain, b: Domain) -> Members:
    await until("B's platform serves", lambda: shown(b, "a").get("state") == "mec-types:active")
    await until("A sees it run", lambda: shown(a, "b").get("state") == "mec-types:active")
    return shown(b, "a")


def test_it_is_instantiated_and_withdrawn(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await permitted(a, b, {})
        await in_service(a, b)
        print(shown(a, "b"), shown(b, "a"))
        await b.change(at("a") + "/platform-instance", "remove")
        await until("it is gone", lambda: not a.publisher.entries(f"{VIM}/compute-instance"))
        await until("nothing shown", lambda: not shown(b, "a"))
        print(a.read(at("b")))

    play(story)
