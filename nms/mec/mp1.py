"""Mp1: applications at the platform, each with an identity of its own (ETSI GS MEC 003 clause 7.2; ETSI GS MEC 011).

An instance is given a user name and a password when it starts (`nms.mec.identities`).  With them it reads and changes
over RESTCONF what the platform keeps of itself: it finds services and registers its own, activates its rules, says that
it is ready and that it can end.  Access control (RFC 8341) limits it to that; what access control cannot express is
checked as the change is committed.  Where the instance runs is not known here.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec.access_rules import DENY_ALL, NACM, PAUSE, RuleLists, permit
from nms.mec.identities import USER, digest
from nms.mec.mep import PLATFORMS, SERVICE_CHANGED, Mep
from nms.mec.publisher import Publisher
from nms.mec.scope import Duty, Intent, IntentProvider
from nms.mec.session import Core as Dispatcher
from nms.mec.session import Members
from nms.operations.request import Invoke, Principal, Session

_log = logging.getLogger(__name__)

#: Group, and rule list, of all applications; each has one of its own too, of that name and its identifier.
GROUP: Final = "mec-application"
#: What an application says of itself (actions of the list application).
SAID: Final = ("confirm-ready", "confirm-termination", "confirm-context-transfer")
_PLATFORM: Final = "/mec-platform:platforms/mec-platform:platform"
#: Of a rule, what its application may change.
_RULES: Final = ("traffic-rule", "dns-rule")


class Core(Dispatcher, Protocol):
    """What is asked of the core, further than by sessions."""

    def register(self, module: str, rpc: str, handler: Callable[[Session, Invoke], Any], /) -> None: ...


class Mp1:
    """Lets the applications of one platform in.

    Args:
        mep: the platform.
        access: where they reach it (members of mec-types:platform-access).
    """

    def __init__(self, core: Core, publisher: Publisher, mep: Mep, access: Members) -> None:
        self._publisher = publisher
        self._mep = mep
        self._access = access
        self._scope = mep.scope
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._lists = RuleLists(core, publisher, GROUP)
        #: User name -> the application that it is, and its password's digest; replaced as a whole, since it is read
        #: from any thread.
        self._applications: Mapping[str, tuple[str, str]] = {}
        duties = {
            f"{PLATFORMS}/application": Duty(self._check_application, lambda intent: self._wake()),
            f"{PLATFORMS}/service": Duty(self._check_service, lambda intent: None),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties, lambda scope: scope == self._scope)
        for name in SAID:
            core.register("mec-platform", f"{PLATFORMS}/application/{name}", self._said(name))

    async def start(self) -> None:
        """Let those in that are there, and follow."""
        self._publisher.state(f"{self._scope.base}/mp1", self._access, durable=False)
        self._keeping = self._loop.create_task(self._follow())
        self._stale.set()

    async def close(self) -> None:
        """Let nobody in any more."""
        self._applications = {}
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._lists.close()

    # -- who it is

    def authenticate(self, user: str, password: str) -> Principal | None:
        """The application with that name and password; any thread."""
        _, known = self._applications.get(user, ("", ""))
        return self.principal(user) if hmac.compare_digest(known, digest(password)) else None

    def principal(self, user: str) -> Principal | None:
        """The application of that user name, while the platform serves it."""
        application, _ = self._applications.get(user, (None, ""))
        # Where groups of those who log in do not count, no rule would bind it.
        if application is None or not all(map(self._switched_on, ("enable-nacm", "enable-external-groups"))):
            return None
        return Principal(user, frozenset({GROUP, f"{GROUP}-{application}"}))

    def _switched_on(self, name: str) -> bool:
        return (self._publisher.read(f"{NACM}/{name}", config=True) or {}).get(name, True) is True

    # -- what a commit may ask

    def _check_application(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """An application changes its own rules only, and of these whether they are active."""
        applies, own = self._asking(tx.author.principal)
        for intent in wanted if applies else ():
            if intent.id != own or _unruled(intent.old) != _unruled(intent.new):
                raise _denied(intent, "of its own entry it activates rules, no more")

    def _check_service(self, wanted: Sequence[Intent], tx: Transaction) -> None:
        """An application registers its own services only."""
        applies, own = self._asking(tx.author.principal)
        for intent in wanted if applies else ():
            if own is None or any(
                entry is not None and entry.get("application") != own for entry in (intent.old, intent.new)
            ):
                raise _denied(intent, f"the services that it registers are those of application {own}")

    def _asking(self, user: str) -> tuple[bool, str | None]:
        """Whether a user is an application, and which; None: one that is not served any more."""
        return user.startswith(USER), self._applications.get(user, (None, ""))[0]

    def _said(self, name: str) -> Callable[[Session, Invoke], None]:
        def call(session: Session, invoke: Invoke) -> None:
            application = str(invoke.path[-1][1])
            applies, own = self._asking(session.principal.name)
            if applies and own != application:
                raise RpcError("access-denied", "an application speaks for itself only")
            self._mep.hear(application, name)

        return call

    # -- access rules

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._stale.set)

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                applications = self._known()
                self._applications = {
                    user: each for user, each in self._applications.items() if applications.get(user) == each
                }
                await self._lists.keep(self._rules(applications))
                self._applications = applications
            except (RpcError, RpcErrors) as error:  # somebody holds a lock
                _log.warning("access rules of applications: %s", error)
                await asyncio.sleep(PAUSE)
                self._stale.set()

    def _known(self) -> Mapping[str, tuple[str, str]]:
        """The applications that can say who they are."""
        found: dict[str, tuple[str, str]] = {}
        for entry in self._publisher.entries(f"{self._scope.base}/application"):
            identity = entry.get("identity", {})
            if "user-name" in identity and "password-digest" in identity:
                found[identity["user-name"]] = (entry["id"], identity["password-digest"])
        return found

    def _rules(self, applications: Mapping[str, tuple[str, str]]) -> Mapping[str, Sequence[Members]]:
        """What the applications may, and each beside that; all else is denied to all of them."""
        platform = f"{_PLATFORM}[mec-platform:id='{self._mep.id}']"
        own = {f"{GROUP}-{each}": list(_own_rules(platform, each)) for each, _ in applications.values()}
        # Once it is there it stays: whoever is on the way in while its application ends meets a list that denies.
        if not own and self._publisher.read(f"{NACM}/rule-list[name='{GROUP}']") is None:
            return {}
        return {**own, GROUP: list(_common_rules(platform))}


def _own_rules(platform: str, application: str) -> Iterator[Members]:
    entry = f"{platform}/mec-platform:application[mec-platform:id='{application}']"
    for kind in _RULES:
        yield permit(kind, f"{entry}/mec-platform:{kind}/mec-platform:desired-state", "create update delete")
    yield permit("itself", entry, "read exec")


def _common_rules(platform: str) -> Iterator[Members]:
    yield permit("services", f"{platform}/mec-platform:service", "create read update delete")
    for name in ("transport", "time-of-day"):
        yield permit(name, f"{platform}/mec-platform:{name}", "read")
    module, _, notification = SERVICE_CHANGED.partition(":")
    about = {"module-name": module, "notification-name": notification}
    yield {"name": "availability", **about, "access-operations": "read", "action": "permit"}
    yield DENY_ALL


def _unruled(entry: Members | None) -> Members | None:
    """An application's entry without what it may change itself."""
    if entry is None:
        return None
    rules = {
        kind: [{name: value for name, value in rule.items() if name != "desired-state"} for rule in entry.get(kind, ())]
        for kind in _RULES
    }
    return {**entry, **rules}


def _denied(intent: Intent, why: str) -> RpcError:
    return RpcError("access-denied", f"an application is denied this: {why}", path=intent.scope.base + intent.path)
