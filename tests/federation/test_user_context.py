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
from nms.mec.occurrence import TEMPORARY
from nms.mec.reference_points import Mp3
from nms.mec.session import DataEdit, Members
from tests.federation.test_across_the_boundary import SAMPLE
from tests.federation.test_options import crossed, edits, left
from tests.federation.test_revision_across import SERVED, instances, mm1, running
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, ROOT, Domain, federate, until

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


JOINED = {"interconnection": {"enabled": True}}
#: What a transfer is asked for in where the platforms are not joined.
DOWN = ("deployment", "app-instance", "application")


async def away(a: Domain, b: Domain, number: int) -> None:
    """The platforms are joined, and A's application is ready at B's."""
    await federate(a, b, **{"boundary-option": f"mec-types:{SERVED[number][0]}"}, **JOINED)
    await onboard(a)
    await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
    await mm1(a).instantiate("web", {"package": "counter", "zone": "b.zone-1"})
    await until("it is ready there", lambda: ready(b))


@OVER_BOTH
@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_platforms_that_are_joined_settle_it_between_them(play: Play, number: int) -> None:
    """The platform that takes over asks the other one for the users (Mp3); nothing else of it crosses."""

    async def story(a: Domain, b: Domain) -> None:
        async with asyncio.timeout(60):
            await away(a, b, number)
            (there,) = await instances(a)
            assert [await visit(there, user) for user in ("ana", "ana", "ben")] == [1, 2, 1]
            before = edits(crossed(a, b))
            told: list[Members] = []
            b.session(PLATFORM).watch(lambda name, members: told.append({"notification": name, **members}))
            await mm1(a).relocate("home", "web", "zone-1")
            (home,) = await instances(a)
            assert [await visit(home, user) for user in ("ana", "ben")] == [3, 2]
            made = {key: count - before.get(key, 0) for key, count in edits(crossed(a, b)).items()}
            assert made["b", "mp3", "edit", "context-transfer"] == 3  # what may be left of another, the wish, its end
            # Beside it the old one ends; nothing is wished of it before.
            assert any("context-transferred-at" in each for each in told)
            changed = [key for key, count in made.items() if count and key[1] != "mp3" and key[3] in DOWN]
            assert all(made[key] <= 3 for key in changed), made
            peer = b.publisher.read(f"{ROOT}/partner[id='a']/agreement[id='{AGREEMENT}']/mec-platform:peer-platform")
            assert "context-transfer" not in (peer or {})
            await mm1(a).terminate("web")
            await mm1(a).offboard("counter")
            await until("nothing is left under the agreement", lambda: not left(a, b))

    play(story)


@OVER_BOTH
def test_whose_context_a_partner_can_ask_for(play: Play) -> None:
    """Of what runs for it under the agreement, and of nothing else; what it asks for wrongly changes nothing."""

    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **JOINED)
        await until("they are joined", lambda: a.federation.zones.peers())
        await onboard(b)
        await mm1(b).instantiate("own", {"package": "counter", "zone": "zone-1"})
        await until("it is ready", lambda: ready(b))
        (own,) = b.publisher.entries(f"{PLATFORM}/application")
        mp3 = a.federation.zones.point(Mp3, "b", AGREEMENT)
        target = {"target-address": "127.1.1.1", "target-port": 80}
        for name in ("own", own["id"], "nobody"):
            with pytest.raises(RpcError) as error:
                await mp3.transfer_context(name, target, 20)
            assert error.value.tag == "data-missing"
        for bad in ({}, {"target-address": "nowhere"}, {"target-address": "127.1.1.1", "target-port": 0x10000}):
            with pytest.raises(RpcError):
                await mp3.transfer_context("own", bad, 20)
        assert "user-context-transfer" not in (b.publisher.entries(f"{PLATFORM}/application")[0])
        assert await mp3.session.get("/context-transfer[id='own']") is None

    play(story)


@pytest.mark.parametrize("number", [3, 5])
def test_a_partner_that_dies_while_it_hands_users_over(play: Play, number: int) -> None:
    """The relocation waits for a decision; given up, what was made is withdrawn and what ran there is still in use."""

    async def story(a: Domain, b: Domain) -> None:
        async with asyncio.timeout(60):
            await away(a, b, number)
            before = await instances(a)
            assert b.blocks.interconnection is not None
            await b.blocks.interconnection.close()  # what is asked of it from now on is not answered
            moving = asyncio.create_task(mm1(a).relocate("home", "web", "zone-1"))
            path = f"{ROOT}/partner[id='a']/agreement[id='{AGREEMENT}']/mec-platform:peer-platform"
            await until("b is asked", lambda: (b.publisher.read(path, config=True) or {}).get("context-transfer"))
            await b.deaf()
            with pytest.raises(RpcError) as error:
                await moving
            assert error.value.app_tag == TEMPORARY
            assert [each.get("change") for each in await instances(a)] == ["leaving", "joining"]
            await b.listen()
            a.federation.partners.called("b")
            waiting = await mm1(a).latest("home")
            assert waiting is not None
            await mm1(a).fail(waiting.id)
            await until("what was made is withdrawn", lambda: _ids(a) == [each["id"] for each in before])
            assert (await running(a), await running(b)) == (0, 1)

    play(story)


def _ids(a: Domain) -> list[str]:
    state = a.publisher.read("/mec-system:system/deployment[id='web']/state") or {}
    return [each["id"] for each in state["instance"]]


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
