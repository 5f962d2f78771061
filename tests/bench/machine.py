"""What a measurement ran on, in words."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

_SYNCS = 200


def about(folder: Path) -> dict[str, str]:
    """Date, revision, machine, and how long the disk of `folder` takes: without that no durable edit can be judged."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "revision": _revision(),
        "machine": f"{os.cpu_count()} × {_first('/proc/cpuinfo', 'model name')}, {_memory()} GB of memory",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "disk": f"{_sync_time(folder):.3f} ms for 4 kB written and synchronised (fdatasync)",
        "load before": f"{os.getloadavg()[0]:.2f} processes",
    }


def _first(file: str, key: str) -> str:
    found = re.search(rf"^{key}\s*:\s*(.*)$", Path(file).read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _memory() -> int:
    return round(int(_first("/proc/meminfo", "MemTotal").split()[0]) / 1e6)


def _revision() -> str:
    """Of the checkout, with a mark if something in it has been changed."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _sync_time(folder: Path) -> float:
    """Median milliseconds of an appended and synchronised block."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)
