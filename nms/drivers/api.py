"""What the blocks of a domain ask of the infrastructure below them: VIM, DNS, data plane (Mm7, Mp2; ETSI GS MEC 003).

Defines `Vim` (and `Divisible`), `Dns` and `DataPlane`, the frozen values that they exchange, and `load`, which finds a
driver by entry point.  Every call is a coroutine: drivers are slow and never run under the writer lock.  Every call is
idempotent by the caller's own identifier (instance id, record, rule), so that a retry after a lost answer is harmless.
A driver imports this module, parts that are no drivers (`dns_names`, `process`) and nothing else of the package; this
module knows no driver and no other layer but the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, overload, runtime_checkable

from nms.errors import ConfigError, RpcError

__all__ = [
    "OCI", "PROCESS_ARCHIVE", "Capacity", "ConfigError", "DataPlane", "DataPlaneFactory", "Divisible", "Dns",
    "DnsFactory", "DnsRecord", "Host", "Instance", "InstanceKpis", "InstanceSpec", "InstanceState", "RecordType",
    "Resources", "RpcError", "TrafficRule", "Vim", "VimFactory", "load", "setting", "strict",
]  # fmt: skip

InstanceState = Literal["allocated", "starting", "started", "stopping", "stopped", "failed"]
RecordType = Literal["A", "AAAA"]
#: Formats of images (identities of mec-types): files that are run by their command, and an OCI image.
PROCESS_ARCHIVE, OCI = "process-archive", "oci"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of compute and storage: `millicpu` in thousandths of a virtual CPU, `memory` and `storage` in MiB."""

    millicpu: int = 0
    memory: int = 0
    storage: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.millicpu + other.millicpu, self.memory + other.memory, self.storage + other.storage)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.millicpu - other.millicpu, self.memory - other.memory, self.storage - other.storage)

    def fits(self, room: Resources) -> bool:
        """Whether every amount is at most the one of `room`."""
        return self.millicpu <= room.millicpu and self.memory <= room.memory and self.storage <= room.storage


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is and what is taken."""

    total: Resources
    used: Resources

    @property
    def free(self) -> Resources:
        """What can still be allocated; never negative, even after the configured total was lowered."""
        left = self.total - self.used
        return Resources(max(0, left.millicpu), max(0, left.memory), max(0, left.storage))


@dataclass(frozen=True, slots=True)
class Host:
    """A compute host of the VIM in a zone (MEC 010-2 Mm4)."""

    name: str
    zone: str
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """What to run.

    Attributes:
        id: application instance identifier, unique in the VIM; letters, digits, ``.``, ``_`` and ``-``.
        image: the image's file on this machine; its digest has been checked by the caller.
        format: of the image, an identity of mec-types; one of those that `Vim.formats` says can be run.
        command: entry point and arguments, run in the unpacked image.  Empty: as the image says, if it does.
        resources: what the instance takes from its host until it is deleted.
        host: name of the host to run on; empty: any host (of `zone`) with room.
        zone: zone to run in; empty: any.
        port: TCP port on which the application answers; the instance counts as started once it accepts there.
            None: it counts as started once it has stayed alive for a moment.
        environment: variables given to the application besides the ``MEC_*`` ones that the VIM sets.
        slice: the isolated share of the infrastructure that it belongs to; instances of two slices cannot reach each
            other where the driver isolates.  Empty: the domain's own.
    """

    id: str
    image: Path
    command: tuple[str, ...] = ()
    resources: Resources = Resources()
    host: str = ""
    zone: str = ""
    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    slice: str = ""
    format: str = PROCESS_ARCHIVE


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as the VIM knows it; `reason` says in one sentence why it is stopped or failed."""

    id: str
    state: InstanceState
    host: str
    zone: str
    address: str
    port: int | None
    resources: Resources
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InstanceKpis:
    """Measured use: `cpu_seconds` since the start, `memory` resident in bytes, number of `processes`."""

    cpu_seconds: float
    memory: int
    processes: int


