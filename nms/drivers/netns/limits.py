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
_MEMBERS = "cgroup.procs"
PERIOD = 100_000
#: The kernel refuses less CPU time (microseconds) in a period.
LEAST_QUOTA = 1_000
#: Of swap there is none, or the limit of memory were none; missing where the kernel does not count it.
NO_SWAP = {2: "memory.swap.max", 1: "memory.swappiness"}
#: How an instance's end is hastened: nothing begins there any more, and what is there has all the time it needs to end.
_END = {
    2: {"pids": {"pids.max": "0"}, "cpu": {"cpu.max": "max"}},
    1: {"pids": {"pids.max": "0"}, "cpu": {"cpu.cfs_quota_us": "-1"}},
}


def settings(version: int, resources: Resources, processes: int) -> dict[str, dict[str, str]]:
    """controller -> file -> content, for an amount of resources; 0 of a resource is no limit."""
    quota = resources.millicpu and max(LEAST_QUOTA, resources.millicpu * PERIOD // 1000)
    memory = resources.memory << 20
    if version == 2:
        cpu = {"cpu.max": f"{quota} {PERIOD}"}
        space = {"memory.max": str(memory), NO_SWAP[2]: "0"}
    else:
        cpu = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(quota)}
        space = {"memory.limit_in_bytes": str(memory), NO_SWAP[1]: "0"}
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
        unified = (root / "cgroup.controllers").exists()
        offered = _read(root / "cgroup.controllers").split() if unified else _separate(root)
        if absent := [name for name in CONTROLLERS if name not in offered]:
            self.missing = f"there is no cgroup controller for {', '.join(absent)} below {root}"
            return
        try:
            if unified:
                for each in (root, root / OURS):
                    each.mkdir(exist_ok=True)
                    (each / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
            else:
                for name in CONTROLLERS:
                    (root / name / OURS).mkdir(exist_ok=True)
            self.version = 2 if unified else 1
        except OSError as error:
            self.missing = f"cgroups cannot be made below {root}: {error.strerror}"
            if error.errno == errno.EBUSY:
                self.missing += " (as in a container: processes are in it itself, move them to one below it)"

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
                    if file != NO_SWAP[self.version] or (group / file).exists():
                        (group / file).write_text(content)
        except OSError as error:
            raise RpcError("operation-failed", f"the limits of {name} cannot be set: {error}") from error

    def path(self, name: str) -> str:
        """Of the cgroup, below the root of each controller; empty where there are none."""
        return f"/{OURS}/{name}" if self.version else ""

    def entrances(self, name: str) -> list[str]:
        """The files into which a process writes its number to be limited, it and its children."""
        return [str(group / _MEMBERS) for group in dict.fromkeys(self._groups(name).values())]

    def members(self, name: str) -> set[int]:
        """The processes in the cgroup."""
        return {int(pid) for file in self.entrances(name) for pid in _read(Path(file)).split()}

    def hasten(self, name: str) -> None:
        """Before its processes are killed: no new ones, and no waiting for CPU time; `create` sets the limits again."""
        for controller, group in self._groups(name).items():
            for file, content in _END[self.version].get(controller, {}).items():
                with suppress(OSError):  # it is gone, or the end takes longer
                    (group / file).write_text(content)

    def remove(self, name: str, timeout: float = 5.0) -> None:
        """Remove the cgroup, whose processes have been killed.  Raises `RpcError`: operation-failed."""
        deadline = time.monotonic() + timeout
        for group in dict.fromkeys(self._groups(name).values()):
            _remove(group, deadline)


def _separate(root: Path) -> list[str]:
    """The controllers that have a hierarchy of their own."""
    return [name for name in CONTROLLERS if (root / name / _MEMBERS).exists()]


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
