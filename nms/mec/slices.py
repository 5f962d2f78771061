"""Each agreement's own slice of the infrastructure (Table 3 of the paper: slices are isolated).

What runs for a partner, whichever block it has asked, runs in the slice of its agreement; what the domain runs for
itself is in none.  How slices are kept apart is the infrastructure driver's business.
"""

from __future__ import annotations

import asyncio
from typing import Final

from nms.mec.listener import Listener
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import DataEdit, ManagementSession
from nms.mec.vim import VIMS
from nms.mec.windows import AGREEMENT

#: Lists of the infrastructure manager whose entries are in a slice.
_TENANTS: Final = ("compute-instance", "reservation", "network")
#: Those whose coming and going is for partners.
_OURS: Final = ("compute-instance", "reservation")


class Slices:
    """Keeps the list slice of one infrastructure manager.

    Args:
        infrastructure: identifier of the manager.
        session: on its entry.
    """

    def __init__(self, publisher: Publisher, infrastructure: str, session: ManagementSession) -> None:
        self._publisher = publisher
        self._base = f"{VIMS}[id='{infrastructure}']"
        self._session = session
        self._amounts = {leaf.name for leaf in publisher.schema.find(f"{VIMS}/slice/quota").children}
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self.provider = Listener(self._wake, (AGREEMENT, *(f"{VIMS}/{name}" for name in _OURS)))

    async def start(self) -> None:
        """Remove what agreements have left that ended while nobody was here, and from now on."""
        self._sweeping = self._loop.create_task(self._sweep())
        self._stale.set()

    async def close(self) -> None:
        """Stop; slices stay."""
        self._sweeping.cancel()
        await asyncio.gather(self._sweeping, return_exceptions=True)

    async def of(self, scope: Scope) -> str:
        """Identifier of the slice of the agreement that the scope is under, which is there from now on."""
        name = name_of(scope)
        quota = (self._publisher.read(scope.agreement_path, config=True) or {}).get("quota", {})
        limits = {leaf: value for leaf, value in quota.items() if leaf in self._amounts}
        wanted = {"id": name, **({"quota": limits} if limits else {})}
        path = f"/slice[id='{name}']"
        if self._publisher.read(self._base + path, config=True) != wanted:
            await self._session.edit([DataEdit(path, "replace", wanted)])
        return name

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._stale.set)

    async def _sweep(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            gone = {each["id"] for each in self._publisher.entries(f"{self._base}/slice")}
            gone -= {name_of(scope) for scope in self._publisher.scopes(AGREEMENT)}
            if gone:  # but what is still in one ends first
                held = self._publisher.read(self._base, config=True) or {}
                gone -= {each.get("slice", "") for name in _TENANTS for each in held.get(name, ())}
                await self._session.edit([DataEdit(f"/slice[id='{name}']", "remove") for name in sorted(gone)])


def name_of(scope: Scope) -> str:
    return Scope(scope.agreement_path).inner("slice")
