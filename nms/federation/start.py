"""Puts the federation of one domain together: partners, their sessions, packages, and what the daemon asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncssh

from nms.config import Config
from nms.errors import ConfigError
from nms.federation import identity
from nms.federation.adaptor import RemoteSession
from nms.federation.adaptor import Scope as EventScope
from nms.federation.callers import Callers
from nms.federation.client import Recorder
from nms.federation.endpoints import Proofs, callers_of, endpoints_of
from nms.federation.files import PackageFiles
from nms.federation.gate import Gate
from nms.federation.options import OPTIONS
from nms.federation.partner import Partners
from nms.federation.pinned import ClientCertificate
from nms.federation.pull import Pull
from nms.federation.zones import Zones
from nms.mec.package_store import PackageStore
from nms.mec.publisher import Publisher
from nms.mec.scope import agreement_path
from nms.mec.session import DataEdit, LocalSession, Members
from nms.operations.dispatch import Core
from nms.operations.request import CreateSubscription, Principal

DOMAIN: Final = "/mec-federation:federation/domain"
_ORPHAN: Final = "/mec-federation:federation/orphan"


@dataclass(slots=True)
class Federation:
    """What the daemon and the domain's blocks get.

    Attributes:
        zones: the orchestrator's `partners`.
        packages: the orchestrator's and the managers' `PackageSource`.
        files: what the front end serves at /packages, None where the domain keeps no packages.
    """

    partners: Partners
    zones: Zones
    packages: Pull
    files: PackageFiles | None
    _core: Core
    _closing: list[Callable[[], None]]

    def partner_keys(self, user: str) -> tuple[asyncssh.SSHKey, ...]:
        """Public keys that may log in as this user, if it is a partner's (for SSH)."""
        return identity.partner_keys(self._core.store, user)

    def principal(self, user: str) -> Principal | None:
        """Who a partner's user is."""
        return identity.principal(self._core.store, user)

    def by_certificate(self, digest: str) -> Principal | None:
        """Whom a client certificate stands for; SHA-256 of its DER, hexadecimal."""
        found = identity.by_certificate(self._core.store, digest)
        if found is not None:
            self.partners.knock(found.name)
        return found

    def anchors(self) -> list[bytes]:
        """Client certificates (DER) of partners: a TLS server must believe each, without its issuer."""
        return [der for partner in identity.partners(self._core.store) for der in identity.certificates(partner)]

    async def close(self) -> None:
        """End all sessions with partners; agreements stay what they are."""
        await self.partners.close()
        for close in self._closing:
            close()


async def start(
    core: Core,
    config: Config,
    publisher: Publisher,
    store: PackageStore | None = None,
    *,
    recorder: Recorder | None = None,
    interval: float = 5.0,
    patience: float = 10.0,
    farewell: float = 10.0,
) -> Federation:
    """Start the federation of a domain.

    Args:
        publisher: the domain's own, since it numbers what partners are sent.
        store: the packages that the orchestrator keeps; the front end serves them.
        recorder: sees every message that arrives from partners.
        interval, patience, farewell: seconds; see `Partners` and `Endpoint`.

    Raises:
        ConfigError: the federation's key cannot be used.
    """
    key = config.federation.key
    if key is not None:
        _check_key(key)
    await _describe(core, config)
    own = config.domain.id
    cert, cert_key = config.federation.cert, config.federation.cert_key
    shown = ClientCertificate(cert, cert_key) if cert is not None and cert_key is not None else None
    listens = config.federation.call_home
    callers = Callers(
        lambda: callers_of(identity.partners(core.store), proofs), lambda partner: partners.called(partner)
    )
    proofs = Proofs(own, key, shown, patience, callers if listens is not None else None)

    def connect(partner: Members, agreement: Members) -> RemoteSession:
        endpoints = endpoints_of(partner, proofs)
        base = agreement_path(own, agreement["id"])
        scope = EventScope(own, agreement["id"])
        return RemoteSession(core.schema, endpoints, base, scope, core.store.clock, lambda: partners.wake(), recorder)

    users = frozenset(user.name for user in config.users)
    served = _served(config)
    gate = Gate(core, core.context.sessions.values)
    partners = Partners(
        publisher, own, core, connect, gate, config.domain.blocks, users, served, interval=interval, farewell=farewell
    )
    core.store.add_provider(partners)
    if listens is not None:
        try:
            callers.listen(listens.host, listens.port, patience)
        except OSError as error:
            raise ConfigError(f"[federation] call-home: {listens}: {error.strerror}") from None
    for action, handler in (("retry", partners.orphans.retry), ("settle", partners.orphans.settle)):
        core.register("mec-federation", f"{_ORPHAN}/{action}", handler)
    watching = core.open_session(Principal("system", recovery=True), "local", "", lambda reason: None)
    core.dispatch(watching, CreateSubscription(_login(partners)))
    await partners.start()
    administrators = frozenset(user.name for user in config.users if user.recovery)
    return Federation(
        partners=partners,
        zones=partners.zones,
        packages=Pull(shown, partners.partner),
        files=PackageFiles(store, administrators, partners.given) if store is not None else None,
        _core=core,
        _closing=[lambda: core.close_session(watching), callers.close],
    )


def _served(config: Config) -> str:
    """URI of the folder that packages are served in."""
    listener = config.restconf
    return "" if listener is None or listener.insecure else f"https://{listener.listen}/packages"


def _check_key(key: Path) -> None:
    try:
        asyncssh.read_private_key(key)
    except (OSError, asyncssh.KeyImportError) as error:
        raise ConfigError(f"[federation] key: {key}: {error}") from None


def _login(partners: Partners) -> Callable[[Any], None]:
    def told(event: Any) -> None:
        if event.node.name == "netconf-session-start":
            partners.knock(str(event.value[event.node.child("username").index]))

    return told


async def _describe(core: Core, config: Config) -> None:
    """Say in the datastore who this domain is, as far as nobody has said otherwise there."""
    session = LocalSession(core, DOMAIN)
    try:
        present = await session.get("", "config") or {}
        facts: Members = {
            "id": config.domain.id,
            "block": [f"mec-types:{block}" for block in config.domain.blocks],
            "supported-boundary-option": [
                f"mec-types:{option.identity}"
                for option in OPTIONS
                if not option.missing("provider", config.domain.blocks)
            ],
        }
        for name in ("name", "operator"):
            if value := getattr(config.domain, name):
                facts[name] = value
        if config.domain.country:
            facts["location"] = {"country": config.domain.country}
        missing = {name: value for name, value in facts.items() if name not in present or name == "id"}
        if any(present.get(name) != value for name, value in missing.items()):
            await session.edit([DataEdit("", "merge", missing)])
    finally:
        session.close()
