"""The isolating drivers from outside: real namespaces, real connections.  They need root; what lacks is said."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from nms.drivers import api, auto
from nms.drivers.api import Capacity, ConfigError, Instance, InstanceSpec, Resources, RpcError, TrafficRule
from nms.drivers.netns import NetnsDataplane, NetnsVim, missing, system
from nms.drivers.netns.layout import Layout
from nms.drivers.netns.limits import Limits, settings
from nms.drivers.netns.rules import matches, ruleset
from nms.drivers.process import proc
from nms.drivers.vim_process import ProcessVim

SMALL = Resources(200, 64, 16)
#: Runs the code that it is sent, and sends what that prints: how a test looks around inside an instance.
CONSOLE = """
import functools, os, socket, subprocess, threading, time
def connects(address, port):
    try:
        socket.create_connection((address, port), 0.25).close()
        return True
    except OSError:
        return False
def serve(client):
    with client, client.makefile("rw") as stream:
        exec(stream.read(), {**globals(), "print": functools.partial(print, file=stream)})
server = socket.create_server((os.environ["MEC_ADDRESS"], int(os.environ["MEC_PORT"])))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""


async def inside(instance: Instance, code: str) -> str:
    """What the code prints, run in the instance."""
    reader, writer = await asyncio.open_connection(instance.address, instance.port)
    writer.write(code.encode())
    writer.write_eof()
    async with asyncio.timeout(20):
        output = await reader.read()
    writer.close()
    return output.decode().strip()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition, or fail."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what other processes do sets no event here)
            await asyncio.sleep(0.01)


def namespaces(prefix: str) -> list[str]:
    return [name for name in os.listdir(system.NAMESPACES) if name.startswith(prefix)]


def output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Site:
    """A block of addresses of its own, a state folder, and an image that is a console."""

    def __init__(self, folder: Path) -> None:
        some = random.SystemRandom()
        self.prefix = f"10.{some.randrange(100, 250)}.{16 * some.randrange(16)}"
        self.addresses = f"{self.prefix}.0/20"
        self.fabric = f"mec-{self.prefix}.0"
        self.folder = folder
        self.reported: list[Instance] = []
        self.image = folder / "console.tar"
        with tarfile.open(self.image, "w") as tar:
            member = tarfile.TarInfo("app.py")
            member.size = len(CONSOLE)
            tar.addfile(member, io.BytesIO(CONSOLE.encode()))

    def spec(self, name: str, slice: str = "", **changes: Any) -> InstanceSpec:
        wanted = {"resources": SMALL, "port": 8080, **changes}
        return InstanceSpec(name, self.image, ("python3", "app.py"), slice=slice, **wanted)

    def run(self, story: Callable[[NetnsVim], Awaitable[None]], **config: Any) -> None:
        """Run a story with an open VIM, and delete what it leaves."""
        hosts = [{"name": "h1", "zone": "z1", "cpu": 2, "memory": 2048, "storage": 640}]

        async def whole() -> None:
            vim = NetnsVim({"addresses": self.addresses, "hosts": hosts, **config}, self.folder / "state")
            await vim.open(self.reported.append)
            try:
                await story(vim)
                for each in await vim.list():
                    await vim.delete(each.id, grace=0)
            finally:
                await vim.close()

        asyncio.run(whole())

    def remove(self) -> None:
        """The end of the machine, for our part of it."""
        for name in namespaces(f"mec-{self.prefix.rpartition('.')[0]}."):
            subprocess.run(["ip", "netns", "delete", name], check=True)
        for lock in system.RUN.glob(f"{self.fabric}*.lock"):
            lock.unlink()


