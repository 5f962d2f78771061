"""One contract for each reference point, which its local and its remote implementation both keep.

Locally the point ends at the block itself, remotely at a partner's under the boundary option that makes it remote; the
scenario, the answers and the errors are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.options import OPTIONS
from nms.mec import package
from nms.mec.reference_points import Mm1, Mm2, Mm3, Mm4, Mm5, Mm6, Mp2, Mx3, ReferencePoint
from nms.mec.session import Members
from tests.federation.site import SAMPLE
from tests.federation.test_tenancy import SMALL
from tests.federation.two_domains import AGREEMENT, OVER_ALL, Domain, federate

Play = Callable[..., None]
Contract = Callable[[Any, Domain], Awaitable[None]]

OWN = {
    Mm1: "/mec-system:system",
    Mm2: "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']",
    Mm3: "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']",
    Mm4: "/mec-resource:infrastructure/vim[id='vim-1']",
    Mm5: "/mec-platform:platforms/platform[id='mep-1']",
    Mm6: "/mec-resource:infrastructure/vim[id='vim-1']",
}


def offered(server: Domain, client: Domain) -> package.PackageInfo:
    """The sample package and its image: content that the client serves and the server has pulled."""
    file = server.folder / "contract.csar"
    info = package.build(SAMPLE, file)
    with (server.folder / "image").open("w+b") as image:
        package.extract(file, info, info.image.path, image)
        for store in (server.store, client.store):
            image.seek(0)
            store.add(image)
            with file.open("rb") as content:
                store.add(content)
    return info


def image(info: package.PackageInfo) -> Members:
    return {"digest": info.image.digest, "size": str(info.image.size), "format": "mec-types:process-archive"}


def whole(info: package.PackageInfo) -> Members:
    return {"digest": info.digest, "size": str(info.size)}


async def refused(work: Awaitable[Any], tag: str) -> None:
    with pytest.raises(RpcError) as error:
        await work
    assert error.value.tag == tag


async def mm4(point: Mm4, server: Domain) -> None:
    """Zones, images, reservations."""
    info = offered(server, server)
    assert [zone["id"] for zone in await point.zones()] == ["zone-1"]
    await point.add_image("i", image(info))
    await point.add_image("i", image(info))
    assert (await point.image("i") or {})["state"]["state"] == "mec-types:onboarded"
    await point.reserve("r", "zone-1", SMALL, 60)
    await point.confirm("r")
    await refused(point.reserve("huge", "zone-1", {"cpu": "9999"}, 60), "resource-denied")
    await point.release("r")
    await point.release("r")
    await point.remove_image("i")
    await point.remove_image("i")
    assert await point.image("i") is None


async def mm6(point: Mm6, server: Domain) -> None:
    """Compute instances, with their images."""
    info = offered(server, server)
    await point.add_image(info.image.digest, image(info))
    wish = {"image": info.image.digest, "zone": "zone-1", "command": list(COMMAND), **SMALL}
    state = await point.allocate("c", {**wish, "port": [{"name": "http", "port": 8080}]})
    assert (state["operational-state"], state["zone"]) == ("mec-types:started", "zone-1")
    again = await point.allocate("c", {**wish, "port": [{"name": "http", "port": 8080}]})
    assert again["address"] == state["address"]
    assert (await point.operate("c", "stopped"))["operational-state"] == "mec-types:stopped"
    assert [each["id"] for each in await point.compute_instances()] == ["c"]
    await point.release("c")
    assert await point.compute_instance("c") is None
    await refused(point.allocate("d", {**wish, "image": "nowhere"}), "data-missing")


async def mm5(point: Mm5, server: Domain) -> None:
    """Applications with their rules."""
    assert await point.dns_zone() == f"mec.{server.id}"
    rule = {"id": "d", "domain-name": "shop"}
    served = await point.serve("app", {"address": "127.1.1.1", "dns-rule": [rule]})
    assert served["state"]["ready"] is True
    assert server.blocks.drivers is not None
    names = [record.name for record in await server.blocks.drivers.dns.records()]
    assert names == [f"shop.mec.{server.id}."]
    await point.withdraw("app")
    await point.withdraw("app")
    assert await point.application("app") is None
    assert await server.blocks.drivers.dns.records() == []


async def mm2(point: Mm2, server: Domain) -> None:
    """Faults and performance of the platform manager."""
    assert await point.configuration() == {}
    assert list(await point.alarms()) == []
    assert list(await point.kpis()) == []


async def mm3(point: Mm3, server: Domain) -> None:
    """Packages and application instances."""
    info = offered(server, server)
    await point.onboard("p", whole(info))
    state = await point.instantiate("one", {"package": "p", "zone": "zone-1"})
    assert state["operational-state"] == "mec-types:started"
    assert state["endpoint"][0]["dns-name"].endswith(f".mec.{server.id}")
    await point.operate("one", "stopped")
    assert (await point.app_instance("one") or {})["state"]["operational-state"] == "mec-types:stopped"
    await refused(point.instantiate("two", {"package": "nowhere", "zone": "zone-1"}), "data-missing")
    await point.terminate("one")
    await point.offboard("p")
    assert await point.package("p") is None


async def system(point: Mm1 | Mx3, server: Domain) -> None:
    """Packages and deployments."""
    info = offered(server, server)
    await point.onboard("p", whole(info))
    state = await point.instantiate("d", {"package": "p"})
    assert state["operational-state"] == "mec-types:started"
    assert state["instance"][0]["zone"] == "zone-1"
    await point.operate("d", "stopped")
    assert (await point.deployment("d") or {})["state"]["operational-state"] == "mec-types:stopped"
    await refused(point.instantiate("e", {"package": "nowhere"}), "data-missing")
    await point.terminate("d")
    await point.offboard("p")
    assert await point.deployments() == ()


async def mp2(point: Mp2, server: Domain) -> None:
    """Rules of the data plane."""
    rule = {"id": "r", "action": "mec-app-descriptor:passthrough", "priority": 7}
    await point.activate("app", rule)
    await point.activate("app", rule)
    assert server.blocks.drivers is not None
    assert [each.priority for each in await server.blocks.drivers.data_plane.rules()] == [7]
    await point.deactivate("app", "r")
    await point.deactivate("app", "r")


COMMAND = ("python3", "app.py")
LOCAL: dict[type[ReferencePoint], Contract] = {Mm1: system, Mm2: mm2, Mm3: mm3, Mm4: mm4, Mm5: mm5, Mm6: mm6}
REMOTE: list[tuple[int, type[ReferencePoint], Contract]] = [
    (1, Mm4, mm4),
    (1, Mm6, mm6),
    (1, Mp2, mp2),
    (2, Mm5, mm5),
    (2, Mp2, mp2),
    (3, Mm5, mm5),
    (3, Mm6, mm6),
    (4, Mm2, mm2),
    (4, Mm3, mm3),
    (4, Mm4, mm4),
    (5, Mx3, system),
]


@pytest.mark.parametrize("kind", LOCAL, ids=lambda kind: kind.point)
def test_the_local_point(play: Play, kind: type[ReferencePoint]) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await LOCAL[kind](kind(b.session(OWN[kind])), b)

    play(story)


@OVER_ALL
@pytest.mark.parametrize(("number", "kind", "contract"), REMOTE, ids=[f"{row[0]}-{row[1].point}" for row in REMOTE])
def test_the_remote_point(play: Play, number: int, kind: type[ReferencePoint], contract: Contract) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        client, server = (b, a) if (number, kind) == (2, Mp2) else (a, b)  # there the consumer owns the data plane
        await contract(client.federation.zones.point(kind, server.id, AGREEMENT), server)

    play(story)


def test_every_remote_point_has_a_contract() -> None:
    tested = {(number, kind.point) for number, kind, _ in REMOTE}
    assert tested == {(option.number, point.name) for option in OPTIONS for point in option.points}