class Vim(Protocol):
    """A virtualised infrastructure manager (Mm4 and Mm6 end here).  Errors are `RpcError`."""

    async def open(self, changed: Callable[[Instance], None]) -> None:
        """Take up work, re-adopting what still runs.

        `changed` is called in the event loop with each instance that changed of its own accord: died since, or
        dies later.  Raises `ConfigError` or `RpcError`.
        """

    async def close(self) -> None:
        """Let go of everything; instances keep running and are found again by the next `open`."""

    def formats(self) -> Mapping[str, str]:
        """Formats of images (identities of mec-types) -> why they cannot be run here, one sentence; empty: they can.

        What is not named cannot be run either.
        """

    async def dismantle(self) -> None:
        """Remove what was made for all instances and outlives the daemon; there must be none.  `open` makes it again.

        Raises `RpcError`: in-use.
        """

    async def capacity(self) -> Capacity:
        """The sum over all hosts."""

    async def hosts(self) -> Sequence[Host]:
        """Every host with its capacity, by name."""

    async def allocate(self, spec: InstanceSpec) -> Instance:
        """Take host, address and resources without starting.

        The same id with the same spec answers what exists.  Raises `RpcError`: data-exists (same id, other spec),
        resource-denied (no host has room), operation-not-supported (the image's format), invalid-value.
        """

    async def start(self, spec: InstanceSpec) -> Instance:
        """Allocate where needed, start, and return once the application answers.

        On failure the instance remains, ``failed``, with its resources, to be started again or deleted; cancelling
        the call does the same.  Raises `RpcError`: those of `allocate`, operation-failed (with the application's
        last words).
        """

    async def stop(self, instance_id: str, grace: float | None = None) -> Instance:
        """Stop gracefully, after `grace` seconds (None: as configured) by force; resources stay allocated.

        Raises `RpcError`: data-missing.
        """

    async def delete(self, instance_id: str, grace: float | None = None) -> None:
        """Stop as `stop` does and forget; resources are free when this returns.  An unknown id is no error."""

    async def status(self, instance_id: str) -> Instance:
        """One instance.  Raises `RpcError`: data-missing."""

    async def kpis(self, instance_id: str) -> InstanceKpis:
        """Measured use; zeros when it does not run.  Raises `RpcError`: data-missing."""

    async def list(self) -> Sequence[Instance]:
        """Every instance, by id."""


@runtime_checkable
class Divisible(Vim, Protocol):
    """A `Vim` that can lend a part of its infrastructure to a manager of its own (a slice's dedicated VIM)."""

    def dedicated(self, name: str, lent: Sequence[Host]) -> Vim:
        """A driver for the part called `name`, made but not opened; the same name finds its instances again.

        From now on `lent` (total capacity, on hosts of this driver) are lent: this driver counts them as used.  The
        new one knows its own instances only, and gives away no address that another one has given.
        """

    async def discard(self, name: str) -> None:
        """Take a part back that is closed and has no instances; an unknown one is no error."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One published address: `name` absolute in lower case with its final dot, `ttl` in seconds."""

    name: str
    type: RecordType
    address: str
    ttl: int


class Dns(Protocol):
    """The DNS of a MEC host as the platform writes it (MEC 011 DNS rules; Mp2).  Errors are `RpcError`."""

    async def open(self) -> None:
        """Take up work.  Raises `ConfigError`."""

    async def close(self) -> None:
        """Stop answering; what was published in memory is gone."""

    def listening(self) -> tuple[str, int]:
        """Address and port where clients ask (port 53 or as configured)."""

    async def publish(self, name: str, type: RecordType, address: str, ttl: int) -> None:
        """Add an address to a name, or renew it; the TTL holds for all addresses of that type (RFC 2181, 5.2).

        Raises `RpcError`: invalid-value (not a name, an address or a TTL; a name outside the zones).
        """

    async def withdraw(self, name: str, type: RecordType | None = None, address: str | None = None) -> None:
        """Remove a name's records, or only those of a type, or only one address; removing nothing is no error."""

    async def records(self) -> Sequence[DnsRecord]:
        """Every published record that is really given out, ordered.  Raises `RpcError`: nobody knows."""


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """A traffic rule of an application instance (MEC 010-2 clause 6.2.1.9; the leafs of mec-app-descriptor).

    `filter` maps the filter's leafs to their values; absent ones match all.  Lower `priority` numbers come first.
    """

    instance_id: str
    rule_id: str
    priority: int
    action: str
    filter_type: str = "per-flow"
    filter: Mapping[str, Any] = field(default_factory=dict)
    destination_interface: str = ""
    destination_address: str = ""


