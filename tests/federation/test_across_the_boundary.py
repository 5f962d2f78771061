"""The whole story over Mx3: A's customer orders, B hosts, a client finds it by DNS and uses it over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode

from nms.mec import package
from nms.mec.session import Members
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
SAMPLE = Path(package.__file__).parent / "sample" / "hello-edge"
UNDER_AGREEMENT = f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']/mec-system:system"


async def onboard(a: Domain) -> package.PackageInfo:
    """The sample is on-boarded at A."""
    file = a.folder / "hello.csar"
    info = package.build(SAMPLE, file)
    assert a.blocks.mm1 is not None
    await a.blocks.mm1.onboard("hello", {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)})
    return info


async def deploy(a: Domain) -> Members:
    """It is deployed in B's zone; the deployment's state."""
    await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
    assert a.blocks.mm1 is not None
    wish = {"package": "hello", "acceptable-zone": ["b.zone-1"]}
    return await asyncio.wait_for(a.blocks.mm1.instantiate("web", wish), 20)


async def resolve(domain: Domain, name: str) -> list[str] | None:
    """Addresses of a name at the domain's own DNS."""
    assert domain.blocks.drivers is not None
    host, port = domain.blocks.drivers.dns.listening()  # type: ignore[attr-defined]
    answer = await dns.asyncquery.udp(dns.message.make_query(name, "A"), host, port=port, timeout=5)
    if answer.rcode() == dns.rcode.NXDOMAIN:
        return None
    return [item.to_text() for rrset in answer.answer for item in rrset]


async def http(address: str, port: int) -> bytes:
    """What the application answers."""
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"GET /status HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


def inner_names(b: Domain) -> set[str]:
    """What B calls things inside: instances, hosts, application instances, processes' folders, blocks."""
    names = {str(b.folder), "host-1", "vim-1", "mep-1", "mepm-1"}

    def collect(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                collect(inner, name)
        elif isinstance(value, list):
            for inner in value:
                collect(inner, key)
        elif key in ("id", "app-instance", "compute-instance", "host", "vim-instance"):
            names.add(str(value))

    for path in (
        "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance",
        "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/app-instance",
        "/mec-platform:platforms/platform[id='mep-1']/application",
    ):
        found = b.publisher.read(path)
        assert found, path
        for entry in next(iter(found.values())):
            names.add(entry["id"])
    return names


def test_an_application_is_deployed_at_the_partner_and_used(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        info = await onboard(a)
        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        assert info.digest in b.store
        instance = state["instance"][0]
        assert instance["zone"] == "b.zone-1"
        endpoint = instance["endpoint"][0]
        assert await resolve(b, endpoint["dns-name"]) == [endpoint["address"]]
        assert b'"application": "hello-edge"' in await http(endpoint["address"], endpoint["port"])
        part = state["part"][0]
        assert (part["domain"], part["agreement"]) == ("b", AGREEMENT)
        received = "".join(a.received)
        assert part["reference"] in received
        leaked = [name for name in inner_names(b) if name in received]
        assert leaked == []

        assert a.blocks.mm1 is not None
        await asyncio.wait_for(a.blocks.mm1.terminate("web"), 20)
        assert b.publisher.entries(f"{UNDER_AGREEMENT}/deployment") == ()
        assert await resolve(b, endpoint["dns-name"]) is None
        assert b.blocks.drivers is not None
        assert await b.blocks.drivers.vim.list() == []

    play(story)
