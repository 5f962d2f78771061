"""Mp3 towards the platforms of partners: what ours shows them, and does for them (paper, section 3.2).

Services that are registered here and may be consumed elsewhere stand below each agreement that shares them, under
identifiers that tell nothing of the inside; the partner's platform is told when they change (ETSI GS MEC 011).  It can
have the context of the users of what runs here for it go to the instance that takes its place (ETSI GS MEC 021).  What
becomes of either at the partner is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.mec import agreed, services
from nms.mec.meo import Meo
from nms.mec.mep import PLATFORMS, SERVICE_CHANGED
from nms.mec.occurrence import plain
from nms.mec.parts import abstract
from nms.mec.peer_services import MOST, PAUSE
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm5
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.session import Members
from nms.mec.slices import name_of
from nms.mec.vim import VIMS
from nms.mec.windows import AGREEMENT

PEER: Final = "mec-platform:peer-platform"
TRANSFER: Final = "context-transfer"
#: Seconds that an application has for the context of its users.
PATIENCE: Final = 30.0


#: What a partner's name can be of, below its agreement, where the block that carries it out has a list for everybody.
_TENANTS: Final = (("mec-platform:platform", "application"), ("mec-platform-manager:platform-manager", "app-instance"))


def application_of(publisher: Publisher, meo: Meo | None, scope: Scope, name: str) -> str:
    """The platform's identifier of an application that a partner asked for under an agreement, by its name for it.

    Args:
        meo: the orchestrator, which knows the parts of deployments; None where the domain has none.

    Raises:
        RpcError: data-missing; there is none, or it is served by another platform.
    """
    at = Scope(scope.agreement_path, scope.partner, scope.agreement)
    for container, kind in _TENANTS:
        if publisher.read(f"{at.base}/{container}/{kind}[id='{name}']", config=True) is not None:
            return at.inner(kind, name)
    system = publisher.scope(f"{at.base}/mec-system:system")
    parts = meo.parts_of(system, name) if meo is not None else []
    here = [part.reference for part in parts if not part.partner]
    if not here:
        raise RpcError("data-missing", f"this platform serves no {name} under agreement {scope.agreement}")
    return here[0]


class Interconnection:
    """Of one platform.

    Args:
        platform: its identifier.
        mm5: to it.
        owner: gives the partner's agreement that an application is served under; None: no partner's.
        application: gives the platform's identifier of what a partner calls so under an agreement.  Raises `RpcError`:
            data-missing.
    """

    def __init__(
        self,
        publisher: Publisher,
        platform: str,
        mm5: Mm5,
        owner: Callable[[str], Scope | None],
        application: Callable[[Scope, str], str],
    ) -> None:
        self._publisher = publisher
        self._scope = publisher.scope(f"{PLATFORMS}[id='{platform}']")
        self._mm5 = mm5
        self._owner = owner
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._transfers: dict[tuple[Scope, str], asyncio.Task[None]] = {}
        duties = {f"{AGREEMENT}/{PEER}/{TRANSFER}": Duty(self._check, self._act)}
        self.provider = IntentProvider(publisher.schema, publisher.store, duties)

    async def start(self) -> None:
        """Show what there is; what was begun before is not gone on with: who has asked may be gone, and the target."""
        self._watch = self._mm5.watch(self._told)
        self._showing = self._loop.create_task(self._keep_shown())
        self.refresh()
        for scope, _ in self._agreements():
            for entry in self._publisher.entries(f"{scope.base}/{TRANSFER}"):
                if not entry.get("state"):
                    error = {"error-tag": "operation-failed", "detail": "the platform was restarted meanwhile"}
                    self._publisher.state(f"{scope.base}/{TRANSFER}[id='{entry['id']}']/state", {"error": error})

    async def close(self) -> None:
        """Stop; what is shown stays until the domain ends."""
        self._watch.close()
        tasks = [self._showing, *self._transfers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def refresh(self) -> None:
        """Services, agreements or their states have changed.  Called in the event loop."""
        self._stale.set()

    def wake(self) -> None:
        """As `refresh`; any thread."""
        self._loop.call_soon_threadsafe(self.refresh)

    def _told(self, name: str, members: Members) -> None:
        if name == SERVICE_CHANGED and members.get("is-local") is not False:
            self.refresh()

    def _agreements(self) -> Iterator[tuple[Scope, Members]]:
        """All of them, with their configuration; the scope is that of what the partner's platform is shown."""
        for found in self._publisher.scopes(AGREEMENT):
            agreement = self._publisher.read(found.base, config=True)
            if agreement is not None:
                yield Scope(f"{found.base}/{PEER}", found.partner, found.agreement), agreement

    # -- services

    async def _keep_shown(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            registered = self._publisher.entries(f"{self._scope.base}/service")
            mine = [each for each in registered if services.elsewhere(each) and each.get("state", {}).get("is-local")]
            hosts = self._hosts() if mine else {}
            for scope, agreement in self._agreements():
                terms = agreement.get("interconnection", {})
                joined = terms.get("enabled", False) and self._in_force(scope)
                shares = joined and terms.get("share-services", False)
                shown = self._shown(scope, agreement, mine if shares else (), hosts)
                await self._show(scope, shown, told=joined)
            await asyncio.sleep(PAUSE)

    def _in_force(self, scope: Scope) -> bool:
        state = self._publisher.read(f"{scope.agreement_path}/state") or {}
        return plain(state.get("federation-state", "")) in ("active", "suspended")

    def _hosts(self) -> Mapping[str, Members]:
        """Address -> compute instance, at whichever infrastructure of this domain: that tells where a producer is."""
        managers = self._publisher.scopes(VIMS)
        running = (each for vim in managers for each in self._publisher.entries(f"{vim.base}/compute-instance"))
        return {address: each for each in running for address in each.get("state", {}).get("address", ())}

    def _shown(
        self, scope: Scope, agreement: Members, registered: Sequence[Members], hosts: Mapping[str, Members]
    ) -> dict[str, Members]:
        """Identifier under the agreement -> what the partner's platform is shown of a service."""
        zones = {zone["id"] for zone in agreement.get("zone", ()) if zone.get("offered", True)}
        found: dict[str, Members] = {}
        for service in sorted(registered, key=lambda each: str(each["id"]))[:MOST]:
            address = next((each.get("address", "") for each in service["state"].get("endpoint", ())), "")
            host = hosts.get(address, {})
            if self._somebody_elses(scope, service, host):
                continue
            zone = host.get("state", {}).get("zone")
            found[scope.inner("service", service["id"])] = {
                **services.information(service),
                **{name: service["state"][name] for name in ("state", "endpoint") if name in service["state"]},
                **({"zone": zone} if agreement["role"] == "provider" and zone in zones else {}),
            }
        return found

    def _somebody_elses(self, scope: Scope, service: Members, host: Members) -> bool:
        """Whether a service is of what runs here for another partner, whose business it is."""
        owner = self._owner(service.get("application", ""))
        if owner is not None:
            return (owner.partner, owner.agreement) != (scope.partner, scope.agreement)
        return bool(host.get("slice", name_of(scope)) != name_of(scope))

    async def _show(self, scope: Scope, wanted: Mapping[str, Members], *, told: bool) -> None:
        """Make the list shown to a partner `wanted`, and tell it of each change."""
        path = f"{scope.base}/service"
        held = {each["id"]: each for each in self._publisher.entries(path)}
        for name in [*(each for each in held if each not in wanted), *wanted]:
            entry, old = wanted.get(name), held.get(name)
            if entry is not None and old == {"id": name, **entry}:
                continue
            self._publisher.state(f"{path}[id='{name}']", entry, durable=False)
            if told:
                same = old is not None and entry is not None and old == {"id": name, **entry, "state": old["state"]}
                change = "removed" if entry is None else "added" if old is None else "attributes-changed"
                about = entry or old or {}
                state = "mec-types:inactive" if entry is None else about["state"]
                event = {"service": name, "name": about["name"], "is-local": False, "state": state}
                change = "state-changed" if same else change
                self._publisher.notify(scope, SERVICE_CHANGED, {**event, "change": change})
            await asyncio.sleep(0)

    # -- the context of users

    def _check(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.new is not None and intent.old != intent.new:
                agreed.in_force(self._publisher, intent, agreed.terms(self._publisher, intent.scope, tx.new))

    def _act(self, intent: Intent) -> None:
        if intent.new is not None:
            self._publisher.state(f"{intent.scope.base}{intent.path}/state", {})
        self._loop.call_soon_threadsafe(self._begin, intent.scope, intent.id)

    def _begin(self, scope: Scope, id: str) -> None:
        """Do what is wished now, and no more what was wished before."""
        if (before := self._transfers.pop((scope, id), None)) is not None:
            before.cancel()
        if self._publisher.read(f"{scope.base}/{TRANSFER}[id='{id}']", config=True) is None:
            return
        task = self._transfers[scope, id] = self._loop.create_task(self._transfer(scope, id))
        task.add_done_callback(lambda done: self._done((scope, id), done))

    def _done(self, key: tuple[Scope, str], task: asyncio.Task[None]) -> None:
        if self._transfers.get(key) is task:
            del self._transfers[key]

    async def _transfer(self, scope: Scope, id: str) -> None:
        path = f"{scope.base}/{TRANSFER}[id='{id}']"
        wanted = self._publisher.read(path, config=True) or {}
        target: Members = {name: wanted[name] for name in ("target-address", "target-port") if name in wanted}
        try:
            with abstract(scope):
                await self._mm5.transfer_context(self._application(scope, id), target, PATIENCE)
            state: Members = {"context-transferred-at": self._publisher.now()}
        except RpcError as error:
            state = {"error": {"error-tag": error.tag, "detail": error.message}}
        self._publisher.state(f"{path}/state", state)
