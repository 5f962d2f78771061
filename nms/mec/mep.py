"""MEP, the MEC platform (ETSI GS MEC 003 clause 7.1.3; ETSI GS MEC 011).

It serves Mm5 over ``mec-platform:platforms/platform``: applications with their DNS and traffic rules, and the registry
of services; it writes the DNS and the data plane through their drivers (Mp2).  What is configured is put in force
(`nms.mec.in_force`), so that a repetition does no harm and a restart publishes everything again; what a driver has lost
is shown, and the application is not ready without it.  It must not know where an application runs, nor why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from nms.datastore.transaction import Transaction
from nms.drivers import api
from nms.errors import RpcError
from nms.mec.driven import Names, Rules, Steered, record, traffic_rule
from nms.mec.in_force import InForce
from nms.mec.occurrence import plain
from nms.mec.publisher import Publisher, timestamp
from nms.mec.scope import Duty, Intent, IntentProvider
from nms.mec.services import endpoints
from nms.mec.session import DataEdit, ManagementSession, Members

_log = logging.getLogger(__name__)

PLATFORMS = "/mec-platform:platforms/platform"
CHANGED = "mec-platform:application-changed"
RULE_CHANGED = "mec-platform:rule-changed"
SERVICE_CHANGED = "mec-platform:service-availability-changed"


#: What an application says of itself -> leaf of its state that shows it.
_SAID: Mapping[str, str] = {
    "confirm-ready": "confirmed-ready-at",
    "confirm-context-transfer": "context-transferred-at",
}


class Mep:
    """The block for one entry of the list platform.

    Args:
        names, rules: of the open drivers.
        session: on the block's own entry.
        plane_of: gives the data plane that carries an application's traffic.

    Attributes:
        dns, traffic: what is in force.
    """

    def __init__(
        self,
        publisher: Publisher,
        names: Names,
        rules: Rules,
        id: str,
        session: ManagementSession,
        plane_of: Callable[[str], api.DataPlane],
    ) -> None:
        self._publisher = publisher
        self.dns = InForce(names, self._again, partial(self._lost, "dns-rule"))
        self.traffic = InForce(rules, self._again, partial(self._lost, "traffic-rule"))
        self._plane_of = plane_of
        self.id = id
        self._session = session
        self.scope = publisher.scope(f"{PLATFORMS}[id='{id}']")
        self._loop = asyncio.get_running_loop()
        #: By application: it has said that it need not be waited for.
        self._may_end: dict[str, asyncio.Event] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._changed: set[str] = set()
        #: What an application says comes in any thread, and is read and written together with what is shown of it.
        self._saying = threading.Lock()
        duties = {
            f"{PLATFORMS}/application": Duty(self._check_application, self._act_application),
            f"{PLATFORMS}/service": Duty(self._check_service, self._act_service),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties, lambda scope: scope == self.scope)

    async def start(self) -> None:
        """Put in force what is configured."""
        self._publisher.state(f"{self.scope.base}/time-of-day", {"source-status": "nontraceable"}, durable=False)
        for service in self._publisher.entries(f"{self.scope.base}/service"):
            self._offer(service["id"], service, "added")
        for application in self._publisher.entries(f"{self.scope.base}/application"):
            await self._bring_about(application["id"])

    async def close(self) -> None:
        """Do no more; what is in force stays so."""
        work = tuple(self._work.values())
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    # -- what a commit may ask

    def _check_application(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            application = intent.new or {}
            for rule in application.get("dns-rule", ()):
                address = rule.get("ip-address", application.get("address"))
                if address is None:
                    raise RpcError(
                        "invalid-value",
                        f"DNS rule {rule['id']} has no ip-address, and application {intent.id} no address",
                        path=intent.scope.base + intent.path,
                    )

    def _check_service(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        for intent in wanted:
            if intent.old is None and intent.held is not None:
                why = f"service {intent.id} is a partner's"
                raise RpcError("data-exists", why, path=intent.scope.base + intent.path)

    def _act_application(self, intent: Intent) -> None:
        # What was so before the change must not be taken for its outcome; what the application has said stays said.
        path = f"{self.scope.base}{intent.path}/state"
        with self._saying:
            said = (self._publisher.read(path) or {}) if intent.old is not None else {}
            kept = {name: said[name] for name in _SAID.values() if name in said}
            if _context(intent.old) != _context(intent.new):
                kept.pop("context-transferred-at", None)
            self._publisher.state(path, {"ready": False, **kept})
            self._changed.add(intent.id)
        if intent.new is not None and _found_at(intent.old) != _found_at(intent.new):
            self._loop.call_soon_threadsafe(self._reoffer, intent.id)
        if (intent.old or {}).get("desired-state") != (intent.new or {}).get("desired-state"):
            self._loop.call_soon_threadsafe(self._hurry, intent.id)
        self._loop.call_soon_threadsafe(self._wake, intent.id)

    def hear(self, application: str, what: str) -> None:
        """An application has said something of itself (an action of the list application); any thread.

        Raises:
            RpcError: operation-failed; nobody has asked it to.
        """
        path = f"{self.scope.base}/application[id='{application}']"
        entry = self._publisher.read(path) or {}
        state: Members = entry.get("state", {})
        if what == "confirm-termination":
            if "ends-at" not in state:
                raise RpcError("operation-failed", "the application is not asked to end", path=path, status=409)
            self._loop.call_soon_threadsafe(self._hurry, application)
            return
        if what == "confirm-context-transfer" and not _context(entry):
            raise RpcError("operation-failed", "there is nowhere the context should go", path=path, status=409)
        with self._saying:
            state = self._publisher.read(f"{path}/state") or {}
            self._tell(application, path, {**state, _SAID[what]: self._publisher.now()})

    def _tell(self, application: str, path: str, state: Members) -> None:
        """Show and tell what an application has said, or is asked."""
        self._publisher.state(f"{path}/state", state)
        names = (*_SAID.values(), "ends-at")
        told = {name: state[name] for name in names if name in state}
        self._publisher.notify(self.scope, CHANGED, {"platform": self.id, "application": application, **told})

    def _hurry(self, application: str) -> None:
        """Whoever waits for the end of an application need not any longer."""
        if (may_end := self._may_end.get(application)) is not None:
            may_end.set()

    async def _wait_for_end(self, path: str, id: str, seconds: int) -> None:
        """Give an application that can say so the time to end; it is seen that it has to."""
        state = self._publisher.read(f"{path}/state") or {}
        if not seconds or "confirmed-ready-at" not in state:
            return
        until = timestamp(self._publisher.store.clock() + timedelta(seconds=seconds))
        may_end = self._may_end[id] = asyncio.Event()
        self._tell(id, path, {**state, "ends-at": until})
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await may_end.wait()
        finally:
            del self._may_end[id]

    def _act_service(self, intent: Intent) -> None:
        change = "removed" if intent.new is None else "added" if intent.old is None else "attributes-changed"
        self._offer(intent.id, intent.new or intent.old or {}, change)

    def _offer(self, id: str, service: Members, change: str) -> None:
        offered = change != "removed" and service.get("desired-state", "active") == "active"
        state = f"mec-types:{'active' if offered else 'inactive'}"
        if change != "removed":
            named = service.get("application")
            producer = named and self._publisher.read(f"{self.scope.base}/application[id='{named}']")
            shown = {"state": state, "is-local": True, **endpoints(service, producer or {}, self.absolute)}
            self._publisher.state(f"{self.scope.base}/service[id='{id}']/state", shown)
        told = {"platform": self.id, "service": id, "change": change, "state": state, "is-local": True}
        if "name" in service:
            told["name"] = service["name"]
        self._publisher.notify(self.scope, SERVICE_CHANGED, told)

    def _reoffer(self, application: str) -> None:
        """The services of an application are where it is now."""
        for service in self._publisher.entries(f"{self.scope.base}/service"):
            if service.get("application") == application:
                self._offer(service["id"], service, "attributes-changed")

    # -- making it so

    def _wake(self, application: str) -> None:
        self._changed.add(application)
        if application not in self._work:
            self._work[application] = self._loop.create_task(self._follow(application))

    async def _follow(self, application: str) -> None:
        """One change after the other; several that came meanwhile are one."""
        try:
            while application in self._changed:
                self._changed.discard(application)
                await self._bring_about(application)
        finally:
            del self._work[application]

    async def _again(self, application: str) -> None:
        """Put in force once more what is configured; returns when that is done, or cannot be."""
        self._wake(application)
        await asyncio.wait([self._work[application]])

    async def _bring_about(self, id: str) -> None:
        """Put in force what is configured of an application now."""
        path = f"{self.scope.base}/application[id='{id}']"
        wanted = self._publisher.read(path, config=True)
        serving = wanted is not None and wanted.get("desired-state", "started") == "started"
        if wanted is not None and not serving and (self.dns.held(id) or self.traffic.held(id)):
            # No new users; those that are there are served until it ends.
            for each in await self._align(path, id, {}, self.traffic.held(id)):
                each()
            await self._wait_for_end(path, id, wanted.get("graceful-timeout", 0))
        rules = wanted if wanted is not None and serving else {}
        told = await self._align(path, id, self._records(rules), self._steered(id, rules))
        if wanted is None:
            await self._unregister(id)
        else:
            self._show(id, serving)
        for each in told:
            each()

    def _show(self, id: str, serving: bool) -> None:
        """What has become of an application."""
        path = f"{self.scope.base}/application[id='{id}']"
        failures = [*self.dns.errors(id), *self.traffic.errors(id)]
        state: Members = {
            "operational-state": f"mec-types:{'started' if serving else 'stopped'}",
            "ready": serving and not failures,
        }
        if state["ready"]:
            state["ready-at"] = self._publisher.now()
        if failures:
            state["error"] = {
                "error-tag": failures[0].tag,
                "detail": "; ".join(each.message for each in failures),
            }
        with self._saying:
            held = self._publisher.read(f"{path}/state") or {}
            said = {name: held[name] for name in _SAID.values() if serving and name in held}
            if id not in self._changed:  # else that change has its own outcome
                self._publisher.state(f"{path}/state", {**state, **said})

    async def _unregister(self, application: str) -> None:
        """The services of an application that is gone are gone too."""
        services = self._publisher.entries(f"{self.scope.base}/service")
        gone = [each["id"] for each in services if each.get("application") == application]
        if gone:
            await self._session.edit([DataEdit(f"/service[id='{each}']", "remove") for each in gone])

    async def _align(
        self, path: str, id: str, records: Mapping[str, api.DnsRecord], rules: Mapping[str, Steered]
    ) -> list[Callable[[], None]]:
        """Have that in force and nothing else; gives what is to be told of it."""
        told = []
        outcomes = {"dns-rule": await self.dns.align(id, records), "traffic-rule": await self.traffic.align(id, rules)}
        for (kind, outcome), wanted in zip(outcomes.items(), (records, rules), strict=True):
            # Rules that are configured but neither were nor shall be in force have a state all the same.
            listed = (self._publisher.read(path) or {}).get(kind, ())
            asleep = [each["id"] for each in listed if each["id"] not in outcome and "state" not in each]
            for name in (*outcome, *asleep):
                error = outcome.get(name)
                state = "active" if name in wanted and error is None else "inactive"
                told.append(self._rule_changed(id, kind, name, state, error))
        return told

    def _records(self, application: Members) -> dict[str, api.DnsRecord]:
        return {
            rule["id"]: record(self.absolute(rule["domain-name"]), rule, application)
            for rule in _active(application, "dns-rule")
        }

    def _steered(self, id: str, application: Members) -> dict[str, Steered]:
        """Each in the data plane where it is already."""
        held, found = self.traffic.held(id), {}
        for rule in _active(application, "traffic-rule"):
            plane = held[rule["id"]][1] if rule["id"] in held else self._plane_of(id)
            found[rule["id"]] = traffic_rule(id, rule), plane
        return found

    def _lost(self, kind: str, application: str, rule: str, error: RpcError | None) -> None:
        """A driver has not got any more what was put there, or has it again."""
        self._show(application, serving=True)
        self._rule_changed(application, kind, rule, "inactive" if error else "active", error)()

    def absolute(self, name: str) -> str:
        """A name of a single label lies in the platform's zone."""
        name = name.rstrip(".").lower()
        configuration = self._publisher.read(f"{self.scope.base}/configuration") or {}
        zone = configuration.get("dns-zone", "").rstrip(".")
        return f"{name}.{zone}" if "." not in name and zone else name

    def _rule_changed(
        self, application: str, kind: str, rule: str, state: str, error: RpcError | None
    ) -> Callable[[], None]:
        """Show what has become of a rule; gives what tells it, once all is shown."""
        where = f"{self.scope.base}/application[id='{application}']/{kind}[id='{rule}']/state"
        held = self._publisher.read(where) or {}
        failure = {"error-tag": error.tag, "detail": error.message} if error is not None else {}
        if plain(held.get("state", "")) == state and held.get("error", {}) == failure:
            return lambda: None
        members: Members = {"state": f"mec-types:{state}", "changed-at": self._publisher.now()}
        if failure:
            members["error"] = failure
            _log.warning("%s %s of %s: %s", kind, rule, application, failure["detail"])
        self._publisher.state(where, members)
        told = {"platform": self.id, "application": application, "rule-type": kind, "rule": rule}
        told["state"] = f"mec-types:{state}"
        return partial(
            self._publisher.notify, self.scope, RULE_CHANGED, {**told, **({"error": failure} if failure else {})}
        )


def _active(application: Members, kind: str) -> list[Members]:
    return [rule for rule in application.get(kind, ()) if rule.get("desired-state", "active") == "active"]


def _context(application: Members | None) -> Members:
    """Where the context of an application's users shall go; {}: nowhere."""
    return (application or {}).get("user-context-transfer", {})  # type: ignore[no-any-return]


def _found_at(application: Members | None) -> tuple[Any, Any]:
    """By which address, and which names, an application is found."""
    return (application or {}).get("address"), (application or {}).get("dns-rule")
