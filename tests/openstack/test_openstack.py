"""What the driver does in the cloud, as the operator of the cloud sees it, and how it says what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from openstack.connection import Connection

from nms.drivers.api import ConfigError, Resources, RpcError, Vim
from nms.drivers.openstack import OpenstackVim
from tests.drivers.vim_contract import Bench
from tests.openstack import settings
from tests.openstack.control_plane import ControlPlane

Make = Callable[..., OpenstackVim]


def projects(cloud: Connection) -> set[str]:
    return {each.name for each in cloud.identity.projects()} - {"admin", "service"}


def test_a_slice_is_a_project_that_leaves_nothing_behind(bench: Bench, plane: ControlPlane) -> None:
    async def story(vim: Vim) -> None:
        spec = bench.spec("a", slice="partner", resources=Resources(1500, 100, 1500))
        instance = await vim.start(spec)
        with plane.connection() as cloud:
            (project,) = cloud.identity.projects(name="mec.partner")
            (server,) = cloud.compute.servers(all_projects=True, project_id=project.id)
            assert (server.name, server.status, server.compute_host) == ("mec-a", "ACTIVE", instance.host)
            flavour = server.flavor
            assert (flavour.vcpus, flavour.ram, flavour.disk) == (2, 100, 2)
            (own,) = [each for each in cloud.compute.flavors(is_public=None) if each.name == "mec-2-100-2"]
            assert not own.is_public
            assert [each["tenant_id"] for each in cloud.compute.get_flavor_access(own)] == [project.id]
            (image,) = cloud.image.images(owner=project.id)
            assert (image.visibility, image.size) == ("private", spec.image.stat().st_size)
            (port,) = cloud.network.ports(project_id=project.id)
            assert port.fixed_ips[0]["ip_address"] == instance.address
            (group,) = port.security_group_ids
            rules = list(cloud.network.security_group_rules(security_group_id=group))
            within = {(each.direction, each.remote_group_id == group) for each in rules if not each.remote_ip_prefix}
            assert within == {("ingress", True), ("egress", True)}
            assert {
                (each.direction, each.remote_ip_prefix, each.port_range_min) for each in rules if each.remote_ip_prefix
            } == {("ingress", "0.0.0.0/0", 8080), ("egress", "169.254.169.254/32", 80)}
        await vim.delete("a")
        with plane.connection() as cloud:
            assert projects(cloud) == set()
            assert list(cloud.compute.servers(all_projects=True)) == []
            for left in (cloud.network.ports, cloud.network.networks, cloud.network.subnets, cloud.image.images):
                assert list(left()) == []

    bench.run(story)


def test_a_project_of_others_is_left_alone(bench: Bench, plane: ControlPlane) -> None:
    async def story(vim: Vim) -> None:
        with pytest.raises(RpcError, match=r"'mec\.taken' of the cloud is none of ours: choose another 'prefix'"):
            await vim.start(bench.spec("a", slice="taken"))
        assert await vim.list() == []

    with plane.connection() as cloud:
        project = cloud.identity.create_project(name="mec.taken", domain_id="default")
        try:
            bench.run(story)
            assert projects(cloud) == {"mec.taken"}
        finally:
            cloud.identity.delete_project(project)


def test_the_quota_of_a_slice_holds_in_the_cloud(bench: Bench, make: Make) -> None:
    bench.make = lambda: make(quota={"instances": 1})

    async def story(vim: Vim) -> None:
        await vim.start(bench.spec("a", slice="partner"))
        with pytest.raises(RpcError, match=r"quota is used up: .*instances") as refused:
            await vim.start(bench.spec("b", slice="partner"))
        assert refused.value.tag == "resource-denied"
        assert (await vim.status("b")).state == "failed"
        assert (await vim.start(bench.spec("c", slice="other"))).state == "started"

    bench.run(story)


def test_a_server_that_somebody_else_deletes_is_reported_and_made_again(bench: Bench, plane: ControlPlane) -> None:
    async def story(vim: Vim) -> None:
        spec = bench.spec("a")
        await vim.start(spec)
        with plane.connection() as cloud:
            (server,) = cloud.compute.servers(all_projects=True)
            await asyncio.to_thread(cloud.compute.delete_server, server)
        await bench.told(1)
        assert (bench.reported[0].state, bench.reported[0].reason) == ("failed", "its server is gone from the cloud")
        assert (await vim.start(spec)).state == "started"

    bench.run(story)


def test_a_start_interrupted_by_the_end_of_the_daemon_is_found(bench: Bench) -> None:
    async def story(first: Vim) -> None:
        spec = bench.spec("a", "import time; time.sleep(600)")
        starting = asyncio.create_task(first.start(spec))
        async with asyncio.timeout(60):
            while not first._machines.known:  # type: ignore[attr-defined]  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.05)
        record = bench.folder / "state/instances/a/instance.json"
        written = record.read_bytes()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await first.close()
        record.write_bytes(written)  # as a daemon leaves it that is killed
        await first.open(bench.reported.append)
        assert bench.reported[0].reason == "its start was interrupted by the end of the daemon"

    bench.run(story)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((settings.PASSWORD, "wrong"), "does not accept our account"),
        (("project_name: admin", "project_name: nobody"), "does not accept our account"),
    ],
)
def test_a_wrong_account_is_one_line_at_the_start(
    plane: ControlPlane, make: Make, tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    file = tmp_path / "clouds.yaml"
    file.touch(mode=0o600)
    file.write_text(plane.clouds.read_text().replace(*change))
    with pytest.raises(ConfigError, match=says) as refused:
        asyncio.run(make(clouds=str(file)).open(lambda instance: None))
    assert "\n" not in str(refused.value)
    assert "wrong" not in str(refused.value)


def test_a_cloud_out_of_reach_is_warned_of_and_temporary(
    plane: ControlPlane, make: Make, bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "clouds.yaml"
    file.touch(mode=0o600)
    file.write_text(plane.clouds.read_text().replace(f":{plane.ports['keystone']}/", ":9/"))

    async def story() -> None:
        vim = make(clouds=str(file))
        await vim.open(bench.reported.append)
        try:
            with pytest.raises(RpcError, match="cannot be reached") as refused:
                await vim.start(bench.spec("a"))
            assert refused.value.app_tag == "temporary"
            assert await vim.list() == []
        finally:
            await vim.close()

    asyncio.run(story())
    assert "cannot be reached" in caplog.text
    assert settings.PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"clouds": "/nowhere.yaml"}, "cannot be read: No such file"),
        ({"cloud": "other"}, "has no cloud 'other'"),
        ({"addresses": "everywhere"}, "'addresses' is a network"),
        ({"reachable": ["somewhere"]}, "'reachable' a list of address:port"),
        ({"prefix": "two words"}, "'prefix' must be"),
        ({"quota": {"dogs": 1}}, "unknown key 'dogs'"),
        ({"poll": 0}, "must be positive"),
        ({"colour": "blue"}, "unknown key 'colour'"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(make: Make, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        make(**wrong)
    assert str(refused.value).startswith("driver vim openstack")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["clouds: {test: {auth: {password: hidden", "- hidden", "clouds: hidden"])
def test_a_damaged_or_open_clouds_file_is_refused_without_its_content(make: Make, tmp_path: Path, text: str) -> None:
    file = tmp_path / "clouds.yaml"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        make(clouds=str(file))
    assert "hidden" not in str(refused.value)
    assert "\n" not in str(refused.value)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        make(clouds=str(file))
