"""Two domains in one process, joined through real SSH and HTTPS listeners; each has its own core, key and folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import pytest

from nms import config as configuration
from nms import init
from nms.config import BLOCKS, Config
from nms.daemon import own_modules
from nms.domain import DomainCredentials
from nms.federation import card
from nms.federation.start import Federation
from nms.federation.start import start as start_federation
from nms.mec import domain as mec
from nms.mec.package_store import PackageStore
from nms.mec.publisher import Publisher
from nms.mec.session import DataEdit, LocalSession, Members
from nms.model import load
from nms.notify.streams import Notification
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.transport import ssh, tls
from nms.transport.listener import Listener
from restconf import server as restconf
from restconf.server import Server
from tests.ports import free_port

T = TypeVar("T")
#: For tests of what both protocols must do alike (fixture `protocol`), and of what every transport must.
OVER_BOTH = pytest.mark.parametrize("protocol", ["netconf-ssh", "restconf"], indirect=True)
OVER_ALL = pytest.mark.parametrize("protocol", ["netconf-ssh", "netconf-tls", "restconf"], indirect=True)
DEADLINE = 20.0
AGREEMENT = "a-uses-b"
ROOT = "/mec-federation:federation"


def schema() -> Any:
    """All our models and those of the protocols; loaded once a process."""
    return load.load([configuration.YANG_DIR], [*PROTOCOL_MODULES, *own_modules()])


@dataclass
class Clock:
    """Real time, moved on by hand."""

    ahead: Any = None

    def __call__(self) -> datetime:
        now = datetime.now(UTC)
        return now if self.ahead is None else now + self.ahead


class LossyStreams:
    """The core's event streams, which lose and repeat notifications when told to."""

    def __init__(self, core: Core) -> None:
        self.lose = False
        self._core = core
        self._last: Notification | None = None

    def publish(self, notification: Notification) -> None:
        """Publish, or lose."""
        self._last = notification
        if not self.lose:
            self._core.streams.publish(notification)

    def again(self) -> None:
        """The last one once more."""
        assert self._last is not None
        self._core.streams.publish(self._last)


