"""One domain as its partners see it, and as it uses them: the model under an agreement, without a network between."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nms.errors import RpcError
from nms.mec.occurrence import TEMPORARY
from nms.mec.reference_points import Mm1, Mx3
from nms.mec.session import DataEdit, LocalSession, Members
from nms.model import json as codec
from nms.operations.request import CreateSubscription, Principal
from tests.federation.site import Site, build

AGREEMENT = "/mec-federation:federation/partner[id='a']/agreement[id='x']"
SYSTEM_OF_A = f"{AGREEMENT}/mec-system:system"


async def agree(site: Site, partner: str = "a", **terms: Any) -> Mx3:
    """Conclude an agreement in which `site` is the provider; the partner's end of Mx3."""
    path = f"/mec-federation:federation/partner[id='{partner}']"
    await site.edit(path, "create", {"user-name": f"user-{partner}"})
    agreement = {
        "role": "provider",
        "boundary-option": "mec-types:option-system",
        "zone": [{"id": "z1", "accepted": True}, {"id": "z2"}],
        **terms,
    }
    await site.edit(f"{path}/agreement[id='x']", "create", agreement)
    state = {"federation-state": "mec-types:active"}
    site.domain.publisher.state(f"{path}/agreement[id='x']/state", state)
    return Mx3(LocalSession(site.core, f"{path}/agreement[id='x']/mec-system:system"))


class FromFolder:
    """A `PackageSource` of ``test:NAME``; breaks off once after `limit` bytes when told to."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit
        self.offsets: list[int] = []

    async def read(self, source: str, offset: int, partner: str) -> AsyncIterator[bytes]:
        self.offsets.append(offset)
        content = (self.folder / source.removeprefix("test:")).read_bytes()[offset:]
        if self.limit is not None:
            content, self.limit = content[: self.limit], None
            yield content
            raise RpcError("operation-failed", "the partner does not answer", app_tag=TEMPORARY)
        for start in range(0, len(content), 500):
            yield content[start : start + 500]


async def offer(site: Site, name: str = "hello.csar", change: Any = None) -> Members:
    """A package that the partner has; the members of its entry."""
    info = build(site.folder / f"src-{name}", site.folder / name, change)
    return {"digest": info.digest, "size": str(info.size), "source": f"test:{name}"}


def listen(site: Site, user: str) -> list[tuple[str, Members]]:
    """What a user is sent."""
    got: list[tuple[str, Members]] = []

    def sink(event: Any) -> None:
        got.append((event.node.name, codec.plain(event.node, event.value)))

    session = site.core.open_session(Principal(user), "netconf-ssh", "192.0.2.1", lambda reason: None)
    site.core.dispatch(session, CreateSubscription(sink))
    return got


def run(story: Any) -> None:
    asyncio.run(story)


def test_a_partner_deploys_and_never_sees_the_inside(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            await site.until(SYSTEM_OF_A, lambda system: len(system.get("zone", ())) == 2)
            events = listen(site, "user-a")
            seen: list[Any] = []
            await mx3.onboard("app", await offer(site), lambda occurrence: seen.append(occurrence.progress))
            assert seen == sorted(seen)
            state = await mx3.instantiate("shop", {"package": "app", "zone": "z1", "dns-name": "shop.edge.test"})
            endpoint = state["instance"][0]["endpoint"][0]
            assert await site.resolve("shop.edge.test") == [endpoint["address"]]
            assert site.read(f"{AGREEMENT}/state")["used"]["deployments"] == 1
            inner = [each.id for each in await site.vim.list()]
            whole = await mx3.session.get()
            await mx3.terminate("shop")
            await site.free()

            inner += [each.rpartition(".")[0] for each in inner]
            inner += ["vim-1", "mepm-1", "mep-1", "host-secret", str(tmp_path)]
            # What the server tells of its own configuration (RFC 6470) is kept from partners by NACM.
            events = [each for each in events if not each[0].startswith("netconf-")]
            text = json.dumps([whole, events])
            assert [each for each in inner if each in text] == []

            ours = [members for name, members in events if "sequence" in members]
            assert [int(each["sequence"]) for each in ours] == list(range(1, len(ours) + 1))
            assert {each["agreement"] for each in ours} == {"x"}
            assert {name for name, _ in events} >= {"package-changed", "deployment-changed"}

    run(story())


def test_what_is_told_about_one_agreement_is_for_its_partner_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            await agree(site, "c")
            events = listen(site, "user-c")
            await mx3.onboard("app", await offer(site))
            await mx3.instantiate("shop", {"package": "app"})
            assert [name for name, _ in events if not name.startswith("netconf-")] == []
            assert "deployment" not in (await Mm1(LocalSession(site.core, "/mec-system:system")).session.get() or {})

    run(story())


async def measured(site: Site, mx3: Mx3, **wishes: Any) -> None:
    """A's shop runs, and its indicators are there."""
    manager = "/mec-platform-manager:platform-managers/platform-manager[id='mepm-1']"
    await site.edit(f"{manager}/configuration", "merge", {"kpi-interval": 1})
    await mx3.onboard("app", await offer(site))
    await mx3.instantiate("shop", {"package": "app", **wishes})
    await site.until(SYSTEM_OF_A, lambda system: "kpi" in system)


