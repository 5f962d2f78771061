"""A MEC domain behind the daemon: its blocks, its federation, and who may log in because a partner's entry says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import asyncssh

from nms import cert_to_name
from nms.config import Config
from nms.credentials import Credentials, authorities
from nms.datastore.transaction import Transaction
from nms.federation import start as federation
from nms.federation.start import Federation
from nms.mec import domain as mec
from nms.mec.mp1 import Mp1
from nms.mec.package_store import PackageStore
from nms.mec.publisher import Publisher
from nms.operations.dispatch import Core
from nms.operations.request import Principal


class DomainCredentials(Credentials):
    """The configuration's users, and after them partners and applications that are in the datastore at the moment.

    Args:
        applications: None: the domain serves none.
    """

    def __init__(self, core: Core, config: Config, partners: Federation, applications: Mp1 | None = None) -> None:
        super().__init__(config.users, authorities=authorities(config.client_authorities))
        self.partners = partners
        self.applications = applications
        core.store.listeners.append(self._changed)

    def believe(self, trust: Callable[[bytes], None]) -> Callable[[], None]:
        """Have `trust` called with the partners' client certificates (DER) too, those of later partners as well."""
        forget = super().believe(trust)
        for certificate in self.partners.anchors():
            trust(certificate)
        return forget

    def _changed(self, tx: Transaction) -> None:
        if any(change.path[0][0].module == "mec-federation" for change in tx.changes):
            for certificate in self.partners.anchors():
                for trust in list(self._believers):
                    trust(certificate)

    def principal(self, user: str) -> Principal | None:
        """Who a user is whose identity somebody else has proven."""
        return super().principal(user) or self.partners.principal(user)

    def authenticate_password(self, user: str, password: str) -> Principal | None:
        """Who it is, if this is the user's password, or the application's."""
        if self.applications is not None and (found := self.applications.authenticate(user, password)) is not None:
            return found
        return super().authenticate_password(user, password)

    def authorized_keys(self, user: str) -> tuple[asyncssh.SSHKey, ...]:
        """The public keys that may log in as this user; a partner's open nothing under the name of one of our users."""
        own = super().principal(user) is not None
        return super().authorized_keys(user) if own else self.partners.partner_keys(user)

    def authenticate_certificate(self, chain: Sequence[bytes]) -> Principal | None:
        """Whom a client certificate stands for; a partner's own certificate is the partner, whatever else it fits."""
        return self.partners.by_certificate(cert_to_name.fingerprint(chain[0])) or super().authenticate_certificate(
            chain
        )


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
    return DomainCredentials(core, config, partners, domain.mp1)