@dataclass
class Domain:
    """One running domain.

    Attributes:
        protocol: of its sessions with partners; "": the default.
    """

    id: str
    folder: Path
    config: Config
    core: Core
    blocks: mec.Domain
    publisher: Publisher
    streams: LossyStreams
    federation: Federation
    credentials: DomainCredentials
    store: PackageStore
    listener: Listener | None
    received: list[str]
    clock: Clock
    protocol: str = ""
    port: int = 0
    server: Server | None = None
    tls: Listener | None = None
    sessions: list[LocalSession] = field(default_factory=list)

    @property
    def card(self) -> Members:
        """Its card, with the port that it really listens on."""
        made = card.of(self.config, self.folder)
        made["endpoint"][0]["port"] = self.port
        if self.server is not None:
            for endpoint in made["endpoint"]:
                if endpoint["id"] in ("packages", "restconf"):
                    endpoint["port"] = self.server.addresses[0][1]
                if endpoint["id"] == "tls" and self.tls is not None:
                    endpoint["port"] = self.tls.addresses[0][1]
        made["endpoint"] = [endpoint for endpoint in made["endpoint"] if endpoint["port"]]
        return made

    def session(self, base: str = ROOT) -> LocalSession:
        """The operator's access to its own datastore."""
        made = LocalSession(self.core, base)
        self.sessions.append(made)
        return made

    async def add(self, partner: Members, role: str, zones: tuple[str, ...] = ("zone-1",), **terms: Any) -> None:
        """Make a partner and an agreement with it."""
        accepted = {"accepted": True} if role == "consumer" else {}
        agreement = {
            "id": AGREEMENT,
            "role": role,
            "boundary-option": "mec-types:option-system",
            "zone": [{"id": zone, **accepted} for zone in zones],
            **terms,
        }
        entry = {**partner_entry(partner, self.protocol), "agreement": [agreement]}
        await self.session().edit([DataEdit(f"/partner[id='{partner['id']}']", "create", entry)])

    async def change(self, path: str, operation: Any, data: Any = None) -> None:
        """One edit below /federation."""
        await self.session().edit([DataEdit(path, operation, data)])

    def state(self, partner: str, agreement: str = AGREEMENT) -> str:
        """State of an agreement."""
        return self.federation.partners.state(partner, agreement)

    def read(self, path: str) -> Members:
        """State and configuration at a path below /federation."""
        return self.publisher.read(ROOT + path) or {}

    async def listen(self) -> None:
        """Serve NETCONF over SSH, RESTCONF, and where sessions use it NETCONF over TLS."""
        credentials = self.credentials
        if self.server is None:
            assert self.config.restconf is not None
            self.server = await restconf.start(
                self.core,
                listen=("127.0.0.1", self.config.restconf.listen.port),
                tls=self.config.restconf,
                authenticate_password=credentials.authenticate_password,
                authenticate_certificate=credentials.authenticate_certificate,
            )
            credentials.believe(self.server.trust)
        if self.protocol == "netconf-tls":
            assert self.config.netconf.tls is not None
            files = self.config.netconf.tls
            context = tls.server_context(files.cert, files.key, files.client_ca)
            serving = tls.TlsServer(self.core, context, principal=credentials.authenticate_certificate)
            self.tls = await serving.listen([("127.0.0.1", 0)])
            credentials.believe(lambda certificate: context.load_verify_locations(cadata=certificate))
        self.listener = await ssh.listen(
            self.core,
            [("127.0.0.1", self.port)],
            [asyncssh.read_private_key(self.config.netconf.ssh.host_key)],  # type: ignore[union-attr]
            authenticate_password=credentials.authenticate_password,
            authorized_keys=credentials.authorized_keys,
            principal=credentials.principal,
        )
        self.port = int(self.listener.addresses[0][1])

    async def deaf(self) -> None:
        """Stop serving: existing connections break, new ones are refused."""
        if self.server is not None:
            self.server.deafen()
            for client in list(self.server.connections):
                client.transport.abort()  # type: ignore[attr-defined]
            await self.server.close()
            self.server = None
        if self.listener is not None:
            self.listener.close()
            for connection in list(self.listener.connections):
                connection.abort()  # type: ignore[attr-defined]
            self.listener = None
        if self.tls is not None:
            await self.tls.stop()
            self.tls = None

    async def close(self) -> None:
        """End the domain, and what runs in it."""
        await self.federation.close()
        await self.deaf()
        if self.blocks.vim is not None:
            assert self.blocks.drivers is not None
            assert self.blocks.managers is not None
            lent = [each.driver for each in self.blocks.managers.running().values()]
            for driver in (self.blocks.drivers.vim, *lent):
                for instance in await driver.list():
                    await driver.delete(instance.id, 0.0)
        await self.blocks.close()
        for session in self.sessions:
            session.close()
        self.core.close()


@contextlib.asynccontextmanager
async def domains(
    folder: Path,
    loaded: Any,
    names: Sequence[str] = ("a", "b"),
    blocks: Mapping[str, Sequence[str]] = {},
    isolated: Mapping[str, str] = {},
    **options: Any,
) -> AsyncIterator[tuple[Domain, ...]]:
    """Domains a, b ..., serving, that do not know each other yet.

    Args:
        blocks: of those that do not run all.
        isolated: addresses of those on the driver netns.
        options: ``hosts`` of each one's infrastructure; of the federation; ``protocol`` of sessions.
    """
    made: list[Domain] = []
    before = _threads()
    try:
        for name in names:
            config = await asyncio.to_thread(_configured, folder / name, name, isolated.get(name, ""))
            made.append(await _domain(folder / name, config, loaded, blocks.get(name, BLOCKS), **options))
        yield tuple(made)
    finally:
        for domain in made:
            await domain.close()
    await until("the sessions' threads have ended", lambda: _threads() <= before)


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("mx3-")}


