"""The life-cycle proxy: device applications ask for application contexts (ETSI GS MEC 003 clause 7.1.8; MEC 016).

It serves Mx2 over ``mec-order:orders/device-application``: which applications there are, and contexts, which its user
creates, reads and deletes.  A context becomes an order, within what the operator has granted, over Mm8; what there is
to order it knows over Mm9.  Access rules (RFC 8341) limit each user to its own entry.  It must not know deployments.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec.access_rules import DENY_ALL, PAUSE, RuleLists, permit
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher
from nms.mec.reference_points import Mm8, Mm9
from nms.mec.scope import Duty, Intent, IntentProvider
from nms.mec.session import Core, Members, members_at
from nms.model.path import parse_path

_log = logging.getLogger(__name__)

APPLICATIONS: Final = "/mec-order:orders/device-application"
#: Group, and rule list, of a device application: this and its identifier.
GROUP: Final = "mec-device"
ORDER_CHANGED: Final = "mec-order:order-state-changed"
PACKAGE_CHANGED: Final = "mec-system:package-changed"
_SHOWN: Final = ("state", "error")
_DESCRIBED: Final = ("id", "name", "provider", "software-version", "description")


class Proxy:
    """The block."""

    def __init__(self, core: Core, publisher: Publisher, mm8: Mm8, mm9: Mm9) -> None:
        self._publisher = publisher
        self._mm8 = mm8
        self._mm9 = mm9
        self._lists = RuleLists(core, publisher, GROUP)
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        duties = {
            APPLICATIONS: Duty(lambda wanted, tx: None, lambda intent: self._wake()),
            f"{APPLICATIONS}/context": Duty(self._check, lambda intent: self._wake()),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties)

    async def start(self) -> None:
        """Order what is asked for, withdraw what is not any more, and follow."""
        self._watches = [self._mm8.watch(self._told), self._mm9.watch(self._told)]
        self._keeping = self._loop.create_task(self._follow())
        self._stale.set()

    async def close(self) -> None:
        """Stop; what was ordered stays."""
        for watch in self._watches:
            watch.close()
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._lists.close()

    # -- what a commit may ask

    def _check(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """A context stays within what its device application is granted."""
        for intent in wanted:
            if intent.new is None:
                continue
            where = intent.scope.base + intent.path
            if intent.old is not None:
                why = f"context {intent.id} cannot change; delete it and create another"
                raise RpcError("operation-not-supported", why, path=where)
            granted = members_at(tx.new, parse_path(self._publisher.schema, intent.scope.base)) or {}
            if len(granted["context"]) > granted.get("max-contexts", 1):
                raise RpcError("resource-denied", f"{granted.get('max-contexts', 1)} contexts are granted", path=where)
            if intent.new.get("requirement", {}).get("scale", 1) > granted.get("max-scale", 1):
                why = f"{granted.get('max-scale', 1)} instances of a context are granted"
                raise RpcError("resource-denied", why, path=where)
            for name, asked in (("package", [intent.new["package"]]), ("acceptable-zone", _zones(intent.new))):
                refused = [each for each in asked if each not in granted.get(name, asked)]
                if refused:
                    raise RpcError("access-denied", f"{name} {refused[0]} is not granted", path=where)

    # -- making it so

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._stale.set)

    def _told(self, name: str, members: Members) -> None:
        if name in (ORDER_CHANGED, PACKAGE_CHANGED):
            self._stale.set()

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self._keep()
            except (RpcError, RpcErrors) as error:  # somebody holds a lock
                _log.warning("contexts of device applications: %s", error)
                await asyncio.sleep(PAUSE)
                self._stale.set()

    async def _keep(self) -> None:
        """Compare what is asked for with what is ordered, and make the difference good."""
        applications = self._publisher.entries(APPLICATIONS)
        users = {f"{GROUP}-{each['id']}": each["user-name"] for each in applications}
        await self._lists.keep({f"{GROUP}-{each['id']}": list(_rules(each["id"])) for each in applications}, users)
        packages = await self._mm9.packages()
        wanted: dict[str, tuple[str, Members]] = {}
        for application in applications:
            path = f"{APPLICATIONS}[id='{application['id']}']"
            self._show_available(path, application, packages)
            for context in application.get("context", ()):
                name = self._publisher.scope(path).inner("context", context["id"])
                wanted[name] = (f"{path}/context[id='{context['id']}']", _order(application, context))
        ordered = {each["id"]: each for each in await self._mm8.orders()}
        for name, order in ordered.items():
            if order.get("external-id", "").startswith(_OURS) and name not in wanted:
                await self._mm8.withdraw(name)
        for name, (path, order) in wanted.items():
            if name in ordered:
                self._show(path, ordered[name])
            else:
                await self._mm8.place(name, order)

    def _show_available(self, path: str, application: Members, packages: Sequence[Members]) -> None:
        """The applications that it can ask for (MEC 016, clause 6.2.2)."""
        usable = {
            each["id"]: each["state"]["descriptor"]
            for each in packages
            if plain(each.get("state", {}).get("onboarding-state", "")) == "onboarded"
            and plain(each.get("operational-state", "enabled")) == "enabled"
            and each["id"] in application.get("package", [each["id"]])
        }
        for gone in {each["package"] for each in application.get("available-application", ())} - usable.keys():
            self._publisher.state(f"{path}/available-application[package='{gone}']", None, durable=False)
        for name, descriptor in usable.items():
            about = {leaf: descriptor[leaf] for leaf in _DESCRIBED if leaf in descriptor}
            self._publisher.state(f"{path}/available-application[package='{name}']", about, durable=False)

    def _show(self, path: str, order: Members) -> None:
        """What has become of a context is what has become of its order."""
        held = order.get("state", {})
        item: Members = next(iter(held.get("item", ())), {})
        state: Members = {name: held[name] for name in _SHOWN if name in held} | {"order": order["id"]}
        if endpoints := item.get("endpoint"):
            state |= {"endpoint": endpoints, "reference-uri": _uri(endpoints[0])}
        if self._publisher.read(f"{path}/state") != state:
            self._publisher.state(f"{path}/state", state)


#: What the orders of contexts begin their external identifier with.
_OURS: Final = "mx2/"


def _order(application: Mapping[str, Any], context: Mapping[str, Any]) -> Members:
    """The order that a context becomes."""
    item = {"id": "app", "package": context["package"]}
    zones = _zones(context) or application.get("acceptable-zone")
    # Without a word about it there is one instance, whatever the descriptor says: more may not be granted.
    requirement = {"scale": 1, **context.get("requirement", {})}
    return {
        "external-id": f"{_OURS}{application['id']}/{context['id']}"[:128],
        "customer": application["id"],
        "item": [{**item, "requirement": requirement, **({"acceptable-zone": zones} if zones else {})}],
    }


def _zones(context: Mapping[str, Any]) -> list[str]:
    return list(context.get("acceptable-zone", ()))


def _uri(endpoint: Mapping[str, Any]) -> str:
    """Where the first endpoint is reached (referenceURI)."""
    host = endpoint.get("dns-name") or endpoint.get("address", "")
    place = f"[{host}]" if ":" in host else host
    scheme = plain(endpoint.get("protocol", "http"))
    return f"{scheme}://{place}:{endpoint['port']}/" if "port" in endpoint else f"{scheme}://{place}/"


def _rules(application: str) -> Iterator[Members]:
    entry = f"/mec-order:orders/mec-order:device-application[mec-order:id='{application}']"
    yield permit("contexts", f"{entry}/mec-order:context", "create read update delete")
    yield permit("itself", entry, "read")
    yield DENY_ALL
