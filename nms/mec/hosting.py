"""A partner's platform that stands on this domain's infrastructure and serves its applications (table 3, option 2).

The agreement's entry permits it, and says how much it may take (`nms.mec.agreed`); a permission that is withdrawn ends
it.  It must not know what the platform does.
"""

from __future__ import annotations

import asyncio
import logging

from nms.errors import RpcError, RpcErrors
from nms.mec.agreed import HOSTED
from nms.mec.listener import Listener
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import Core, DataEdit, LocalSession, ManagementSession, Members
from nms.mec.windows import AGREEMENT, RESOURCES

_log = logging.getLogger(__name__)

#: Lists in which a platform may have something; what uses others first.
_LISTS = ("compute-instance", "reservation", "image")
#: Seconds between two attempts.
_PAUSE = 1.0


class Hosting:
    """Of all partners' platforms here.

    Args:
        core: to end what is not permitted any more.
        infrastructure: session on our own infrastructure manager, which tells what becomes of instances.
    """

    def __init__(self, core: Core, publisher: Publisher, infrastructure: ManagementSession) -> None:
        self._core = core
        self._publisher = publisher
        self._infrastructure = infrastructure
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self.provider = Listener(self._wake, (AGREEMENT,))

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._stale.set)

    async def start(self) -> None:
        """Show what there is, and follow."""
        self._watch = self._infrastructure.watch(lambda name, members: self._stale.set())
        self._following = self._loop.create_task(self._follow())
        self._stale.set()

    async def close(self) -> None:
        """Follow no longer."""
        self._watch.close()
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    # -- partners' platforms

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            for agreement in list(self._publisher.scopes(AGREEMENT)):
                entry = self._publisher.read(agreement.base, config=True) or {}
                if RESOURCES.shown(entry) and entry["role"] == "consumer":
                    try:
                        await (self._end(agreement, entry) if HOSTED not in entry else self._show(agreement))
                    except (RpcError, RpcErrors) as error:  # somebody holds a lock
                        _log.warning("platform of %s: %s", agreement.partner, error)
                        self._loop.call_later(_PAUSE, self._stale.set)

    async def _end(self, agreement: Scope, entry: Members) -> None:
        """It is not permitted any more."""
        held = entry.get(RESOURCES.container, {})
        edits = [
            DataEdit(f"/{RESOURCES.container}/{name}[id='{each['id']}']", "remove")
            for name in _LISTS
            for each in held.get(name, ())
        ]
        if edits:
            session = LocalSession(self._core, agreement.base)
            try:
                await session.edit(edits)
            finally:
                session.close()

    async def _show(self, agreement: Scope) -> None:
        """Its state, as the infrastructure sees it."""
        path = f"{agreement.base}/{HOSTED}/state"
        entries = self._publisher.entries(f"{agreement.base}/{RESOURCES.container}/compute-instance")
        shown: Members | None = None
        for each in entries:
            state = each.get("state", {})
            running = plain(state.get("operational-state", "")) == "started"
            failed = "error" in state
            shown = {"state": f"mec-types:{'active' if running else 'down' if failed else 'building'}"}
            shown |= {name: state[name] for name in ("zone", "error") if name in state}
            if running and "started-at" in state:
                shown["in-service-since"] = state["started-at"]
        if self._publisher.read(path) != shown:
            self._publisher.state(path, shown, durable=False)