@pytest.fixture
def site(tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[Site]:
    for program, package in system.PROGRAMS.items():
        need(program, package)
    if lacking := missing():
        pytest.skip(f"netns: {lacking}")
    made = Site(tmp_path)
    yield made
    left = [name for name in namespaces(f"mec-{made.prefix.rpartition('.')[0]}.") if name != made.fabric]
    made.remove()
    assert not left, "namespaces left behind"


def test_slices_cannot_reach_each_other(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a1, a2, b, own = [
            await vim.start(site.spec(name, share))
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
        host = f"{site.prefix}.2"
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
        port = server.sockets[0].getsockname()[1]
        assert await inside(a1, f"print(connects({host!r}, {port}))") == "False"
        server.close()
        await server.wait_closed()

    site.run(story)


def test_an_instance_has_no_privileges_and_its_own_files(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a, b = await vim.start(site.spec("a")), await vim.start(site.spec("b"))
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
        state = site.folder / "state/instances/b"
        assert await inside(a, f"print(os.access({str(state)!r}, os.R_OK), os.access('/etc/shadow', os.R_OK))") == (
            "False False"
        )
        refused = "print(subprocess.run(['ip', 'link', 'delete', 'eth0'], capture_output=True).stderr.decode())"
        assert "Operation not permitted" in await inside(a, refused)
        # A stop keeps the files, as a virtual machine keeps its disk.
        await vim.stop("a")
        assert f"mec-{a.address}" not in output("ip", "netns")
        assert await inside(await vim.start(site.spec("a")), "print(open('kept').read())") == "yes"

    site.run(story)


def test_the_mount_is_not_seen_outside(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        await vim.start(site.spec("a"))
        assert os.listdir(system.RUN / "instance") == []

    site.run(story)


def limits() -> Limits:
    found = Limits()
    if found.missing:
        pytest.skip(f"cgroups: {found.missing}")
    return found


def test_memory_beyond_the_limit_ends_the_instance(site: Site) -> None:
    limits()

    async def story(vim: NetnsVim) -> None:
        a, b = await vim.start(site.spec("a")), await vim.start(site.spec("b"))
        with contextlib.suppress(ConnectionError):
            await inside(a, "print(len(b'x' * (256 << 20)))")
        await until(lambda: bool(site.reported))
        assert [(each.id, each.state) for each in site.reported] == [("a", "failed")]
        assert "by SIGKILL" in site.reported[0].reason
        assert await inside(b, "print('alive')") == "alive"

    site.run(story)


def test_processes_and_cpu_are_limited(site: Site) -> None:
    version = limits().version
    stat = "/sys/fs/cgroup/mec-nms" if version == 2 else "/sys/fs/cgroup/cpu/mec-nms"

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(site.spec("a"))
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
        throttled = Path(stat, f"mec-{a.address}", "cpu.stat")

        def times() -> int:
            counts = dict(map(str.split, throttled.read_text().splitlines()))
            return int(counts["nr_throttled"])

        burn = asyncio.create_task(inside(a, "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"))
        await until(lambda: times() > 0)
        await burn
        assert (await vim.kpis("a")).cpu_seconds >= 0.3

    site.run(story, processes=20)


def test_bandwidth_is_limited_in_both_directions(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        try:
            a = await vim.start(site.spec("a"))
        except RpcError as error:
            if error.tag != "operation-not-supported":
                raise
            pytest.skip(error.message)
        assert len(await inside(a, "print('x' * 2_000_000)")) == 2_000_000
        assert await inside(a, f"'''{'x' * 2_000_000}'''; print('arrived')") == "arrived"
        for where in (f"mec-{a.address}", site.fabric):
            shown = output("tc", "-s", "-n", where, "qdisc")
            shaped = shown[shown.index("qdisc tbf") :]
            assert "rate 40Mbit" in shaped
            assert int(shaped.split("overlimits ")[1].split()[0]) > 0

    site.run(story, bandwidth=40)


def test_a_race_for_the_last_room_overdraws_nothing(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        each = Resources(600, 64, 16)
        specs = [site.spec(f"i{number}", f"slice-{number % 3}", resources=each) for number in range(8)]
        outcomes = await asyncio.gather(*map(vim.start, specs), return_exceptions=True)
        started = [outcome for outcome in outcomes if isinstance(outcome, Instance)]
        refused = [outcome.tag for outcome in outcomes if isinstance(outcome, RpcError)]
        assert (len(started), refused) == (3, ["resource-denied"] * 5)
        assert len({instance.address for instance in started}) == 3
        assert (await vim.capacity()).free == Resources(200, 2048 - 192, 640 - 48)
        await asyncio.gather(*(vim.delete(instance.id, grace=0) for instance in started))
        assert (await vim.capacity()) == Capacity(Resources(2000, 2048, 640), Resources())

    site.run(story)


def test_instances_outlive_the_daemon_and_whatever_hides_is_found(site: Site) -> None:
    async def leave(vim: NetnsVim) -> None:
        a = await vim.start(site.spec("a"))
        hide = "print(subprocess.Popen(['sleep', '600'], env={}, start_new_session=True).pid)"
        hidden.append(int(await inside(a, hide)))
        await vim.start(site.spec("b", "partner"))
        await vim.close()
        await vim.open(site.reported.append)
        assert [each.state for each in await vim.list()] == ["started", "started"]
        assert await inside(a, "print('alive')") == "alive"
        await vim.delete("a", grace=0)
        assert proc.born(hidden[0]) == ""
        os.killpg(await pid(vim, "b"), signal.SIGKILL)
        await until(lambda: bool(site.reported))
        assert (await vim.status("b")).state == "failed"
        assert (await vim.start(site.spec("b", "partner"))).state == "started"

    async def pid(vim: NetnsVim, name: str) -> int:
        b = await vim.status(name)
        return int(await inside(b, "print(os.getpid())"))

    hidden: list[int] = []
    site.run(leave)


def test_after_a_reboot_of_the_machine_everything_is_made_again(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(site.spec("a", "partner"))
        await vim.close()
        os.killpg(int(output("ip", "netns", "pids", f"mec-{a.address}")), signal.SIGKILL)
        await until(lambda: not output("ip", "netns", "pids", f"mec-{a.address}"))
        site.remove()
        await vim.open(site.reported.append)
        assert [(each.id, each.state) for each in site.reported] == [("a", "failed")]
        assert (await vim.start(site.spec("a", "partner"))).address == a.address
        assert await inside(a, "print('alive')") == "alive"

    site.run(story)


def test_one_daemon_has_a_block(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        other = NetnsVim({"addresses": site.addresses}, site.folder / "other")
        with pytest.raises(ConfigError, match=r"is in use by another daemon; choose other 'addresses'"):
            await other.open(site.reported.append)
        await other.close()

    site.run(story)


def test_a_start_that_fails_leaves_nothing(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        spec = InstanceSpec("a", site.image, ("no-such-program",), SMALL, port=8080)
        with pytest.raises(RpcError, match="no-such-program"):
            await vim.start(spec)
        assert namespaces(f"mec-{site.prefix.rpartition('.')[0]}.") == [site.fabric]
        assert (await vim.status("a")).state == "failed"

    site.run(story)


class Clients:
    """A client and the server in the wide network that it means, each in a namespace, both on the access network."""

    FAR = "203.0.113.5"

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gateway = f"{site.prefix}.200"
        self.client, self.origin = f"client-{site.prefix}", f"origin-{site.prefix}"

    def __enter__(self) -> Clients:
        for number, name in ((100, self.client), (200, self.origin)):
            subprocess.run(["ip", "netns", "add", name], check=True)
            for words in (
                f"-n {self.site.fabric} link add name far{number} type veth peer name eth0 netns {name}",
                f"-n {self.site.fabric} link set far{number} master access up",
                f"-n {name} link set lo up",
                f"-n {name} address add {self.site.prefix}.{number}/24 dev eth0",
                f"-n {name} link set eth0 up",
                f"-n {name} route add default via {self.site.prefix}.1",
            ):
                subprocess.run(["ip", *words.split()], check=True)
        subprocess.run(["ip", "-n", self.origin, "address", "add", f"{self.FAR}/32", "dev", "lo"], check=True)
        serve = (
            f"import socket\ns = socket.create_server(('{self.FAR}', 8080))\nprint('up', flush=True)\n"
            "while True:\n c = s.accept()[0]\n c.makefile().read()\n c.sendall(b'origin')\n c.close()"
        )
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.origin, "python3", "-c", serve], stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == "up\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()
        self.server.communicate()
        for name in (self.client, self.origin):
            subprocess.run(["ip", "netns", "delete", name], check=True)

    async def asks(self) -> str:
        """Who answers the client that connects to the far server: origin, edge or nobody."""
        ask = (
            f"import socket\ntry: c = socket.create_connection(('{self.FAR}', 8080), 0.5)\n"
            "except OSError: print('nobody'); raise SystemExit\n"
            "c.sendall(b\"print('edge')\"); c.shutdown(1); print(c.makefile().read().strip())"
        )
        words = ["ip", "netns", "exec", self.client, "python3", "-c", ask]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True)
        return done.stdout.strip()


def rule(name: str, priority: int, action: str, **changes: Any) -> TrafficRule:
    flow = {"destination-address": [f"{Clients.FAR}/32"], "destination-port": [8080], "protocol": "mec-types:tcp"}
    return TrafficRule("a", name, priority, action, filter={**flow, **changes.pop("filter", {})}, **changes)


def test_a_clients_flow_is_steered_to_the_instance_and_back_off(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(site.spec("a", "partner"))
        with Clients(site) as clients:
            plane = NetnsDataplane({"addresses": site.addresses, "gateway": clients.gateway}, site.folder)
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

    site.run(story)


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        (rule("r", 1, "duplicate-decapsulated"), "operation-not-supported"),
        (rule("r", 1, "forward-decapsulated"), "invalid-value"),
        (rule("r", 1, "forward-decapsulated", destination_address="2001:db8::1"), "operation-not-supported"),
        (rule("r", 1, "drop", destination_interface="n6"), "operation-not-supported"),
        (
            rule("r", 1, "forward-decapsulated", destination_address="10.0.0.1", filter_type="per-packet"),
            "operation-not-supported",
        ),
        (rule("r", 1, "drop", filter={"source-address": ["2001:db8::/32"]}), "operation-not-supported"),
        (rule("r", 1, "drop", filter={"source-address": ["0.0.0.0/0; accept"]}), "invalid-value"),
        (rule("r", 1, "drop", filter={"protocol": "mec-types:http"}), "operation-not-supported"),
    ],
)
def test_a_rule_that_the_data_plane_cannot_follow_is_refused(wanted: TrafficRule, tag: str) -> None:
    with pytest.raises(RpcError) as refused:
        ruleset([wanted])
    assert refused.value.tag == tag


def test_a_filter_is_one_expression() -> None:
    assert matches({}) == ""
    assert matches({"source-port": [1, 2], "dscp": 46}) == (
        "meta l4proto { tcp, udp, sctp } th sport { 1, 2 } ip dscp 46"
    )
    assert matches({"destination-address": ["10.0.0.7/8"], "protocol": "udp"}) == (
        "ip daddr { 10.0.0.0/8 } meta l4proto udp"
    )


def test_limits_say_what_was_asked() -> None:
    for version in (1, 2):
        wanted = settings(version, Resources(1500, 64, 5), 9)
        assert wanted["pids"] == {"pids.max": "9"}
        assert str(64 << 20) in wanted["memory"].values()
        assert "150000" in " ".join(wanted["cpu"].values()).split()
        assert settings(version, Resources(), 9) == {"cpu": {}, "memory": {}, "pids": {"pids.max": "9"}}
    assert settings(2, Resources(1), 9)["cpu"] == {"cpu.max": "1000 100000"}


def test_limits_of_version_2_are_written_below_one_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "mec-nms").mkdir()
    found = Limits(tmp_path)
    assert (found.version, found.missing) == (2, "")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    found.create("a", Resources(500, 64), 9)
    group = tmp_path / "mec-nms/a"
    assert {file.name: file.read_text() for file in group.iterdir()} == {
        "cpu.max": "50000 100000", "memory.max": str(64 << 20), "pids.max": "9"
    }  # fmt: skip
    assert found.entrances("a") == [str(group / "cgroup.procs")]


def test_without_cgroups_it_is_said_why(tmp_path: Path) -> None:
    found = Limits(tmp_path)
    assert (found.version, found.entrances("a")) == (0, [])
    assert found.missing.startswith("there is no cgroup controller for cpu, memory, pids")


def test_addresses_and_slices_run_out() -> None:
    layout = Layout("vim netns", {"addresses": "10.5.0.0/22"})
    taken: dict[str, str] = {}
    for each in ("a", "b", "c"):
        taken[layout.place(each, taken, 0)] = each
    assert list(taken) == ["10.5.1.2", "10.5.2.2", "10.5.3.2"]
    with pytest.raises(RpcError, match="every slice of"):
        layout.place("d", taken, 0)
    del taken["10.5.2.2"]
    assert layout.place("d", taken, 5) == "10.5.2.7"
    taken |= {f"10.5.1.{number}": "a" for number in range(2, 255)}
    with pytest.raises(RpcError, match="every address of slice a is taken"):
        layout.place("a", taken, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": "8.8.0.0/16"},
        {"addresses": "127.0.0.0/8"},
        {"addresses": "10.0.0.0/24"},
        {"addresses": "10.0.0.1/16"},
        {"bandwidth": -1},
        {"processes": 0},
        {"bridge": "br0"},
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^driver vim netns: [^\n]+$"):
        NetnsVim(wrong, tmp_path)


def test_a_gateway_elsewhere_is_refused(tmp_path: Path) -> None:
    for gateway in ("10.81.1.1", "192.0.2.1", "here"):
        with pytest.raises(ConfigError, match=r"^driver dataplane netns: 'gateway' is (not on|no)"):
            NetnsDataplane({"gateway": gateway}, tmp_path)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == "ip is not installed (Debian package iproute2)"
    with pytest.raises(
        ConfigError, match=r"driver vim netns: ip is not installed .*; name = .auto. takes the embedded"
    ):
        asyncio.run(NetnsVim({}, tmp_path).open(print))


@pytest.mark.parametrize(("lacking", "chosen"), [("", NetnsVim), ("it needs root", ProcessVim)])
def test_auto_takes_the_best_that_is_available_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, lacking: str, chosen: type
) -> None:
    points = EntryPoints(
        EntryPoint(name, value, f"mec_nms.drivers.{group}")
        for group, name, value in [
            ("vim", "embedded", "nms.drivers.vim_process:ProcessVim"),
            ("vim", "netns", "nms.drivers.netns:NetnsVim"),
            ("available", "netns", "nms.drivers.netns:missing"),
        ]
    )
    monkeypatch.setattr(api, "entry_points", lambda group: points.select(group=group))
    monkeypatch.setattr("nms.drivers.netns.missing", lambda: lacking)
    config = {"start-timeout": 3, "embedded": {"addresses": "127.90.0.0/24"}, "netns": {"bandwidth": 10}}
    with caplog.at_level(logging.INFO):
        assert type(auto.vim(config, tmp_path)) is chosen
    assert ("isolates nothing, since for netns it needs root" in caplog.text) is bool(lacking)
    assert f"the driver {'embedded' if lacking else 'netns'} is used" in caplog.text
