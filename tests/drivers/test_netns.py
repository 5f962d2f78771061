"""The isolating drivers from outside: real real connections.  They need root; what lacks is said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from nms.commands import stage
from nms.drivers.api import Capacity, ConfigError, Instance, InstanceSpec, Resources, RpcError
from nms.drivers.netns import NetnsDataplane, NetnsVim, system
from nms.drivers.netns.layout import Layout
from nms.drivers.netns.limits import Limits
from nms.drivers.process import proc
from tests.drivers.netns_site import SMALL, Clients, Site, inside, output, rule, until


def test_slices_cannot_reach_each_other(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a1, a2, b, own = [
            await vim.start(isolated.spec(name, share))
            for name, share in (("a1", "partner-a"), ("a2", "partner-a"), ("b", "partner-b"), ("own", ""))
        ]
        # Clients, which this host is one of, reach all of them: `inside` goes that way.
        tries = {a1: (a2, b, own), a2: (a1, b, own), b: (a1, a2, own), own: (a1, a2, b)}
        reached = {
            (here.id, there.id)
            for here, others in tries.items()
            for there in others
            if await inside(here, f"print(connects({there.address!r}, 8080))") == "True"
        }
        assert reached == {("a1", "a2"), ("a2", "a1")}
        # Nor this host, nor the fabric itself, by any of their addresses.
        host = f"{isolated.prefix}.2"
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
        port = server.sockets[0].getsockname()[1]
        assert await inside(a1, f"print(connects({host!r}, {port}))") == "False"
        server.close()
        await server.wait_closed()

    isolated.run(story)


def test_instances_reach_what_is_made_reachable_and_nothing_beside(isolated: Site) -> None:
    host = f"{isolated.prefix}.2"
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", "partner"))
        # The data plane takes up the same fabric, and leaves what may pass as it is.
        plane = NetnsDataplane({"addresses": isolated.addresses}, isolated.folder)
        await plane.open()
        mp1 = await asyncio.start_server(lambda reader, writer: writer.close(), host, port)
        other = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
        closed = other.sockets[0].getsockname()[1]
        assert await inside(a, f"print(connects({host!r}, {port}), connects({host!r}, {closed}))") == "True False"
        for server in (mp1, other):
            server.close()
            await server.wait_closed()
        await plane.close()

    isolated.run(story, reachable=[f"{host}:{port}"])


def test_an_instance_has_no_privileges_and_its_own_files(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a, b = await vim.start(isolated.spec("a")), await vim.start(isolated.spec("b"))
        look = "for line in open('/proc/self/status'): line.split()[0] in {names} and print(*line.split()[1:])"
        names = ("Uid:", "Groups:", "CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:")
        found = (await inside(a, look.format(names=names))).splitlines()
        uid = found[0].split()[0]
        assert int(uid) > 65536
        assert found == [" ".join([uid] * 4), "", "0" * 16, "0" * 16, "0" * 16, "1"]
        assert await inside(b, "print(os.getuid())") != uid
        assert await inside(a, "print(os.getcwd() == os.environ['HOME'], os.listdir('.'))") == "True ['app.py']"
        for folder in (".", "/tmp", "/var/tmp", "/dev/shm"):
            await inside(a, f"open('{folder}/kept', 'w').write('yes')")
            assert "kept" not in await inside(b, f"print(os.listdir('{folder}'))")
            assert folder == "." or "kept" not in os.listdir(folder)
        state = isolated.folder / "state/instances/b"
        assert await inside(a, f"print(os.access({str(state)!r}, os.R_OK), os.access('/etc/shadow', os.R_OK))") == (
            "False False"
        )
        refused = "print(subprocess.run(['ip', 'link', 'delete', 'eth0'], capture_output=True).stderr.decode())"
        assert "Operation not permitted" in await inside(a, refused)
        # A stop keeps the files, as a virtual machine keeps its disk.
        await vim.stop("a")
        assert f"mec-{a.address}" not in output("ip", "netns")
        assert await inside(await vim.start(isolated.spec("a")), "print(open('kept').read())") == "yes"

    isolated.run(story)


def test_the_environment_reaches_the_application_and_nothing_that_runs_as_root(isolated: Site) -> None:
    strange = "a 'b' $HOME `id` \"c\"\n$(id)\\"
    wish = {"GREETING": strange, "LD_PRELOAD": "/no-such.so", "PATH": ".:/usr/local/bin:/usr/bin:/bin", "IFS": "e"}

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", environment=wish))
        log = output("cat", str(isolated.folder / "state/instances/a/log"))
        assert log.count("/no-such.so") == 1  # the loader's complaint, of the application alone
        code = "print(all(os.environ[name] == value for name, value in %r.items()))" % wish  # noqa: UP031
        assert await inside(a, code) == "True"
        assert await inside(a, "print([name for name in os.environ if name.startswith('MEC_SET_')])") == "[]"

    isolated.run(story)


def test_the_mount_is_not_seen_outside(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        await vim.start(isolated.spec("a"))
        assert os.listdir(system.RUN / "instance") == []

    isolated.run(story)


def limits() -> Limits:
    found = Limits()
    if found.missing:
        pytest.skip(f"cgroups: {found.missing}")
    return found


def throttled(group: Path) -> int:
    """How often a cgroup has had no CPU time left."""
    return int(dict(map(str.split, (group / "cpu.stat").read_text().splitlines()))["nr_throttled"])


def test_memory_beyond_the_limit_ends_the_instance(isolated: Site) -> None:
    limits()

    async def story(vim: NetnsVim) -> None:
        a, b = await vim.start(isolated.spec("a")), await vim.start(isolated.spec("b"))
        with contextlib.suppress(ConnectionError):
            await inside(a, "print(len(b'x' * (256 << 20)))")
        await until(lambda: bool(isolated.reported))
        assert [(each.id, each.state) for each in isolated.reported] == [("a", "failed")]
        assert "by SIGKILL" in isolated.reported[0].reason
        assert await inside(b, "print('alive')") == "alive"

    isolated.run(story)


def test_processes_and_cpu_are_limited(isolated: Site) -> None:
    version = limits().version
    stat = "/sys/fs/cgroup/mec-nms" if version == 2 else "/sys/fs/cgroup/cpu/mec-nms"

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a"))
        bomb = """
