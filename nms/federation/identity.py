"""Who a partner is when it knocks: the keys and certificates of its entry, for the daemon's authentication callables.

They are public and stand in the datastore; whoever removes the partner's entry locks it out at once.  This module
knows no transport.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Protocol

import asyncssh

from nms.credentials import public_key
from nms.federation.access import group_of
from nms.mec.session import Members, members_at
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.model.values import Value
from nms.operations.request import Principal

PARTNERS = "/mec-federation:federation/partner"


class Store(Protocol):
    """What is read."""

    @property
    def schema(self) -> Schema: ...
    @property
    def running(self) -> Value: ...


def partners(store: Store, root: Value | None = None) -> list[Members]:
    """The configured partners, of `root` instead of running when given."""
    found = members_at(store.running if root is None else root, parse_path(store.schema, PARTNERS))
    return [] if found is None else list(found["partner"])


def user_of(partner: Members) -> str:
    """Who the partner authenticates as; "" where its entry names nobody, and then it cannot."""
    return str(partner.get("user-name", ""))


def partner_keys(store: Store, user: str) -> tuple[asyncssh.SSHKey, ...]:
    """The public keys that may log in as this user; empty when it is no partner's."""
    return tuple(
        public_key(line)
        for partner in partners(store)
        if user and user_of(partner) == user
        for line in partner.get("authorized-key", ())
    )


def principal(store: Store, user: str) -> Principal | None:
    """Who a partner's user is; None when it is no partner's, or its access rules are not in force yet."""
    return next((_principal(store, each) for each in partners(store) if user and user_of(each) == user), None)


def by_certificate(store: Store, digest: str) -> Principal | None:
    """Whom a client certificate stands for.

    Args:
        digest: SHA-256 of its DER, 64 lower-case hexadecimal digits.
    """
    for partner in partners(store):
        if any(hashlib.sha256(der).hexdigest() == digest for der in certificates(partner)):
            return _principal(store, partner)
    return None


def certificates(partner: Members) -> Iterator[bytes]:
    """The client certificates of a partner's entry (DER)."""
    for text in partner.get("client-certificate", ()):
        yield base64.b64decode(text)


def _principal(store: Store, partner: Members) -> Principal | None:
    """The partner; nobody while no rules bind it, since what NACM permits by default is not meant for partners."""
    group = group_of(partner["id"])
    nacm = members_at(store.running, parse_path(store.schema, "/ietf-netconf-acm:nacm")) or {}
    bound = nacm.get("enable-nacm", True) and any(each["name"] == group for each in nacm.get("rule-list", ()))
    return Principal(user_of(partner), frozenset({group})) if bound else None
