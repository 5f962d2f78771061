"""A domain's card: what its operator hands to a partner's, by a way that both trust.  Addresses and public keys only.

The receiver makes a partner's entry of it; what the two agree on is added there.  This module asks nobody: it reads the
configuration's files.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import bindings
from nms.cert_to_name import fingerprint
from nms.config import Config, Endpoint
from nms.errors import ConfigError, RpcError
from nms.mec.occurrence import plain
from nms.mec.session import Members

_REQUIRED: Final = ("id", "endpoint", "authorized-key")


def of(config: Config, folder: Path) -> Members:
    """The card of the domain that `config` describes; `folder` is where it was read, for messages.

    Raises:
        ConfigError: it lacks what a partner needs to reach and to recognise this domain.
    """
    ssh, federation = config.netconf.ssh, config.federation
    if ssh is None or federation.key is None:
        raise ConfigError(f"{folder}: a card needs [netconf.ssh] and [federation] key; nms init writes both")
    card: Members = {
        "id": config.domain.id,
        "endpoint": [_endpoint("ssh", "netconf-ssh", ssh.listen, **{"host-key": _public(ssh.host_key)})],
        "authorized-key": [_public(federation.key)],
    }
    for name, value in (("name", config.domain.name), ("operator", config.domain.operator)):
        if value:
            card[name] = value
    if config.restconf is not None and config.restconf.cert is not None:
        pinned = {"certificate-fingerprint": fingerprint(_certificate(config.restconf.cert))}
        card["endpoint"].append(_endpoint("packages", "https", config.restconf.listen, **pinned))
        card["endpoint"].append(_endpoint("restconf", "restconf", config.restconf.listen, **pinned))
    tls = config.netconf.tls
    if tls is not None:
        pinned = {"certificate-fingerprint": fingerprint(_certificate(tls.cert))}
        card["endpoint"].append(_endpoint("tls", "netconf-tls", tls.listen, **pinned))
    if federation.cert is not None:
        card["client-certificate"] = [base64.b64encode(_certificate(federation.cert)).decode()]
    return card


def partner_entry(card: Members, protocol: str = "") -> Members:
    """The entry of /mec-federation:federation/partner for a card, without agreements.

    Args:
        protocol: that our sessions with it shall use, one of `nms.federation.client.PROTOCOLS`; "": the default.

    Raises:
        RpcError: missing-element, invalid-value; it is no card.
        BindingsMissing: the bindings were not generated.
    """
    if not isinstance(card, dict):
        raise RpcError("invalid-value", "not a card: a JSON object is wanted; make one with nms partner card")
    missing = next((name for name in _REQUIRED if not card.get(name)), None)
    if missing is not None:
        raise RpcError("missing-element", f"not a card: {missing} is missing; make one with nms partner card")
    entry: Members = {name: card[name] for name in (*_REQUIRED, "client-certificate") if name in card}
    if label := card.get("name") or card.get("operator"):
        entry["name"] = label
    entry["user-name"] = card["id"]
    if protocol:
        entry["session-protocol"] = f"mec-types:{protocol}"
    entry = _typed(entry)
    if protocol and not any(plain(each["protocol"]) == protocol for each in entry["endpoint"]):
        raise RpcError("data-missing", f"the card of {entry['id']} has no endpoint that speaks {protocol}")
    return entry


def _typed(entry: Members) -> Members:
    """A partner's entry as the bindings write it: what came from outside is of the model's types, or refused."""
    whole = {"mec-federation:federation": {"partner": [entry]}}
    try:
        read = bindings.from_json("mec-federation", json.dumps(whole))
    except bindings.BindingError as error:
        raise RpcError("invalid-value", f"not a card: {error}; make one with nms partner card") from None
    found: Members = json.loads(bindings.to_json(read))["mec-federation:federation"]["partner"][0]
    return found


def _endpoint(id: str, protocol: str, listen: Endpoint, **pinned: str) -> dict[str, Any]:
    return {"id": id, "protocol": f"mec-types:{protocol}", "address": listen.host, "port": listen.port, **pinned}


def _public(private: Path) -> str:
    """The public key of a private key's file, one line."""
    try:
        key = asyncssh.read_private_key(private)
    except (OSError, asyncssh.KeyImportError) as error:
        raise ConfigError(f"{private}: {error}") from None
    return " ".join(key.export_public_key().decode().split()[:2])


def _certificate(file: Path) -> bytes:
    """The first certificate of a PEM file, as DER."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from None
