"""The servers of instances over time: made, started, stopped, removed, and waited for."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from openstack.compute.v2.server import Server

from nms.drivers.api import InstanceKpis, RpcError
from nms.drivers.openstack import hosts, images, servers
from nms.drivers.openstack.boot import script
from nms.drivers.openstack.cloud import Cloud
from nms.drivers.openstack.names import Names, whole
from nms.drivers.openstack.requests import Requests
from nms.drivers.openstack.slices import Slices
from nms.drivers.process.record import Record

#: Seconds between two looks at a server that is on its way, and two knocks at its application.
LOOK, KNOCK = 0.3, 0.05
#: Seconds that the cloud may take for a shutdown beyond the grace, and for a removal.
PATIENCE = 120.0


class Machines:
    """The servers; calls for one instance must not overlap.

    Attributes:
        known: the cloud's id of the server of each instance that is known to have one.
    """

    def __init__(self, cloud: Cloud, slices: Slices, names: Names, ask: Requests, grace: float) -> None:
        self.known: dict[str, str] = {}
        self._cloud = cloud
        self._slices = slices
        self._names = names
        self._ask = ask
        self._grace = grace

    async def run(self, record: Record) -> None:
        """Have a server that is active, or was.  Raises `RpcError`."""
        name = record.spec.id
        found = await self._ask(lambda: servers.find(self._cloud.operator, self._names.server(name)))
        if found is None:
            self.known.pop(name, None)
        else:
            self.known[name] = found.id
            if found.status == "ERROR":
                await self.remove(name)
        if name not in self.known:
            self.known[name] = (await self._ask(lambda: self._create(record))).id
        elif found is not None and found.status != "ACTIVE":
            server = found.id
            await self._ask(lambda: servers.switch(self._cloud.operator, server, on=True))
        await self._becomes(name, "ACTIVE")

    def _create(self, record: Record) -> Server:
        spec, operator = record.spec, self._cloud.operator
        share = self._slices.ensure(spec.slice)
        tenant, name = self._cloud.within(share.project), self._names.server(spec.id)
        return servers.find(operator, name) or servers.create(
            tenant,
            name,
            spec.id,
            image=images.ensure(tenant, self._names, spec.image, self._grace),
            flavour=servers.flavour(operator, self._names, whole(spec.resources), share.project),
            port=servers.port(operator, share, name)[0],
            host=record.host,
            script=script(spec, record.zone, record.address),
        )

    async def _becomes(self, name: str, status: str) -> None:
        """Wait for a status.  Raises `RpcError` when it will not come."""
        server = self.known[name]
        while True:
            found = await self._ask(lambda: servers.get(self._cloud.operator, server))
            if found is None:
                raise RpcError("operation-failed", f"the server of instance {name} is gone from the cloud")
            if found.status == "ERROR":
                why = " ".join(str((found.fault or {}).get("message", "it does not say why")).split())
                tag = "resource-denied" if "No valid host" in why else "operation-failed"
                raise RpcError(tag, f"the cloud cannot run instance {name}: {why}")
            # One that has ended at once was active: `answers` says so.
            if found.status in (status, "SHUTOFF") and not found.task_state:
                return
            await asyncio.sleep(LOOK)

    async def answers(self, record: Record) -> None:
        """Wait until the application accepts on its port; without one, until its server is seen to run on.

        Raises `RpcError` when it ends.
        """
        name = record.spec.id
        server, looked = self.known[name], 0.0
        while True:
            if record.spec.port:
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        _, writer = await asyncio.open_connection(record.address, record.spec.port)
                    writer.close()
                    return
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                found = await self._ask(lambda: servers.get(self._cloud.operator, server))
                if found is None or found.status != "ACTIVE":
                    words = await self.last_words(name)
                    raise RpcError("operation-failed", f"instance {name} ended at once: {words}")
                if not record.spec.port:
                    return
            await asyncio.sleep(KNOCK)

    async def shut_down(self, name: str) -> None:
        """Stop it; the cloud gives it the grace that its image says.  Raises `RpcError`."""
        server = self.known.get(name)
        if server is None:
            return
        await self._ask(lambda: servers.switch(self._cloud.operator, server, on=False))
        try:
            async with asyncio.timeout(self._grace + PATIENCE):
                await self._becomes(name, "SHUTOFF")
        except TimeoutError:
            raise RpcError("operation-failed", f"the cloud does not stop the server of instance {name}") from None

    async def remove(self, name: str) -> None:
        """Delete it, and wait until it takes nothing any more.  Raises `RpcError`."""
        server = self.known.get(name)
        if server is None:
            found = await self._ask(lambda: servers.find(self._cloud.operator, self._names.server(name)))
            if found is None:
                return
            server = str(found.id)

        def remains() -> bool:
            operator = self._cloud.operator
            return servers.get(operator, server) is not None or hosts.allocated(operator, server)

        await self._ask(lambda: servers.delete(self._cloud.operator, server))
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._ask(remains):  # noqa: ASYNC110 (the cloud sets no event here)
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise RpcError("operation-failed", f"the cloud does not remove the server of instance {name}") from None
        self.known.pop(name, None)

    async def look(self, name: str) -> Server | None:
        """The server as it is now; None when there is none."""
        server = self.known.get(name)
        return None if server is None else await self._ask(lambda: servers.get(self._cloud.operator, server))

    async def last_words(self, name: str) -> str:
        """The last line on its console."""
        server = self.known.get(name)
        if server is None:
            return "the cloud has no server for it"
        return await self._ask(lambda: servers.last_words(self._cloud.operator, server))

    async def kpis(self, name: str) -> InstanceKpis:
        """What the hypervisor measures; zeros for one without a server."""
        server = self.known.get(name)
        if server is None:
            return InstanceKpis(0.0, 0, 0)
        return await self._ask(lambda: servers.kpis(self._cloud.operator, server))