def test_indicators_of_several_instances_are_one_of_the_deployment_and_go_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            events = listen(site, "user-a")
            await measured(site, mx3, requirement={"scale": 2})
            subjects = [each["subject"] for each in await mx3.kpis() if each["metric"].endswith("memory-utilisation")]
            assert subjects == ["shop"]
            assert "kpi-report" in {name for name, _ in events}
            await mx3.terminate("shop")
            await mx3.instantiate("other", {"package": "app"})
            await site.until(SYSTEM_OF_A, lambda system: {each["subject"] for each in system["kpi"]} == {"other"})
            infrastructure = "/mec-resource:infrastructure/vim[id='vim-1']"
            (runs,) = await site.vim.list()
            await site.until(infrastructure, lambda vim: {each["subject"] for each in vim["kpi"]} == {runs.id})

    run(story())


def test_indicators_are_told_about_the_partners_own_deployments(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            events = listen(site, "user-a")
            await measured(site, mx3)
            rows = await mx3.kpis()
            assert {row["subject"] for row in rows} == {"shop"}
            memory = next(row for row in rows if row["metric"] == "mec-types:memory-utilisation")
            assert 0 < float(memory["value"]) < 100
            assert "kpi-report" in {name for name, _ in events}

    run(story())


def test_a_zone_that_is_not_accepted_or_not_offered(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site, zone=[{"id": "z1", "accepted": True}, {"id": "z2"}])
            await mx3.onboard("app", await offer(site))
            with pytest.raises(RpcError, match="zone z2 is not accepted"):
                await mx3.instantiate("d", {"package": "app", "zone": "z2"})
            with pytest.raises(RpcError, match="no zone z9"):
                await mx3.instantiate("d", {"package": "app", "zone": "z9"})
            state = await mx3.instantiate("d", {"package": "app"})
            assert state["instance"][0]["zone"] == "z1"
            await site.edit(f"{AGREEMENT}/zone[id='z2']", "remove")
            await site.until(SYSTEM_OF_A, lambda system: [zone["id"] for zone in system["zone"]] == ["z1"])

    run(story())


def test_nothing_new_under_an_agreement_that_is_not_in_force(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            await mx3.onboard("app", await offer(site))
            await mx3.instantiate("d", {"package": "app"})
            site.domain.publisher.state(f"{AGREEMENT}/state", {"federation-state": "mec-types:suspended"})
            with pytest.raises(RpcError, match="agreement is suspended"):
                await mx3.instantiate("e", {"package": "app"})
            await mx3.terminate("d")
            await site.free()

    run(story())


@pytest.mark.parametrize(
    ("quota", "said"),
    [({"deployments": 1}, "quota of deployments is 1"), ({"cpu": "0.75"}, "quota of cpu is 0.75")],
)
def test_the_quota_holds_whoever_comes_first(tmp_path: Path, quota: Members, said: str) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site, quota=quota)
            await mx3.onboard("app", await offer(site))
            outcomes = await asyncio.gather(
                *(mx3.instantiate(name, {"package": "app"}) for name in ("d", "e", "f")), return_exceptions=True
            )
            refused = [each for each in outcomes if isinstance(each, RpcError)]
            assert [each.tag for each in refused] == ["resource-denied"] * 2
            assert all(said in each.message for each in refused)
            assert len(await site.vim.list()) == 1

    run(story())


def test_two_partners_race_for_the_last_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path, cpu=0.5).running(source=FromFolder(tmp_path)) as site:
            points = [await agree(site, "a"), await agree(site, "c")]
            package = await offer(site)
            await asyncio.gather(*(each.onboard("app", package) for each in points))
            outcomes = await asyncio.gather(
                *(each.instantiate("d", {"package": "app", "zone": "z1"}) for each in points), return_exceptions=True
            )
            assert sorted(isinstance(each, RpcError) for each in outcomes) == [False, True]
            refused = next(each for each in outcomes if isinstance(each, RpcError))
            assert refused.tag == "resource-denied"
            zone = site.read("/mec-system:system/zone[id='z1']")
            assert zone["available"]["cpu"] == "0.0"

    run(story())


