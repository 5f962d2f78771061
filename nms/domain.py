"""A MEC domain behind the daemon: its blocks, its federation, and who may log in because a partner's entry says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import asyncssh

from nms.config import Config
from nms.credentials import Credentials
from nms.datastore.transaction import Transaction
from nms.federation import start as federation
from nms.federation.start import Federation
from nms.mec import domain as mec
from nms.mec.package_store import PackageStore
from nms.mec.publisher import Publisher
from nms.operations.dispatch import Core
from nms.operations.request import Principal


class DomainCredentials(Credentials):
    """The configuration's users, and after them the partners that are in the datastore at the moment."""

    def __init__(self, core: Core, config: Config, partners: Federation) -> None:
        super().__init__(config.users)
        self.partners = partners
        self._believers: list[Callable[[bytes], None]] = []
        core.store.listeners.append(self._changed)

    def believe(self, trust: Callable[[bytes], None]) -> None:
        """Have `trust` called with the partners' client certificates (DER), those of later partners too."""
        self._believers.append(trust)
        for certificate in self.partners.anchors():
            trust(certificate)

    def _changed(self, tx: Transaction) -> None:
        if any(change.path[0][0].module == "mec-federation" for change in tx.changes):
            for certificate in self.partners.anchors():
                for trust in self._believers:
                    trust(certificate)

    def principal(self, user: str) -> Principal | None:
        """Who a user is whose identity somebody else has proven."""
        return super().principal(user) or self.partners.principal(user)

    def authorized_keys(self, user: str) -> tuple[asyncssh.SSHKey, ...]:
        """The public keys that may log in as this user."""
        return super().authorized_keys(user) or self.partners.partner_keys(user)

    def authenticate_certificate(self, digest: str) -> Principal | None:
        """Whom a client certificate stands for."""
        return super().authenticate_certificate(digest) or self.partners.by_certificate(digest)


async def start(core: Core, config: Config, stack: contextlib.AsyncExitStack) -> DomainCredentials:
    """Start the domain; `stack` ends it.

    Raises:
        ConfigError: a block, a driver or the federation's identity lacks something.
        RpcError: a driver cannot be opened.
    """
    publisher = Publisher(core.store, core.streams)
    packages = PackageStore(mec.packages_folder(config))
    partners = await federation.start(core, config, publisher, packages)
    stack.push_async_callback(partners.close)
    core.files = partners.files
    domain = await mec.start(core, config, publisher=publisher, partners=partners.zones, source=partners.packages)
    stack.push_async_callback(domain.close)
    # First of all: nobody waits for a partner's answer while the blocks end.
    stack.push_async_callback(partners.close)
    stack.callback(domain.stop)
    partners.zones.changed = domain.refresh
    return DomainCredentials(core, config, partners)
