"""The life of instances that are processes: allocate, start, watch, stop and delete (`nms.drivers.api.Vim`).

Life of an instance: a folder with its record, the unpacked image (``work``) and its output (``log``); a process that
leads its own session; a watch on the process's pidfd, which works alike for our children and for those adopted after
a restart.  Instances outlive the daemon: `open` finds them again.  Where they run, at which address and how isolated,
is the `Ground`'s to say.  Linux only: macOS has neither /proc nor pidfd.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from nms.drivers.api import (
    OCI,
    Capacity,
    Host,
    Instance,
    InstanceKpis,
    InstanceSpec,
    RpcError,
    setting,
)
from nms.drivers.process import hosts, proc
from nms.drivers.process.ground import Ground
from nms.drivers.process.record import Record, hold, load, save
from nms.drivers.process.watch import Watch, spawn

#: Keys of the configuration that are alike in every driver of processes.
KEYS = ("hosts", "start-timeout", "stop-timeout")
#: Carried by every process of an instance and inherited by its children: how strays are found.
MARK = "MEC_INSTANCE_DIR"
#: How long an instance without a port must stay alive to count as started.
SETTLE_SECONDS = 0.3
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
T = TypeVar("T")


class ProcessDriver:
    """The driver, given its ground.

    Configuration besides the ground's: ``hosts`` (tables of name, zone, cpu, memory, storage; none: no room),
    ``start-timeout`` (seconds until an instance must answer, default 10), ``stop-timeout`` (seconds of grace by
    default, 5).

    Args:
        driver: its name, for messages.
    """

    def __init__(self, driver: str, config: Mapping[str, object], state: Path, ground: Ground) -> None:
        self._driver = driver
        self._hosts = hosts.read(driver, setting(driver, config, "hosts", list)) if "hosts" in config else {}
        self._start_timeout = setting(driver, config, "start-timeout", float, 10.0)
        self._stop_timeout = setting(driver, config, "stop-timeout", float, 5.0)
        self._ground = ground
        #: Parts of the hosts that are lent, each with a driver of its own on the same ground, and whose part this is.
        self._parts: dict[str, ProcessDriver] = {}
        self._lender = self
        self._standing = False
        self._state = state.resolve()
        self._instances = self._state / "instances"
        self._records: dict[str, Record] = {}
        self._watches: dict[str, Watch] = {}
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._sweeps: set[asyncio.Task[None]] = set()
        self._changed: Callable[[Instance], None] = lambda instance: None
        self._lock: IO[bytes] | None = None

    # -- opening and closing

    async def open(self, changed: Callable[[Instance], None]) -> None:
        """Re-adopt running instances and report those that ended; see `nms.drivers.api.Vim.open`."""
        self._instances.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = hold(self._driver, self._state)
        self._changed = changed
        first = not any(each._standing for each in self._neighbours())
        self._standing = True
        try:
            if first:
                await self._ground.open()
            ended = await self._adopt_all()
        except BaseException:
            await self.close()
            raise
        for instance in ended:
            changed(instance)

    async def _adopt_all(self) -> Sequence[Instance]:
        """Take up every recorded instance; those that have ended meanwhile."""
        ended = []
        for folder in sorted(each for each in self._instances.iterdir() if each.is_dir()):
            record = load(folder)
            if record is None:  # a crash between folder and record, or within `delete`
                await _in_thread(proc.sweep, MARK, str(folder))
                await _in_thread(shutil.rmtree, folder)
                continue
            self._records[folder.name] = record
            if record.state in ("starting", "started", "stopping") and await self._adopt(record):
                ended.append(self._records[folder.name].instance())
        return ended

    async def _adopt(self, record: Record) -> bool:
        """Take up an instance that was running or on its way; whether it has ended."""
        name = record.spec.id
        alive = record.pid != 0 and proc.born(record.pid) == record.born
        if alive and record.state != "starting":
            self._put(name, state="started", reason="")
            self._watch(name, record.pid)
            return False
        await self._ground.kill(record)
        await _in_thread(proc.sweep, MARK, str(self._folder(name)))
        await self._ground.clear(record)
        reasons = {
            "starting": "its start was interrupted by the end of the daemon",
            "started": f"it ended while no daemon watched: {self._last_words(name)}",
            "stopping": "",
        }
        self._put(name, state="stopped" if record.state == "stopping" else "failed", pid=0, born="",
                  reason=reasons[record.state])  # fmt: skip
        return True

    async def close(self) -> None:
        """Let the instances run on; the next `open` finds them."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        await asyncio.gather(*self._sweeps)
        self._standing = False
        if not any(each._standing for each in self._neighbours()):
            await self._ground.close()
        self._records.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def dismantle(self) -> None:
        """Remove the ground; see `nms.drivers.api.Vim.dismantle`."""
        held = sorted(instance for each in self._neighbours() for instance in each._records)
        if held:
            raise RpcError("in-use", f"instances of driver {self._driver} exist: {', '.join(held)}")
        await self._ground.dismantle()

    # -- parts that are lent

    def dedicated(self, name: str, lent: Sequence[Host]) -> ProcessDriver:
        """See `nms.drivers.api.Divisible.dedicated`."""
        config = {
            "hosts": hosts.tables(lent),
            "start-timeout": self._start_timeout,
            "stop-timeout": self._stop_timeout,
        }
        part = self._parts[name] = ProcessDriver(self._driver, config, self._state / "dedicated" / name, self._ground)
        part._lender = self
        return part

    async def discard(self, name: str) -> None:
        """See `nms.drivers.api.Divisible.discard`."""
        self._parts.pop(name, None)
        with suppress(FileNotFoundError):
            await _in_thread(shutil.rmtree, self._state / "dedicated" / name)

    def _neighbours(self) -> Sequence[ProcessDriver]:
        """All that stand on the same ground."""
        return self._lender, *self._lender._parts.values()

    # -- what there is

    def formats(self) -> Mapping[str, str]:
        """Those of the ground; see `nms.drivers.api.Vim.formats`."""
        return self._ground.formats()

    async def hosts(self) -> Sequence[Host]:
        """Every host with its capacity, by name."""
        return self._occupied()

    async def capacity(self) -> Capacity:
        """The sum over all hosts."""
        return hosts.capacity(self._occupied())

    async def list(self) -> Sequence[Instance]:
        """Every instance, by id."""
        return [record.instance() for _, record in sorted(self._records.items())]

    async def status(self, instance_id: str) -> Instance:
        """One instance."""
        return self._record(instance_id).instance()

    async def kpis(self, instance_id: str) -> InstanceKpis:
        """CPU seconds, resident memory and number of the instance's processes."""
        record = self._record(instance_id)
        if not record.pid:
            return InstanceKpis(0.0, 0, 0)
        return InstanceKpis(*await _in_thread(lambda: proc.usage(self._ground.processes(record))))

    # -- life cycle

    async def allocate(self, spec: InstanceSpec) -> Instance:
        """Take host, address and resources; see `nms.drivers.api.Vim.allocate`."""
        async with self._turn(spec.id):
            return self._allocate(spec).instance()

    async def start(self, spec: InstanceSpec) -> Instance:
        """Start and wait until it answers; see `nms.drivers.api.Vim.start`."""
        async with self._turn(spec.id):
            record = self._allocate(spec)
            if record.state == "started":
                return record.instance()
            try:
                await self._launch(spec)
            except BaseException as error:  # cancellation too: whatever happens, no process may be left behind
                await asyncio.shield(self._end(spec.id, 0.0))
                reason = error.message if isinstance(error, RpcError) else "its start was cancelled"
                self._put(spec.id, state="failed", pid=0, born="", reason=reason)
                raise
            # No await since it answered: were it dead by now, `_ended` comes after this and says so.
            return self._put(spec.id, state="started").instance()

    async def stop(self, instance_id: str, grace: float | None = None) -> Instance:
        """Stop the whole process group; see `nms.drivers.api.Vim.stop`."""
        async with self._turn(instance_id):
            if self._record(instance_id).state in ("started", "stopping"):
                self._put(instance_id, state="stopping")
                await self._end(instance_id, self._stop_timeout if grace is None else grace)
                self._put(instance_id, state="stopped", pid=0, born="")
            return self._record(instance_id).instance()

    async def delete(self, instance_id: str, grace: float | None = None) -> None:
        """Stop and forget; see `nms.drivers.api.Vim.delete`."""
        async with self._turn(instance_id):
            record = self._records.get(instance_id)
            if record is None:
                return
            if record.state == "started":
                self._put(instance_id, state="stopping")
            await self._end(instance_id, self._stop_timeout if grace is None else grace)
            folder = self._folder(instance_id)
            # A folder without record counts as rubbish (see `_adopt_all`): a crash from here on completes the deletion.
            try:
                (folder / "instance.json").unlink(missing_ok=True)
                await _in_thread(shutil.rmtree, folder)
            except FileNotFoundError:
                pass  # a deletion that was cancelled had come this far
            except OSError as error:
                raise RpcError("operation-failed", f"the files of instance {instance_id} remain: {error}") from error
            del self._records[instance_id]

    # -- allocation: no await inside, so that two requests never take the same room

    def _allocate(self, spec: InstanceSpec) -> Record:
        known = self._records.get(spec.id)
        if known is not None:
            if known.spec != spec:
                raise RpcError("data-exists", f"instance {spec.id} exists with other properties; delete it first")
            return known
        if not _ID.fullmatch(spec.id):
            raise RpcError("invalid-value", f"instance id {spec.id!r} must be made of letters, digits, '.', '_', '-'")
        words = (*spec.command, *spec.environment.values())
        sound = not any("\0" in word for word in words) and all(map(_VARIABLE.fullmatch, spec.environment))
        if not (spec.command or spec.format == OCI) or not sound:
            raise RpcError("invalid-value", f"instance {spec.id} has no command or a malformed environment")
        if reason := self.formats().get(spec.format, "this driver does not know it"):
            raise RpcError("operation-not-supported", f"an image of format {spec.format} cannot be run: {reason}")
        if spec.port is not None and not 0 < spec.port < 65536:
            raise RpcError("invalid-value", f"instance {spec.id} asks for port {spec.port}, which does not exist")
        host = hosts.choose(self._occupied(), spec)
        placed = [record for each in self._neighbours() for record in each._records.values()]
        address = self._ground.address(spec, placed)
        record = Record(spec, host.name, host.zone, address)
        self._save(record)
        self._records[spec.id] = record
        return record

    def _occupied(self) -> Sequence[Host]:
        taken = [hosts.Allocation(record.host, record.spec.resources) for record in self._records.values()]
        lent = (host for part in self._parts.values() for host in part._hosts.values())
        taken += [hosts.Allocation(host.name, host.capacity.total) for host in lent]
        return hosts.occupied(self._hosts, taken)

    # -- processes

    async def _launch(self, spec: InstanceSpec) -> None:
        name, folder = spec.id, self._folder(spec.id)
        # A stop that was cancelled, or an end that came by itself, may have left processes.
        await self._end(name, self._stop_timeout)
        self._put(name, state="starting", reason="")
        # A start after a stop finds its files again, as a virtual machine finds its disk.
        if not (folder / "work").is_dir():
            await _in_thread(self._ground.unpack, spec, folder)
        record = self._record(name)
        await self._ground.prepare(record, folder)
        # In this thread and watched at once: a cancellation in between would leave a child that nobody reaps.
        pid = spawn(folder, *self._ground.launch(record, folder, self._environment(record)))
        self._watch(name, pid)
        self._put(name, pid=pid, born=proc.born(pid))
        await self._answers(name)

    async def _answers(self, name: str) -> None:
        """Wait until the instance accepts on its port.  Raises `RpcError` when it ends or the deadline passes."""
        record, watch = self._record(name), self._watches[name]
        port = record.spec.port
        try:
            async with asyncio.timeout(self._start_timeout if port else SETTLE_SECONDS):
                while not watch.exit.is_set():
                    if port:
                        with suppress(OSError):
                            _, writer = await asyncio.open_connection(record.address, port)
                            writer.close()
                            return
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await watch.exit.wait()
        except TimeoutError:
            if not port:
                return
            raise RpcError(
                "operation-failed",
                f"instance {name} did not answer on port {port} within {self._start_timeout:g} s: "
                f"{self._last_words(name)}",
            ) from None
        raise RpcError("operation-failed", f"instance {name} ended at once{watch.how()}: {self._last_words(name)}")

    def _environment(self, record: Record) -> dict[str, str]:
        """Nothing of the daemon's own environment but what the ground lets through."""
        folder, spec = self._folder(record.spec.id), record.spec
        return {
            "LANG": "C.UTF-8",
            **self._ground.environment(record, folder),
            "MEC_ADDRESS": record.address,
            "MEC_PORT": str(spec.port or ""),
            "MEC_ZONE": record.zone,
            **spec.environment,
            "MEC_APP_INSTANCE_ID": spec.id,
            MARK: str(folder),
        }

    def _watch(self, name: str, pid: int) -> None:
        watch = self._watches[name] = Watch(pid, lambda: self._ended(name, watch))

    def _ended(self, name: str, watch: Watch) -> None:
        record = self._records.get(name)
        if record is None or record.state != "started":
            return  # expected: a start or a stop waits for it
        sweep = asyncio.create_task(self._sweep(name))
        self._sweeps.add(sweep)
        sweep.add_done_callback(self._sweeps.discard)
        reason = f"it ended by itself{watch.how()}: {self._last_words(name)}"
        with suppress(RpcError):  # a full disk: we know it all the same, and the next `open` finds no such process
            self._put(name, state="failed", pid=0, born="", reason=reason)
        self._changed(self._records[name].instance())

    async def _sweep(self, name: str) -> None:
        """Clear up after an instance that ended by itself; what remains is met again by its start or deletion."""
        async with self._turn(name):
            record = self._records.get(name)
            if record is not None and record.state == "failed":
                with suppress(RpcError):
                    await self._ground.kill(record)
                await _in_thread(proc.sweep, MARK, str(self._folder(name)))
                with suppress(RpcError):
                    await self._ground.clear(record)

    async def _end(self, name: str, grace: float) -> None:
        """End every process of the instance: politely, after the grace by force."""
        watch = self._watches.get(name)
        if watch is not None and not watch.exit.is_set():
            if grace > 0:
                watch.signal(self._ground.farewell(self._record(name), self._folder(name)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace):
                        await watch.exit.wait()
            if not watch.exit.is_set():
                watch.signal(signal.SIGKILL)
        # Before their marks are read, which takes minutes where hundreds of processes share a little CPU time.
        await self._ground.kill(self._record(name))
        if watch is not None:
            await watch.exit.wait()
        if left := await _in_thread(proc.sweep, MARK, str(self._folder(name))):
            raise RpcError("operation-failed", f"processes {left} of instance {name} cannot be killed")
        await self._ground.clear(self._record(name))
        self._watches.pop(name, None)

    # -- records

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _folder(self, name: str) -> Path:
        return self._instances / name

    def _record(self, name: str) -> Record:
        try:
            return self._records[name]
        except KeyError:
            raise RpcError("data-missing", f"there is no instance {name}", status=404) from None

    def _put(self, name: str, **changes: Any) -> Record:
        record = self._records[name] = replace(self._records[name], **changes)
        self._save(record)
        return record

    def _save(self, record: Record) -> None:
        folder = self._folder(record.spec.id)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            save(folder, record)
        except OSError as error:
            raise RpcError("operation-failed", f"instance {record.spec.id} cannot be recorded: {error}") from error

    def _last_words(self, name: str) -> str:
        """The last line of the instance's output, for a person."""
        try:
            with (self._folder(name) / "log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
                lines = log.read().decode(errors="replace").split("\n")
        except FileNotFoundError:
            lines = []
        line = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return "".join(each if each.isprintable() else "?" for each in line[:200])


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    """`asyncio.to_thread` which, cancelled, waits for the thread: what cleans up afterwards must not race with it."""
    work = asyncio.ensure_future(asyncio.to_thread(partial(function, *arguments)))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