class DataPlane(Protocol):
    """Steers traffic as the platform's rules say (Mp2).  Errors are `RpcError`."""

    #: Whether packets really follow the rules; False: they are only recorded.
    steers: bool

    async def open(self) -> None:
        """Take up work.  Raises `ConfigError`."""

    async def close(self) -> None:
        """Stop; rules are the caller's to activate again."""

    async def activate(self, rule: TrafficRule) -> None:
        """Put a rule in force, replacing the one of the same instance and rule id."""

    async def deactivate(self, instance_id: str, rule_id: str) -> None:
        """Take a rule out of force; an unknown one is no error."""

    async def rules(self) -> Sequence[TrafficRule]:
        """The rules that are really in force, highest precedence (lowest priority number) first.

        Raises `RpcError`: nobody knows.
        """


#: What an entry point names: called with the driver's table of the configuration and a folder of its own for state.
VimFactory = Callable[[Mapping[str, object], Path], Vim]
DnsFactory = Callable[[Mapping[str, object], Path], Dns]
DataPlaneFactory = Callable[[Mapping[str, object], Path], DataPlane]


@cache
def entry_points(group: str) -> metadata.EntryPoints:
    """What is installed; it stays so while a process runs, and is looked for once."""
    return metadata.entry_points(group=group)


@overload
def load(group: Literal["mec_nms.drivers.vim"], name: str) -> VimFactory: ...
@overload
def load(group: Literal["mec_nms.drivers.dns"], name: str) -> DnsFactory: ...
@overload
def load(group: Literal["mec_nms.drivers.dataplane"], name: str) -> DataPlaneFactory: ...
@overload
def load(group: Literal["mec_nms.drivers.available"], name: str) -> Callable[[], str]: ...
def load(group: str, name: str) -> Callable[..., Any]:
    """The driver `name` of the entry-point group.

    Raises `ConfigError`, one line: no such driver (with those that exist), or it cannot be imported.
    """
    found = entry_points(group=group)
    if name not in found.names:
        known = ", ".join(sorted(found.names)) or "none; is the package installed?"
        raise ConfigError(f"no driver {name!r} in {group}: there is {known}")
    try:
        factory = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"driver {name!r} in {group} cannot be loaded: {error}") from error
    if not callable(factory):
        raise ConfigError(f"driver {name!r} in {group} is no factory: {found[name].value} cannot be called")
    return factory  # type: ignore[no-any-return]


def strict(driver: str, config: Mapping[str, object], known: Sequence[str]) -> None:
    """Refuse keys that a driver does not know.  Raises `ConfigError` naming the key and those that exist."""
    for key in config:
        if key not in known:
            raise ConfigError(f"driver {driver}: unknown key {key!r}; it knows {', '.join(sorted(known))}")


def setting(driver: str, config: Mapping[str, object], key: str, kind: type[T], default: T | None = None) -> T:
    """One key of a driver's configuration, of the given type; without a default it is mandatory.

    Raises `ConfigError` naming driver, key and what was expected.
    """
    if key not in config:
        if default is None:
            raise ConfigError(f"driver {driver}: key {key!r} is missing")
        return default
    value = config[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"driver {driver}: key {key!r} must be {kind.__name__}, not {value!r}")
    return value
