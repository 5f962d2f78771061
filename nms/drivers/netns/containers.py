"""Instances whose image is an OCI root file system: run by runc in the network namespace and cgroup that are there.

``runc run`` stays in the foreground as the instance's process for `nms.drivers.process.vim`: it passes signals on, ends
as the instance ends and with its status, and outlives the daemon as it does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from nms.drivers.api import RpcError
from nms.drivers.netns import bundle, images, system
from nms.drivers.process import proc
from nms.drivers.process.record import Record

#: Where runc keeps what it knows of the containers of all domains here; those of other programs are elsewhere.
STATE = system.RUN / "runc"
PROGRAM, PACKAGE = "runc", "runc"


def missing() -> str:
    """Why no OCI image can be run here, in one sentence; empty when nothing keeps it."""
    return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed (Debian package {PACKAGE})"


def environment(folder: Path) -> dict[str, str]:
    """The variables of an instance's image."""
    return {"HOME": "/", "PATH": bundle.PATH, **images.of(folder).environment}


def command(
    record: Record, folder: Path, environment: Mapping[str, str], *, name: str, user: int, cgroup: str
) -> tuple[str, ...]:
    """Write down what runc is to do, and how to call it.

    Args:
        folder: the instance's, with its root file system in ``work``.
        name: of its network namespace, and of the container.
        cgroup: as `bundle.config` has it.

    Raises:
        RpcError: invalid-value (neither the image nor the instance says what to run), operation-failed (the disk).
    """
    image = images.of(folder)
    words = record.spec.command or image.command
    if not words:
        raise RpcError("invalid-value", f"neither the image nor the description of {record.spec.id} names a command")
    hosts, file = folder / "hosts", folder / "config.json"
    document = bundle.config(
        name=record.spec.id,
        root=folder / "work",
        command=words,
        environment=environment,
        folder=image.folder,
        user=user,
        network=system.NAMESPACES / name,
        cgroup=cgroup,
        hosts=hosts,
    )
    try:
        hosts.write_text(f"127.0.0.1 localhost\n{record.address} {record.spec.id}\n")
        hosts.chmod(0o644)
        # The environment may hold secrets of the application.
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(document, out)
    except OSError as error:
        raise RpcError("operation-failed", f"the container of {record.spec.id} cannot be described: {error}") from error
    return (PROGRAM, "--root", str(STATE), "--log", str(folder / "runc.log"), "run", "--bundle", str(folder), name)


def farewell(folder: Path, processes: Collection[int]) -> signal.Signals:
    """The signal by which an instance is asked to end: what its image says.

    To the first process of a container the kernel delivers only what that handles.  Elsewhere its default would end
    the process at once: so it is ended at once here too, and not waited for in vain.
    """
    wish = signal.Signals(images.of(folder).signal)
    heard = any(proc.hears(pid, wish) for pid in processes if proc.first(pid))
    return wish if heard else signal.SIGKILL


def forget(name: str) -> None:
    """Have runc forget a container whose processes have been killed; one that it does not know is no error.

    Raises `RpcError`: operation-failed.
    """
    if not (STATE / name).exists():
        return
    words = (PROGRAM, "--root", str(STATE), "delete", "--force", name)
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RpcError("operation-failed", f"runc cannot forget {name}: {error}") from error
    if done.returncode and (STATE / name).exists():
        raise RpcError("operation-failed", f"runc cannot forget {name}: {' '.join(done.stderr.split())[:200]}")
