"""Mp1 from outside: an instance shows who it is with what it was given, and can do what is its own, no more."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nms.mec.session import Members
from tests.federation.test_across_the_boundary import onboard
from tests.federation.test_revision_across import mm1
from tests.federation.two_domains import Domain, federate, until

Play = Callable[..., None]
PLATFORM = "/mec-platform:platforms/platform[id='mep-1']"
MEP = "data/mec-platform:platforms/platform=mep-1"


def given(domain: Domain, instance: str) -> dict[str, str]:
    """The environment that a running instance was given."""
    assert domain.blocks.drivers is not None
    pid = domain.blocks.drivers.vim._records[instance].pid  # type: ignore[attr-defined]
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


async def ask(environment: dict[str, str], method: str, path: str, body: Any = None) -> tuple[int, Members]:
    """One request as the instance with that environment; status and answer."""
    scheme, _, place = environment["MEC_MP1_URI"].partition("://")
    host, _, rest = place.partition("/")
    address, _, port = host.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    assert scheme == "https"
    reader, writer = await asyncio.open_connection(address, int(port), ssl=context)
    secret = base64.b64encode(f"{environment['MEC_MP1_USER']}:{environment['MEC_MP1_PASSWORD']}".encode()).decode()
    content = b"" if body is None else json.dumps(body).encode()
    writer.write(
        f"{method} /{rest}/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {secret}\r\nConnection: close\r\n"
        f"Accept: application/yang-data+json\r\n"
        f"Content-Type: application/yang-data+json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    answer = await reader.read()
    writer.close()
    head, _, text = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        text = b"".join(text.split(b"\r\n")[1::2])
    return int(head.split()[1]), json.loads(text) if text.strip() else {}


async def two(a: Domain) -> tuple[dict[str, str], dict[str, str], str, str]:
    """Two applications at A's platform: their environments and identifiers."""
    await onboard(a)
    await mm1(a).instantiate("web", {"package": "hello", "zone": "zone-1"})
    await mm1(a).instantiate("other", {"package": "hello", "zone": "zone-1"})
    names = []
    for each in ("web", "other"):
        state = (await mm1(a).deployment(each) or {})["state"]
        names.append(state["part"][0]["reference"])
    environments = [given(a, f"{each}.1") for each in names]
    for environment in environments:
        await until("it is let in", lambda e=environment: _known(a, e))
    return environments[0], environments[1], names[0], names[1]


def _known(a: Domain, environment: dict[str, str]) -> bool:
    assert a.blocks.mp1 is not None
    return a.blocks.mp1.principal(environment["MEC_MP1_USER"]) is not None


def test_services_are_registered_and_discovered(play: Play) -> None:
    async def story(a: Domain) -> None:
        web, other, name, _ = await two(a)
        mine = {"id": "where-1", "name": "where", "version": "1.0", "application": name}
        status, said = await ask(web, "PUT", f"{MEP}/service=where-1", {"mec-platform:service": [mine]})
        assert status == 201, said
        held = a.publisher.read(f"{PLATFORM}/service[id='where-1']") or {}
        assert (held["application"], held["state"]["state"]) == (name, "mec-types:active")
        status, found = await ask(other, "GET", f"{MEP}/service")
        assert status == 200
        assert [each["id"] for each in found["mec-platform:service"]] == ["where-1"]

        for method, body in (("PUT", {"mec-platform:service": [{**mine, "name": "stolen"}]}), ("DELETE", None)):
            status, said = await ask(other, method, f"{MEP}/service=where-1", body)
            assert status == 403, said
        status, said = await ask(
            other, "PUT", f"{MEP}/service=b", {"mec-platform:service": [{**mine, "id": "b", "application": name}]}
        )
        assert status == 403, said

        await mm1(a).terminate("web")
        await until("it is gone with its application", lambda: not a.publisher.entries(f"{PLATFORM}/service"))

    play(story, names=("a",))


