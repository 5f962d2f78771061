"""Each agreement's own slice of the infrastructure (Table 3 of the paper: slices are isolated).

What runs for a partner, whichever block it has asked, runs in the slice of its agreement; what the domain runs for
itself is in none.  How slices are kept apart is the infrastructure driver's business.  Under options 1 and 3 a partner
can ask for a slice with a manager of its own (`nms.mec.dedicated`), which then serves all that it asks for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from nms.errors import RpcError
from nms.mec import agreed, capacity
from nms.mec.dedicated import Managers
from nms.mec.listener import Listener
from nms.mec.publisher import Publisher
from nms.mec.scope import Intent, Scope
from nms.mec.session import DataEdit, ManagementSession, Members, Sink, Subtree, Watch
from nms.mec.vim import CHANGED, VIMS
from nms.mec.windows import AGREEMENT, RESOURCES

_log = logging.getLogger(__name__)

SLICE: Final = "slice"
#: Lists of the infrastructure manager whose entries are in a slice.
_TENANTS: Final = ("compute-instance", "reservation", "network")
#: Those whose coming and going is for partners.
_OURS: Final = ("compute-instance", "reservation")
#: What a partner has in its slice.
_CONTENT: Final = (*_TENANTS, "image")
#: What a manager of its own has been made by, and keeps.
_FIXED: Final = ("quota", "zone", "isolation", "dedicated-vim")


class Slices:
    """Keeps the slices of one infrastructure, and knows who serves them.

    Args:
        infrastructure: identifier of the domain's own manager.
        session: on the whole infrastructure.
    """

    def __init__(
        self, publisher: Publisher, infrastructure: str, session: ManagementSession, managers: Managers
    ) -> None:
        self._publisher = publisher
        self._infrastructure = infrastructure
        self._whole = session
        self._base, self._session = self.manager(infrastructure)
        self._managers = managers
        self._amounts = {leaf.name for leaf in publisher.schema.find(f"{VIMS}/slice/quota").children}
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self.provider = Listener(self._wake, (AGREEMENT, *(f"{VIMS}/{name}" for name in _OURS)))

    async def start(self) -> None:
        """Remove what agreements have left that ended while nobody was here, and from now on."""
        wanted = {_manager(scope) for scope in self._publisher.scopes(AGREEMENT) if self._dedicated(scope)}
        self._ending = [self._loop.create_task(self._end(name)) for name in self._managers.configured() - wanted]
        self._sweeping = self._loop.create_task(self._sweep())
        self._stale.set()

    async def close(self) -> None:
        """Stop; slices stay."""
        tasks = [self._sweeping, *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- who serves it

    def serving(self, scope: Scope) -> str:
        """Identifier of the manager that carries out what is asked for under an agreement.

        "" while the one that was asked for is not there.
        """
        if not self._dedicated(scope):
            return self._infrastructure
        name = _manager(scope)
        return name if name in self._managers.running() else ""

    def holding(self, scope: Scope, path: str) -> str:
        """Identifier of the manager that has the entry at `path` (below its own) which an agreement has caused."""
        name = _manager(scope)
        if name in self._managers.running() and self._publisher.read(_base(name) + path) is not None:
            return name
        return self._infrastructure

    def manager(self, name: str) -> tuple[str, ManagementSession]:
        """Instance-identifier of a manager, and a session on it."""
        return _base(name), Subtree(self._whole, f"/vim[id='{name}']")

    def watch(self, sink: Sink) -> Watch:
        """Notifications of all managers."""
        return self._whole.watch(sink)

    async def of(self, scope: Scope) -> str:
        """Identifier of the slice of the agreement that the scope is under, which is there from now on."""
        name = name_of(scope)
        if self._dedicated(scope):
            return name
        agreement = self._publisher.read(scope.agreement_path, config=True) or {}
        quota = self._wish(scope).get("quota") or agreement.get("quota", {})
        limits = {leaf: value for leaf, value in quota.items() if leaf in self._amounts}
        wanted = {"id": name, **({"quota": limits} if limits else {})}
        path = f"/slice[id='{name}']"
        if self._publisher.read(self._base + path, config=True) != wanted:
            await self._session.edit([DataEdit(path, "replace", wanted)])
        return name

    # -- what a partner asks of it

    def check(self, intent: Intent, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Whether a partner's slice may come, change or go.

        Args:
            before, after: members of the agreement in the old and the new configuration.

        Raises:
            RpcError: in-use, operation-not-supported, resource-denied.
        """
        old, new, where = intent.old or {}, intent.new or {}, intent.scope.base + intent.path
        quota = new.get("quota", {})
        instances = {name: int(quota[name]) for name in ("instances",) if name in quota}
        agreed.within(intent, after.get("quota", {}), capacity.resources(quota), instances)
        if not (old.get("dedicated-vim") or new.get("dedicated-vim")):
            return
        if old and new:
            if any(old.get(name) != new.get(name) for name in _FIXED):
                why = f"slice {intent.id} keeps its manager and what that was given: remove it and make another"
                raise RpcError("operation-not-supported", why, path=where)
            return
        has = (after if old else before).get(RESOURCES.container, {})
        content = next((name for name in _CONTENT if has.get(name)), None)
        if content is not None:
            how = "still has" if old else "can have a manager of its own once there is no"
            raise RpcError("in-use", f"slice {intent.id} {how} {content}", path=where)

    async def put(self, scope: Scope, id: str) -> None:
        """Have a partner's slice, with its manager."""
        wish = self._wish(scope)
        if wish.get("dedicated-vim"):
            agreement = self._publisher.read(scope.agreement_path, config=True) or {}
            label = f"agreement {scope.agreement} with {scope.partner}"
            inner = {"id": name_of(scope), **{name: wish[name] for name in wish if name != "id"}}
            zones = wish.get("zone") or agreed.accepted(agreement)
            await self._managers.instantiate(_manager(scope), label[:128], inner, zones)
        else:
            await self.of(scope)
        self._tell(scope, id, "active")

    async def remove(self, scope: Scope, id: str) -> None:
        """End a partner's slice with its manager; what was in it has ended."""
        await self._managers.terminate(_manager(scope))
        self._tell(scope, id, "terminated")

    def shown(self, scope: Scope, id: str) -> Members | None:
        """State of a partner's slice, in its words; None while it has not been made."""
        held = (self._publisher.read(f"{scope.base}/slice[id='{id}']/state") or {}).get("manager", {})
        agreement = self._publisher.read(scope.agreement_path, config=True) or {}
        used, _ = agreed.claimed(agreement, {})
        state: Members = {"state": "mec-types:active", "used": capacity.amounts(used)}
        if not self._dedicated(scope):
            return state | {"manager": {"kind": "shared", "name": "shared", "reachable": True}}
        name = _manager(scope)
        since = held.get("started-at") or self._publisher.now()
        about = {"kind": "dedicated", "name": id, "reachable": True, "started-at": since}
        if name in self._managers.running():
            return state | {"manager": about}
        if name in self._managers.configured():
            error = {"error-tag": "operation-failed", "detail": "the manager of the slice is not there"}
            return state | {"state": "mec-types:down", "manager": about | {"reachable": False}, "error": error}
        return None

    def _tell(self, scope: Scope, id: str, state: str) -> None:
        self._publisher.notify(scope, CHANGED, {"resource-type": SLICE, "resource": id, "state": state})

    def _wish(self, scope: Scope) -> Members:
        """The slice that a partner asks for."""
        found = self._publisher.read(f"{scope.agreement_path}/{RESOURCES.container}/slice", config=True) or {}
        return next(iter(found.get(SLICE, ())), {})

    def _dedicated(self, scope: Scope) -> bool:
        return bool(self._wish(scope).get("dedicated-vim"))

    # -- what agreements leave

    async def _end(self, name: str) -> None:
        try:
            await self._managers.terminate(name)
        except RpcError as error:
            _log.warning("infrastructure manager %s, which nobody needs, is still there: %s", name, error.message)

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
    """Identifier of an agreement's slice, at whichever manager it is."""
    return Scope(scope.agreement_path).inner("slice")


def _manager(scope: Scope) -> str:
    """Identifier of the manager of its own that an agreement's slice has, if it has one."""
    return f"vim-{Scope(scope.agreement_path).inner('vim')}"


def _base(manager: str) -> str:
    return f"{VIMS}[id='{manager}']"