children = []
try:
    while len(children) < 100:
        children.append(subprocess.Popen(["sleep", "60"]))
except OSError as error:
    print(type(error).__name__, len(children))
for each in children:
    each.kill(), each.wait()
"""
        kind, count = (await inside(a, bomb)).split()
        assert kind == "BlockingIOError"
        assert int(count) < 20
        group = Path(stat, f"mec-{a.address}")
        burn = asyncio.create_task(inside(a, "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"))
        await until(lambda: throttled(group) > 0)
        await burn
        assert (await vim.kpis("a")).cpu_seconds >= 0.3

    isolated.run(story, processes=20)


def test_a_crowd_that_waits_for_cpu_time_is_ended(isolated: Site) -> None:
    """Of hundreds that share a hundredth of a CPU none may be waited for, as long as it has no more than that."""
    version = limits().version
    cpu, pids = ("", "") if version == 2 else ("cpu", "pids")
    file, little = ("cpu.max", "1000 100000") if version == 2 else ("cpu.cfs_quota_us", "1000")

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", resources=Resources(1000, 256, 16)))
        name, root = f"mec-{a.address}", Path("/sys/fs/cgroup")
        bomb = "b() { b & b & while :; do :; done; }; b"
        await inside(a, f"subprocess.Popen(['sh', '-c', {bomb!r}], stderr=subprocess.DEVNULL)")
        crowd = root / pids / "mec-nms" / name / "pids.current"
        await until(lambda: int(crowd.read_text()) > 450, 30)
        group = root / cpu / "mec-nms" / name
        (group / file).write_text(little)
        before = throttled(group)
        await until(lambda: throttled(group) > before + 10)
        await vim.delete("a", grace=0)
        assert not crowd.exists()

    isolated.run(story, processes=500)


def test_bandwidth_is_limited_in_both_directions(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        try:
            a = await vim.start(isolated.spec("a"))
        except RpcError as error:
            if error.tag != "operation-not-supported":
                raise
            pytest.skip(error.message)
        assert len(await inside(a, "print('x' * 2_000_000)")) == 2_000_000
        assert await inside(a, f"'''{'x' * 2_000_000}'''; print('arrived')") == "arrived"
        for where in (f"mec-{a.address}", isolated.fabric):
            shown = output("tc", "-s", "-n", where, "qdisc")
            shaped = shown[shown.index("qdisc tbf") :]
            assert "rate 40Mbit" in shaped
            assert int(shaped.split("overlimits ")[1].split()[0]) > 0

    isolated.run(story, bandwidth=40)


def test_a_race_for_the_last_room_overdraws_nothing(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        each = Resources(600, 64, 16)
        specs = [isolated.spec(f"i{number}", f"slice-{number % 3}", resources=each) for number in range(8)]
        outcomes = await asyncio.gather(*map(vim.start, specs), return_exceptions=True)
        started = [outcome for outcome in outcomes if isinstance(outcome, Instance)]
        refused = [outcome.tag for outcome in outcomes if isinstance(outcome, RpcError)]
        assert (len(started), refused) == (3, ["resource-denied"] * 5)
        assert len({instance.address for instance in started}) == 3
        assert (await vim.capacity()).free == Resources(200, 2048 - 192, 640 - 48)
        await asyncio.gather(*(vim.delete(instance.id, grace=0) for instance in started))
        assert (await vim.capacity()) == Capacity(Resources(2000, 2048, 640), Resources())

    isolated.run(story)


def test_instances_outlive_the_daemon_and_whatever_hides_is_found(isolated: Site) -> None:
    async def leave(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a"))
        hide = "print(subprocess.Popen(['sleep', '600'], env={}, start_new_session=True).pid)"
        hidden.append(int(await inside(a, hide)))
        await vim.start(isolated.spec("b", "partner"))
        await vim.close()
        await vim.open(isolated.reported.append)
        assert [each.state for each in await vim.list()] == ["started", "started"]
        assert await inside(a, "print('alive')") == "alive"
        await vim.delete("a", grace=0)
        assert proc.born(hidden[0]) == ""
        os.killpg(await pid(vim, "b"), signal.SIGKILL)
        await until(lambda: bool(isolated.reported))
        assert (await vim.status("b")).state == "failed"
        assert (await vim.start(isolated.spec("b", "partner"))).state == "started"

    async def pid(vim: NetnsVim, name: str) -> int:
        b = await vim.status(name)
        return int(await inside(b, "print(os.getpid())"))

    hidden: list[int] = []
    isolated.run(leave)


def test_after_a_reboot_of_the_machine_everything_is_made_again(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", "partner"))
        await vim.close()
        os.killpg(int(output("ip", "netns", "pids", f"mec-{a.address}")), signal.SIGKILL)
        await until(lambda: not output("ip", "netns", "pids", f"mec-{a.address}"))
        isolated.remove()
        await vim.open(isolated.reported.append)
        assert [(each.id, each.state) for each in isolated.reported] == [("a", "failed")]
        assert (await vim.start(isolated.spec("a", "partner"))).address == a.address
        assert await inside(a, "print('alive')") == "alive"

    isolated.run(story)


def test_one_daemon_has_a_block(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        other = NetnsVim({"addresses": isolated.addresses}, isolated.folder / "other")
        with pytest.raises(ConfigError, match=r"is in use by another daemon; choose other 'addresses'"):
            await other.open(isolated.reported.append)
        await other.close()

    isolated.run(story)


def test_a_start_that_fails_leaves_nothing(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        spec = InstanceSpec("a", isolated.image, ("no-such-program",), SMALL, port=8080)
        with pytest.raises(RpcError, match="no-such-program"):
            await vim.start(spec)
        assert isolated.namespaces() == [isolated.fabric]
        assert (await vim.status("a")).state == "failed"

    isolated.run(story)


def test_a_clients_flow_is_steered_to_the_instance_and_back_off(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", "partner"))
        with Clients(isolated) as clients:
            plane = NetnsDataplane({"addresses": isolated.addresses, "gateway": clients.gateway}, isolated.folder)
            assert plane.steers
            await plane.open()
            try:
                assert await clients.asks() == "origin"
                steer = rule("steer", 10, "forward-decapsulated", destination_address=a.address)
                await plane.activate(steer)
                assert await clients.asks() == "edge"
                other = {"source-address": ["198.51.100.0/24"]}
                await plane.activate(rule("others", 1, "drop", filter=other))
                assert await clients.asks() == "edge"
                await plane.activate(rule("close", 5, "drop"))
                assert [each.rule_id for each in await plane.rules()] == ["others", "close", "steer"]
                assert await clients.asks() == "nobody"
                await plane.activate(rule("pass", 4, "passthrough"))
                assert await clients.asks() == "origin"
                for wrong in ("close", "pass", "pass", "others"):
                    await plane.deactivate("a", wrong)
                assert await clients.asks() == "edge"
                # What cannot be done changes nothing.
                with pytest.raises(RpcError):
                    await plane.activate(rule("steer", 10, "forward-encapsulated", destination_address=a.address))
                assert await plane.rules() == [steer]
                await plane.deactivate("a", "steer")
                assert await clients.asks() == "origin"
                await plane.activate(steer)
            finally:
                await plane.close()
            assert await plane.rules() == []
            assert await clients.asks() == "origin"

    isolated.run(story)


def test_a_stage_that_ends_leaves_no_fabric(isolated: Site) -> None:
    """As `nms lab --driver netns` sets it up."""
    with contextlib.ExitStack() as stack:
        ports = stage.Ports(stack)
        domain = stage.start(isolated.folder / "a", 0, ports, stack, "netns")
        fabric = Layout("test", {"addresses": domain.config.drivers.vim.options["addresses"]})
        assert system.has_namespace(fabric.fabric)
        assert asyncio.run(system.has_link(fabric.uplink))
    assert not system.has_namespace(fabric.fabric)
    assert not asyncio.run(system.has_link(fabric.uplink))


def test_a_fabric_goes_only_with_the_last_instance(isolated: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(isolated.spec("a", "partner"))
        with pytest.raises(RpcError) as refused:
            await vim.dismantle()
        assert refused.value.tag == "in-use"
        assert await inside(a, "print('alive')") == "alive"
        await vim.delete("a", grace=0)
        with Clients(isolated), pytest.raises(RpcError, match="far100, far200"):
            await vim.dismantle()
        await until(lambda: "far" not in output("ip", "-n", isolated.fabric, "link"))
        await vim.dismantle()
        assert isolated.namespaces() == []
        await vim.dismantle()
        await vim.close()
        await vim.open(isolated.reported.append)
        assert await inside(await vim.start(isolated.spec("a", "partner")), "print('alive')") == "alive"

    isolated.run(story)