def test_an_application_has_its_own_entry_only(play: Play) -> None:
    async def story(a: Domain) -> None:
        web, other, name, its_name = await two(a)
        assert "MEC_MP1_PASSWORD" not in os.environ
        status, found = await ask(web, "GET", f"{MEP}/application")
        assert status == 200
        assert [each["id"] for each in found["mec-platform:application"]] == [name]
        for path in (f"application={its_name}", "configuration", "kpi", "alarm"):
            status, said = await ask(web, "GET", f"{MEP}/{path}")
            assert status in (403, 404), (path, said)
        for path in ("data/ietf-netconf-acm:nacm", "data/mec-resource:infrastructure", "data/mec-order:orders"):
            status, said = await ask(web, "GET", path)
            assert status in (403, 404), (path, said)
            assert not said or "ietf-restconf:errors" in said

        # Its rules: whether they are active, and nothing else.
        rule = f"{MEP}/application={name}/dns-rule=web"
        status, said = await ask(web, "PUT", f"{rule}/desired-state", {"mec-platform:desired-state": "inactive"})
        assert status in (201, 204), said
        where = f"{PLATFORM}/application[id='{name}']/dns-rule[id='web']"
        await until("it is withdrawn", lambda: _state(a, where) == "mec-types:inactive")
        status, said = await ask(web, "PUT", f"{rule}/desired-state", {"mec-platform:desired-state": "active"})
        assert status == 204, said
        await until("it is published", lambda: _state(a, where) == "mec-types:active")
        status, said = await ask(web, "PUT", f"{rule}/domain-name", {"mec-platform:domain-name": "bank"})
        assert status == 403, said
        status, said = await ask(web, "DELETE", f"{MEP}/application={name}")
        assert status == 403, said
        theirs = f"{MEP}/application={its_name}/dns-rule=web/desired-state"
        status, said = await ask(web, "PUT", theirs, {"mec-platform:desired-state": "inactive"})
        assert status == 403, said
        status, said = await ask(web, "POST", f"{MEP}/application={its_name}/confirm-ready")
        assert status in (403, 404), said

        status, _ = await ask({**web, "MEC_MP1_PASSWORD": other["MEC_MP1_PASSWORD"]}, "GET", f"{MEP}/service")
        assert status == 401
        await mm1(a).terminate("web")
        status, _ = await ask(web, "GET", f"{MEP}/service")
        assert status == 401
        lists = a.publisher.entries("/ietf-netconf-acm:nacm/rule-list")
        assert [each["name"] for each in lists if name in each["name"]] == []

    play(story, names=("a",))


def _state(a: Domain, rule: str) -> str:
    return str(((a.publisher.read(rule) or {}).get("state", {})).get("state", ""))


def test_an_application_that_is_ready_is_given_time_to_end(play: Play) -> None:
    async def story(a: Domain) -> None:
        web, _, name, _ = await two(a)
        me = f"{MEP}/application={name}"
        status, said = await ask(web, "POST", f"{me}/mec-platform:confirm-termination")
        assert status == 409, said
        status, said = await ask(web, "POST", f"{me}/mec-platform:confirm-ready")
        assert status == 204, said
        shown = a.publisher.read(f"{PLATFORM}/application[id='{name}']/state") or {}
        assert shown["confirmed-ready-at"]
        ending = asyncio.create_task(mm1(a).terminate("web", grace=3600))

        async def told() -> bool:
            _, found = await ask(web, "GET", me)
            return "ends-at" in found["mec-platform:application"][0]["state"]

        await until("it is told", told)
        entry = a.publisher.read(f"{PLATFORM}/application[id='{name}']") or {}
        assert entry["dns-rule"][0]["state"]["state"] == "mec-types:inactive"  # no new users
        assert entry["traffic-rule"][0]["state"]["state"] == "mec-types:active"  # those that are there are served
        assert not ending.done()
        status, said = await ask(web, "POST", f"{me}/mec-platform:confirm-termination")
        assert status == 204, said
        await asyncio.wait_for(ending, 20)
        # Without a word of its own an application is not waited for; nor is one that shall end at once.
        await asyncio.wait_for(mm1(a).terminate("other", grace=3600), 20)

    play(story, names=("a",))


@pytest.mark.parametrize("identity", ["option-service", "option-system"])
def test_a_partners_application_is_let_in_where_it_runs(play: Play, identity: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{identity}"})
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        await mm1(a).instantiate("web", {"package": "hello", "zone": "b.zone-1"})
        (instance,) = b.publisher.entries("/mec-resource:infrastructure/vim[id='vim-1']/compute-instance")
        web = given(b, instance["id"])
        await until("it is let in", lambda: _known(b, web))
        (application,) = b.publisher.entries(f"{PLATFORM}/application")
        status, said = await ask(web, "POST", f"{MEP}/application={application['id']}/mec-platform:confirm-ready")
        assert status == 204, said
        assert web["MEC_MP1_PASSWORD"] not in "".join(a.received)

    play(story)
