"""The boundary options as data: which reference points are remote, who serves them, what is shown, what happens when.

Tables 3 and 4 of "Integration options of multi-domain MEC environments" (sections 5 and 6).  The first is enforced by
the models too (`when` on the agreement's augments); the code asks here.  This module knows no session, no datastore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from nms.errors import RpcError

Side = Literal["consumer", "provider"]


@dataclass(frozen=True, slots=True)
class RemotePoint:
    """A reference point that crosses the boundary.

    Attributes:
        name: local name of the identity in mec-types ("mm4").
        servers: who owns the resource behind it and therefore serves it; both, where each side has one.
        model: the abstraction model that it is spoken in.
    """

    name: str
    servers: tuple[Side, ...]
    model: str


@dataclass(frozen=True, slots=True)
class Phases:
    """Table 4: what crosses the boundary in each phase of a deployment; empty where nothing does."""

    onboarding: str
    instantiation: str
    discovery: str
    usage: str = ""


@dataclass(frozen=True, slots=True)
class BoundaryOption:
    """A row of table 3 with its row of table 4.

    Attributes:
        identity: local name in mec-types.
        points: the remote reference points.
        exposed: the abstraction models under the agreement.
        service_level: what the service level agreement is about.
        works: whether an agreement under this option can be activated with this software.
    """

    number: int
    identity: str
    points: tuple[RemotePoint, ...]
    exposed: tuple[str, ...]
    service_level: tuple[str, ...]
    phases: Phases
    works: bool = False


_CONSUMER: Final[tuple[Side, ...]] = ("consumer",)
_PROVIDER: Final[tuple[Side, ...]] = ("provider",)
_RESOURCE, _PLATFORM = "mec-resource", "mec-platform"
_MANAGER, _SYSTEM = "mec-platform-manager", "mec-system"
_DNS_UPDATE = "the provider's platform updates the client's DNS"

OPTIONS: Final[tuple[BoundaryOption, ...]] = (
    BoundaryOption(
        1,
        "option-infrastructure",
        (
            RemotePoint("mm4", _PROVIDER, _RESOURCE),
            RemotePoint("mm6", _PROVIDER, _RESOURCE),
            RemotePoint("mp2", _PROVIDER, _RESOURCE),
        ),
        (_RESOURCE,),
        ("compute", "network"),
        Phases(
            "infrastructure configuration and images", "the provider allocates and configures an isolated slice", ""
        ),
    ),
    BoundaryOption(
        2,
        "option-platform-consumer-infrastructure",
        (RemotePoint("mm5", _PROVIDER, _PLATFORM), RemotePoint("mp2", _CONSUMER, _RESOURCE)),
        (_PLATFORM, _RESOURCE),
        ("platform",),
        Phases("", "the provider configures the consumer's infrastructure, inside what is allowed", _DNS_UPDATE),
    ),
    BoundaryOption(
        3,
        "option-platform-provider-infrastructure",
        (RemotePoint("mm5", _PROVIDER, _PLATFORM), RemotePoint("mm6", _PROVIDER, _RESOURCE)),
        (_PLATFORM, _RESOURCE),
        ("platform", "compute", "network"),
        Phases(
            "infrastructure configuration and images", "the consumer receives fault and performance data", _DNS_UPDATE
        ),
    ),
    BoundaryOption(
        4,
        "option-service",
        (
            RemotePoint("mm2", _PROVIDER, _MANAGER),
            RemotePoint("mm3", _PROVIDER, _MANAGER),
            RemotePoint("mm4", _PROVIDER, _RESOURCE),
        ),
        (_MANAGER, _PLATFORM, _RESOURCE),
        ("platform", "compute", "network"),
        Phases("the image; the consumer chooses the VIM", "delegated; occurrences are followed", _DNS_UPDATE),
    ),
    BoundaryOption(
        5,
        "option-system",
        (RemotePoint("mx3", ("consumer", "provider"), _SYSTEM),),
        (_SYSTEM,),
        ("system",),
        Phases("the image; the provider chooses the VIM", "delegated, all of it or parts", _DNS_UPDATE),
        works=True,
    ),
)

BY_IDENTITY: Final[Mapping[str, BoundaryOption]] = MappingProxyType({option.identity: option for option in OPTIONS})


def option_of(identity: str) -> BoundaryOption:
    """The row of a boundary-option identity ("mec-types:option-system").

    Raises:
        RpcError: operation-not-supported; a partner has extended the identities and this domain does not know it.
    """
    found = BY_IDENTITY.get(identity.rpartition(":")[2])
    if found is None:
        raise RpcError("operation-not-supported", f"boundary option {identity} is not known to this domain")
    return found


def activable(identity: str) -> BoundaryOption:
    """The row of an option under which an agreement can be activated.

    Raises:
        RpcError: operation-not-supported, naming the option.
    """
    option = option_of(identity)
    if not option.works:
        raise RpcError(
            "operation-not-supported",
            f"boundary option {option.number} ({option.identity}) cannot be activated yet; option-system can",
        )
    return option
