"""What the kernel tells of processes (proc(5)): who is alive, whose child, and how much it has used.

A process is identified by its pid *and* its start time and boot, so that a pid used again is never taken for ours.
Linux only.  Knows no VIM.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and following of /proc/PID/stat; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the command's name, field 2, may hold anything, even ")"


def born(pid: int) -> str:
    """When a process began, as a text that no other process ever has with the same pid; empty when it is gone."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return ""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"


def session(leader: int) -> list[int]:
    """The processes of a session."""
    found = ((pid, _stat(pid)) for pid in _pids())
    return [pid for pid, fields in found if fields is not None and int(fields[3]) == leader]


def usage(pids: Iterable[int]) -> tuple[float, int, int]:
    """CPU seconds (with ended children), resident bytes and number of those processes that live."""
    ticks = pages = count = 0
    for pid in pids:
        fields = _stat(pid)
        if fields is not None and fields[0] not in "ZX":
            ticks += sum(map(int, fields[11:15]))
            pages += int(fields[21])
            count += 1
    return ticks / _TICKS, pages * _PAGE, count


def _status(pid: int) -> dict[str, str]:
    """/proc/PID/status; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def first(pid: int) -> bool:
    """Whether it is the first process, number 1, of a namespace of processes within ours."""
    numbers = _status(pid).get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1"


def hears(pid: int, number: signal.Signals) -> bool:
    """Whether a process handles a signal itself, ignores it or waits for it: what it does is not the default."""
    status = _status(pid)
    return any(int(status.get(mask, "0"), 16) >> (number - 1) & 1 for mask in ("SigCgt", "SigIgn", "SigBlk"))


def marked(name: str, value: str) -> list[int]:
    """The processes that were given the environment variable `name` with `value`, wherever they have gone since."""
    wanted = f"{name}={value}".encode()
    found = []
    for pid in _pids():
        with suppress(OSError):  # gone meanwhile, or another user's
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def sweep(name: str, value: str, timeout: float = 5.0) -> list[int]:
    """Kill every process that `marked` finds, until none is left; returns those that outlive the timeout (seconds)."""
    deadline = time.monotonic() + timeout
    while (left := marked(name, value)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    return left


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
