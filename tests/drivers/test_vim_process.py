"""The embedded VIM from outside: real processes on real loopback addresses."""

import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.drivers.api import Capacity, ConfigError, Instance, InstanceSpec, Resources, RpcError
from nms.drivers.process import image, proc
from nms.drivers.vim_process import ProcessVim
from nms.mec import package

SAMPLE = Path(__file__).parents[2] / "nms/mec/sample/hello-edge"
SMALL = Resources(500, 64, 16)
#: An application in the fewest words: listens on its port and lives until it is ended.
LISTEN = """
import os, socket, sys, time, subprocess, signal
s = socket.create_server((os.environ["MEC_ADDRESS"], int(os.environ["MEC_PORT"])))
print("listening", flush=True)
"""
WAIT = "time.sleep(600)\n"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
#: A child in the group, and one that left it for a session of its own.
CHILDREN = """
for new in (False, True):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=new)
"""


def archive(path: Path, files: dict[str, str | bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def children() -> list[tuple[int, str]]:
    """Process identifier and state of every child of this process."""
    found = subprocess.run(["ps", "-o", "pid=,stat=,ppid=", "-A"], capture_output=True, text=True, check=True)
    rows = map(str.split, found.stdout.splitlines())
    return [(int(pid), state) for pid, state, parent in rows if int(parent) == os.getpid()]


class Site:
    """A VIM with a state folder and a block of addresses of its own, and archives to run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reported: list[Instance] = []
        self.before = {pid for pid, _ in children()}  # of other tests in this process
        block = f"127.{random.SystemRandom().randrange(82, 255)}.{random.SystemRandom().randrange(256)}.0/24"
        self.config: dict[str, Any] = {
            "addresses": block,
            "start-timeout": 10,
            "hosts": [
                {"name": "h1", "zone": "z1", "cpu": 2, "memory": 256, "storage": 64},
                {"name": "h2", "zone": "z2", "cpu": 1.5, "memory": 256, "storage": 64},
            ],
        }

    def vim(self, **config: Any) -> ProcessVim:
        return ProcessVim({**self.config, **config}, self.folder / "state")

    def spec(self, name: str, script: str = LISTEN + WAIT, **changes: Any) -> InstanceSpec:
        path = archive(self.folder / f"{name}.tar", {"app.py": script})
        return replace(InstanceSpec(name, path, ("python3", "app.py"), SMALL, port=8080), **changes)

    def run(self, story: Callable[[ProcessVim], Awaitable[None]], **config: Any) -> None:
        async def whole() -> None:
            vim = self.vim(**config)
            await vim.open(self.reported.append)
            try:
                await story(vim)
            finally:
                await vim.close()

        asyncio.run(whole())

    def processes(self) -> list[int]:
        """Every process of every instance of this site, zombies of ours included."""
        zombies = [pid for pid, state in children() if state.startswith("Z") and pid not in self.before]
        instances = self.folder / "state" / "instances"
        names = os.listdir(instances) if instances.is_dir() else []
        return zombies + [pid for name in names for pid in proc.marked("MEC_INSTANCE_DIR", str(instances / name))]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path.resolve())
    yield made
    left = made.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes left behind"


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition, or fail."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what other processes do sets no event here)
            await asyncio.sleep(0.01)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read(), "utf-8")


def test_the_sample_application_runs_and_answers(site: Site) -> None:
    info = package.build(SAMPLE, site.folder / "hello.csar")
    with (site.folder / "hello.tar").open("wb") as image_file:
        package.extract(site.folder / "hello.csar", info, info.image.path, image_file)
    described = info.descriptor[package.TOP]["sw-image"]["command"]
    spec = replace(
        site.spec("hello-1", environment={"GREETING": "<Hi>"}, command=tuple(described), zone="z2"),
        image=site.folder / "hello.tar",
    )

    async def story(vim: ProcessVim) -> None:
        instance = await vim.start(spec)
        assert (instance.state, instance.host, instance.zone, instance.port) == ("started", "h2", "z2", 8080)
        base = f"http://{instance.address}:8080"
        status = json.loads(await asyncio.to_thread(get, f"{base}/status"))
        assert status.pop("uptime") >= 0
        assert status == {
            "application": "hello-edge", "instance": "hello-1", "zone": "z2", "address": instance.address
        }  # fmt: skip
        page = await asyncio.to_thread(get, base)
        assert "<h1>&lt;Hi&gt;</h1>" in page
        assert "hello-1" in page
        kpis = await vim.kpis("hello-1")
        assert kpis.cpu_seconds > 0
        assert kpis.memory > 1 << 20
        assert kpis.processes == 1
        assert await vim.start(spec) == instance == await vim.allocate(spec) == await vim.status("hello-1")

        stopped = await vim.stop("hello-1")
        assert stopped.state == "stopped"
        assert (await vim.kpis("hello-1")).processes == 0
        log = site.folder / "state/instances/hello-1/log"
        assert log.read_text().endswith("hello-edge ends\n")  # it was asked, not killed
        assert await vim.stop("hello-1") == stopped
        assert (await vim.start(spec)).address == instance.address  # started again in its place
        await vim.delete("hello-1")
        await vim.delete("hello-1")
        assert await vim.list() == []
        assert not log.parent.exists()

    site.run(story)
    assert site.reported == []


def test_resources_are_accounted_and_never_negative_in_a_race(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        specs = [site.spec(f"i{number}") for number in range(20)]
        outcomes = await asyncio.gather(*map(vim.allocate, specs), return_exceptions=True)
        granted = [each for each in outcomes if isinstance(each, Instance)]
        refused = [each for each in outcomes if isinstance(each, RpcError)]
        assert len(granted) == 7
        assert {each.tag for each in refused} == {"resource-denied"}
        assert "no room for 0.5 CPU, 64 MiB of memory and 16 MiB of storage" in refused[0].message
        assert len({each.address for each in granted}) == 7
        assert await vim.capacity() == Capacity(Resources(3500, 512, 128), Resources(3500, 448, 112))
        for host in await vim.hosts():
            assert Resources().fits(host.capacity.total - host.capacity.used)
        await vim.delete(granted[0].id)
        assert (await vim.capacity()).used == Resources(3000, 384, 96)
        await vim.allocate(site.spec("late"))

    site.run(story)


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"id": "../evil"}, "invalid-value"),
        ({"id": ""}, "invalid-value"),
        ({"id": "."}, "invalid-value"),
        ({"id": "x" * 200}, "invalid-value"),
        ({"command": ()}, "invalid-value"),
        ({"command": ("a\0b",)}, "invalid-value"),
        ({"environment": {"A=B": "c"}}, "invalid-value"),
        ({"port": 0}, "invalid-value"),
        ({"port": 70000}, "invalid-value"),
        ({"host": "h9"}, "invalid-value"),
        ({"zone": "z9"}, "invalid-value"),
        ({"host": "h1", "zone": "z2"}, "invalid-value"),
        ({"resources": Resources(-1, 0, 0)}, "invalid-value"),
        ({"resources": Resources(4000, 0, 0)}, "resource-denied"),
        ({"host": "h1", "resources": Resources(0, 300, 0)}, "resource-denied"),
    ],
)
def test_what_cannot_be_allocated_is_refused_and_takes_nothing(site: Site, changes: dict[str, Any], tag: str) -> None:
    async def story(vim: ProcessVim) -> None:
        with pytest.raises(RpcError) as refused:
            await vim.allocate(replace(site.spec("a"), **changes))
        assert refused.value.tag == tag
        assert "\n" not in refused.value.message
        assert await vim.list() == []
        assert (await vim.capacity()).used == Resources()

    site.run(story)


def test_an_id_stands_for_one_thing_only(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        await vim.allocate(site.spec("a"))
        with pytest.raises(RpcError) as refused:
            await vim.start(site.spec("a", port=9090))
        assert refused.value.tag == "data-exists"
        for missing in (vim.status, vim.stop, vim.kpis):
            with pytest.raises(RpcError) as absent:
                await missing("b")
            assert (absent.value.tag, absent.value.status) == ("data-missing", 404)

    site.run(story)


@pytest.mark.parametrize(
    ("script", "changes", "says"),
    [
        ("import sys; print('no licence'); sys.exit(3)", {}, "ended at once with status 3: no licence"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", {}, "ended at once by SIGSEGV: it said nothing"),
        ("import sys; sys.exit(0)", {"port": None}, "ended at once with status 0"),
        ("import time; time.sleep(600)", {}, "did not answer on port 8080 within 0.5 s"),
        ("", {"command": ("no-such-program",)}, "command 'no-such-program' cannot be run: No such file"),
        ("", {"image": Path("/nowhere.tar")}, "image /nowhere.tar does not exist"),
        (LISTEN, {"resources": Resources(1, 1, 0)}, "needs more storage than the instance has"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_no_process(
    site: Site, script: str, changes: dict[str, Any], says: str
) -> None:
    async def story(vim: ProcessVim) -> None:
        with pytest.raises(RpcError) as failed:
            await vim.start(site.spec("a", script, **changes))
        assert says in failed.value.message
        instance = await vim.status("a")
        assert instance.state == "failed"
        assert says in instance.reason
        assert site.processes() == []
        await vim.delete("a")
        assert (await vim.capacity()).used == Resources()

    site.run(story, **({"start-timeout": 0.5} if "0.5 s" in says else {}))


def test_a_failed_start_can_be_tried_again(site: Site) -> None:
    script = "import os\nif not os.path.exists('second'):\n    open('second', 'w'); raise SystemExit(1)\n"

    async def story(vim: ProcessVim) -> None:
        spec = site.spec("a", script + LISTEN + WAIT)
        with pytest.raises(RpcError):
            await vim.start(spec)
        again = await vim.start(spec)
        assert (again.state, again.reason) == ("started", "")
        await vim.delete("a")

    site.run(story)


def test_an_instance_without_port_counts_as_started_when_it_stays_alive(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        assert (await vim.start(site.spec("a", "import time\n" + WAIT, port=None))).state == "started"
        await vim.delete("a")

    site.run(story)


def test_a_cancelled_start_leaves_no_process(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        starting = asyncio.create_task(vim.start(site.spec("a", "import time\n" + WAIT)))
        await until(lambda: len(site.processes()) == 1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert site.processes() == []
        assert (await vim.status("a")).reason == "its start was cancelled"
        await vim.delete("a")

    site.run(story)


def test_a_delete_during_a_start_waits_its_turn(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        starting = asyncio.create_task(vim.start(site.spec("a")))
        await asyncio.sleep(0)
        await asyncio.gather(vim.delete("a"), vim.delete("a"))
        assert (await starting).state == "started"
        assert await vim.list() == []
        assert site.processes() == []

    site.run(story)


def test_a_stubborn_application_is_killed_with_all_its_children(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        await vim.start(site.spec("a", STUBBORN + LISTEN + CHILDREN + WAIT))
        await until(lambda: len(site.processes()) == 3)
        assert (await vim.stop("a", grace=0.1)).state == "stopped"
        assert site.processes() == []

    site.run(story)


def test_a_start_after_a_cancelled_stop_runs_it_once(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        spec = site.spec("a", STUBBORN + LISTEN + WAIT)
        await vim.start(spec)
        (first,) = site.processes()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await vim.stop("a", grace=60)
        assert (await vim.status("a")).state == "stopping"
        assert (await vim.start(spec)).state == "started"
        (second,) = site.processes()
        assert first != second
        await vim.delete("a", grace=0)

    site.run(story, **{"stop-timeout": 0.1})


def test_an_application_that_dies_is_reported_with_its_last_words(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        script = LISTEN + CHILDREN + "s.accept(); s.accept(); print('out of luck'); sys.exit(7)\n"
        instance = await vim.start(site.spec("a", script))
        _, writer = await asyncio.open_connection(instance.address, 8080)
        await until(lambda: bool(site.reported))
        writer.close()
        assert site.reported == [await vim.status("a")]
        assert site.reported[0].state == "failed"
        assert site.reported[0].reason == "it ended by itself with status 7: out of luck"
        await until(lambda: site.processes() == [])
        assert (await vim.capacity()).used == SMALL  # until it is deleted
        await vim.delete("a")

    site.run(story)


def test_a_child_without_the_mark_goes_with_its_group(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        child = 'c = subprocess.Popen(["sleep", "600"], env={}); print(c.pid, flush=True)\n'
        instance = await vim.start(site.spec("a", LISTEN + child + "s.accept(); s.accept()\n"))
        log = site.folder / "state/instances/a/log"
        await until(lambda: len(log.read_text().split()) == 2)
        pid = int(log.read_text().split()[1])
        assert proc.born(pid)
        assert (await vim.kpis("a")).processes == 2
        _, writer = await asyncio.open_connection(instance.address, 8080)
        await until(lambda: bool(site.reported))
        writer.close()
        await until(lambda: not proc.born(pid))
        await vim.delete("a")

    site.run(story)


def test_instances_survive_the_daemon_and_are_adopted(site: Site) -> None:
    """A daemon in its own process starts three instances and is killed; two survive and are found again."""
    specs = {name: site.spec(name) for name in ("a", "b", "c")}
    daemon = f"""
import asyncio, os, signal, sys
from pathlib import Path
from nms.drivers.api import *
from nms.drivers.vim_process import ProcessVim
async def main():
    vim = ProcessVim({site.config!r}, Path({str(site.folder / "state")!r}))
    await vim.open(print)
    for name in "abc":
        image = Path({str(site.folder)!r}, name + ".tar")
        spec = InstanceSpec(name, image, ("python3", "app.py"), {SMALL!r}, port=8080)
        await vim.start(spec)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", daemon], cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    instances = site.folder / "state/instances"
    killed = json.loads((instances / "b/instance.json").read_text())
    os.kill(killed["pid"], signal.SIGKILL)
    # The pid of c is given to somebody else: this very test.
    record = json.loads((instances / "c/instance.json").read_text())
    os.killpg(record["pid"], signal.SIGKILL)
    record["pid"] = os.getpid()
    (instances / "c/instance.json").write_text(json.dumps(record))
    (instances / "rubbish").mkdir()

    async def story(vim: ProcessVim) -> None:
        found = {each.id: each.state for each in await vim.list()}
        assert found == {"a": "started", "b": "failed", "c": "failed"}
        assert [each.id for each in site.reported] == ["b", "c"]
        assert "ended while no daemon watched: listening" in site.reported[0].reason
        assert (await vim.capacity()).used == SMALL + SMALL + SMALL
        adopted = await vim.status("a")
        assert await vim.start(specs["a"]) == adopted
        assert (await vim.start(specs["b"])).state == "started"
        pid = json.loads((instances / "a/instance.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)  # the watch on an adopted process
        await until(lambda: len(site.reported) == 3)
        assert (await vim.status("a")).state == "failed"
        for name in found:
            await vim.delete(name)

    site.run(story)
    assert not (instances / "rubbish").exists()


def test_a_start_interrupted_by_a_crash_leaves_no_process(site: Site) -> None:
    """The daemon dies between the process's birth and its record: only the mark tells whose the process is."""

    async def allocate(vim: ProcessVim) -> None:
        await vim.allocate(site.spec("a"))

    site.run(allocate)
    folder = site.folder / "state/instances/a"
    record = json.loads((folder / "instance.json").read_text())
    (folder / "instance.json").write_text(json.dumps({**record, "state": "starting"}))
    stray = subprocess.Popen(["sleep", "600"], env={"MEC_INSTANCE_DIR": str(folder)}, start_new_session=True)

    async def story(vim: ProcessVim) -> None:
        assert stray.wait(10) == -signal.SIGKILL
        assert (await vim.status("a")).state == "failed"
        assert [each.reason for each in site.reported] == ["its start was interrupted by the end of the daemon"]

    site.run(story)


def test_a_state_folder_has_one_owner(site: Site) -> None:
    async def story(vim: ProcessVim) -> None:
        with pytest.raises(ConfigError, match="in use by another daemon"):
            await site.vim().open(site.reported.append)

    site.run(story)


def test_a_damaged_record_is_one_clear_line(site: Site) -> None:
    (site.folder / "state/instances/a").mkdir(parents=True)
    (site.folder / "state/instances/a/instance.json").write_text('{"spec": []}')

    async def story(vim: ProcessVim) -> None:
        raise AssertionError("must not open")

    with pytest.raises(ConfigError, match=r"instance\.json is damaged"):
        site.run(story)


def test_addresses_run_out_and_taken_ports_are_avoided(site: Site) -> None:
    block = site.config["addresses"].replace("0/24", "0/29")

    async def story(vim: ProcessVim) -> None:
        first = block.replace("0/29", "1")
        blocker = await asyncio.start_server(lambda r, w: w.close(), first, 8080)
        tiny: dict[str, Any] = {"resources": Resources(1, 1, 1)}
        addresses = [(await vim.allocate(site.spec(f"i{number}", **tiny))).address for number in range(5)]
        assert addresses == [block.replace("0/29", str(number)) for number in range(2, 7)]
        with pytest.raises(RpcError, match="port 8080 is held by other programs"):
            await vim.allocate(site.spec("more", **tiny))
        assert (await vim.allocate(site.spec("other", **tiny, port=9090))).address == first
        blocker.close()
        await blocker.wait_closed()
        with pytest.raises(RpcError, match="every address is taken"):
            await vim.allocate(site.spec("more", **tiny))

    site.run(story, addresses=block)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": []},
        {"hosts": "h1"},
        {"hosts": ["h1"]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": 1, "memory": 1}]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": "1", "memory": 1, "storage": 1}]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": 1, "memory": True, "storage": 1}]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": -1, "memory": 1, "storage": 1}]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": 1, "memory": 1, "storage": 1, "disk": 1}]},
        {"hosts": [{"name": "h1", "zone": "z1", "cpu": 1, "memory": 1, "storage": 1}] * 2},
        {"addresses": "10.0.0.0/8"},
        {"addresses": "127.0.0.1/8"},
        {"addresses": "loopback"},
        {"start-timeout": "soon"},
        {"colour": "blue"},
    ],
)
def test_a_wrong_configuration_is_one_clear_line(site: Site, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        site.vim(**wrong)
    assert str(refused.value).startswith("driver vim process")
    assert "\n" not in str(refused.value)


def tar_with(member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, "/etc/passwd"
    return tar_with(member)


def zip_member(name: str, mode: int = 0o100644, content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive_file:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive_file.writestr(member, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        (b"", "invalid-value"),
        (b"neither tar nor zip", "invalid-value"),
        (tar_member("../evil"), "invalid-value"),
        (tar_member("/tmp/evil"), "invalid-value"),
        (tar_member("link", tarfile.SYMTYPE), "invalid-value"),
        (tar_member("link", tarfile.LNKTYPE), "invalid-value"),
        (tar_member("device", tarfile.CHRTYPE), "invalid-value"),
        (tar_member("big", size=2000), "too-big"),
        (tar_member("cut", size=900)[:700], "invalid-value"),
        (zip_member("../evil"), "invalid-value"),
        (zip_member("/tmp/evil"), "invalid-value"),
        (zip_member("link", 0o120777), "invalid-value"),
        (zip_member("bomb", content=b"\0" * 100_000), "too-big"),
        (zip_member("a")[:-30], "invalid-value"),
        (zip_member("a").replace(b"a", b"b", 1), "invalid-value"),
    ],
)
def test_hostile_images_write_nothing(tmp_path: Path, content: bytes, tag: str) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(RpcError) as refused:
        image.unpack(tmp_path / "image", tmp_path / "work", 1000)
    assert refused.value.tag == tag
    assert os.listdir(tmp_path) == ["image"]


def test_a_zip_image_keeps_its_executables(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(zip_member("bin/run", 0o104777))
    image.unpack(tmp_path / "image", tmp_path / "work", 1000)
    assert (tmp_path / "work/bin/run").stat().st_mode & 0o7777 == 0o755


def test_a_process_is_known_by_its_start_and_not_by_its_pid_alone() -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        first = proc.born(child.pid)
        assert first
        assert first == proc.born(child.pid)
        assert first != proc.born(os.getpid())
    finally:
        child.kill()
        # A zombie is dead already; its record in /proc goes only with the wait.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert proc.born(child.pid) == ""
        child.wait()
    assert proc.born(child.pid) == ""