def test_a_failure_is_told_without_the_inside(tmp_path: Path) -> None:
    def broken(folder: Path, descriptor: Any) -> None:
        (folder / "image/hello-edge/app.py").write_text("raise SystemExit(__file__)\n")

    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            await mx3.onboard("app", await offer(site, change=broken))
            events = listen(site, "user-a")
            with pytest.raises(RpcError, match="the application did not start") as refused:
                await mx3.instantiate("d", {"package": "app"})
            assert str(tmp_path) not in json.dumps([refused.value.message, await mx3.session.get(), events])
            await mx3.terminate("d")
            await site.free()

    run(story())


async def begun(mx3: Mx3, package: Members) -> str:
    """The occurrence of an on-boarding that nobody follows: who does tries again what has broken off already."""
    await mx3.session.edit([DataEdit("/package[id='app']", "create", package)])
    found = await mx3.latest("app")
    assert found is not None
    return found.id


def test_a_package_that_broke_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    async def story() -> None:
        source = FromFolder(tmp_path, limit=700)
        async with Site(tmp_path).running(source=source) as site:
            mx3 = await agree(site)
            package = await offer(site)
            with pytest.raises(RpcError, match="does not answer") as broken:
                await mx3.follow(await begun(mx3, package))
            assert broken.value.app_tag == TEMPORARY
            state = await mx3.onboard("app", package)
            assert source.offsets == [0, 700]
            assert state["onboarding-state"] == "mec-types:onboarded"
            assert state["bytes-transferred"] == package["size"]

    run(story())


def test_what_waits_for_a_decision_can_be_given_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path, limit=700)) as site:
            mx3 = await agree(site)
            occurrence = await begun(mx3, await offer(site))
            with pytest.raises(RpcError):
                await mx3.follow(occurrence)
            found = await mx3.occurrence(occurrence)
            assert found is not None
            assert found.state == "failed-temp"
            await mx3.fail(occurrence)
            with pytest.raises(RpcError, match="does not answer"):
                await mx3.follow(occurrence)
            assert (await mx3.package("app") or {})["state"]["onboarding-state"] == "mec-types:failed"

    run(story())


def test_an_agreement_that_is_removed_takes_everything_along(tmp_path: Path) -> None:
    async def story() -> None:
        async with Site(tmp_path).running(source=FromFolder(tmp_path)) as site:
            mx3 = await agree(site)
            await mx3.onboard("app", await offer(site))
            await mx3.instantiate("d", {"package": "app"})
            await site.edit(AGREEMENT, "remove")
            await site.until("/mec-resource:infrastructure/vim[id='vim-1']", lambda vim: "image" not in vim)
            await site.free()

    run(story())


class Line:
    """A session that can be cut."""

    def __init__(self, session: LocalSession) -> None:
        self.session = session
        self.cut = False

    def _through(self) -> LocalSession:
        if self.cut:
            raise RpcError("operation-failed", "the partner does not answer", app_tag=TEMPORARY)
        return self.session

    async def edit(self, edits: Any) -> None:
        await self._through().edit(edits)

    async def get(self, path: str = "", content: Any = "all") -> Members | None:
        return await self._through().get(path, content)

    async def invoke(self, path: str, action: str, input: Any) -> Members:
        return await self._through().invoke(path, action, input)

    def watch(self, sink: Any) -> Any:
        return self.session.watch(sink)


