"""The boundary options as data: which reference points are remote, who serves them, what is shown, what happens when.

Tables 3 and 4 of "Integration options of multi-domain MEC environments" (sections 5 and 6).  The first is enforced by
the models too (`when` on the agreement's augments); the code asks here.  This module knows no session, no datastore.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

Side = Literal["consumer", "provider"]

#: Where a model stands under an agreement.
CONTAINERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mec-resource": "mec-resource:resources",
        "mec-platform": "mec-platform:platform",
        "mec-platform-manager": "mec-platform-manager:platform-manager",
        "mec-system": "mec-system:system",
    }
)
#: Where Mp3 stands under an agreement: the model is that of platforms, the view is for a platform.
PEER_PLATFORM: Final = "mec-platform:peer-platform"

#: Lists of intents by container; what uses others first.
INTENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mec-system:system": ("relocation", "deployment", "package"),
        "mec-platform-manager:platform-manager": ("app-instance", "package"),
        "mec-platform:platform": ("service", "application"),
        "mec-resource:resources": ("compute-instance", "reservation", "image", "slice"),
        PEER_PLATFORM: ("context-transfer",),
    }
)

#: Lists that only a platform writes in, over Mp2.
RULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"mec-resource:resources": ("data-plane-rule",)})


@dataclass(frozen=True, slots=True)
class RemotePoint:
    """A reference point that crosses the boundary.

    Attributes:
        name: local name of the identity in mec-types ("mm4").
        servers: who owns the resource behind it and therefore serves it; both, where each side has one.
        model: the abstraction model that it is spoken in.
        place: its container, where that is not the model's usual one.
    """

    name: str
    servers: tuple[Side, ...]
    model: str
    place: str = ""

    @property
    def container(self) -> str:
        """Where it is spoken, below the agreement."""
        return self.place or CONTAINERS[self.model]


@dataclass(frozen=True, slots=True)
class Phases:
    """Table 4: what crosses the boundary in each phase of a deployment; empty where nothing does.

    Attributes:
        monitoring: whether faults and performance belong to the instantiation.
    """

    onboarding: str
    instantiation: str
    discovery: str
    usage: str = ""
    monitoring: bool = False


@dataclass(frozen=True, slots=True)
class BoundaryOption:
    """A row of table 3 with its row of table 4.

    Attributes:
        identity: local name in mec-types.
        points: the remote reference points.
        exposed: the abstraction models under the agreement.
        service_level: what the service level agreement is about.
        blocks: what each side must run.
    """

    number: int
    identity: str
    points: tuple[RemotePoint, ...]
    exposed: tuple[str, ...]
    service_level: tuple[str, ...]
    phases: Phases
    blocks: Mapping[Side, frozenset[str]]

    def served(self, side: Side) -> tuple[str, ...]:
        """The containers under the agreement that a side serves to the other one."""
        models = dict.fromkeys(point.model for point in self.points if side in point.servers)
        return tuple(CONTAINERS[model] for model in models)

    def missing(self, side: Side, blocks: Collection[str]) -> str:
        """Why a domain with these blocks cannot be that side of an agreement; "" if it can."""
        if not self.number:
            return f"boundary option {self.identity} is not known to this domain"
        lacking = sorted(self.blocks[side] - set(blocks))
        return f"a {side} under boundary option {self.number} runs {', '.join(lacking)} too" if lacking else ""


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
        {"consumer": frozenset({"meo", "mep", "mepm"}), "provider": frozenset({"vim"})},
    ),
    BoundaryOption(
        2,
        "option-platform-consumer-infrastructure",
        (RemotePoint("mm5", _PROVIDER, _PLATFORM), RemotePoint("mp2", _CONSUMER, _RESOURCE)),
        (_PLATFORM, _RESOURCE),
        ("platform",),
        Phases("", "the provider configures the consumer's infrastructure, inside what is allowed", _DNS_UPDATE),
        {"consumer": frozenset({"meo", "mepm", "vim"}), "provider": frozenset({"mep"})},
    ),
    BoundaryOption(
        3,
        "option-platform-provider-infrastructure",
        (RemotePoint("mm5", _PROVIDER, _PLATFORM), RemotePoint("mm6", _PROVIDER, _RESOURCE)),
        (_PLATFORM, _RESOURCE),
        ("platform", "compute", "network"),
        Phases(
            "infrastructure configuration and images",
            "the consumer receives fault and performance data",
            _DNS_UPDATE,
            monitoring=True,
        ),
        {"consumer": frozenset({"meo", "mepm"}), "provider": frozenset({"mep", "vim"})},
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
        {"consumer": frozenset({"meo"}), "provider": frozenset({"mep", "mepm", "vim"})},
    ),
    BoundaryOption(
        5,
        "option-system",
        (RemotePoint("mx3", ("consumer", "provider"), _SYSTEM),),
        (_SYSTEM,),
        ("system",),
        Phases("the image; the provider chooses the VIM", "delegated, all of it or parts", _DNS_UPDATE),
        {"consumer": frozenset({"meo"}), "provider": frozenset({"meo"})},
    ),
)

#: Mp3 is in no row: it joins two platforms under any option, where both sides run one and want it (section 3.2).
INTERCONNECTION: Final = RemotePoint("mp3", ("consumer", "provider"), _PLATFORM, PEER_PLATFORM)

BY_IDENTITY: Final[Mapping[str, BoundaryOption]] = MappingProxyType({option.identity: option for option in OPTIONS})


def interconnected(*entries: Mapping[str, Any] | None) -> bool:
    """Whether all these entries of one agreement, its two sides', want the platforms joined."""
    return all((entry or {}).get("interconnection", {}).get("enabled", False) for entry in entries)


def option_of(identity: str) -> BoundaryOption:
    """The row of a boundary-option identity ("mec-types:option-system").

    Partners may extend the identities: one that this domain does not know is a row of number 0, without anything in it.
    """
    name = identity.rpartition(":")[2]
    return BY_IDENTITY.get(name) or BoundaryOption(0, name, (), (), (), Phases("", "", ""), {})
