"""A partner's intents in what it is shown of a block, carried out as intents at the block itself (options 1 to 4).

A partner writes below its agreement, in its own words; the block (VIM, MEP, MEPM) has one list for everybody.  In
between stands a `Tenancy`: it lets in what the agreement allows, gives every entry an inner identifier that tells
nothing of its owner, has the block carry it out over a local reference point, and tells the partner what becomes of it.
So a block knows no partners, partners see nothing of each other, and inner identifiers never cross the boundary.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec import agreed, capacity
from nms.mec.blocks import Blocks
from nms.mec.domain_names import domain_names, require_free
from nms.mec.lifecycle import LifeCycle, Run, Step
from nms.mec.occurrence import plain
from nms.mec.parts import SAID, abstract, said
from nms.mec.publisher import ALARM, KPIS, Publisher
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.session import RESYNC, Members
from nms.mec.slices import SLICE, Slices
from nms.mec.transfer import Transfers
from nms.mec.windows import AGREEMENT, MANAGER, RESOURCES, Window, Writable
from nms.model.schema import Node

_log = logging.getLogger(__name__)

#: Leaf of a notification of the block -> list whose entry it names.
_SUBJECTS: Mapping[str, str] = {
    "app-instance": "app-instance",
    "application": "application",
    "service": "service",
    "package": "package",
}
#: Inner identifiers in notifications of blocks.
_INNER = frozenset({"platform-manager", "platform"})


class Tenancy:
    """One window, filled by one block of this domain.

    Args:
        blocks: that carry it out.
        transfers: where contents are kept that partners name.
        show: shows a partner, in its scope and under its agreement, what there is for it.
        slices: those of the infrastructure; None where there is none here.
    """

    def __init__(
        self,
        publisher: Publisher,
        window: Window,
        blocks: Blocks,
        transfers: Transfers,
        show: Callable[[Scope, Members], Awaitable[None]],
        slices: Slices | None,
    ) -> None:
        self._publisher = publisher
        self._window = window
        self._blocks = blocks
        self._transfers = transfers
        self._show = show
        self._slices = slices
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._news = asyncio.Event()
        #: (list, inner identifier) -> whose it is and what they call it.
        self._tenants: dict[tuple[str, str], tuple[Scope, str]] = {}
        self._states: dict[str, frozenset[str]] = {
            name: _names(publisher.schema.find(f"{window.path}/{name}/state")) for name in window.lists
        }
        carried = Step("carried out", self._carry, self._withdraw)
        operations = ("start", "stop", "configure")
        procedures = {
            (name, operation): [carried] if operation == kind.create else [Step("carried out", self._carry)]
            for name, kind in window.lists.items()
            for operation in (kind.create, *operations)
        } | {(name, kind.remove): [Step("withdrawn", self._withdraw)] for name, kind in window.lists.items()}
        self.lifecycle = LifeCycle(publisher, [window.path], procedures, self._ended, recorded=window.followed)
        duties = {f"{window.path}/{name}": Duty(self._check, self._act) for name in window.lists}
        self.provider = IntentProvider(publisher.schema, publisher.store, duties)

    async def start(self) -> None:
        """Take up what was left unfinished, show what there is, and listen."""
        self._watch = self._blocks.watch(self._told)
        for scope, name, entry in self._entries():
            self._tenants[name, self._inner(scope, name, entry["id"])] = (scope, entry["id"])
        self.lifecycle.resume()
        for scope, name, entry in self._entries():
            known = self._window.followed and await self._occurrences(scope, entry["id"])
            if not self._copy(scope, name, entry["id"]) and not known:
                wanted = self._publisher.read(f"{scope.base}/{name}[id='{entry['id']}']", config=True)
                self.lifecycle.begin(
                    Intent(scope, name, entry["id"], None, wanted, entry), self._window.lists[name].create
                )
        self._showing = self._loop.create_task(self._keep_shown())
        self.wake()

    async def close(self) -> None:
        """Stop; what runs runs on."""
        self._watch.close()
        self._showing.cancel()
        await asyncio.gather(self._showing, return_exceptions=True)
        await self.lifecycle.close()

    async def _occurrences(self, scope: Scope, subject: str) -> bool:
        found = self._publisher.entries(f"{scope.base}/operation-occurrence")
        return any(each["subject"] == subject for each in found)

    # -- what a commit may ask

    def _check(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.list == SLICE and self._slices is not None:
                terms = (agreed.terms(self._publisher, intent.scope, root) for root in (tx.old, tx.new))
                self._slices.check(intent, *terms)
            if intent.new is None:
                continue
            where = intent.scope.base + intent.path
            if intent.list in ("image", "package") and "digest" not in intent.new:
                raise RpcError("invalid-value", f"{intent.list} {intent.id} needs a digest", path=where)
            agreement = agreed.terms(self._publisher, intent.scope, tx.new)
            slices = agreement.get(RESOURCES.container, {}).get(SLICE, ())
            if "slice" in intent.new and intent.new["slice"] not in {each["id"] for each in slices}:
                raise RpcError("invalid-value", "an agreement has one slice, and this is another", path=where)
            if intent.new.get("source", "").startswith("file:"):
                raise RpcError("access-denied", "a partner's content cannot be a file of this domain", path=where)
            if intent.old is not None:
                continue
            agreed.in_force(self._publisher, intent, agreement)
            zone = intent.new.get("zone", [])
            if "zone" in self._fields(intent.list):
                agreed.zones_agreed(intent, agreement, zone if isinstance(zone, list) else [zone])
            if intent.list in ("slice", "image", "reservation", "compute-instance", "app-instance"):
                allowed = agreed.allowance(intent, agreement)
            if intent.list in ("reservation", "compute-instance", "app-instance"):
                held, instances = agreed.claimed(agreement, self._descriptors(intent.scope))
                agreed.within(intent, allowed, held, {"instances": instances})
                for each in slices:
                    agreed.within(intent, each.get("quota", {}), held, {"instances": instances}, "slice")
            if intent.list == "application":
                self._names_free(intent, where)

    def _fields(self, name: str) -> frozenset[str]:
        return _names(self._publisher.schema.find(f"{self._window.path}/{name}"))

    def _descriptors(self, scope: Scope) -> Mapping[str, Members]:
        """Of the packages that a partner has at the platform manager."""
        packages = self._publisher.entries(f"{scope.agreement_path}/{MANAGER.container}/package")
        return {each["id"]: each.get("state", {}).get("descriptor", {}) for each in packages}

    def _names_free(self, intent: Intent, where: str) -> None:
        """Nobody takes over a name that another's application is found by."""
        base = self._blocks.serving(intent.scope).base
        zone = (self._publisher.read(f"{base}/configuration") or {}).get("dns-zone", "")
        others = (
            domain_names(each.get("dns-rule", ()), zone)
            for each in self._publisher.entries(f"{base}/application")
            if self._tenants.get(("application", each["id"]), (None, ""))[0] != intent.scope
        )
        require_free(domain_names((intent.new or {}).get("dns-rule", ()), zone), others, where)

    # -- what follows from a commit

    def _act(self, intent: Intent) -> None:
        kind = self._window.lists[intent.list]
        self._tenants[intent.list, self._inner(intent.scope, intent.list, intent.id)] = (intent.scope, intent.id)
        if intent.new is None:
            operation = kind.remove
        elif intent.old is None:
            operation = kind.create
        else:
            now = intent.new.get("desired-state", "started")
            same = intent.old.get("desired-state", "started") == now
            operation = "configure" if same else "start" if now == "started" else "stop"
        if intent.new is not None and kind.begun:
            self._publisher.state(f"{intent.scope.base}{intent.path}/state", kind.begun)
        self.lifecycle.begin(intent, operation)

    # -- steps

    async def _carry(self, run: Run) -> None:
        name, kind = run.subject_type, self._window.lists[run.subject_type]
        for named in set(kind.references.values()) & set(self._window.lists):
            await self.lifecycle.idle(run.scope, named)
        wanted = run.wanted
        with abstract(run.scope):
            if name == SLICE and self._slices is not None:
                await self._slices.put(run.scope, run.subject)
                self._show_used(run.scope)
                self._stale.set()
                return
            if "digest" in wanted:
                size = int(wanted.get("size", 0))
                progress = _share(run, size)
                uri = wanted.get("source", "")
                await self._transfers.take_in(wanted["digest"], uri, size, run.scope.partner, progress)
            inner = self._inner(run.scope, name, run.subject)
            data = self._inward(run.scope, kind, wanted)
            if "zone" in self._fields(name) and "zone" not in data:
                data["zone"] = self._somewhere(run.scope, f"/{name}[id='{inner}']", data)
            # A platform stands on the network of the applications that it serves here, which are our own (option 2).
            if self._slices is not None and "slice" in self._fields(name) and not self._hosting(run.scope):
                data["slice"] = await self._slices.of(run.scope)
            await self._blocks.serving(run.scope).put(f"/{name}[id='{inner}']", inner, data, kind, run.within)
        self._copy(run.scope, name, run.subject)

    async def _withdraw(self, run: Run) -> None:
        name = run.subject_type
        for user, kind in self._window.lists.items():
            if name in kind.references.values() and not run.undoing:  # else they wait for us
                await self.lifecycle.idle(run.scope, user)
        if name == SLICE and self._slices is not None:
            with abstract(run.scope):
                await self._slices.remove(run.scope, run.subject)
            self._stale.set()
            return
        inner = self._inner(run.scope, name, run.subject)
        while True:
            self._news.clear()
            try:
                with abstract(run.scope):
                    path = f"/{name}[id='{inner}']"
                    block = self._blocks.holding(run.scope, path)
                    await block.remove(path, inner, self._window.lists[name], run.within)
            except RpcError as error:
                if error.app_tag != "instance-required":
                    raise
                await self._news.wait()  # what another block has made of it for the partner ends first
            else:
                return

    def _somewhere(self, scope: Scope, path: str, data: Members) -> str:
        """An agreed zone for what names none: where it is already, or its reservation is, or there is room."""
        vim = self._slices.manager(self._slices.serving(scope))[0] if self._slices is not None else ""
        reserved = [f"{vim}/reservation[id='{data['reservation']}']"] if vim and "reservation" in data else []
        known = [self._blocks.serving(scope).base + path, *reserved]
        held = (self._publisher.read(each, config=True) or {} for each in known)
        agreement = self._publisher.read(scope.agreement_path, config=True) or {}
        zones = self._publisher.entries(f"{vim}/zone") if vim else ()
        return next((each["zone"] for each in held if "zone" in each), "") or agreed.somewhere(agreement, zones)

    def _hosting(self, scope: Scope) -> bool:
        """Whether it is the consumer here that serves its provider."""
        return (self._publisher.read(scope.agreement_path, config=True) or {}).get("role") == "consumer"

    def _inner(self, scope: Scope, name: str, id: str) -> str:
        """What the block calls an entry; the same for all models of an agreement, since they refer to each other."""
        return Scope(scope.agreement_path, scope.partner, scope.agreement).inner(name, id)

    def _inward(self, scope: Scope, kind: Writable, wanted: Members) -> Members:
        """A partner's entry in the block's words."""
        data = {name: value for name, value in wanted.items() if name not in ("id", "source", "signature")}
        for leaf, named in kind.references.items():
            if leaf in data:
                data[leaf] = self._inner(scope, named, data[leaf])
        return data

    def _ended(self, run: Run) -> None:
        """A failure is seen at the entry too; what is gone is nobody's any more."""
        kind = self._window.lists[run.subject_type]
        if run.operation == kind.remove:
            if run.state == "completed":
                self._tenants.pop((run.subject_type, self._inner(run.scope, run.subject_type, run.subject)), None)
        elif run.state in ("failed", "failed-temp"):
            self._publisher.state(f"{run.entry}/state", {**kind.failed, "error": dict(run.error)})
        self._show_used(run.scope)

    def _show_used(self, scope: Scope) -> None:
        agreement = self._publisher.read(scope.agreement_path, config=True)
        if agreement is not None:
            held, instances = agreed.claimed(agreement, self._descriptors(scope))
            used = {**capacity.amounts(held), "instances": instances}
            self._publisher.state(f"{scope.agreement_path}/state/used", used, durable=False)
            self._show_slices(scope, agreement)

    def _show_slices(self, scope: Scope, agreement: Members) -> None:
        for each in agreement.get(self._window.container, {}).get(SLICE, ()):
            self._copy(scope, SLICE, each["id"])

    # -- what becomes of it

    def _told(self, name: str, members: Members) -> None:
        self._news.set()
        if name == RESYNC:
            for scope, kind, entry in self._entries():
                self._copy(scope, kind, entry["id"])
        elif name == KPIS:
            self._report_kpis(members.get("kpi", ()))
        elif name == ALARM:
            self._alarm(members)
            self._stale.set()  # perhaps a manager has gone, or is there again, and its zones with it
        else:
            self._changed(name, members)

    def _changed(self, name: str, members: Members) -> None:
        """The block has said that an entry has changed; what there is may have changed with it."""
        self._stale.set()
        kind = members.get("resource-type") or next((_SUBJECTS[leaf] for leaf in _SUBJECTS if leaf in members), "")
        leaf = "resource" if "resource-type" in members else kind
        owner = self._tenants.get((kind, members.get(leaf, "")))
        if owner is None:
            return
        scope, name_there = owner
        self._copy(scope, kind, name_there)
        told = _outward(members, members.keys() - _INNER) | {leaf: name_there}
        self._publisher.notify(scope, name, told)

    def _copy(self, scope: Scope, name: str, id: str) -> bool:
        """Show the partner the state of an entry as the block has it; False while it has none."""
        if name == SLICE and self._slices is not None:
            state = self._slices.shown(scope, id)
            return state is not None and self._publisher.state(f"{scope.base}/slice[id='{id}']/state", state)
        inner = f"/{name}[id='{self._inner(scope, name, id)}']"
        held = self._publisher.read(self._blocks.holding(scope, inner).base + inner) or {}
        path = f"{scope.base}/{name}[id='{id}']"
        for kind in self._window.lists[name].rules:
            for rule in held.get(kind, ()):
                if "state" in rule:
                    shown = _outward(rule["state"], rule["state"].keys())
                    self._publisher.state(f"{path}/{kind}[id='{rule['id']}']/state", shown)
        if "state" not in held:
            return False
        self._publisher.state(f"{path}/state", _outward(held["state"], self._states[name]))
        return True

    def _alarm(self, alarm: Members) -> None:
        for scope, subject in self._owners(alarm["resource"]):
            self._publisher.alarm(
                scope,
                subject,
                plain(alarm["alarm-type-id"]),
                alarm.get("perceived-severity", "major"),
                SAID["operation-failed"],
                cleared=alarm.get("is-cleared", False),
            )

    def owner(self, name: str, inner: str) -> tuple[Scope, str] | None:
        """Whose the entry of list `name` is that the block calls so, and what they call it; None: no partner's."""
        return self._tenants.get((name, inner))

    def _owners(self, inner: str) -> Iterator[tuple[Scope, str]]:
        """Whose the entry is that the block calls so, whatever list it is in, and what they call it."""
        found = (self._tenants.get((name, inner)) for name in self._window.lists)
        return (owner for owner in found if owner is not None)

    def _report_kpis(self, rows: Sequence[Members]) -> None:
        told: dict[Scope, list[Members]] = {}
        for row in rows:
            for scope, subject in self._owners(row["subject"]):
                if self._publisher.shares(scope, "share-kpis"):
                    told.setdefault(scope, []).append({**row, "subject": subject})
        for scope, _ in self.agreements():
            there = {
                each["id"] for name in self._window.lists for each in self._publisher.entries(f"{scope.base}/{name}")
            }
            self._publisher.measured(scope, told.get(scope, ()), there)

    # -- what there is

    def agreements(self) -> Iterator[tuple[Scope, Members]]:
        """The agreements in which we fill the window, with their configuration."""
        for found in self._publisher.scopes(AGREEMENT):
            agreement = self._publisher.read(found.base, config=True)
            if agreement is not None and self._window.shown(agreement):
                yield Scope(f"{found.base}/{self._window.container}", found.partner, found.agreement), agreement

    def _entries(self) -> Iterator[tuple[Scope, str, Members]]:
        """(scope, list, entry) of all that partners have asked for, what others refer to first."""
        for scope, _ in self.agreements():
            for name in self._window.lists:
                for entry in self._publisher.entries(f"{scope.base}/{name}"):
                    yield scope, name, entry

    def wake(self) -> None:
        """Show every partner anew what there is for it.  Any thread."""
        self._loop.call_soon_threadsafe(self._stale.set)

    async def _keep_shown(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            for scope, agreement in self.agreements():
                try:
                    self._show_slices(scope, agreement)
                    await self._show(scope, agreement)
                except (RpcError, RpcErrors) as error:
                    _log.warning("agreement %s with %s: %s", scope.agreement, scope.partner, error)


def _names(node: Node) -> frozenset[str]:
    return frozenset(child.name for child in node.children)


def _outward(members: Members, leafs: AbstractSet[str]) -> Members:
    """`leafs` of the block's members, in words for a partner."""
    shown = {name: value for name, value in members.items() if name in leafs}
    return shown | ({"error": said(shown["error"])} if "error" in shown else {})


def _share(run: Run, size: int) -> Callable[[int], None]:
    """Half of a step that begins with a transfer."""
    return lambda arrived: run.within(50 * arrived // size if size else 0)
