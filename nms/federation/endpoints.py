"""Where a session with a partner may go: the endpoints of its entry that speak the protocol which was chosen for it.

Adding a protocol is adding a row here and an implementation of `nms.federation.client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from nms.federation.callers import Callers, CallingEndpoint
from nms.federation.client import PROTOCOLS, Endpoint
from nms.federation.netconf_client import Peer
from nms.federation.over_netconf import SshEndpoint, TlsEndpoint
from nms.federation.over_restconf import RestconfEndpoint
from nms.federation.pinned import ClientCertificate
from nms.mec.occurrence import plain
from nms.mec.session import Members


@dataclass(frozen=True, slots=True)
class Proofs:
    """How this domain shows who it is.

    Attributes:
        user: that a partner knows it by, where its entry says nothing else.
        key: SSH private key, None without one.
        certificate: for TLS, None without one.
        timeout: seconds to wait for a connection and for each answer.
        callers: partners that call home; None where nobody listens for them.
    """

    user: str
    key: Path | None
    certificate: ClientCertificate | None
    timeout: float
    callers: Callers | None = None


def protocol_of(partner: Members) -> str:
    """Local name of the protocol that sessions with the partner use."""
    return plain(partner.get("session-protocol", PROTOCOLS[0]))


def endpoints_of(partner: Members, proofs: Proofs) -> list[Endpoint]:
    """Those of the partner's entry that speak its protocol and pin an identity, if we have what to show there."""
    chosen = protocol_of(partner)
    make = _MAKERS.get(chosen)
    if make is None:
        return []
    found = (make(each, partner, proofs) for each in partner.get("endpoint", ()) if plain(each["protocol"]) == chosen)
    return [endpoint for endpoint in found if endpoint is not None]


def callers_of(partners: Iterable[Members], proofs: Proofs) -> Iterator[Peer]:
    """Who of the partners calls home: `Peer.address` is its identifier."""
    for partner in partners:
        for endpoint in partner.get("endpoint", ()) if partner.get("calls-home") else ():
            if proofs.key is not None and plain(endpoint["protocol"]) == "netconf-ssh" and "host-key" in endpoint:
                user = partner.get("local-user", proofs.user)
                yield Peer(partner["id"], 0, endpoint["host-key"], user, proofs.key, proofs.timeout)


def _ssh(endpoint: Mapping[str, Any], partner: Members, proofs: Proofs) -> Endpoint | None:
    if proofs.key is None or "host-key" not in endpoint:
        return None
    if partner.get("calls-home"):
        if proofs.callers is None:
            return None
        return CallingEndpoint(endpoint["id"], partner["id"], proofs.callers, proofs.timeout)
    user = partner.get("local-user", proofs.user)
    return SshEndpoint(*_place(endpoint), endpoint["host-key"], user, proofs.key, proofs.timeout)


def _over_tls(kind: Callable[..., Endpoint]) -> Callable[[Mapping[str, Any], Members, Proofs], Endpoint | None]:
    def make(endpoint: Mapping[str, Any], partner: Members, proofs: Proofs) -> Endpoint | None:
        if proofs.certificate is None or "certificate-fingerprint" not in endpoint:
            return None
        return kind(*_place(endpoint), endpoint["certificate-fingerprint"], proofs.certificate, proofs.timeout)

    return make


def _place(endpoint: Mapping[str, Any]) -> tuple[str, str, int]:
    return endpoint["id"], endpoint["address"], int(endpoint["port"])


#: Local name of the protocol's identity -> makes the endpoint of an entry, None where something is missing for it.
_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Any], Members, Proofs], Endpoint | None]]] = MappingProxyType(
    {"netconf-ssh": _ssh, "netconf-tls": _over_tls(TlsEndpoint), "restconf": _over_tls(RestconfEndpoint)}
)