class Elsewhere:
    """`Partners` of which each is a `Site` in this process."""

    def __init__(self, mx3: Mx3, folder: Path) -> None:
        self.remote = mx3
        self.folder = folder
        self.orphans: list[str] = []

    def zones(self) -> Sequence[Members]:
        about = {"partner": "b", "agreement": "x", "remote-zone": "z1", "state": "mec-types:active"}
        return [{"id": "b.z1", "access-latency": "1.0", **about}]

    def option(self, partner: str, agreement: str) -> int:
        return 5

    def point(self, kind: Any, partner: str, agreement: str) -> Any:
        assert kind is Mx3
        return self.remote

    def resale(self, partner: str, agreement: str) -> bool:
        return True

    def agreements(self) -> Sequence[tuple[str, str]]:
        return [("b", "x")]

    def peers(self) -> dict[tuple[str, str], bool]:
        return {}

    def steered(self) -> Sequence[tuple[str, str]]:
        return []

    def held(self, partner: str, agreement: str) -> Sequence[tuple[str, str]]:
        return []

    async def shown(self, partner: str, agreement: str) -> Members:
        raise RpcError("data-missing", "this partner is not compared with")

    def source(self, partner: str, agreement: str, digest: str) -> str:
        return f"test:{digest}"

    def orphan(self, partner: str, agreement: str, name: str, subject: str, reason: str) -> None:
        self.orphans.append(subject)

    def reclaim(self, partner: str, agreement: str, name: str, subject: str) -> None:
        if subject in self.orphans:
            self.orphans.remove(subject)


def test_an_order_is_delivered_at_a_partner_and_the_customer_cannot_tell(tmp_path: Path) -> None:
    async def story() -> None:
        here, there = tmp_path / "a", tmp_path / "b"
        here.mkdir()
        there.mkdir()
        b, a = Site(there), Site(here)
        async with b.running(source=FromFolder(here / "packages")):
            partners = Elsewhere(await agree(b), here)
            await b.until(SYSTEM_OF_A, lambda system: "zone" in system)
            async with a.running(partners=partners):
                await a.onboard()
                state = await a.order("o1", {"web": {"package": "hello", "acceptable-zone": ["b.z1"]}})
                assert state["state"] == "mec-types:completed", state
                endpoint = state["item"][0]["endpoint"][0]
                assert await b.resolve(endpoint["dns-name"]) == [endpoint["address"]]
                assert b"hello-edge" in await b.http(endpoint["address"], endpoint["port"])
                assert await a.vim.list() == []
                part = a.read("/mec-system:system/deployment[id='o1.web']")["state"]["part"][0]
                assert (part["domain"], part["agreement"]) == ("b", "x")

                instance = (await b.vim.list())[0]
                await b.vim.delete(instance.id, 0.0)
                assert b.domain.vim is not None
                b.domain.vim._changed(type(instance)(**{**_fields(instance), "state": "failed", "reason": "it died"}))
                await a.until("/mec-system:system/deployment[id='o1.web']", lambda each: "error" in each["state"])
                await a.until("/mec-system:system", lambda system: "alarm" in system)

                assert a.domain.mm1 is not None
                await a.edit("/mec-order:orders/order[id='o1']", "remove")
                path = f"{SYSTEM_OF_A}/deployment"
                assert b.domain.meo is not None
                served = "/mec-platform:platforms/platform[id='mep-1']/application"
                async with asyncio.timeout(10):
                    # The entry is gone before the work about it is begun: what it leaves tells, too.
                    while b.entries(path) or b.entries(served) or b.domain.meo.lifecycle._runs:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await b.free()
                await a.domain.mm1.offboard("hello")
                assert b.entries(f"{SYSTEM_OF_A}/package") == []
                assert partners.orphans == []

    run(story())


def test_a_partner_that_does_not_answer(tmp_path: Path) -> None:
    """What cannot be withdrawn there is listed; what cannot be made waits for a decision."""

    async def story() -> None:
        here, there = tmp_path / "a", tmp_path / "b"
        here.mkdir()
        there.mkdir()
        b, a = Site(there), Site(here)
        async with b.running(source=FromFolder(here / "packages")):
            line = Line((await agree(b)).session)  # type: ignore[arg-type]
            partners = Elsewhere(Mx3(line), here)
            await b.until(SYSTEM_OF_A, lambda system: "zone" in system)
            async with a.running(partners=partners):
                await a.onboard()
                mm1 = a.domain.mm1
                assert mm1 is not None
                line.cut = True
                with pytest.raises(RpcError, match="does not answer") as waits:
                    await mm1.instantiate("d", {"package": "hello", "zone": "b.z1"})
                assert waits.value.app_tag == TEMPORARY
                line.cut = False
                await mm1.instantiate("d", {"package": "hello", "zone": "b.z1"})
                assert len(await b.vim.list()) == 1
                line.cut = True
                await mm1.terminate("d")
                assert partners.orphans == ["d"]
                assert a.entries("/mec-system:system/deployment") == []

    run(story())


def _fields(instance: Any) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in type(instance).__slots__}
