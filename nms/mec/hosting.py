"""A partner's platform that stands on this domain's infrastructure and serves its applications (table 3, option 2).

The agreement's entry permits it, and says how much it may take (`nms.mec.agreed`); a permission that is withdrawn ends
it.  Our instances in a zone that such a platform serves are told where it is and who they are, and the platform is told
by what it knows them.  It must not know what the platform does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from nms.errors import RpcError, RpcErrors
from nms.mec.agreed import HOSTED
from nms.mec.listener import Listener
from nms.mec.mepm import MANAGERS
from nms.mec.mp1 import Identities
from nms.mec.occurrence import plain
from nms.mec.partners import Partners
from nms.mec.platform_instance import MP1
from nms.mec.publisher import Publisher
from nms.mec.scope import Scope
from nms.mec.session import Core, DataEdit, LocalSession, ManagementSession, Members
from nms.mec.supervision import INSTANCE, instance_id
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
        identities: by which our instances show who they are; None: they cannot.
        own: what those are given that no such platform serves.
    """

    def __init__(
        self,
        core: Core,
        publisher: Publisher,
        partners: Partners,
        infrastructure: ManagementSession,
        identities: Identities | None,
        own: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._core = core
        self._publisher = publisher
        self._partners = partners
        self._infrastructure = infrastructure
        self._identities = identities
        self._own = own
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

    # -- our instances

    def environment(self, compute: str) -> Mapping[str, str]:
        """What a compute instance of ours is given for Mp1; {} while the platform that shall serve it does not run."""
        served = self._served_by(compute)
        if served is None:
            return self._own(compute)
        platform = next(self._running(served), None)
        if platform is None or self._identities is None:
            return {}
        address, port = platform["state"]["address"][0], platform["port"][0]["port"]
        known = {each["name"]: each.get("value", "") for each in platform.get("environment", ())}
        place = f"[{address}]" if ":" in address else address
        here = replace(
            self._identities,
            uri=f"https://{place}:{port}/restconf",
            fingerprint=known.get("MEC_MP1_FINGERPRINT", ""),
        )
        return here.environment(compute)

    def identity(self, compute: str) -> Members:
        """By what such a platform knows a compute instance of ours; {} where none serves it."""
        served = self._served_by(compute)
        if served is None or self._identities is None or self._permission(served) is None:
            return {}
        given = self._identities.environment(compute)
        digest = hashlib.sha256(given["MEC_MP1_PASSWORD"].encode()).hexdigest()
        return {"user": given["MEC_MP1_USER"], "password-digest": digest}

    def _served_by(self, compute: str) -> Scope | None:
        """The agreement whose platform serves a compute instance, by its application instance's zone."""
        for manager in self._publisher.scopes(MANAGERS):
            entry = self._publisher.read(f"{manager.base}/{INSTANCE}[id='{instance_id(compute)}']", config=True)
            zone = next((each for each in self._partners.zones() if each["id"] == (entry or {}).get("zone")), None)
            if zone is not None and self._partners.option(zone["partner"], zone["agreement"]) == 2:
                return self._publisher.scope(Scope("", zone["partner"], zone["agreement"]).agreement_path)
        return None

    def _running(self, agreement: Scope) -> Iterator[Members]:
        """Platforms that run here under an agreement."""
        for each in self._publisher.entries(f"{agreement.base}/{RESOURCES.container}/compute-instance"):
            state = each.get("state", {})
            started = plain(state.get("operational-state", "")) == "started" and state.get("address")
            if started and any(port["name"] == MP1 for port in each.get("port", ())):
                yield each

    def _permission(self, agreement: Scope) -> Members | None:
        return (self._publisher.read(agreement.base, config=True) or {}).get(HOSTED)

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
