"""Puts an instance on the fabric: a namespace with a port on its slice's bridge, a user of its own, and limits."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from nms.drivers.api import OCI, PROCESS_ARCHIVE, ConfigError, InstanceSpec, RpcError
from nms.drivers.netns import containers, system
from nms.drivers.netns.bundle import PATH, SCRATCH, TEMPORARY
from nms.drivers.netns.fabric import Fabric
from nms.drivers.netns.images import Images
from nms.drivers.netns.layout import SUBNET, Layout
from nms.drivers.netns.limits import Limits
from nms.drivers.process import image
from nms.drivers.process.record import Record
from nms.drivers.process.vim import MARK

#: Where an instance sees its unpacked image: a place that every user can reach.
HOME = system.RUN / "instance"
#: Joins the cgroups named before the "--", and goes on as what follows.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'
#: Shows the first folder in place of the second one, in a mount namespace of its own, and hides where everybody writes.
_SETTLE = f"""
mount --bind "$1" "$2" && cd "$2" || exit 125
for each in {" ".join(TEMPORARY)}; do
  mount -t tmpfs -o size={SCRATCH}m,mode=1777,nosuid,nodev tmpfs "$each" || exit 125
done
shift 2
exec "$@"
"""
#: Until the privileges are gone, variables carry this before their names: LD_PRELOAD must not reach root's programs.
_FOLDED = "MEC_SET_"
#: Gives the variables named before the "--" their own names, and goes on as what follows.
_DRESS = f"""
while [ "$1" != -- ]; do eval "export $1=\\"\\${_FOLDED}$1\\""; unset "{_FOLDED}$1"; shift; done
shift
exec "$@"
"""
_log = logging.getLogger(__name__)


class NetnsGround:
    """The ground (`nms.drivers.process.ground.Ground`).

    Args:
        driver: name of the driver, for messages.
        reachable: addresses and TCP ports on the access network that instances may connect to.
        bandwidth: Mbit/s that an instance may send and receive; 0: no limit.
        processes: most processes (and threads) of an instance.
        state: folder where unpacked images are kept.
    """

    def __init__(
        self,
        driver: str,
        layout: Layout,
        reachable: Collection[tuple[str, int]],
        bandwidth: float,
        processes: int,
        state: Path,
    ) -> None:
        self._driver = driver
        self._layout = layout
        self._fabric = Fabric(layout, reachable)
        self._bandwidth = bandwidth
        self._processes = processes
        self._images = Images(state / "images")
        self._limits: Limits | None = None
        self._lock: IO[bytes] | None = None
        self._placed = 0

    async def open(self) -> None:
        """Make the fabric, or take up the one that is there."""
        if lacking := await asyncio.to_thread(system.missing):
            raise ConfigError(f'driver {self._driver}: {lacking}; name = "auto" takes the embedded driver then')
        self._lock = system.claim(self._driver, self._layout.fabric)
        HOME.mkdir(mode=0o755, exist_ok=True)
        self._limits = Limits()
        if self._limits.missing:
            _log.warning("driver %s: limits are accounted for, not enforced: %s", self._driver, self._limits.missing)
        await self._fabric.ensure()

    async def close(self) -> None:
        """Let the fabric be: instances run on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def dismantle(self) -> None:
        """Remove the fabric, with the access network and every bridge."""
        await self._fabric.dismantle()

    def address(self, spec: InstanceSpec, placed: Collection[Record]) -> str:
        """An address in the subnet of the slice."""
        address = self._layout.place(spec.slice, {each.address: each.spec.slice for each in placed}, self._placed)
        self._placed += 1
        return address

    def formats(self) -> Mapping[str, str]:
        """Archives of files, and OCI images where runc is."""
        return {PROCESS_ARCHIVE: "", OCI: containers.missing()}

    def unpack(self, spec: InstanceSpec, folder: Path) -> None:
        """An archive as it is; of an OCI image a copy of its root file system."""
        limit = spec.resources.storage << 20
        if spec.format == OCI:
            self._images.unpack(spec.image, folder, limit)
        else:
            image.unpack(spec.image, folder / "work", limit)

    async def prepare(self, record: Record, folder: Path) -> None:
        """Make the namespace, plug it in, limit it, and give the files to the instance's user."""
        layout, address = self._layout, record.address
        name, port, subnet = layout.namespace(address), layout.port(address), layout.subnet_of(address)
        await self._fabric.bridge(address)
        await system.ip(
            f"netns add {name}",
            f"link add name {port} netns {layout.fabric} type veth "
            f"peer name eth0 address {layout.hardware(address)} netns {name}",
        )
        await system.ip(f"link set {port} master {layout.bridge(address)} up", inside=layout.fabric)
        await system.ip(
            "link set lo up",
            f"address add {address}/{SUBNET} dev eth0",
            "link set eth0 up",
            f"route add default via {layout.router(subnet)}",
            inside=name,
        )
        if self._bandwidth:
            for inside, interface in ((layout.fabric, port), (name, "eth0")):
                await self._shape(inside, interface)
        assert self._limits is not None
        self._limits.create(name, record.spec.resources, self._processes)
        await asyncio.to_thread(_give, folder / "work", layout.user(address))

    async def _shape(self, inside: str, interface: str) -> None:
        """Limit what leaves by an interface (tc-tbf(8)); a burst is a hundredth of a second, or two large packets."""
        rate = round(self._bandwidth * 1_000_000)
        burst = max(rate // 8 // 100, 2 * 65536)
        words = ("dev", interface, "root", "tbf", "rate", f"{rate}bit", "burst", f"{burst}b", "latency", "50ms")
        try:
            await system.run("tc", "-n", inside, "qdisc", "replace", *words)
        except (RpcError, OSError) as error:
            said = error.message if isinstance(error, RpcError) else "tc is not installed (Debian package iproute2)"
            raise RpcError(
                "operation-not-supported", f"bandwidth cannot be limited here: {said}; leave out 'bandwidth'"
            ) from error

    def launch(
        self, record: Record, folder: Path, environment: Mapping[str, str]
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """From limits to namespaces to a user without privileges, who is given the environment; or runc does that."""
        name, user = self._layout.namespace(record.address), self._layout.user(record.address)
        assert self._limits is not None
        if record.spec.format == OCI:
            cgroup = self._limits.path(name)
            words = containers.command(record, folder, environment, name=name, user=user, cgroup=cgroup)
            return words, {"PATH": PATH, MARK: str(folder)}
        command = (
            *("sh", "-c", _ENTER, "sh", *self._limits.entrances(name), "--"),
            *("nsenter", f"--net={system.NAMESPACES / name}"),
            *("unshare", "--mount", "--ipc", "--propagation=private"),
            *("sh", "-c", _SETTLE, "sh", str(folder / "work"), str(HOME)),
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"),
            *("--bounding-set=-all", "--inh-caps=-all"),
            *("sh", "-c", _DRESS, "sh", *environment, "--"),
            *record.spec.command,
        )
        folded = {_FOLDED + variable: value for variable, value in environment.items()}
        return command, {"PATH": PATH, MARK: str(folder), **folded}

    def environment(self, record: Record, folder: Path) -> dict[str, str]:
        """The same folder for every instance, its own files; the system's programs, not those of the daemon's user.

        An OCI image says itself.
        """
        if record.spec.format == OCI:
            return containers.environment(folder)
        return {"HOME": str(HOME), "PATH": PATH}

    def farewell(self, record: Record, folder: Path) -> signal.Signals:
        """The usual one, or what the image says."""
        if record.spec.format == OCI:
            return containers.farewell(folder, self.processes(record))
        return signal.SIGTERM

    def processes(self, record: Record) -> Collection[int]:
        """Those in the namespace or the cgroup."""
        name = self._layout.namespace(record.address)
        assert self._limits is not None
        return _inside(system.NAMESPACES / name) | self._limits.members(name)

    async def kill(self, record: Record) -> None:
        """End every process in the namespace or the cgroup, whatever it calls itself."""
        name = self._layout.namespace(record.address)
        assert self._limits is not None
        await asyncio.to_thread(_kill, system.NAMESPACES / name, name, self._limits)

    async def clear(self, record: Record) -> None:
        """Remove namespace and cgroup."""
        layout, name = self._layout, self._layout.namespace(record.address)
        assert self._limits is not None
        await self.kill(record)
        await asyncio.to_thread(containers.forget, name)
        await asyncio.to_thread(self._limits.remove, name)
        port = layout.port(record.address)
        # The kernel takes its time over a namespace; the port must be gone at once, or its name is not free.
        if await system.has_link(port, layout.fabric):
            await system.ip(f"link delete {port}", inside=layout.fabric)
        if system.has_namespace(name):
            await system.ip(f"netns delete {name}")


def _give(work: Path, user: int) -> None:
    for folder, _, files in os.walk(work):
        for each in (folder, *(os.path.join(folder, file) for file in files)):
            os.lchown(each, user, user)


def _kill(namespace: Path, name: str, limits: Limits, timeout: float = 5.0) -> None:
    """Raises `RpcError`: operation-failed, when something cannot be killed."""
    limits.hasten(name)
    deadline = time.monotonic() + timeout
    while left := _inside(namespace) | limits.members(name):
        if time.monotonic() > deadline:
            raise RpcError("operation-failed", f"processes {sorted(left)} in {name} cannot be killed")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _inside(namespace: Path) -> set[int]:
    """The processes in a network namespace, zombies left out: the kernel takes theirs away."""
    try:
        wanted = namespace.stat()
    except FileNotFoundError:
        return set()
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), wanted):
                found.add(int(pid))
    return found
