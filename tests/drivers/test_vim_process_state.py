"""What the embedded VIM finds in its state folder: instances outlive the daemon, and a crash loses none."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nms.drivers.api import ConfigError
from nms.drivers.process import proc
from nms.drivers.vim_process import ProcessVim
from tests.drivers.process_site import SMALL, Site, until


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
    asyncio.run(until(lambda: not any(map(proc.born, (killed["pid"], record["pid"])))))
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
