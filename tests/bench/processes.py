"""What a server's processes have used: CPU time to the nanosecond, and memory (Linux).

The clock of a process is read by its number (clock_getcpuclockid(3)): /proc/PID/stat counts in ticks of 10 ms, more
than most of what is measured takes.  Children count with their parents, those that have ended too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2  # of <linux/posix-timers.h>


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third, `state`, on; none for a process that has ended (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class Processes:
    """A server: the processes it was started as and all that they start."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = tuple(roots)

    def _tree(self) -> list[tuple[int, list[str]]]:
        stats = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        found = {pid: stats[pid] for pid in self._roots if stats.get(pid)}
        grown = True
        while grown:
            children = {pid: stat for pid, stat in stats.items() if stat and int(stat[1]) in found}
            grown = not children.keys() <= found.keys()
            found |= children
        return list(found.items())

    def cpu(self) -> float:
        """Seconds of CPU, user and system."""
        total = 0.0
        for pid, stat in self._tree():
            total += (int(stat[13]) + int(stat[14])) / _TICK  # cutime, cstime: of children that have ended
            try:
                total += time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
            except OSError:  # ended meanwhile
                continue
        return total

    def memory(self) -> float:
        """Megabytes of resident memory."""
        pages = sum(int(stat[21]) for _, stat in self._tree())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
