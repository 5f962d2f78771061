"""What one side knows of an agreement's other side: read over its session, again and again.

A `Link` belongs to one agreement.  It reads the partner's entry of the agreement, its description of itself, the
revisions of its models (RFC 8525) and the subtree that it shows us.  What follows from that is decided elsewhere
(`nms.federation.agreement`, `nms.federation.partner`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, cast

import orjson

from nms.errors import RpcError
from nms.federation import models
from nms.federation.adaptor import RemoteSession
from nms.federation.agreement import Known, Theirs
from nms.federation.crossing import Traffic
from nms.federation.models import Mismatch
from nms.federation.options import (
    INTENTS,
    INTERCONNECTION,
    BoundaryOption,
    RemotePoint,
    Side,
    interconnected,
)
from nms.federation.written import Written
from nms.mec.occurrence import plain
from nms.mec.partners import P
from nms.mec.reference_points import ReferencePoint
from nms.mec.session import Members, Subtree
from nms.model.schema import Schema

#: Modules that both sides need besides those that the boundary option exposes.
_SHARED: Final = ("mec-types", "mec-federation", "mec-app-descriptor")

#: Facts of a descriptor that change with where it runs, not with who it is.
_PASSING: Final = ("dns-zone",)


@dataclass(slots=True)
class Link:
    """One agreement's view of its partner.

    Attributes:
        id: (partner, agreement).
        role: of this domain.
        own: our identifier, under which the partner has its entry of us.
        theirs: the partner's entry of the agreement, as last read; None when it has none.
        domain: its description of itself.
        mismatch: module -> how it differs at the partner, where it does; None while that is not known.
        written: what the partner took of us last.
        traffic: what has crossed; `crossed` is called when it has.
        wake: set when something may have changed.
        ours: our entry of the agreement, as configured.
        platform: whether this domain runs one.
    """

    id: tuple[str, str]
    own: str
    role: Side
    option: BoundaryOption
    session: RemoteSession
    written: Written
    crossed: Callable[[], None] = lambda: None
    ours: Members = field(default_factory=dict)
    platform: bool = True
    theirs: Members | None = None
    domain: Members = field(default_factory=dict)
    mismatch: dict[str, Mismatch] | None = None
    answered: bool = False
    reachable: bool = False
    round_trip: float = 0.0
    connections: int = 0
    error: str = ""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    traffic: Traffic = field(init=False)
    _points: dict[type[ReferencePoint], ReferencePoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.option, self.crossed)
        self.session.written = self.written.note

    @property
    def served(self) -> tuple[str, ...]:
        """The containers, below the agreement, that the partner serves us."""
        return self.option.served("provider" if self.role == "consumer" else "consumer")

    @property
    def points(self) -> tuple[str, ...]:
        """The reference points that end at the partner."""
        return tuple(point.name for point in self._remote())

    @property
    def joined(self) -> bool:
        """Whether both sides run a platform and want them joined over Mp3."""
        theirs = "mec-types:mep" in self.domain.get("block", ())
        return self.platform and theirs and interconnected(self.ours, self.theirs)

    def _remote(self) -> list[RemotePoint]:
        other: Side = "provider" if self.role == "consumer" else "consumer"
        points = [*self.option.points, *([INTERCONNECTION] if self.joined else [])]
        return [point for point in points if other in point.servers]

    def point(self, kind: type[P]) -> P:
        """A reference point that ends at the partner, the same object each time.

        Raises:
            RpcError: data-missing; it does not cross this boundary.
        """
        found = next((each for each in self._remote() if each.name == kind.point), None)
        if found is None:
            raise RpcError("data-missing", f"{kind.point} does not cross the boundary under {self.option.identity}")
        if kind not in self._points:
            crossed = partial(self.traffic.asked, kind.point)
            self._points[kind] = kind(Subtree(self.session, f"/{found.container}", crossed))
        return cast(P, self._points[kind])

    @property
    def out_of_service(self) -> bool:
        """Whether the partner's platform stands on our infrastructure and does not serve (option 2)."""
        instance = (self.theirs or {}).get("platform-instance")
        return instance is not None and plain(instance.get("state", {}).get("state", "")) != "active"

    def subtree(self, container: str) -> Members:
        """What the partner shows us in a container, as last read."""
        return (self.theirs or {}).get(container, {})  # type: ignore[no-any-return]

    async def learn(self, schema: Schema) -> None:
        """Read what the partner shows; a failure is kept as `error` and makes it unreachable."""
        begun = time.monotonic()
        try:
            theirs = await self.session.get()
            self.round_trip = (time.monotonic() - begun) * 1000
            if self.connections != self.session.counters.connections or self.mismatch is None:
                library = await self.session.read("/ietf-yang-library:yang-library")
                found = models.mismatches(schema, library or {}, modules_of(self.option, self.ours))
                self.mismatch = await models.compare(self.session, schema, found, self.mismatch or {})
                self.domain = await self.session.read("/mec-federation:federation/domain") or {}
                self.connections = self.session.counters.connections
            self.theirs, self.answered, self.reachable, self.error = theirs, True, True, ""
        except RpcError as error:
            self.reachable = self.reachable and error.type != "transport"
            self.error = error.message or error.tag

    def known(self, accepted_digest: str, unsupported: str, live: int) -> Known:
        """The facts that the agreement's state follows from."""
        theirs = self.theirs
        return Known(
            answered=self.answered,
            theirs=None
            if theirs is None
            else Theirs(
                role=theirs.get("role", ""),
                option=plain(theirs.get("boundary-option", "")),
                admin=theirs.get("admin-state", "enabled"),
                state=plain(theirs.get("state", {}).get("federation-state", "")),
                until=datetime.fromisoformat(theirs["valid-until"]) if "valid-until" in theirs else None,
            ),
            differing=None if self.mismatch is None else models.told(self.mismatch),
            descriptor_accepted=not accepted_digest or digest_of(self.domain) == accepted_digest,
            unsupported=unsupported,
            live=live,
        )

    def offered(self) -> frozenset[str]:
        """Zones that the partner's entry of the agreement offers."""
        return frozenset(zone["id"] for zone in (self.theirs or {}).get("zone", ()) if zone.get("offered", True))

    def accepted(self) -> frozenset[str]:
        """Zones that the partner's entry of the agreement accepts."""
        return frozenset(zone["id"] for zone in (self.theirs or {}).get("zone", ()) if zone.get("accepted", False))

    def held(self) -> list[tuple[str, str]]:
        """(list below the agreement, identifier) of what we have at the partner; what uses others first."""
        return entries_of(self.theirs or {}, self.served)


def entries_of(agreement: Members, containers: Sequence[str]) -> list[tuple[str, str]]:
    """(list below the agreement, identifier) of the intents in these containers; what uses others first."""
    return [
        (f"{container}/{name}", entry["id"])
        for container in containers
        for name in INTENTS[container]
        for entry in agreement.get(container, {}).get(name, ())
    ]


def modules_of(option: BoundaryOption, agreement: Members | None = None) -> tuple[str, ...]:
    """The modules by which both sides must mean the same under a boundary option, and under an agreement."""
    besides = (
        (INTERCONNECTION.model,) if interconnected(agreement) and INTERCONNECTION.model not in option.exposed else ()
    )
    return (*_SHARED, *option.exposed, *besides)


def digest_of(domain: Members) -> str:
    """SHA-256 of a domain's description in its canonical form: RFC 7951 members, sorted, without what is passing."""
    lasting = {name: value for name, value in domain.items() if name not in _PASSING}
    return hashlib.sha256(orjson.dumps(lasting, option=orjson.OPT_SORT_KEYS)).hexdigest()
