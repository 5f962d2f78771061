"""The driver (`nms.drivers.api.Vim`): the life of instances that are servers of a cloud.

What was asked is recorded in a folder per instance before the cloud is asked for it, and what the cloud says decides
how it stands: a poll notices servers that changed of their own accord, and a restart finds everything by name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from openstack.compute.v2.server import Server

from nms.drivers.api import (
    PROCESS_ARCHIVE,
    Capacity,
    ConfigError,
    Host,
    Instance,
    InstanceKpis,
    InstanceSpec,
    Resources,
    RpcError,
    setting,
    strict,
)
from nms.drivers.openstack import account, hosts, servers
from nms.drivers.openstack.boot import check
from nms.drivers.openstack.cloud import TEMPORARY, Cloud
from nms.drivers.openstack.hosts import Place
from nms.drivers.openstack.machines import Machines
from nms.drivers.openstack.names import Names, whole
from nms.drivers.openstack.requests import Requests
from nms.drivers.openstack.slices import Slices, Terms
from nms.drivers.process import hosts as choice
from nms.drivers.process.record import Record, hold, load, save

ME = "vim openstack"
_KEYS = (
    "clouds", "cloud", "prefix", "addresses", "reachable", "zones", "quota", "poll", "timeout", "start-timeout",
    "stop-timeout",
)  # fmt: skip
#: Statuses of a server that runs no more.
ENDED = ("SHUTOFF", "ERROR", "DELETED")
_log = logging.getLogger(__name__)


class OpenstackVim:
    """The driver.

    Configuration: ``clouds`` (path of a clouds.yaml, mode 0600), ``cloud`` (its name there), ``prefix`` (of all names
    in the cloud, default ``mec``; another domain on the same cloud needs another), ``addresses`` (block that the
    networks of slices are taken from, default ``10.82.0.0/16``; routed by the cloud), ``reachable`` (list of
    ``address:port``, TCP, that instances may connect to), ``zones`` (table: availability zone to MEC zone; default:
    all, by their names), ``quota`` (table of ``cores``, ``ram`` and ``instances`` for each slice; default: no limit),
    ``poll`` (seconds between two looks at all servers, default 5), ``timeout`` (seconds for one request, 30),
    ``start-timeout`` (seconds until a server must be there and its application answer, 300), ``stop-timeout`` (seconds
    of grace that a server is given, 30).
    """

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict(ME, config, _KEYS)
        self._names = Names(setting(ME, config, "prefix", str, "mec"))
        self._names.check(ME)
        self._zones = {str(key): str(value) for key, value in setting(ME, config, "zones", dict, {}).items()}
        timeout = setting(ME, config, "timeout", float, 30.0)
        self._poll_interval = setting(ME, config, "poll", float, 5.0)
        self._start_timeout = setting(ME, config, "start-timeout", float, 300.0)
        self._stop_timeout = setting(ME, config, "stop-timeout", float, 30.0)
        if min(timeout, self._poll_interval, self._start_timeout) <= 0 or self._stop_timeout < 0:
            raise ConfigError(f"driver {ME}: poll, timeout, start-timeout and stop-timeout must be positive")
        found = account.read(ME, Path(setting(ME, config, "clouds", str)), setting(ME, config, "cloud", str), timeout)
        self._cloud = Cloud(found)
        self._slices = Slices(self._cloud, self._names, _terms(config))
        self._state = state.resolve()
        self._instances = self._state / "instances"
        self._records: dict[str, Record] = {}
        self._turns: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()
        self._changed: Callable[[Instance], None] = lambda instance: None
        self._ask = Requests()
        self._machines = Machines(self._cloud, self._slices, self._names, self._ask, self._stop_timeout)
        self._polling: asyncio.Task[None] | None = None
        self._lock: IO[bytes] | None = None

    # -- opening and closing

    async def open(self, changed: Callable[[Instance], None]) -> None:
        """Find what is there.  A cloud that does not answer is only warned of: its servers are polled for."""
        self._instances.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = hold(ME, self._state)
        self._changed = changed
        for folder in sorted(each for each in self._instances.iterdir() if each.is_dir()):
            record = load(folder)
            if record is None:  # a crash between folder and record, or within `delete`
                shutil.rmtree(folder)
            else:
                self._records[folder.name] = record
        try:
            await self._take_up()
        except RpcError as error:
            if error.app_tag != TEMPORARY:
                await self.close()
                raise ConfigError(f"driver {ME}: {error.message}") from error
            _log.warning("driver %s: %s; what is known of instances is what was recorded", ME, error.message)
        except BaseException:
            await self.close()
            raise
        self._polling = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Let servers run on; the next `open` finds them."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
            self._polling = None
        await self._ask.close()
        self._records.clear()
        self._machines.known.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- what there is

    async def hosts(self) -> Sequence[Host]:
        """Every host, with what servers take and what is promised to instances that have none yet."""
        return [place.host for place in await self._places()]

    async def dismantle(self) -> None:
        """What was made for a slice went with its last instance."""
        if self._records:
            raise RpcError("in-use", f"instances of driver {ME} exist: {', '.join(sorted(self._records))}")

    def formats(self) -> Mapping[str, str]:
        """Disks; an archive of files is handed on as one, to whatever the cloud makes of it."""
        return {"qcow2": "", "raw": "", PROCESS_ARCHIVE: ""}

    async def capacity(self) -> Capacity:
        """The sum over all hosts."""
        return choice.capacity(await self.hosts())

    async def list(self) -> Sequence[Instance]:
        """Every instance, by id."""
        return [record.instance() for _, record in sorted(self._records.items())]

    async def status(self, instance_id: str) -> Instance:
        """One instance, as last seen."""
        return self._record(instance_id).instance()

    async def kpis(self, instance_id: str) -> InstanceKpis:
        """What the hypervisor measures."""
        if self._record(instance_id).state != "started":
            return InstanceKpis(0.0, 0, 0)
        return await self._machines.kpis(instance_id)

    # -- life cycle

    async def allocate(self, spec: InstanceSpec) -> Instance:
        """Take a port, its address and room on a host; see `nms.drivers.api.Vim.allocate`."""
        async with self._turn("instance", spec.id):
            return (await self._allocate(spec)).instance()

    async def start(self, spec: InstanceSpec) -> Instance:
        """Start a server and wait until its application answers; see `nms.drivers.api.Vim.start`."""
        async with self._turn("instance", spec.id):
            record = await self._allocate(spec)
            if record.state == "started":
                return record.instance()
            self._put(spec.id, state="starting", reason="")
            try:
                async with asyncio.timeout(self._start_timeout):
                    await self._machines.run(record)
                    await self._machines.answers(record)
            except BaseException as error:  # cancellation too: what does not answer must not run on
                await asyncio.shield(self._fail(spec.id, error))
                if isinstance(error, TimeoutError):
                    raise RpcError("operation-failed", self._record(spec.id).reason) from None
                raise
            return self._put(spec.id, state="started").instance()

    async def stop(self, instance_id: str, grace: float | None = None) -> Instance:
        """Shut the server down; it is given the configured grace, since a cloud takes none with the request."""
        async with self._turn("instance", instance_id):
            record = self._record(instance_id)
            if record.state in ("started", "stopping", "starting"):
                self._put(instance_id, state="stopping")
                await self._machines.shut_down(instance_id)
                record = self._put(instance_id, state="stopped", reason="")
            return record.instance()

    async def delete(self, instance_id: str, grace: float | None = None) -> None:
        """Shut down (not at all with no grace), remove server and port, and with its last instance the slice."""
        async with self._turn("instance", instance_id):
            record = self._records.get(instance_id)
            if record is None:
                return
            if record.state == "started":
                self._put(instance_id, state="stopping")
                if grace != 0:
                    await self._machines.shut_down(instance_id)
            await self._machines.remove(instance_id)
            async with self._turn("slice", record.spec.slice):
                others = [each for each in self._records.values() if each.spec.slice == record.spec.slice]
                await self._ask(partial(self._give_back, record, last=len(others) == 1))
                folder = self._instances / instance_id
                (folder / "instance.json").unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                del self._records[instance_id]

    # -- allocation

    async def _allocate(self, spec: InstanceSpec) -> Record:
        known = self._records.get(spec.id)
        if known is not None:
            if known.spec != spec:
                raise RpcError("data-exists", f"instance {spec.id} exists with other properties; delete it first")
            if known.address:
                return known
        check(spec)
        if not Resources().fits(spec.resources):
            raise RpcError("invalid-value", f"instance {spec.id} asks for negative resources")
        if known is None:
            async with self._turn("", "room"):  # two requests never take the same room
                sized = replace(spec, resources=whole(spec.resources))
                host = choice.choose(await self.hosts(), sized)
                self._save(Record(spec, host.name, host.zone, ""))
        try:
            async with self._turn("slice", spec.slice):
                address = await self._ask(partial(self._plug, spec))
        except BaseException:
            # It has taken nothing but a place in the books; a port, if any, is found by the next try or by `delete`.
            if known is None:
                (self._instances / spec.id / "instance.json").unlink(missing_ok=True)
                self._records.pop(spec.id, None)
            raise
        return self._put(spec.id, address=address)

    def _plug(self, spec: InstanceSpec) -> str:
        share = self._slices.ensure(spec.slice)
        if spec.port is not None:
            self._slices.admit(share, spec.port)
        return servers.port(self._cloud.operator, share, self._names.server(spec.id))[1]

    def _give_back(self, record: Record, last: bool) -> None:
        share = self._slices.find(record.spec.slice)
        if share is not None:
            servers.remove_port(self._cloud.operator, share, self._names.server(record.spec.id))
        if last:
            self._slices.remove(record.spec.slice)

    async def _places(self) -> Sequence[Place]:
        """The hosts; those that have no server yet count as what they will take."""
        places = await self._ask(lambda: hosts.read(self._cloud.operator, self._zones))
        waiting = [
            choice.Allocation(record.host, whole(record.spec.resources))
            for name, record in self._records.items()
            if name not in self._machines.known
        ]
        promised = choice.occupied({place.host.name: place.host for place in places}, waiting)
        return [
            replace(place, host=replace(place.host, capacity=replace(
                place.host.capacity, used=place.host.capacity.used + more.capacity.used
            )))
            for place, more in zip(places, promised, strict=True)
        ]  # fmt: skip

    async def _fail(self, name: str, error: BaseException) -> None:
        """After a start that failed: nothing runs, and the record says why."""
        reason = error.message if isinstance(error, RpcError) else "its start was cancelled"
        with suppress(
            RpcError
        ):  # a server that the cloud does not remove now is met again by the next start or deletion
            if isinstance(error, TimeoutError):
                where = f"on port {port} " if (port := self._record(name).spec.port) else ""
                words = await self._machines.last_words(name)
                reason = f"instance {name} did not answer {where}within {self._start_timeout:g} s: {words}"
            await self._machines.remove(name)
        self._put(name, state="failed", reason=reason)

    # -- what the cloud does of its own accord

    async def _take_up(self) -> None:
        """Compare what is recorded with what there is, after a restart."""
        there = await self._ask(lambda: servers.every(self._cloud.operator, self._names))
        self._machines.known |= {name: each.id for name, each in there.items() if name in self._records}
        for name in sorted(set(there) - set(self._records)):
            _log.warning("driver %s: server %s is of no known instance; delete it", ME, self._names.server(name))
        for name, record in list(self._records.items()):
            if record.state == "starting":
                await self._machines.remove(name)
                self._put(name, state="failed", reason="its start was interrupted by the end of the daemon")
                self._changed(self._record(name).instance())
            elif record.state == "stopping":
                running = name in there and there[name].status == "ACTIVE"
                self._put(name, state="started" if running else "stopped", reason="")
                self._changed(self._record(name).instance())
        await self._compare(there)

    async def _poll(self) -> None:
        silent = False
        while True:
            await asyncio.sleep(self._poll_interval)
            try:
                await self._compare(await self._ask(lambda: servers.every(self._cloud.operator, self._names)))
                silent = False
            except RpcError as error:
                if not silent:
                    _log.warning("driver %s: %s", ME, error.message)
                silent = True

    async def _compare(self, there: Mapping[str, Server]) -> None:
        """Report the instances that run no more."""
        for name, record in list(self._records.items()):
            if record.state != "started" or ("instance", name) in self._turns:
                continue  # expected: a start, a stop or a deletion has its turn
            if name in there and there[name].status not in ENDED:
                continue
            async with self._turn("instance", name):
                # What was seen may be older than the server: look again, now that nobody changes it.
                server = await self._machines.look(name)
                running = server is not None and server.status not in ENDED
                if name not in self._records or self._record(name).state != "started" or running:
                    continue
                reason = "its server is gone from the cloud"
                if server is not None:
                    reason = f"it ended by itself: {await self._machines.last_words(name)}"
                else:
                    self._machines.known.pop(name, None)
                self._changed(self._put(name, state="failed", reason=reason).instance())

    # -- records

    def _turn(self, kind: str, name: str) -> asyncio.Lock:
        return self._turns.setdefault((kind, name), asyncio.Lock())

    def _record(self, name: str) -> Record:
        try:
            return self._records[name]
        except KeyError:
            raise RpcError("data-missing", f"there is no instance {name}", status=404) from None

    def _put(self, name: str, **changes: Any) -> Record:
        record = replace(self._records[name], **changes)
        self._save(record)
        return record

    def _save(self, record: Record) -> None:
        folder = self._instances / record.spec.id
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            save(folder, record)
        except OSError as error:
            raise RpcError("operation-failed", f"instance {record.spec.id} cannot be recorded: {error}") from error
        self._records[record.spec.id] = record


def _terms(config: Mapping[str, object]) -> Terms:
    """Raises `ConfigError`."""
    addresses = setting(ME, config, "addresses", str, "10.82.0.0/16")
    quota = setting(ME, config, "quota", dict, {})
    strict(f"{ME}, quota", quota, ("cores", "ram", "instances"))
    reachable = []
    try:
        ipaddress.IPv4Network(addresses)
        for text in setting(ME, config, "reachable", list, []):
            address, _, port = str(text).rpartition(":")
            reachable.append((str(ipaddress.IPv4Network(address)), int(port)))
    except ValueError as error:
        raise ConfigError(
            f"driver {ME}: 'addresses' is a network, 'reachable' a list of address:port: {error}"
        ) from None
    return Terms(addresses, tuple(reachable), {key: setting(ME, quota, key, int) for key in quota})
