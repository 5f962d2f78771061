"""A site of the embedded VIM on its own block of loopback addresses, and applications to run there."""

import asyncio
import io
import os
import random
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nms.drivers.api import Instance, InstanceSpec, Resources
from nms.drivers.process import proc
from nms.drivers.vim_process import ProcessVim

SMALL = Resources(500, 64, 16)
#: An application in the fewest words: listens on its port and lives until it is ended.
LISTEN = """
import os, socket, sys, time, subprocess, signal
s = socket.create_server((os.environ["MEC_ADDRESS"], int(os.environ["MEC_PORT"])))
print("listening", flush=True)
"""
WAIT = "time.sleep(600)\n"


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


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition, or fail."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what other processes do sets no event here)
            await asyncio.sleep(0.01)
