"""B's platform as an instance on A's infrastructure (Table 3, option 2): wished for, limited, used, lost, withdrawn."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.federation.adaptor import RemoteSession
from nms.mec import package
from nms.mec.no_platform_instance import NoPlatformInstance
from nms.mec.occurrence import TEMPORARY
from nms.mec.reference_points import Mp2Compute
from nms.mec.session import DataEdit, LocalSession, Members
from nms.operations.dispatch import Core
from tests.federation.test_across_the_boundary import SAMPLE
from tests.federation.test_mp1 import ask, given
from tests.federation.test_options import crossed, left
from tests.federation.test_revision_across import mm1
from tests.federation.two_domains import AGREEMENT, OVER_BOTH, ROOT, Domain, federate, until

Play = Callable[..., None]
OPTION = {"boundary-option": "mec-types:option-platform-consumer-infrastructure"}
VIM = "/mec-resource:infrastructure/vim[id='vim-1']"
SYSTEM = "/mec-system:system"
PLATFORM = "/mec-platform:platforms/platform[id='mep-1']"
COUNTER = SAMPLE.parent / "counter-edge"
#: What an application calls the platform that stands beside it.
THERE = "data/mec-platform:platforms/platform=platform"
CHANGED = "mec-federation:platform-instance-changed"
ALARM = "mec-types:platform-unavailable-alarm"
HOSTS = [
    {"name": f"host-{number}", "zone": f"zone-{number}", "cpu": 2, "memory": 1024, "storage": 1024} for number in (1, 2)
]


def at(partner: str) -> str:
    """The agreement, below /federation."""
    return f"/partner[id='{partner}']/agreement[id='{AGREEMENT}']"


async def wished(a: Domain, b: Domain, permission: Members | None, wish: Members | None = None, **terms: Any) -> None:
    """A permits an instance of B's platform, or does not, and B wishes for it."""
    await federate(a, b, **OPTION, **terms)
    if permission is not None:
        await a.change(at("b") + "/platform-instance", "create", permission)
    await b.change(at("a") + "/platform-instance", "create", wish or {})


def shown(domain: Domain) -> Members:
    """The state of it that a domain shows."""
    partner = "b" if domain.id == "a" else "a"
    return domain.read(at(partner)).get("platform-instance", {}).get("state", {})  # type: ignore[no-any-return]


def serves(domain: Domain) -> bool:
    return shown(domain).get("state") == "mec-types:active"


async def in_service(a: Domain, b: Domain) -> Members:
    """B's platform serves at A; its compute instance at A."""
    await until("B's platform serves", lambda: serves(b))
    await until("A sees it run", lambda: serves(a))
    (instance,) = [
        each for each in a.publisher.entries(f"{VIM}/compute-instance") if each["command"][1] == "platform.py"
    ]
    return instance


async def running(domain: Domain) -> list[str]:
    """Identifiers of what a domain's infrastructure runs."""
    assert domain.blocks.drivers is not None
    return [each.id for each in await domain.blocks.drivers.vim.list()]


async def nothing_runs(domain: Domain) -> bool:
    return not await running(domain)


def process_of(domain: Domain, instance: str) -> int:
    assert domain.blocks.drivers is not None
    return int(domain.blocks.drivers.vim._records[instance].pid)  # type: ignore[attr-defined]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def alarmed(domain: Domain, path: str, type: str = ALARM) -> list[bool]:
    """Whether the alarms of a type are raised."""
    return [
        not each["is-cleared"] for each in domain.publisher.entries(f"{path}/alarm") if each["alarm-type-id"] == type
    ]


async def counting(a: Domain, *zones: str) -> dict[str, Members]:
    """An application that speaks Mp1 by itself, in each of the zones; their deployments' states."""
    file = a.folder / "counter.csar"
    info = package.build(COUNTER, file)
    await mm1(a).onboard("counter", {"digest": info.digest, "source": file.as_uri(), "size": str(info.size)})
    for zone in zones:
        known = f"/mec-system:system/zone[id='{zone}']"
        await until("the zone serves", lambda k=known: (a.publisher.read(k) or {}).get("state") != "mec-types:down")
    states = {}
    for zone in zones:
        name = zone.replace(".", "-")
        states[zone] = await asyncio.wait_for(mm1(a).instantiate(name, {"package": "counter", "zone": zone}), 20)
    return states


def ready(b: Domain) -> list[bool]:
    """Of each application at B's platform, whether it has said over Mp1 that it is ready."""
    entries = b.publisher.entries(f"{PLATFORM}/application")
    return ["confirmed-ready-at" in each.get("state", {}) for each in entries]


