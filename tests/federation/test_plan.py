"""A dry-run of an order says what carrying it out then does, in each domain, and does nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nms import cli, init
from nms.federation.options import OPTIONS
from nms.mec.session import DataEdit, LocalSession, Members
from nms.model import json
from nms.operations.request import Invoke
from tests.federation.test_across_the_boundary import deploy, onboard
from tests.federation.test_all_or_nothing import left
from tests.federation.test_options import crossed
from tests.federation.two_domains import AGREEMENT, Domain, federate, until

Play = Callable[..., None]
ITEM = {"id": "app", "package": "hello", "acceptable-zone": ["b.zone-1"]}


def plan(a: Domain, *items: Members) -> Members:
    """What the rpc answers."""
    node = a.core.schema.rpcs["mec-order", "plan-order"]
    wanted, output = node.children
    session = LocalSession(a.core, "/mec-order:orders")
    try:
        value = json.decode(wanted, {"id": "web", "item": list(items)})
        reply = a.core.dispatch(session._session, Invoke(node, value, ()))
    finally:
        session.close()
    return json.plain(output, reply.data)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_what_is_planned_is_what_is_done(play: Play, number: int) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b, **{"boundary-option": f"mec-types:{OPTIONS[number - 1].identity}"})
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))
        before = [domain.core.store.running for domain in (a, b)]
        asked = crossed(a, b)
        planned = plan(a, ITEM)
        assert [domain.core.store.running for domain in (a, b)] == before
        assert crossed(a, b) == asked
        assert await left((a, b)) == []
        assert planned["feasible"] is True
        (part,) = planned["item"][0]["part"]
        assert (part["domain"], part["zone"]) == ("b", "b.zone-1")
        steps = part["step"]

        state = await deploy(a)
        assert state["operational-state"] == "mec-types:started"
        written = {(server, point, about) for server, point, kind, about in crossed(a, b) if kind == "edit"}
        remote = {point.name: point for point in OPTIONS[number - 1].points}
        said = {
            (step["domain"], step["reference-point"].removeprefix("mec-types:"), step["subject-type"]) for step in steps
        }
        server = {name: {"provider": "b", "consumer": "a"}[point.servers[-1]] for name, point in remote.items()}
        assert {each for each in said if server.get(each[1]) == each[0]} == written
        inside = {(domain, kind) for domain, _, kind in said}
        for domain, path in (
            (a, "/mec-resource:infrastructure/vim[id='vim-1']/compute-instance"),
            (a, "/mec-platform:platforms/platform[id='mep-1']/application"),
            (a, "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']/app-instance"),
        ):
            assert bool(domain.publisher.entries(path)) == ((domain.id, path.rpartition("/")[2]) in inside)

        def there() -> bool:
            again = plan(a, ITEM)["item"][0]["part"][0]["step"]
            handed = [step for step in again if step["subject-type"] in ("image", "package")]
            return all("is there already" in step["detail"] for step in handed)

        await until("what was handed over is known to be there", there)

    play(story)


def test_the_commands(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await federate(a, b)
        await onboard(a)
        await until("a sees b's zone", lambda: a.publisher.read("/mec-system:system/zone[id='b.zone-1']"))

        async def nms(*words: str) -> tuple[int, str]:
            code = await asyncio.to_thread(cli.main, [*words, "--config", str(a.folder / init.CONFIG_NAME)])
            said = capsys.readouterr()
            return code, said.out + said.err

        code, said = await nms("app", "deploy", "hello", "--id", "web", "--zone", "b.zone-1", "--dry-run")
        assert code == 0, said
        assert "mx3" in said
        assert "web.app" in said
        assert a.publisher.entries("/mec-order:orders/order") == ()
        code, said = await nms("app", "deploy", "none", "--id", "web", "--dry-run")
        assert code != 0
        assert "none" in said
        code, said = await nms("reconcile")
        assert (code, "as configured" in said) == (0, True), said
        await deploy(a)
        at_b = f"/mec-federation:federation/partner[id='a']/agreement[id='{AGREEMENT}']"
        await b.session(at_b).edit([DataEdit("/mec-system:system/deployment[id='web']", "remove")])
        path = "/mec-system:system/deployment[id='web']/state"
        await until("a knows", lambda: "error" in (a.publisher.read(path) or {}))
        code, said = await nms("reconcile", "b")
        assert (code, "web" in said) == (1, True), said

    play(story)


def test_what_cannot_be_is_said_by_item(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await onboard(a)
        here = {"package": "hello", "acceptable-zone": ["zone-1"]}
        planned = plan(a, {"id": "one", **here}, {"id": "two", "package": "none"})
        assert planned["feasible"] is False
        said = {item["id"]: item.get("error", {}).get("detail", "") for item in planned["item"]}
        assert said["one"] == ""
        assert "none" in said["two"]
        nowhere = plan(a, {"id": "x", **here, "acceptable-zone": ["mars"]})
        assert nowhere["item"][0]["error"]["error-tag"] == "operation-failed"

        # An item takes what those before it have left: one more than there is room for.
        free = float((a.publisher.read("/mec-system:system/zone[id='zone-1']") or {})["available"]["cpu"])
        package = a.publisher.read("/mec-system:system/package[id='hello']") or {}
        each = float(package["state"]["descriptor"]["virtual-compute"]["cpu"])
        items = [{"id": f"i{number:03}", **here} for number in range(int(free / each) + 1)]
        found = plan(a, *items)["item"]
        assert ["error" in item for item in found] == [False] * (len(items) - 1) + [True]

    play(story)
