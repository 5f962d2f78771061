"""Mp3 from outside: platforms of two domains joined, partners' services in the registry, and nothing that was not agreed.

Paper, section 3.2; ETSI GS MEC 011 (availability of services).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from nms.federation.options import OPTIONS
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import onboard
from tests.federation.test_mp1 import MEP, PLATFORM, _known, ask, given
from tests.federation.test_options import crossed
from tests.federation.test_revision_across import mm1
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, Domain, federate, until

Play = Callable[..., None]
JOINED = {"interconnection": {"enabled": True, "share-services": True}}
TERMS = f"/partner[id='{{}}']/agreement[id='{AGREEMENT}']"
CHANGED = "mec-platform:service-availability-changed"
MAPS = {
    "name": "maps",
    "version": "2.0",
    "category": {"id": "geo"},
    "consumed-local-only": False,
    "scope-of-locality": "mec-platform:mec-system-locality",
    "uri": ["https://198.51.100.7:8443/maps"],
}


async def register(domain: Domain, id: str, **service: Any) -> None:
    """As the operator of a platform does it."""
    await domain.session(PLATFORM).edit([DataEdit(f"/service[id='{id}']", "replace", {**MAPS, **service})])


async def withdraw(domain: Domain, id: str) -> None:
    await domain.session(PLATFORM).edit([DataEdit(f"/service[id='{id}']", "remove")])


def learnt(domain: Domain) -> dict[str, Members]:
    """Name -> service of a partner in the registry."""
    found = domain.publisher.entries(f"{PLATFORM}/service")
    return {each["name"]: each for each in found if each["state"]["is-local"] is False}


def events(domain: Domain) -> list[Members]:
    """What consumers at a domain's platform are told from now on."""
    told: list[Members] = []

    def take(name: str, members: Members) -> None:
        if name == CHANGED:
            told.append({leaf: members.get(leaf) for leaf in ("name", "change", "state", "is-local", "platform")})

    domain.session(PLATFORM).watch(take)
    return told


def event(name: str, change: str, state: str) -> Members:
    return {"name": name, "change": change, "state": f"mec-types:{state}", "is-local": False, "platform": "mep-1"}


def peer(domain: Domain, partner: str) -> Members:
    """What a platform shows of the one that it is joined with."""
    return domain.publisher.read(f"{PLATFORM}/peer[partner='{partner}'][agreement='{AGREEMENT}']") or {}


@OVER_BOTH
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.identity)
def test_services_are_in_each_others_registry_under_each_option(play: Play, option: Any) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await register(b, "inner-name-1", name="maps")
        await register(b, "inner-name-2", name="mine-only", **{"consumed-local-only": True})
        await federate(a, b, **{"boundary-option": f"mec-types:{option.identity}"}, **JOINED)
        told = events(a)
        await register(a, "x", name="weather", port=99)
        await until("each sees the other's", lambda: "maps" in learnt(a) and "weather" in learnt(b))
        assert set(learnt(a)) == {"maps"}
        shown = learnt(a)["maps"]
        assert {name: shown[name] for name in MAPS} == MAPS
        state = shown["state"]
        assert (state["state"], state["partner"], state["agreement"]) == ("mec-types:active", "b", AGREEMENT)
        assert peer(a, "b") == {
            "partner": "b", "agreement": AGREEMENT, "state": "mec-types:active", "services": 1, "refused": 0
        }  # fmt: skip
        # Nothing of it is configuration, and nothing of the inside has crossed.
        assert [each["id"] for each in (a.publisher.read(PLATFORM, config=True) or {})["service"]] == ["x"]
        assert not re.search("inner-name|mep-1", "".join(a.received))

        await register(b, "inner-name-1", name="maps", version="2.1")
        await until("it has changed", lambda: learnt(a)["maps"]["version"] == "2.1")
        await register(b, "inner-name-1", name="maps", version="2.1", **{"desired-state": "inactive"})
        await until("it is inactive", lambda: learnt(a)["maps"]["state"]["state"] == "mec-types:inactive")
        await withdraw(b, "inner-name-1")
        await until("it is gone", lambda: not learnt(a))
        assert [each for each in told if each["name"] == "maps"] == [
            event("maps", "added", "active"),
            event("maps", "attributes-changed", "active"),
            event("maps", "state-changed", "inactive"),
            event("maps", "removed", "inactive"),
        ]

        # It crossed on Mp3, and is counted there.
        made = {(server, point, about) for server, point, _, about in crossed(a, b)}
        assert {(server, point, about) for server, point, about in made if about == "service"} == {
            ("a", "mp3", "service"),
            ("b", "mp3", "service"),
        }
        rows = a.read(TERMS.format("b"))["session"]
        (row,) = (each for each in rows if each["reference-point"] == "mec-types:mp3")
        assert row["state"] == "mec-types:established"
        assert {each["kind"] for each in row["exchange"]} == {"read", "notification"}

    play(story)