@OVER_BOTH
def test_it_is_instantiated_shown_and_withdrawn(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        told: list[tuple[str, str]] = []

        def listen(domain: Domain) -> None:
            publish = domain.streams.publish

            def heard(notification: Any) -> None:
                if notification.node.name == "platform-instance-changed":
                    state = notification.node.child("state")
                    told.append((domain.id, str(notification.value[state.index])))
                publish(notification)

            domain.streams.publish = heard  # type: ignore[method-assign]

        listen(b)
        wish = {"cpu": "0.5", "memory": "128", "storage": "16", "zone": "zone-1"}
        await wished(a, b, {"cpu": "0.5", "memory": "128", "storage": "16"}, wish)
        instance = await in_service(a, b)
        process = process_of(a, instance["id"])
        assert instance["id"] != "platform"  # what B calls it
        assert (instance["cpu"], instance["memory"], instance["zone"]) == ("0.5", "128", "zone-1")
        assert shown(b)["zone"] == shown(a)["zone"] == "zone-1"
        assert shown(b)["uri"] == f"https://{instance['state']['address'][0]}:8443/restconf"
        assert await running(b) == []
        assert a.read(at("b"))["state"]["used"]["instances"] == 1
        assert told.count(("b", "mec-types:active")) == 2  # one for B itself, one for A
        await until("A is told", lambda: "platform-instance-changed" in "".join(a.received))
        seen = await a.federation.partners.links["b", AGREEMENT].session.get("/platform-instance")
        assert seen is not None
        assert seen["state"] == shown(b)
        made = crossed(a, b)
        assert {point for _, point, _, _ in made} <= {"mm5", "mp2"}
        edits = {(server, point, about) for server, point, kind, about in made if kind == "edit"}
        assert edits == {("a", "mp2", "image"), ("a", "mp2", "compute-instance")}

        await b.change(at("a") + "/platform-instance", "remove")
        await until("A runs nothing", lambda: nothing_runs(a))
        assert not alive(process)
        await until("nothing is left of it", lambda: not left(a, b))
        await until("it is not shown", lambda: not shown(b) and not shown(a))
        await until("the image is not served any more", lambda: b.store.digests() == [])
        assert alarmed(b, PLATFORM) == []

    play(story)


@OVER_BOTH
@pytest.mark.parametrize(
    ("permission", "wish", "tag"),
    [
        (None, {}, "access-denied"),
        ({"cpu": "0.25", "memory": "64", "storage": "8"}, {"cpu": "0.5"}, "resource-denied"),
        ({"zone": "zone-2"}, {"zone": "zone-1"}, "invalid-value"),
        ({}, {"zone": "zone-2"}, "invalid-value"),
    ],
)
def test_what_a_does_not_permit_is_denied(play: Play, permission: Members | None, wish: Members, tag: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, permission, wish)
        await until("B sees that it is denied", lambda: shown(b).get("error", {}).get("error-tag") == tag)
        assert shown(b)["state"] == "mec-types:down"
        assert alarmed(b, PLATFORM) == [True]
        assert a.publisher.entries(f"{VIM}/compute-instance") == ()
        assert not serves(a)
        if permission is None:
            assert left(a, b) == []
        # The wish is reduced, or the permission given: what was denied comes to be.
        await a.change(at("b") + "/platform-instance", "replace", {})
        await b.change(at("a") + "/platform-instance", "replace", {})
        await in_service(a, b)
        await until("the alarm is cleared", lambda: alarmed(b, PLATFORM) == [False])

    play(story)


def test_a_domain_without_restconf_refuses_the_wish(models: Any) -> None:
    core = Core.create(models)
    core.store.add_provider(NoPlatformInstance(models))
    session = LocalSession(core, ROOT)

    async def story() -> None:
        agreement: Members = {"id": AGREEMENT, "role": "provider", **OPTION, "zone": [{"id": "zone-1"}]}
        partner = {"id": "b", "agreement": [agreement | {"platform-instance": {}}]}
        with pytest.raises(RpcError, match="no \\[restconf\\] listener") as error:
            await session.edit([DataEdit("/partner[id='b']", "create", partner)])
        assert (error.value.tag, error.value.path) == (
            "operation-not-supported", ROOT + at("b") + "/platform-instance"
        )  # fmt: skip
        assert await session.get() is None
        # What a consumer permits is no wish.
        agreement |= {"role": "consumer", "platform-instance": {}}
        await session.edit([DataEdit("/partner[id='b']", "create", {"id": "b", "agreement": [agreement]})])

    try:
        asyncio.run(story())
    finally:
        session.close()
        core.close()


def test_a_second_one_is_denied_whatever_it_is_called(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        await in_service(a, b)
        point = b.federation.zones.point(Mp2Compute, "a", AGREEMENT)
        held = await point.compute_instance("platform")
        assert held is not None
        another = {name: value for name, value in held.items() if name not in ("id", "state")}
        with pytest.raises(RpcError, match="instances is 1") as error:
            await point.allocate("another", another)
        assert error.value.tag == "resource-denied"
        with pytest.raises(RpcError, match="no slice of its own"):
            await point.session.edit([DataEdit("/slice[id='s']", "create", {})])
        assert len(await running(a)) == 1

    play(story)


def test_as_permission_ends_it_ends(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        instance = await in_service(a, b)
        process = process_of(a, instance["id"])
        await a.change(at("b") + "/platform-instance", "remove")
        await until("A runs nothing", lambda: nothing_runs(a))
        await until("B sees why", lambda: shown(b).get("error", {}).get("error-tag") == "access-denied")
        assert not alive(process)
        assert alarmed(b, PLATFORM) == [True]

    play(story)


@pytest.mark.parametrize(("side", "how"), [("a", "terminate"), ("b", "terminate"), ("a", "remove"), ("b", "remove")])
def test_as_the_agreement_ends_it_ends(play: Play, side: str, how: str) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        instance = await in_service(a, b)
        process = process_of(a, instance["id"])
        domain, partner = (a, "b") if side == "a" else (b, "a")
        if how == "remove":
            await domain.change(at(partner), "remove")
        else:
            await domain.change(at(partner) + "/admin-state", "replace", "terminated")
        await until("it is ended", lambda: not a.publisher.entries(f"{VIM}/compute-instance"))
        await until("A runs nothing", lambda: nothing_runs(a))
        assert not alive(process)
        await until("the image is forgotten", lambda: not a.publisher.entries(f"{VIM}/image"))
        await until("no orphans", lambda: "orphan" not in b.read(""))
        if (side, how) != ("a", "remove"):
            await until("nothing is kept", lambda: not any((b.folder / "state").glob("platforms/*")))

    play(story)


@pytest.mark.timeout(120)
def test_whichever_step_fails_it_comes_and_goes(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = RemoteSession.edit
    seen: list[str] = []
    failing: tuple[int, str] = (-1, "")

    async def story(a: Domain, b: Domain) -> None:
        nonlocal failing
        links = b.federation.partners.links

        async def faulty(to: RemoteSession, edits: Sequence[DataEdit]) -> None:
            if not any(link.session is to for link in links.values()):
                return await edit(to, edits)
            seen.append(edits[0].path)
            at_step, how = failing
            if len(seen) - 1 != at_step:
                return await edit(to, edits)
            if how == "refused":
                raise RpcError("resource-denied", "said by the test: refused")
            if how == "unanswered":
                await edit(to, edits)
            raise RpcError("operation-failed", f"said by the test: {how}", type="transport", app_tag=TEMPORARY)

        monkeypatch.setattr(RemoteSession, "edit", faulty)
        await federate(a, b, **OPTION)
        await a.change(at("b") + "/platform-instance", "create", {})
        for step in range(20):
            seen.clear()
            failing = step, ("refused", "gone", "unanswered")[step % 3]
            await b.change(at("a") + "/platform-instance", "create", {})
            await in_service(a, b)
            await b.change(at("a") + "/platform-instance", "remove")
            said = f"step {step}: {failing}: {seen}"
            await until(f"{said}: A runs nothing", lambda: nothing_runs(a))
            await until(f"{said}: nothing is left", lambda: not left(a, b) and not b.store.digests())
            assert not any(alarmed(b, PLATFORM)), said
            if len(seen) <= step:
                assert step >= 4
                return  # each step has failed once
        raise AssertionError(seen)

    play(story)


def test_what_an_agreement_has_left_at_a_dead_partner_is_in_the_ledger(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        await in_service(a, b)
        await a.deaf()
        await b.change(at("a"), "remove")
        orphans: list[Members] = await until("B lists orphans", lambda: b.read("").get("orphan", []))
        assert {each["path"].rpartition("/")[2] for each in orphans} == {"compute-instance=platform", "image=platform"}
        await until("each has an alarm", lambda: alarmed(b, SYSTEM, "mec-types:orphan-alarm") == [True, True])

    play(story)


def test_applications_of_a_are_served_by_it(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        instance = await in_service(a, b)
        (state,) = (await counting(a, "b.zone-1")).values()
        name = state["part"][0]["reference"]
        web = given(a, f"{name}.1")
        assert web["MEC_MP1_URI"] == shown(b)["uri"]
        await until("it has said that it is ready", lambda: ready(b) == [True])
        assert a.publisher.entries(f"{PLATFORM}/application") == ()  # A's own platform has nothing to do with it

        # Its entry, the registry, and nothing else.
        status, found = await ask(web, "GET", f"{THERE}/application")
        assert status == 200
        (entry,) = found["mec-platform:application"]
        assert (entry["id"], entry["state"]["ready"]) == (name, True)
        assert "identity" not in entry
        status, found = await ask(web, "GET", f"{THERE}/service")
        assert [(each["name"], each["application"]) for each in found["mec-platform:service"]] == [("counter", name)]
        (service,) = b.publisher.entries(f"{PLATFORM}/service")
        assert service["state"]["state"] == "mec-types:active"
        for path in (f"{THERE}/configuration", "data/ietf-netconf-acm:nacm", f"{THERE}/service=x", "data/x:y"):
            status, said = await ask(web, "GET", path)
            assert (status, list(said)) == (404, ["ietf-restconf:errors"]), path

        # What it asks for is carried out by B.
        rule = f"{THERE}/application={name}/dns-rule={entry['dns-rule'][0]['id']}/desired-state"
        status, said = await ask(web, "PUT", rule, {"mec-platform:desired-state": "inactive"})
        assert status == 204, said
        (application,) = b.publisher.entries(f"{PLATFORM}/application")
        assert application["dns-rule"][0]["desired-state"] == "inactive"
        mine = {"id": "where", "name": "where", "application": name}
        status, said = await ask(web, "PUT", f"{THERE}/service=where", {"mec-platform:service": [mine]})
        assert status == 201, said
        status, said = await ask(web, "GET", f"{THERE}/service=where")
        assert (status, said["mec-platform:service"][0]["application"]) == (200, name)
        status, said = await ask(web, "DELETE", f"{THERE}/service=where")
        assert status == 204, said
        for method, path, body, expected in (
            ("PUT", f"{THERE}/service=where", {"mec-platform:service": [{**mine, "application": "other"}]}, 403),
            ("PUT", f"{THERE}/service=where", {"mec-platform:service": []}, 400),
            ("PUT", f"{THERE}/service=where", {"mec-platform:service": [{**mine, "version": 3}]}, 400),
            ("DELETE", f"{THERE}/service=where", None, 404),
            ("PUT", f"{THERE}/configuration", {}, 403),
            ("DELETE", f"{THERE}/application={name}", None, 403),
            ("POST", f"{THERE}/application=other/mec-platform:confirm-ready", None, 403),
            ("POST", f"{THERE}/application={name}/confirm-termination", None, 409),
        ):
            status, said = await ask(web, method, path, body)
            assert status == expected, (method, path, said)
            assert said["ietf-restconf:errors"]["error"][0]["error-message"]
        for wrong in ({"MEC_MP1_PASSWORD": "x"}, {"MEC_MP1_USER": "app.other"}):
            status, _ = await ask({**web, **wrong}, "GET", f"{THERE}/service")
            assert status == 401
        # The door of its own domain is closed to applications.
        status, _ = await ask(
            {**web, "MEC_MP1_URI": web["MEC_MP1_URI"].replace("restconf", "control")}, "PUT", "platform"
        )
        assert status == 403
        assert web["MEC_MP1_PASSWORD"] not in "".join((*a.received, *b.received))
        assert application["id"] not in "".join(a.received)

        # It is asked to end over Mp1, and says that it has.
        await asyncio.wait_for(mm1(a).terminate("b-zone-1", grace=3600), 20)
        assert b.publisher.entries(f"{PLATFORM}/application") == b.publisher.entries(f"{PLATFORM}/service") == ()

        async def closed() -> bool:
            return (await ask(web, "GET", f"{THERE}/service"))[0] == 401

        await until("the instance has heard of it, and lets it in no more", closed)
        assert await running(a) == [instance["id"]]

    play(story)


def test_one_instance_serves_several_hosts(play: Play) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {}, {"zone": "zone-1"}, zones=("zone-1", "zone-2"))
        instance = await in_service(a, b)
        states = await counting(a, "b.zone-1", "b.zone-2")
        await until("both are ready", lambda: ready(b) == [True, True])
        names = {zone: state["part"][0]["reference"] for zone, state in states.items()}
        environments = {zone: given(a, f"{name}.1") for zone, name in names.items()}
        assert {each["MEC_MP1_URI"] for each in environments.values()} == {shown(b)["uri"]}
        hosts = {each["id"]: each["state"]["zone"] for each in a.publisher.entries(f"{VIM}/compute-instance")}
        assert hosts == {
            instance["id"]: "zone-1",
            f"{names['b.zone-1']}.1": "zone-1",
            f"{names['b.zone-2']}.1": "zone-2",
        }

        # Each finds the other's service, and cannot take it over.
        one, other = environments["b.zone-1"], environments["b.zone-2"]
        status, found = await ask(other, "GET", f"{THERE}/service")
        assert {each["application"] for each in found["mec-platform:service"]} == set(names.values())
        mine = {"id": f"counter-{names['b.zone-1']}", "name": "counter", "application": names["b.zone-2"]}
        status, said = await ask(other, "PUT", f"{THERE}/service={mine['id']}", {"mec-platform:service": [mine]})
        assert status == 403, said
        assert names["b.zone-2"] in str(said)  # in A's words
        status, found = await ask(one, "GET", f"{THERE}/application")
        assert [each["id"] for each in found["mec-platform:application"]] == [names["b.zone-1"]]
        for zone in ("b-zone-1", "b-zone-2"):
            await asyncio.wait_for(mm1(a).terminate(zone), 20)

    # Each side runs what the row of the option asks of it, and no more.
    play(story, hosts=HOSTS, blocks={"a": ("oss", "meo", "mepm", "vim"), "b": ("mep",)})


def test_a_loss_is_seen_on_both_sides_and_repaired(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        instance = await in_service(a, b)
        states = await counting(a, "b.zone-1")
        await until("the application is ready", lambda: ready(b) == [True])
        web = given(a, f"{states['b.zone-1']['part'][0]['reference']}.1")
        zone = "/mec-system:system/zone[id='b.zone-1']"
        assert a.blocks.drivers is not None
        start = a.blocks.drivers.vim.start
        may_start = asyncio.Event()

        async def later(spec: Any) -> Any:
            await may_start.wait()
            return await start(spec)

        monkeypatch.setattr(a.blocks.drivers.vim, "start", later)
        os.kill(process_of(a, instance["id"]), signal.SIGKILL)
        await until("B knows", lambda: shown(b).get("state") == "mec-types:down")
        await until("A knows", lambda: not serves(a))
        assert alarmed(b, PLATFORM) == [True]
        assert alarmed(a, VIM, "mec-types:application-failed-alarm") == [True]
        under = f"{ROOT}{at('a')}/mec-platform:platform"
        assert alarmed(b, under) == [True]  # which A is shown
        await until("the zone does not serve", lambda: (a.publisher.read(zone) or {}).get("state") == "mec-types:down")
        with pytest.raises(RpcError):
            await asyncio.wait_for(mm1(a).instantiate("late", {"package": "counter", "zone": "b.zone-1"}), 20)
        await mm1(a).terminate("late")

        may_start.set()
        again = await in_service(a, b)
        assert again["id"] == instance["id"]
        assert again["state"]["address"] == instance["state"]["address"]
        await until("the zone serves", lambda: (a.publisher.read(zone) or {}).get("state") != "mec-types:down")
        await until("the alarms are cleared", lambda: not any((*alarmed(b, PLATFORM), *alarmed(b, under))))
        assert not any(alarmed(a, VIM, "mec-types:application-failed-alarm"))
        status, found = await ask(web, "GET", f"{THERE}/service")
        assert (status, len(found["mec-platform:service"])) == (200, 1)

    play(story, interval=0.2)


def test_one_that_hangs_is_started_anew(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nms.mec.platform_channel.PATIENCE", 0.5)
    monkeypatch.setattr("nms.mec.platform_instance._TURN", 0.5)

    async def story(a: Domain, b: Domain) -> None:
        await wished(a, b, {})
        instance = await in_service(a, b)
        hanging = process_of(a, instance["id"])
        os.kill(hanging, signal.SIGSTOP)
        await until("B knows", lambda: shown(b).get("state") == "mec-types:down")
        await until("another process serves", lambda: serves(b) and process_of(a, instance["id"]) not in (0, hanging))
        assert not alive(hanging)

    play(story)
