"""The embedded VIM from outside: real processes on real loopback addresses."""

import asyncio
import json
import os
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.drivers.api import Capacity, ConfigError, Instance, Resources, RpcError
from nms.drivers.process import proc
from nms.drivers.vim_process import ProcessVim
from nms.mec import package
from tests.drivers.process_site import LISTEN, SMALL, WAIT, Site, until

SAMPLE = Path(__file__).parents[2] / "nms/mec/sample/hello-edge"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
#: A child in the group, and one that left it for a session of its own.
CHILDREN = """
for new in (False, True):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=new)
"""


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
