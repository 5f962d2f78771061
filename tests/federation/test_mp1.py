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
from urllib.parse import urlsplit

import pytest

from nms.errors import RpcError
from nms.federation.options import OPTIONS, BoundaryOption
from nms.mec.reference_points import Mm5
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import onboard
from tests.federation.test_revision_across import mm1
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, ROOT, Domain, federate, until

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
    reader, writer = await asyncio.open_connection(*place(environment), ssl=unverified())
    writer.write(request(environment, method, path, body))
    answer = await reader.read()
    writer.close()
    head, _, text = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        text = b"".join(text.split(b"\r\n")[1::2])
    return int(head.split()[1]), json.loads(text) if text.strip() else {}


def place(environment: dict[str, str]) -> tuple[str, int]:
    """Address and port of its platform."""
    uri = urlsplit(environment["MEC_MP1_URI"])
    assert uri.scheme == "https"
    return uri.hostname or "", uri.port or 0


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request(
    environment: dict[str, str], method: str, path: str, body: Any = None, accept: str = "application/yang-data+json"
) -> bytes:
    """A request as the instance with that environment."""
    uri = urlsplit(environment["MEC_MP1_URI"])
    secret = base64.b64encode(f"{environment['MEC_MP1_USER']}:{environment['MEC_MP1_PASSWORD']}".encode()).decode()
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {uri.path}/{path} HTTP/1.1\r\nHost: {uri.netloc}\r\nAuthorization: Basic {secret}\r\n"
        f"Connection: close\r\nAccept: {accept}\r\n"
        f"Content-Type: application/yang-data+json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


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


async def _told(application: dict[str, str], me: str) -> bool:
    """Whether the application sees that it has to end."""
    _, found = await ask(application, "GET", me)
    return "ends-at" in found["mec-platform:application"][0]["state"]


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
        await until("it is told", lambda: _told(web, me))
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


INSTANCES = "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance"


@OVER_BOTH
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.identity)
def test_an_application_is_let_in_by_its_platform_wherever_it_runs(play: Play, option: BoundaryOption) -> None:
    """Option 1: on B's infrastructure, served by A; option 2: on A's, served by B; else both are B's."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{option.identity}"})
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        await mm1(a).instantiate("web", {"package": "hello", "zone": "b.zone-1"})
        runs, serves = (a if option.number == 2 else b), (a if option.number == 1 else b)
        (instance,) = runs.publisher.entries(INSTANCES)
        web = given(runs, instance["id"])
        await until("it is let in", lambda: _known(serves, web))
        (application,) = serves.publisher.entries(f"{PLATFORM}/application")
        me = f"{MEP}/application={application['id']}"
        status, said = await ask(web, "POST", f"{me}/mec-platform:confirm-ready")
        assert status == 204, said
        mine = {"id": "where-1", "name": "where", "application": application["id"]}
        status, said = await ask(web, "PUT", f"{MEP}/service=where-1", {"mec-platform:service": [mine]})
        assert status == 201, said
        (found,) = serves.publisher.entries(f"{PLATFORM}/service")
        assert found["state"]["endpoint"][0]["address"] == application["address"]

        # The password is with who runs it and nowhere else: in no datastore, in no message.
        for domain in (a, b):
            held = json.dumps([domain.publisher.read(path) for path in ("/mec-platform:platforms", f"{ROOT}/partner")])
            assert web["MEC_MP1_PASSWORD"] not in held + "".join(domain.received)
        ending = asyncio.create_task(mm1(a).terminate("web", grace=3600))
        await until("it is told that it has to end", lambda: _told(web, me))
        assert not ending.done()
        status, said = await ask(web, "POST", f"{me}/mec-platform:confirm-termination")
        assert status == 204, said
        await ending
        await until("it is let in no more", lambda: not _known(serves, web))
        await until("its service is gone", lambda: not serves.publisher.entries(f"{PLATFORM}/service"))

    play(story)


def test_nobody_takes_over_an_identity(play: Play) -> None:
    """A partner whose applications we serve (option 2) says who they are: not who another one is, nor a user."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": "mec-types:option-platform-consumer-infrastructure"})
        await onboard(b)
        await mm1(b).instantiate("own", {"package": "hello", "zone": "zone-1"})
        (own,) = b.publisher.entries(f"{PLATFORM}/application")
        mm5 = a.federation.zones.point(Mm5, "b", AGREEMENT)
        thief = {"address": "127.1.1.1", "identity": {**own["identity"], "password-digest": "0" * 64}}
        with pytest.raises(RpcError):
            await mm5.serve("thief", thief)
        assert [each["id"] for each in b.publisher.entries(f"{PLATFORM}/application")] == [own["id"]]
        await mm5.session.edit([DataEdit("/application[id='thief']", "remove")])
        for name in ("admin", "app.admin", "partner-a"):
            with pytest.raises(RpcError):
                await mm5.serve("user", {"address": "127.1.1.2", "identity": {"user-name": name}})
        (instance,) = b.publisher.entries(INSTANCES)
        environment = given(b, instance["id"])
        status, _ = await ask(environment, "GET", f"{MEP}/service")
        assert status in (200, 404)

    play(story)
