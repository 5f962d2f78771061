"""OSS, the operations support system (ETSI GS MEC 003 clause 7.1.2; TM Forum TMF641).

It serves Mx1 over ``mec-order:orders``: a third party's order becomes deployments, which it has the orchestrator carry
out over Mm1, all of them or none: where there are several, each is prepared (room is held for it, nothing runs) before
the first is confirmed, and what fails is compensated in reverse.  The customer sees states, names and addresses, and
cannot tell who hosts what.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec.amendment import amended, lasting, reached, wish
from nms.mec.occurrence import Occurrence, plain
from nms.mec.plan import Planner
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm1
from nms.mec.scope import Duty, Intent, IntentProvider, Scope
from nms.mec.session import Members
from nms.model import json
from nms.model.values import Value
from nms.operations.request import Invoke, Session

_log = logging.getLogger(__name__)

ORDERS = Scope("/mec-order:orders")
#: Nothing is said beside what stands in the deployments.
_NO_GRACE: Mapping[str, int | None] = MappingProxyType({})
_PASSED_ON = ("dns-name", "requirement", "acceptable-zone", "graceful-timeout")
CHANGED = "mec-order:order-state-changed"
_WITHDRAWN: Members = {"error-tag": "data-missing", "detail": "it was withdrawn"}
DEPLOYMENT_CHANGED = "mec-system:deployment-changed"


class Oss:
    """The block."""

    def __init__(self, publisher: Publisher, mm1: Mm1, planner: Planner) -> None:
        self._publisher = publisher
        self._mm1 = mm1
        self._planner = planner
        self._loop = asyncio.get_running_loop()
        self._work: dict[str, asyncio.Task[None]] = {}
        duty = Duty(self._check, self._act)
        self.provider = IntentProvider(publisher.schema, publisher.store, {f"{ORDERS.base}/order": duty})

    async def start(self) -> None:
        """Take up orders that were being delivered, and withdraw what orders that are gone have left."""
        self._watch = self._mm1.watch(self._told)
        orders = {each["id"]: each for each in self._publisher.entries(f"{ORDERS.base}/order")}
        for name, order in orders.items():
            state = plain(order.get("state", {}).get("state", "acknowledged"))
            if order.get("cancelled") and state != "cancelled":
                self._spawn(name, self._cancel(name))
            elif state in ("acknowledged", "in-progress") or (state == "completed" and "requested-end" in order):
                self._spawn(name, self._deliver(name))
            elif state == "completed":
                shown = {each["id"]: plain(each["state"]) for each in order["state"]["item"]}
                left = {each["id"]: wish(each) for each in order["item"] if shown.get(each["id"]) == "in-progress"}
                self._spawn(name, self._amend(name, left))
        deployments = await self._mm1.deployments()
        there = {each["id"] for each in deployments}
        for order in orders.values():
            for item in order.get("state", {}).get("item", ()) if "requested-end" not in order else ():
                if (name := item.get("deployment", "")) and name not in there:
                    gone = {"instantiation-state": "mec-types:not-instantiated"}
                    self._told(DEPLOYMENT_CHANGED, {"deployment": name, **gone})
        for deployment in deployments:
            if "order" in deployment and deployment["order"] not in orders:
                self._spawn(deployment["order"], self._withdraw([deployment["id"]]))
            else:
                self._told(DEPLOYMENT_CHANGED, {"deployment": deployment["id"], **deployment.get("state", {})})

    def stop(self) -> None:
        """Begin nothing more: an order that is being delivered is taken up again."""
        for task in self._work.values():
            task.cancel()

    async def close(self) -> None:
        """Stop; what was delivered stays."""
        self._watch.close()
        tasks = tuple(self._work.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def plan(self, session: Session, request: Invoke) -> Value:
        """The rpc plan-order: what an order would have done; nothing of it is."""
        wanted, output = request.node.children
        return json.decode(output, self._planner.plan(json.plain(wanted, request.input)))

    # -- what a commit may ask

    def _check(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.old is not None and intent.new is not None:
                old, new = lasting(intent.old), lasting(intent.new)
                if old != new or (intent.old.get("cancelled") and not intent.new.get("cancelled")):
                    raise RpcError(
                        "operation-not-supported",
                        f"order {intent.id} can only be cancelled, scaled or updated; place another for something else",
                        path=intent.scope.base + intent.path,
                    )

    def _act(self, intent: Intent) -> None:
        order = intent.id
        if intent.new is None:
            items = (intent.old or {})["item"]
            grace = {_deployment_id(order, item["id"]): item.get("graceful-timeout") for item in items}
            self._loop.call_soon_threadsafe(self._replace, order, self._withdraw(list(grace), grace))
        elif intent.old is None:
            now = self._publisher.now()
            items = [{"id": item["id"], "state": "mec-types:acknowledged"} for item in intent.new["item"]]
            self._show(order, {"ordered-at": now, "item": items})
            self._enter(order, "acknowledged")
            self._trail(order, "order", order, intent.new.get("description", "received"))
            self._loop.call_soon_threadsafe(self._spawn, order, self._deliver(order))
        elif intent.new.get("cancelled"):
            self._loop.call_soon_threadsafe(self._replace, order, self._cancel(order))
        elif changes := amended(intent.old, intent.new):
            if plain(self._state(order).get("state", "")) == "completed":
                for item in changes:  # what was so before must not be taken for the outcome
                    self._item(order, item, state="mec-types:in-progress", progress=0, error={})
            self._loop.call_soon_threadsafe(self._spawn, order, self._amend(order, changes))

    # -- work, one piece per order

    def _spawn(self, order: str, work: Coroutine[Any, Any, None]) -> None:
        before = self._work.get(order)
        task = self._loop.create_task(self._turn(before, work))
        self._work[order] = task
        task.add_done_callback(lambda done: self._done(order, done))

    def _replace(self, order: str, work: Coroutine[Any, Any, None]) -> None:
        if (before := self._work.get(order)) is not None:
            before.cancel()
        self._spawn(order, work)

    async def _turn(self, before: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
        except asyncio.CancelledError:
            work.close()
            raise
        await work

    def _done(self, order: str, task: asyncio.Task[None]) -> None:
        if self._work.get(order) is task:
            del self._work[order]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("order %s", order, exc_info=error)

    async def _deliver(self, order: str) -> None:
        wanted = self._publisher.read(f"{ORDERS.base}/order[id='{order}']", config=True)
        if wanted is None:
            return
        await self._until(wanted.get("requested-start"))
        if plain(self._state(order).get("state", "")) != "completed":
            self._enter(order, "in-progress")
            try:
                if len(wanted["item"]) > 1:
                    for item in wanted["item"]:
                        await self._prepare_item(order, wanted, item)
                for item in wanted["item"]:
                    await self._deliver_item(order, wanted, item)
            except (RpcError, RpcErrors) as error:
                await self._failed(order, wanted, _first(error))
                return
            self._show(order, {"completed-at": self._publisher.now()})
            self._enter(order, "completed")
        if "requested-end" in wanted:
            await self._until(wanted["requested-end"])
            await self._withdraw([_deployment_id(order, item["id"]) for item in wanted["item"]])
            self._trail(order, "order", order, "its time is over: withdrawn")

    async def _prepare_item(self, order: str, wanted: Members, item: Members) -> None:
        """First half: room is held for the item wherever its parts go.  What was confirmed before a restart is so."""
        deployment = _deployment_id(order, item["id"])
        self._item(order, item["id"], state="mec-types:in-progress", deployment=deployment, progress=0)
        held = await self._mm1.deployment(deployment)
        if held is None or held.get("phase") == "prepared":
            wish = await self._wish(order, wanted, item)
            state = await self._mm1.instantiate(deployment, {**wish, "phase": "prepared"})
            if "prepared-until" not in state:
                raise _unmade(deployment, state)
            self._trail(order, "deployment", deployment, "prepared: room is held for it", item["id"])

    async def _deliver_item(self, order: str, wanted: Members, item: Members) -> None:
        """Second half, or the whole of an order of one item."""
        deployment = _deployment_id(order, item["id"])
        self._item(order, item["id"], state="mec-types:in-progress", deployment=deployment, progress=0)

        def progress(occurrence: Occurrence) -> None:
            self._item(order, item["id"], progress=occurrence.progress)

        if len(wanted["item"]) > 1:
            state = await self._mm1.confirm(deployment, progress)
        else:
            state = await self._mm1.instantiate(deployment, await self._wish(order, wanted, item), progress)
        if plain(state.get("instantiation-state", "")) != "instantiated":
            raise _unmade(deployment, state)
        instance: Members = next(iter(state.get("instance", ())), {})
        self._item(order, item["id"], state="mec-types:completed", progress=100, **reached(state))
        domains = [part.get("domain", "") for part in state.get("part", ())]
        reasons = "; ".join(instance.get("reason", ()))
        self._trail(order, "deployment", deployment, reasons, item["id"], next(iter(domains), ""))

    async def _amend(self, order: str, changes: Mapping[str, Members]) -> None:
        """Have what was delivered changed as the order says now; what fails leaves it as it was."""
        if plain(self._state(order).get("state", "")) != "completed":
            return
        for item, change in changes.items():
            deployment = _deployment_id(order, item)
            said: Members = {}
            try:
                await self._mm1.revise(
                    deployment,
                    change,
                    lambda occurrence: self._item(order, item, progress=occurrence.progress),  # noqa: B023
                )
            except RpcError as error:
                said = {"error-tag": error.tag, "detail": error.message}
            now = (await self._mm1.deployment(deployment) or {}).get("state", {})
            self._item(order, item, state="mec-types:completed", progress=100, error=said, **reached(now))
            detail = f"not changed: {said['detail']}" if said else "changed: " + ", ".join(sorted(change))
            self._trail(order, "deployment", deployment, detail, item)

    async def _wish(self, order: str, wanted: Members, item: Members) -> Members:
        wish: Members = {"package": item["package"], "customer": wanted["customer"], "order": order}
        wish |= {name: item[name] for name in _PASSED_ON if name in item}
        if "acceptable-country" in item:
            zones = await self._mm1.zones()
            there = [
                zone["id"] for zone in zones if zone.get("location", {}).get("country") in item["acceptable-country"]
            ]
            wish["acceptable-zone"] = [each for each in item.get("acceptable-zone", there) if each in there]
            if not wish["acceptable-zone"]:
                countries = ", ".join(item["acceptable-country"])
                raise RpcError("operation-failed", f"no acceptable zone is in {countries}")
        return wish

    async def _failed(self, order: str, wanted: Members, error: RpcError) -> None:
        """All or nothing: what was delivered is withdrawn."""
        failure = {"error-tag": error.tag, "detail": error.message}
        for item in wanted["item"]:
            held = next(each for each in self._state(order)["item"] if each["id"] == item["id"])
            if plain(held["state"]) == "in-progress":
                self._item(order, item["id"], state="mec-types:failed", error=failure)
        left = await self._withdraw_all([_deployment_id(order, item["id"]) for item in wanted["item"]])
        for item in self._state(order)["item"]:
            if plain(item["state"]) == "completed":
                self._item(order, item["id"], state="mec-types:cancelled", endpoint=[])
        if left:
            failure["detail"] += f"; not withdrawn: {'; '.join(left)}"
        self._show(order, {"error": failure})
        self._trail(order, "order", order, f"failed: {failure['detail']}")
        self._enter(order, "failed", failure)

    async def _cancel(self, order: str) -> None:
        left = await self._withdraw_all([each["deployment"] for each in self._items(order) if "deployment" in each])
        for item in self._items(order):
            self._item(order, item["id"], state="mec-types:cancelled", endpoint=[])
        if left:
            self._show(order, {"error": {"error-tag": "partial-operation", "detail": "; ".join(left)}})
        self._enter(order, "cancelled")
        self._trail(order, "order", order, "cancelled by the customer")

    async def _withdraw(self, deployments: Sequence[str], grace: Mapping[str, int | None] = _NO_GRACE) -> None:
        for said in await self._withdraw_all(deployments, grace):
            _log.error("not withdrawn: %s", said)

    async def _withdraw_all(self, deployments: Sequence[str], grace: Mapping[str, int | None] = _NO_GRACE) -> list[str]:
        """Terminate deployments, the last one first; gives what went wrong, by deployment."""
        left: list[str] = []
        for deployment in reversed(deployments):
            try:
                await self._mm1.terminate(deployment, grace=grace.get(deployment))
            except (RpcError, RpcErrors) as error:
                left.append(f"{deployment}: {_first(error).message}")
        return left

    async def _until(self, time: str | None) -> None:
        if time is not None:
            left = datetime.fromisoformat(time) - self._publisher.store.clock()
            await asyncio.sleep(max(0.0, left.total_seconds()))

    # -- what is seen

    def _told(self, name: str, members: Members) -> None:
        """A deployment that was delivered has changed."""
        if name != DEPLOYMENT_CHANGED:
            return
        for order in self._publisher.entries(f"{ORDERS.base}/order"):
            for item in order.get("state", {}).get("item", ()):
                if item.get("deployment") != members["deployment"]:
                    continue
                if plain(item["state"]) == "failed" and _runs(members) and "completed-at" in order["state"]:
                    self._found(order["id"], item["id"], members)
                elif plain(item["state"]) == "completed":
                    error = members.get("error", {})
                    self._item(order["id"], item["id"], error=error, **reached(members))
                    if _ended(members) and (error or order["id"] not in self._work):
                        self._lost(order["id"], item["id"], members["deployment"], error or _WITHDRAWN)

    def _lost(self, order: str, item: str, deployment: str, error: Members) -> None:
        """What was delivered does not exist any more, though the customer has not cancelled it."""
        self._item(order, item, state="mec-types:failed")
        self._trail(order, "deployment", deployment, f"lost: {error.get('detail', '')}", item)
        self._show(order, {"error": error})
        self._enter(order, "failed", error)

    def _found(self, order: str, item: str, deployment: Members) -> None:
        """What was delivered and lost runs again."""
        self._item(order, item, state="mec-types:completed", error={}, **reached(deployment))
        self._trail(order, "deployment", deployment["deployment"], "it runs again", item)
        if all(plain(each["state"]) == "completed" for each in self._items(order)):
            self._show(order, {"error": {}})
            self._enter(order, "completed")

    def _state(self, order: str) -> Members:
        return self._publisher.read(f"{ORDERS.base}/order[id='{order}']/state") or {}

    def _items(self, order: str) -> Sequence[Members]:
        return self._state(order).get("item", ())  # type: ignore[no-any-return]

    def _show(self, order: str, changes: Members) -> None:
        state = {name: value for name, value in {**self._state(order), **changes}.items() if value not in ({}, [])}
        self._publisher.state(f"{ORDERS.base}/order[id='{order}']/state", state)

    def _enter(self, order: str, state: str, error: Members | None = None) -> None:
        about = {"state": f"mec-types:{state}", "state-entered-time": self._publisher.now()}
        self._show(order, about)
        told = {"order": order, **about, **({"error": error} if error else {})}
        self._publisher.notify(ORDERS, CHANGED, told)

    def _item(self, order: str, item: str, **changes: Any) -> None:
        items = [dict(each) for each in self._items(order)]
        mine = next((each for each in items if each["id"] == item), None)
        if mine is None:
            return
        before = mine.get("state")
        mine |= changes
        kept = {name: value for name, value in mine.items() if value not in ({}, [])}
        self._show(order, {"item": [kept if each is mine else each for each in items]})
        if mine.get("state") != before:
            now = self._publisher.now()
            told = {"order": order, "item": item, "state": mine["state"], "state-entered-time": now}
            told |= {name: kept[name] for name in ("endpoint", "error") if name in kept}
            self._publisher.notify(ORDERS, CHANGED, told)

    def _trail(self, order: str, kind: str, reference: str, detail: str, item: str = "", domain: str = "") -> None:
        trail = self._state(order).get("trail", [])
        entry = {
            "sequence": str(len(trail) + 1),
            "at": self._publisher.now(),
            "kind": f"mec-order:{kind}",
            "reference": reference,
            "detail": detail,
            **({"item": item} if item else {}),
            **({"domain": domain} if domain else {}),
        }
        self._show(order, {"trail": [*trail, entry]})


def _ended(deployment: Members) -> bool:
    """Whether nothing of what was delivered runs, and nobody has stopped it on purpose."""
    if plain(deployment.get("instantiation-state", "")) == "not-instantiated":
        return True
    running = (plain(each.get("operational-state", "")) == "started" for each in deployment.get("instance", ()))
    return "error" in deployment and not any(running)


def _runs(deployment: Members) -> bool:
    states = (plain(deployment.get(name, "")) for name in ("instantiation-state", "operational-state"))
    return "error" not in deployment and tuple(states) == ("instantiated", "started")


def _first(error: RpcError | RpcErrors) -> RpcError:
    return error if isinstance(error, RpcError) else error.errors[0]


def _unmade(deployment: str, state: Members) -> RpcError:
    failure = state.get("error", {})
    return RpcError("operation-failed", failure.get("detail", f"deployment {deployment} was not made"))


def _deployment_id(order: str, item: str) -> str:
    return f"{order}.{item}"
