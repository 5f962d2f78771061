"""What mec-management configures, as plain values: read out of a root of running, and checked as far as YANG cannot.

Pure: nothing is opened or bound here.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509

from nms.cert_to_name import CertToName, tls_fingerprint
from nms.credentials import public_key
from nms.errors import RpcError
from nms.model import defaults, json, tree
from nms.model.path import Step, format_path
from nms.model.schema import Node, Schema
from nms.model.values import Value
from nms.transport.callhome import Client

MODULE: Final = "mec-management"
TOP: Final = f"/{MODULE}:management"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the datastore: `nms.credentials.UserRecord`."""

    name: str
    authorized_keys: tuple[str, ...] = ()
    password_hash: str | None = None
    certificates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    recovery: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listener listens, and with which transport ("netconf-ssh" or "netconf-tls")."""

    protocol: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; listeners by name."""

    users: tuple[User, ...] = ()
    anchors: tuple[bytes, ...] = ()
    entries: tuple[CertToName, ...] = ()
    listeners: Mapping[str, Place] = field(default_factory=dict)
    clients: tuple[Client, ...] = ()


def read(schema: Schema, root: Value) -> Settings:
    """The settings in a root of running.

    Raises:
        RpcError: invalid-value, with the path of a key, a certificate or a fingerprint that is none.
    """
    node = schema.find(TOP)
    path = ((node, None),)
    if tree.get(root, path) is None:
        return Settings()
    found = json.plain(node, tree.get(defaults.apply(schema, root, path, "report-all"), path))
    return Settings(
        users=tuple(_user(node, each) for each in found.get("user", ())),
        anchors=tuple(_anchor(node, each) for each in found.get("trust-anchor", ())),
        entries=tuple(_entry(node, each) for each in found.get("cert-to-name", ())),
        listeners={
            each["name"]: Place(_protocol(each), each["address"], each["port"]) for each in found.get("listener", ())
        },
        clients=tuple(_client(each) for each in found.get("call-home-client", ())),
    )


def where(top: Node, name: str, key: Value, leaf: str = "", value: Value = None) -> str:
    """The path of an entry of list `name` below /management, or of a leaf in it, for an error."""
    entry = _child(top, name)
    steps: list[Step] = [(top, None), (entry, key)]
    if leaf:
        steps.append((_child(entry, leaf), value))
    return format_path(tuple(steps))


def _child(node: Node, name: str) -> Node:
    found = node.child(name)
    assert found is not None
    return found


def _refused(why: str, path: str) -> RpcError:
    return RpcError("invalid-value", why, path=path)


def _user(top: Node, found: Mapping[str, Any]) -> User:
    name = found["name"]
    lines = tuple(found.get("authorized-key", ()))
    for line in lines:
        try:
            public_key(line)
        except ValueError as error:
            raise _refused(str(error), where(top, "user", name, "authorized-key", line)) from None
    return User(name, lines, found.get("password-hash"))


def _anchor(top: Node, found: Mapping[str, Any]) -> bytes:
    der = base64.b64decode(found["certificate"])
    try:
        x509.load_der_x509_certificate(der).extensions  # noqa: B018 - parsed on demand only
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=der)  # TLS must take it, too
    except (ValueError, ssl.SSLError) as error:
        path = where(top, "trust-anchor", found["name"], "certificate")
        raise _refused(f"no certificate in DER: {error}", path) from None
    return der


def _entry(top: Node, found: Mapping[str, Any]) -> CertToName:
    fingerprint = tls_fingerprint(found["fingerprint"])
    if fingerprint is None:
        path = where(top, "cert-to-name", found["id"], "fingerprint")
        raise _refused("a fingerprint is 04: and the SHA-256 digest; 03, 05 and 06 are SHA-224, 384 and 512", path)
    return CertToName(found["id"], fingerprint, _bare(found["map-type"]), found.get("name", ""))


def _client(found: Mapping[str, Any]) -> Client:
    strategy, periodic = found["reconnect-strategy"], found.get("periodic")
    return Client(
        name=found["name"],
        protocol=_protocol(found),
        endpoints=tuple((each["address"], each["port"]) for each in found["endpoint"]),
        start_with=strategy["start-with"],
        max_wait=strategy["max-wait"],
        max_attempts=strategy["max-attempts"],
        period=periodic["period"] * 60.0 if periodic else None,
        idle_time=periodic["idle-timeout"] if periodic else 0.0,
    )


def _protocol(found: Mapping[str, Any]) -> str:
    return _bare(found["protocol"])


def _bare(identity: str) -> str:
    """An identity's name without its module."""
    return identity.rpartition(":")[2]
