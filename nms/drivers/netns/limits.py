"""Limits of CPU, memory and processes by cgroups, version 2 or 1, whichever the machine has (cgroups(7))."""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from pathlib import Path

from nms.drivers.api import Resources, RpcError

ROOT = Path("/sys/fs/cgroup")
OURS = "mec-nms"
CONTROLLERS = ("cpu", "memory", "pids")
PERIOD = 100_000
#: The kernel refuses less CPU time (microseconds) in a period.
LEAST_QUOTA = 1_000


def settings(version: int, resources: Resources, processes: int) -> dict[str, dict[str, str]]:
    """controller -> file -> content, for an amount of resources; 0 of a resource is no limit."""
    quota = resources.millicpu and max(LEAST_QUOTA, resources.millicpu * PERIOD // 1000)
    memory = resources.memory << 20
    if version == 2:
        cpu = {"cpu.max": f"{quota} {PERIOD}"}
        space = {"memory.max": str(memory)}
    else:
        cpu = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(quota)}
        space = {"memory.limit_in_bytes": str(memory)}
    return {"cpu": cpu if quota else {}, "memory": space if memory else {}, "pids": {"pids.max": str(processes)}}


class Limits:
    """The cgroups below `root`.

    Attributes:
        version: 2, 1, or 0 where there are none.
        missing: why there are none, one sentence.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self.version, self.missing = 0, ""
        try:
            if set(CONTROLLERS) <= set(_read(root / "cgroup.controllers").split()):
                (root / OURS).mkdir(exist_ok=True)
                for each in (root, root / OURS):
                    (each / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
                self.version = 2
            elif absent := [name for name in CONTROLLERS if not (root / name / "cgroup.procs").exists()]:
                self.missing = f"there is no cgroup controller for {', '.join(absent)} below {root}"
            else:
                for name in CONTROLLERS:
                    (root / name / OURS).mkdir(exist_ok=True)
                self.version = 1
        except OSError as error:
            self.missing = f"cgroups cannot be made: {error}"

    def _groups(self, name: str) -> dict[str, Path]:
        if self.version == 2:
            return dict.fromkeys(CONTROLLERS, self._root / OURS / name)
        return {each: self._root / each / OURS / name for each in CONTROLLERS} if self.version else {}

    def create(self, name: str, resources: Resources, processes: int) -> None:
        """Make the cgroup with its limits.  Raises `RpcError`: operation-failed."""
        wanted = settings(self.version, resources, processes)
        try:
            for controller, group in self._groups(name).items():
                group.mkdir(exist_ok=True)
                for file, content in wanted[controller].items():
                    (group / file).write_text(content)
        except OSError as error:
            raise RpcError("operation-failed", f"the limits of {name} cannot be set: {error}") from error

    def path(self, name: str) -> str:
        """Of the cgroup, below the root of each controller; empty where there are none."""
        return f"/{OURS}/{name}" if self.version else ""

    def entrances(self, name: str) -> list[str]:
        """The files into which a process writes its number to be limited, it and its children."""
        return [str(group / "cgroup.procs") for group in dict.fromkeys(self._groups(name).values())]

    def members(self, name: str) -> set[int]:
        """The processes in the cgroup."""
        return {int(pid) for file in self.entrances(name) for pid in _read(Path(file)).split()}

    def remove(self, name: str, timeout: float = 5.0) -> None:
        """Remove the cgroup, whose processes have been killed.  Raises `RpcError`: operation-failed."""
        deadline = time.monotonic() + timeout
        for group in dict.fromkeys(self._groups(name).values()):
            _remove(group, deadline)


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""


def _remove(group: Path, deadline: float) -> None:
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # A killed process stays in its cgroup until the kernel is done with it.
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise RpcError("operation-failed", f"cgroup {group} cannot be removed: {error}") from error
            time.sleep(0.005)
