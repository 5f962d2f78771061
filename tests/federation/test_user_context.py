"""The context of users follows an application that moves (ETSI GS MEC 021), at home and across the boundary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec import package
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import SAMPLE
from tests.federation.test_options import left
from tests.federation.test_revision_across import SERVED, instances, mm1, running
from tests.federation.two_domains import Domain, federate, until

Play = Callable[..., None]
COUNTER = SAMPLE.parent / "counter-edge"
PLATFORM = "/mec-platform:platforms/platform[id='mep-1']"


async def onboard(domain: Domain, name: str = "counter", source: Path = COUNTER) -> None:
    file = domain.folder / f"{name}.csar"
    info = package.build(source, file)
    wish = {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)}
    await mm1(domain).onboard(name, wish)


async def visit(instance: Members, user: str) -> int:
    """Use the application; how many visits it has counted."""
    end = instance["endpoint"][0]
    reader, writer = await asyncio.open_connection(end["address"], end["port"])
    writer.write(f"GET /?user={user} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(json.loads(answer.partition(b"\r\n\r\n")[2])["visits"])


def ready(*domains: Domain) -> bool:
    """Whether an application at one of the platforms has said that it is ready."""
    served = [each for domain in domains for each in domain.publisher.entries(f"{PLATFORM}/application")]
    return bool(served) and all("confirmed-ready-at" in each.get("state", {}) for each in served)


def moved(domain: Domain, relocation: str) -> bool:
    """Whether a wish is fulfilled."""
    wish = domain.publisher.read(f"/mec-system:system/relocation[id='{relocation}']") or {}
    return bool(wish.get("state", {}).get("state") == "mec-types:completed")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_there_and_back_with_the_users(play: Play, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{SERVED[number][0]}"})
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "counter", "zone": "zone-1"})
            await until("it is ready", lambda: ready(a))
            assert [each["name"] for each in a.publisher.entries(f"{PLATFORM}/service")] == ["counter"]
            (here,) = await instances(a)
            assert [await visit(here, user) for user in ("ana", "ana", "ben")] == [1, 2, 1]

            await mm1(a).relocate("there", "web", "b.zone-1")
            (there,) = await instances(a)
            assert there["zone"] == "b.zone-1"
            assert [await visit(there, user) for user in ("ana", "ben", "eve")] == [3, 2, 1]
            assert await running(a) == (1 if number == 2 else 0)  # there only the platform is B's

            await until("it is ready there", lambda: ready(a if number == 1 else b))
            await mm1(a).relocate("back", "web", "zone-1")
            (back,) = await instances(a)
            assert [await visit(back, user) for user in ("ana", "eve")] == [4, 2]
            await mm1(a).terminate("web")
            assert await running(a, b) == 0
            await mm1(a).offboard("counter")
            await until("nothing is left under the agreement", lambda: not left(a, b))

    play(story)


def test_without_its_users_it_stays_where_it_is(play: Play, tmp_path: Path) -> None:
    """An application that says that it has context, and does not speak Mp1: moved only by who gives the context up."""

    def stateful() -> Path:
        folder = tmp_path / "mute"
        (folder / "image/hello-edge").mkdir(parents=True)
        (folder / "image/hello-edge/app.py").write_text((SAMPLE / "image/hello-edge/app.py").read_text())
        document: dict[str, Any] = json.loads((SAMPLE / package.DESCRIPTOR).read_text())
        document[package.TOP]["user-context-transfer"] = {"supported": True, "stateful": True}
        (folder / package.DESCRIPTOR).write_text(json.dumps(document))
        return folder

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a, "mute", await asyncio.to_thread(stateful))
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        async with asyncio.timeout(60):
            await mm1(a).instantiate("web", {"package": "mute", "zone": "zone-1"})
            before = await instances(a)
            with pytest.raises(RpcError, match="Mp1"):
                await mm1(a).relocate("there", "web", "b.zone-1")
            assert await instances(a) == before
            assert (await running(a), await running(b)) == (1, 0)
            wish = {"deployment": "web", "target-zone": "b.zone-1", "transfer-context": False}
            edit = DataEdit("/relocation[id='anyway']", "create", wish)
            await a.session("/mec-system:system").edit([edit])
            await until("it has moved", lambda: moved(a, "anyway"))
            assert (await running(a), await running(b)) == (0, 1)

    play(story)
