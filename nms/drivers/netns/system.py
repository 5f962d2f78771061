"""Runs the programs that change the kernel's network, and says whether this machine has what it takes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import IO

from nms.drivers.api import ConfigError, RpcError

NAMESPACES = Path("/run/netns")
#: Our own folder there: locks, and the place where an instance sees its files.
RUN = Path("/run/mec-nms")
#: Some user that instances may run as: in a user namespace, none but root exists.
PROBED_USER = 10 << 24
#: program -> its Debian package
PROGRAMS = {
    "ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux", "setpriv": "util-linux",
    "mount": "mount",
}  # fmt: skip


def missing() -> str:
    """What keeps the netns drivers from working here, in one sentence; empty when nothing does."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian package {package})"
    if os.geteuid() != 0:
        return "it needs root"
    # The proof is in doing it: containers may hold back any of the privileges.
    other = f"--reuid={PROBED_USER} --regid={PROBED_USER} --clear-groups"
    probe = (
        "unshare",
        "--net",
        "--mount",
        "--ipc",
        "sh",
        "-c",
        f"nft add table inet probe && exec setpriv {other} true",
    )
    try:
        tried = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return "making a network namespace does not end"
    if tried.returncode:
        return f"namespaces, nftables or other users are kept from us: {' '.join(tried.stderr.split())}"
    return ""


async def run(*words: str, text: str = "") -> str:
    """Run a program with `text` on its standard input; its output.

    Raises `RpcError`: operation-failed, with what the program says.
    """
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    work = asyncio.ensure_future(process.communicate(text.encode()))
    try:
        output, errors = await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])  # it takes milliseconds, and half a change is worse than a late one
        raise
    if process.returncode:
        said = " ".join(errors.decode(errors="replace").split())
        raise RpcError("operation-failed", f"{' '.join(words[:3])}: {said or f'status {process.returncode}'}")
    return output.decode(errors="replace")


async def ip(*commands: str, inside: str = "") -> None:
    """Commands of ip(8), in the named namespace or in ours.  Raises as `run`."""
    where = ("-n", inside) if inside else ()
    await run("ip", *where, "-batch", "-", text="\n".join(commands) + "\n")


async def nft(rules: str, inside: str) -> str:
    """A ruleset of nft(8), all of it or nothing, in the named namespace; what it lists.  Raises as `run`."""
    return await run("nsenter", f"--net={NAMESPACES / inside}", "nft", "-f", "-", text=rules)


def has_namespace(name: str) -> bool:
    """Whether there is a namespace of this name."""
    return (NAMESPACES / name).exists()


async def has_link(name: str, inside: str = "") -> bool:
    """Whether there is an interface of this name, in the named namespace or in ours."""
    if inside and not has_namespace(inside):
        return False
    try:
        await run("ip", *(("-n", inside) if inside else ()), "link", "show", name)
    except RpcError:
        return False
    return True


async def remove_link(name: str) -> None:
    """Have no interface of this name among ours; it may be about to go with the namespace at its other end.

    Raises as `run`.
    """
    try:
        await ip(f"link delete {name}")
    except RpcError:
        if await has_link(name):
            raise


def claim(driver: str, name: str) -> IO[bytes]:
    """Keep everybody else on this machine from what is called so until the file is closed.

    Raises `ConfigError`: another daemon has it.
    """
    RUN.mkdir(mode=0o755, exist_ok=True)
    lock = (RUN / f"{name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(f"driver {driver}: {name} is in use by another daemon; choose other 'addresses'") from error
    return lock