async def _domain(folder: Path, config: Config, loaded: Any, running: Sequence[str], **options: Any) -> Domain:
    name = config.domain.id
    if (hosts := options.pop("hosts", None)) is not None:
        vim = replace(config.drivers.vim, options={**config.drivers.vim.options, "hosts": hosts})
        config = replace(config, drivers=replace(config.drivers, vim=vim))
    config = replace(config, domain=replace(config.domain, blocks=tuple(running)))
    clock = Clock()
    core = Core.create(loaded, clock=clock)
    streams = LossyStreams(core)
    publisher = Publisher(core.store, streams)
    received: list[str] = []
    store = PackageStore(folder / "packages")
    quick = {"interval": 0.5, "patience": 3.0, "farewell": 3.0, **options}
    protocol = quick.pop("protocol", "")
    measure = quick.pop("measure_interval", 10.0)
    federation = await start_federation(core, config, publisher, store, recorder=received.append, **quick)
    core.files = federation.files
    blocks = await mec.start(
        core,
        config,
        publisher=publisher,
        partners=federation.zones,
        source=federation.packages,
        measure_interval=measure,
    )
    federation.zones.changed = blocks.refresh
    credentials = DomainCredentials(core, config, federation, blocks.mp1)
    domain = Domain(
        name, folder, config, core, blocks, publisher, streams, federation, credentials, store, None, received, clock,
        protocol,
    )  # fmt: skip
    await domain.listen()
    return domain


#: What stands in a fresh domain's configuration for its port of RESTCONF and for its addresses.
_PORT, _BLOCK = 64999, "127.250.250.0/24"


def _configured(folder: Path, name: str, isolated: str) -> Config:
    """A fresh domain's configuration; its packages' port is known before it listens, because sources name it."""
    block = f"127.{random.SystemRandom().randrange(82, 255)}.{random.SystemRandom().randrange(256)}.0/24"
    folder.mkdir(parents=True)
    for file, content in _fresh(name, "netns" if isolated else "embedded").items():
        (folder / file).write_bytes(content)
        (folder / file).chmod(0o600)
    file = folder / init.CONFIG_NAME
    written = file.read_text().replace(f":{_PORT}", f":{free_port()}").replace(_BLOCK, isolated or block)
    file.write_text(written)
    return configuration.load(file)


@cache
def _fresh(name: str, driver: str) -> Mapping[str, bytes]:
    """The files of a fresh domain; all domains of that name in this process have its keys and certificates."""
    with tempfile.TemporaryDirectory() as made:
        ports = init.Ports(ssh=0, tls=0, restconf=_PORT, dns=0)
        given = {"ports": ports, "driver": driver, "address_block": _BLOCK}
        files = init.init(Path(made) / name, now=datetime.now(UTC), domain_id=name, **given)
        return {file.name: file.read_bytes() for file in files}


def partner_entry(partner: Members, protocol: str) -> Members:
    """`card.partner_entry`, which is asked once of cards that differ in nothing but ports."""
    ports = [endpoint["port"] for endpoint in partner["endpoint"]]
    numbered = [{**endpoint, "port": number} for number, endpoint in enumerate(partner["endpoint"], 1)]
    entry: Members = json.loads(_partner_entry(json.dumps({**partner, "endpoint": numbered}), protocol))
    for endpoint, port in zip(entry["endpoint"], ports, strict=True):
        endpoint["port"] = port
    return entry


@cache
def _partner_entry(partner: str, protocol: str) -> str:
    return json.dumps(card.partner_entry(json.loads(partner), protocol))


async def federate(a: Domain, b: Domain, **terms: Any) -> None:
    """A becomes consumer and B provider of an agreement, active at both."""
    await b.add(a.card, "provider", **terms)
    await a.add(b.card, "consumer", **terms)
    await until(f"{a.id}'s agreement is active", lambda: a.state(b.id) == "active")
    await until(f"{b.id}'s agreement is active", lambda: b.state(a.id) == "active")


async def until(what: str, check: Callable[[], T] | Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is true."""
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                found: Any = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found  # type: ignore[no-any-return]
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it did not happen within {DEADLINE:.0f} s: {what}") from None
