"""Mp1: applications at the platform, each with an identity of its own (ETSI GS MEC 003 clause 7.2; ETSI GS MEC 011).

An instance is given a user name and a password when it starts.  With them it reads and changes over RESTCONF what the
platform keeps of itself: it finds services and registers its own, activates its rules, says that it is ready and that
it can end.  Access control (RFC 8341) limits it to that; what access control cannot express is checked as the change is
committed.  Which application an instance is follows from its address.  It must not start or end anything.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nms.config import Config
from nms.datastore.transaction import Transaction
from nms.errors import RpcError, RpcErrors
from nms.mec.access_rules import DENY_ALL, NACM, PAUSE, RuleLists, permit
from nms.mec.mep import PLATFORMS, Mep
from nms.mec.publisher import Publisher
from nms.mec.scope import Duty, Intent, IntentProvider
from nms.mec.session import Core as Dispatcher
from nms.mec.session import Members
from nms.mec.vim import VIMS
from nms.operations.request import Invoke, Principal, Session

_log = logging.getLogger(__name__)

#: Group, and rule list, of all applications; each has one of its own too, of that name and its identifier.
GROUP: Final = "mec-application"
#: What an application says of itself (actions of the list application).
SAID: Final = ("confirm-ready", "confirm-termination", "confirm-context-transfer")
_USER: Final = "app."
_PLATFORM: Final = "/mec-platform:platforms/mec-platform:platform"
#: Of a rule, what its application may change.
_RULES: Final = ("traffic-rule", "dns-rule")


@dataclass(frozen=True, slots=True)
class Identities:
    """Passwords of instances, made of a secret of the domain: nothing has to be kept for each.

    Attributes:
        uri: of the platform's RESTCONF root.
        fingerprint: of its certificate, SHA-256 in hexadecimal; "" where it has none.
    """

    secret: bytes
    uri: str
    fingerprint: str = ""

    @classmethod
    def of(cls, file: Path, uri: str, certificate: Path | None) -> Identities:
        """With the secret in `file`, which is made if it is missing, for its owner only.

        Args:
            certificate: of the server at `uri`, followed by its chain (PEM); None: it speaks plain HTTP.
        """
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as made:
                made.write(secrets.token_bytes(32))
        fingerprint = ""
        if certificate is not None:
            leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
            fingerprint = leaf.fingerprint(hashes.SHA256()).hex()
        return cls(file.read_bytes(), uri, fingerprint)

    @classmethod
    def configured(cls, config: Config) -> Identities | None:
        """As the daemon's file says; None: there is no RESTCONF listener, or no folder for a secret."""
        restconf, state = config.restconf, config.drivers.state
        if restconf is None or state is None:
            return None
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(restconf.listen.host, restconf.listen.host)  # noqa: S104
        certificate = None if restconf.insecure else restconf.cert
        scheme = "http" if certificate is None else "https"
        place = f"[{host}]" if ":" in host else host
        return cls.of(state / "mp1.key", f"{scheme}://{place}:{restconf.listen.port}/restconf", certificate)

    def environment(self, instance: str) -> Mapping[str, str]:
        """What an instance is given so that it can show who it is."""
        given = {
            "MEC_MP1_URI": self.uri,
            "MEC_MP1_USER": _USER + instance,
            "MEC_MP1_PASSWORD": self._password(instance),
            "MEC_MP1_FINGERPRINT": self.fingerprint,
        }
        return {name: value for name, value in given.items() if value}

    def knows(self, user: str, password: str) -> bool:
        """Whether that is the password of an instance."""
        expected = self._password(user.removeprefix(_USER)) if user.startswith(_USER) else ""
        return hmac.compare_digest(expected.encode(), password.encode(errors="surrogatepass")) and bool(expected)

    def _password(self, instance: str) -> str:
        return hmac.digest(self.secret, instance.encode(), "sha256").hex()


def user_of(application: str) -> str:
    """User name, here, of an application that runs on somebody else's infrastructure."""
    return _USER + application


class Core(Dispatcher, Protocol):
    """What is asked of the core, further than by sessions."""

    def register(self, module: str, rpc: str, handler: Callable[[Session, Invoke], Any], /) -> None: ...


class Mp1:
    """Lets the applications of one platform in.

    Args:
        mep: the platform.
        vim: identifier of the infrastructure whose instances have identities here.
    """

    def __init__(self, core: Core, publisher: Publisher, identities: Identities, mep: Mep, vim: str) -> None:
        self._publisher = publisher
        self._identities = identities
        self._mep = mep
        self._scope = mep.scope
        self._instances = f"{VIMS}[id='{vim}']/compute-instance"
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._lists = RuleLists(core, publisher, GROUP)
        #: User name -> the application that it is; replaced as a whole, since it is read from any thread.
        self._applications: Mapping[str, str] = {}
        duties = {
            f"{PLATFORMS}/application": Duty(self._check_application, lambda intent: self._wake()),
            f"{PLATFORMS}/service": Duty(self._check_service, lambda intent: None),
        }
        self.provider = IntentProvider(publisher.schema, publisher.store, duties, lambda scope: scope == self._scope)
        for name in SAID:
            core.register("mec-platform", f"{PLATFORMS}/application/{name}", self._said(name))

    async def start(self) -> None:
        """Let those in that are there, and follow."""
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
        return self.principal(user) if self._identities.knows(user, password) else None

    def principal(self, user: str) -> Principal | None:
        """The application of that user name, while the platform serves it."""
        application = self._applications.get(user)
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
        return user.startswith(_USER), self._applications.get(user)

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
                self._applications = {user: each for user, each in self._applications.items() if user in applications}
                await self._lists.keep(self._rules(applications))
                self._applications = applications
            except (RpcError, RpcErrors) as error:  # somebody holds a lock
                _log.warning("access rules of applications: %s", error)
                await asyncio.sleep(PAUSE)
                self._stale.set()

    def _known(self) -> Mapping[str, str]:
        """Which application each instance of the infrastructure is, by its address; and those that run elsewhere.

        Who those are is found out where they run (`nms.mec.platform_relay`): none of them has a password here.
        """
        applications = self._publisher.entries(f"{self._scope.base}/application")
        served = {each.get("address"): each["id"] for each in applications}
        found = {user_of(each["id"]): each["id"] for each in applications if "mp1-identity" in each}
        for instance in self._publisher.entries(self._instances):
            address = next(iter(instance.get("state", {}).get("address", ())), None)
            if address is not None and address in served:
                found[_USER + instance["id"]] = served[address]
        return found

    def _rules(self, applications: Mapping[str, str]) -> Mapping[str, Sequence[Members]]:
        """What the applications may, and each beside that; all else is denied to all of them."""
        platform = f"{_PLATFORM}[mec-platform:id='{self._mep.id}']"
        own = {f"{GROUP}-{each}": list(_own_rules(platform, each)) for each in applications.values()}
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
