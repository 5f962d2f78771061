"""A whole domain in one process for tests: core, embedded drivers, blocks, and a package to deploy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode

from nms import config as configuration
from nms.datastore.journal_sqlite import SqliteJournal
from nms.drivers.dataplane_embedded import EmbeddedDataplane
from nms.drivers.dns_embedded import EmbeddedDns
from nms.drivers.vim_process import ProcessVim
from nms.mec import chosen, domain, package
from nms.mec.partners import Partners
from nms.mec.session import SYSTEM, DataEdit, LocalSession, Members
from nms.mec.transfer import PackageSource
from nms.model import load
from nms.model.schema import Schema
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Session

SAMPLE = Path(__file__).parents[2] / "nms/mec/sample/hello-edge"
DNS_ZONE = "edge.test"
DEADLINE = 20.0


@cache
def schema() -> Schema:
    names = sorted(file.name.partition("@")[0] for file in configuration.YANG_DIR.glob("*.yang"))
    return load.load([configuration.YANG_DIR], [*PROTOCOL_MODULES, *(f"{name}:*" for name in names)])


def build(folder: Path, out: Path, change: Any = None) -> package.PackageInfo:
    """The sample package, its descriptor (and files) changed by `change(folder, descriptor)`."""
    if change is None:
        return package.build(SAMPLE, out)
    shutil.copytree(SAMPLE, folder)
    file = folder / package.DESCRIPTOR
    document = json.loads(file.read_text())
    change(folder, document[package.TOP])
    file.write_text(json.dumps(document))
    return package.build(folder, out)


class Site:
    """One domain; `domain` and `core` are closed and opened apart, so that restarts can be tested."""

    def __init__(self, folder: Path, cpu: float = 2.0) -> None:
        self.folder = folder
        self.block = f"127.{random.SystemRandom().randrange(82, 255)}.{random.SystemRandom().randrange(256)}.0/24"
        self.hosts = [
            {"name": "host-secret-1", "zone": "z1", "cpu": cpu, "memory": 512, "storage": 256},
            {"name": "host-secret-2", "zone": "z2", "cpu": cpu, "memory": 512, "storage": 256},
        ]
        self.open()
        self.domain: domain.Domain

    def open(self) -> None:
        """The core, with what its journal has kept."""
        self.core = Core.create(schema(), SqliteJournal(self.folder / "store.db"))

    def drivers(self) -> chosen.Drivers:
        self.data_plane = EmbeddedDataplane({}, self.folder)
        self.dns = EmbeddedDns({"listen": "127.0.0.1:0", "zones": [DNS_ZONE]}, self.folder)
        options = {"addresses": self.block, "start-timeout": 8, "hosts": self.hosts}
        self.vim = ProcessVim(options, self.folder / "vim")
        return chosen.Drivers(self.vim, self.dns, self.data_plane)

    def config(self) -> configuration.Config:
        file = self.folder / "nms.toml"
        file.write_text(
            f"""
            [domain]
            id = "home"
            [store]
            path = ":memory:"
            [netconf.unix]
            path = "nms.sock"
            [packages]
            path = "packages"
            [drivers.dns]
            name = "embedded"
            zones = ["{DNS_ZONE}"]
            """
        )
        return configuration.load(file)

    async def start(self, partners: Partners | None = None, source: PackageSource | None = None) -> None:
        self.domain = await domain.start(
            self.core, self.config(), drivers=self.drivers(), partners=partners, source=source, measure_interval=0.1
        )

    @contextlib.asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Site]:
        await self.start(**options)
        try:
            yield self
        finally:
            await self.end()

    async def end(self) -> None:
        """End the domain, and what runs in it."""
        lent = self.domain.managers.running().values() if self.domain.managers is not None else ()
        for driver in (self.vim, *(each.driver for each in lent)):
            for instance in await driver.list():
                await driver.delete(instance.id, 0.0)
        await self.domain.close()
        self.core.close()

    # -- as an operator or a customer does it: over the datastore

    async def edit(self, path: str, operation: Any, data: Any = None) -> None:
        top, rest = path.split("/", 2)[1], path.split("/", 2)[2]
        session = LocalSession(self.core, f"/{top}")
        try:
            await session.edit([DataEdit(f"/{rest}", operation, data)])
        finally:
            session.close()

    def read(self, path: str) -> Members:
        return self.domain.publisher.read(path) or {}

    def entries(self, path: str) -> list[Members]:
        return list(self.domain.publisher.entries(path))

    async def until(self, path: str, wanted: Any) -> Members:
        """Wait until what is at `path` satisfies `wanted`."""
        seen: Members = {}
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    seen = self.read(path)
                    if wanted(seen):
                        return seen
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{path} did not become as wished, but {seen}") from None

    async def onboard(self, id: str = "hello", change: Any = None) -> package.PackageInfo:
        out = self.folder / f"{id}.csar"
        info = build(self.folder / f"src-{id}", out, change)
        assert self.domain.mm1 is not None
        await self.domain.mm1.onboard(id, {"digest": info.digest, "source": out.as_uri()})
        return info

    async def order(self, id: str, items: Mapping[str, Members]) -> Members:
        """Place an order and wait for its end."""
        entry = {"customer": "acme", "item": [{"id": name, **item} for name, item in items.items()]}
        await self.edit(f"/mec-order:orders/order[id='{id}']", "create", entry)
        ended = ("mec-types:completed", "mec-types:failed", "mec-types:cancelled")
        path = f"/mec-order:orders/order[id='{id}']/state"
        return await self.until(path, lambda state: state.get("state") in ended)

    async def resolve(self, name: str) -> list[str] | None:
        """Addresses of a name at the platform's DNS; None: no such name."""
        host, port = self.dns.listening()
        query = dns.message.make_query(name, "A")
        answer = await dns.asyncquery.udp(query, host, port=port, timeout=5)
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return None
        return [item.to_text() for rrset in answer.answer for item in rrset]

    async def http(self, address: str, port: int, path: str = "/status") -> bytes:
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer

    def session(self) -> Session:
        return self.core.open_session(SYSTEM, "test", "", lambda reason: None)

    async def free(self) -> None:
        """Nothing is left of any instance."""
        assert await self.vim.list() == []
        assert (await self.vim.capacity()).used.millicpu == 0
        assert await self.dns.records() == []
        assert await self.data_plane.rules() == []
        vim = self.read("/mec-resource:infrastructure/vim[id='vim-1']")
        assert "compute-instance" not in vim
        assert "reservation" not in vim
        assert "application" not in self.read("/mec-platform:platforms/platform[id='mep-1']")
