"""Where an application goes: candidates in, ranked candidates and the reasons out (MEC 010-2, clause 5.3; pure).

A candidate is a zone, of this domain or of a partner; the choice treats them alike, but prefers one's own where nothing
else tells two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from nms.drivers.api import Resources
from nms.errors import RpcError

#: Propagation in fibre, there and back, per kilometre of distance; a lower bound of the round trip.
MS_PER_KM = 0.01
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the Earth in decimal degrees."""

    latitude: float
    longitude: float

    def distance(self, other: Place) -> float:
        """Great-circle distance in kilometres (haversine)."""
        first, second = math.radians(self.latitude), math.radians(other.latitude)
        across = math.radians(other.longitude - self.longitude)
        chord = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(across / 2) ** 2
        return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(chord))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A zone.

    Attributes:
        free: None: not known, as of a partner that does not say.
        formats: of images that can be run there; none: not known.
        latency: of access to the zone, in milliseconds; None: not known.
        partner, agreement, remote_zone: "" for one's own zones.
    """

    zone: str
    free: Resources | None = None
    serves: bool = True
    architectures: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    country: str = ""
    place: Place | None = None
    latency: Decimal | None = None
    partner: str = ""
    agreement: str = ""
    remote_zone: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What an application needs.

    Attributes:
        each: resources of one instance.
        acceptable: zones; None: all.
        format: of its image; "": any.
        domain: that shall host it; "": any.
        max_latency: between user and application, in milliseconds.
        place: where the users are.
    """

    each: Resources
    count: int = 1
    acceptable: frozenset[str] | None = None
    architecture: str = ""
    format: str = ""
    country: str = ""
    domain: str = ""
    max_latency: Decimal | None = None
    place: Place | None = None
    affinity: Literal["none", "together", "apart"] = "none"


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate that suits, and why it stands where it does."""

    candidate: Candidate
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates that suit, best first, and why each of the others does not."""

    choices: tuple[Choice, ...]
    refusals: tuple[tuple[str, str], ...]


def rank(candidates: Sequence[Candidate], demand: Demand, home: str = "") -> Ranking:
    """Order the candidates.

    Args:
        home: identifier of this domain, which `Demand.domain` may name.
    """
    suitable: list[Candidate] = []
    refusals: list[tuple[str, str]] = []
    for candidate in candidates:
        refusal = _refusal(candidate, demand, home)
        if refusal:
            refusals.append((candidate.zone, refusal))
        else:
            suitable.append(candidate)
    ordered = sorted(suitable, key=lambda each: _order(each, demand))
    choices = tuple(Choice(each, _reasons(each, demand, position)) for position, each in enumerate(ordered))
    return Ranking(choices, tuple(refusals))


def choose(candidates: Sequence[Candidate], demand: Demand, home: str = "") -> list[Choice]:
    """A choice for each of `demand.count` instances.

    Raises:
        RpcError: resource-denied (no room), operation-failed; with the reason of every zone.
    """
    ranking = rank(candidates, demand, home)
    chosen: list[Choice] = []
    for _ in range(demand.count):
        choice = next((each for each in ranking.choices if _takes(each.candidate, chosen, demand)), None)
        if choice is None:
            raise _nowhere(ranking, demand, chosen)
        chosen.append(choice)
    return chosen


def extend(
    candidates: Sequence[Candidate], demand: Demand, count: int, taken: Sequence[str], before: Sequence[str], home: str
) -> list[Choice]:
    """A choice for each of `count` instances that join those of a deployment that lives.

    Args:
        taken: zones of the instances that stay.
        before: zones of the instances that are replaced; each stays in its zone while that suits.

    Raises:
        RpcError: resource-denied (no room), operation-failed; with the reason of every zone.
    """
    chosen: list[Choice] = []
    for number in range(count):
        zones = [*taken, *(each.candidate.zone for each in chosen)]
        wish = replace(demand, count=1, acceptable=_acceptable(candidates, demand, zones))
        left = [_less(each, demand.each, zones[len(taken) :].count(each.zone)) for each in candidates]
        found: list[Choice] = []
        if number < len(before) and (wish.acceptable is None or before[number] in wish.acceptable):
            found = list(rank(left, replace(wish, acceptable=frozenset({before[number]})), home).choices)
        chosen.append(found[0] if found else choose(left, wish, home)[0])
    return chosen


def _acceptable(candidates: Sequence[Candidate], demand: Demand, taken: Sequence[str]) -> frozenset[str] | None:
    """Zones that are left by the affinity to instances in zones that are taken."""
    if demand.affinity == "none" or not taken:
        return demand.acceptable
    zones = frozenset(each.zone for each in candidates) if demand.acceptable is None else demand.acceptable
    return zones - frozenset(taken) if demand.affinity == "apart" else frozenset(taken[:1])


def _less(candidate: Candidate, each: Resources, count: int) -> Candidate:
    """A candidate in which `count` instances more have been placed."""
    if candidate.free is None or not count:
        return candidate
    taken = Resources(each.millicpu * count, each.memory * count, each.storage * count)
    return replace(candidate, free=candidate.free - taken)


def _takes(candidate: Candidate, chosen: Sequence[Choice], demand: Demand) -> bool:
    """Whether a further instance fits beside those already placed."""
    there = sum(each.candidate.zone == candidate.zone for each in chosen)
    if demand.affinity == "apart" and there:
        return False
    if demand.affinity == "together":
        return there == len(chosen) and _fits(candidate, demand.each, demand.count)
    return _fits(candidate, demand.each, there + 1)


def _fits(candidate: Candidate, each: Resources, count: int) -> bool:
    if candidate.free is None:
        return True
    wanted = Resources(each.millicpu * count, each.memory * count, each.storage * count)
    return wanted.fits(candidate.free)


def _nowhere(ranking: Ranking, demand: Demand, chosen: Sequence[Choice]) -> RpcError:
    refusals = [f"{zone}: {why}" for zone, why in ranking.refusals]
    full = [each.candidate.zone for each in ranking.choices]
    if full:
        refusals.append(f"{', '.join(full)}: no room for instance {len(chosen) + 1} of {demand.count}")
    no_room = bool(full) or any(why.startswith("no room") for _, why in ranking.refusals)
    said = "; ".join(refusals) or "there is no zone"
    return RpcError("resource-denied" if no_room else "operation-failed", f"no zone suits: {said}")


def _refusal(candidate: Candidate, demand: Demand, home: str) -> str:
    """Why a candidate does not suit; "" if it does."""
    if demand.acceptable is not None and candidate.zone not in demand.acceptable:
        return "not acceptable to the customer"
    if demand.domain and demand.domain != (candidate.partner or home):
        return f"not in domain {demand.domain}"
    if not candidate.serves:
        return "takes nothing new"
    if demand.country and candidate.country and candidate.country != demand.country:
        return f"in {candidate.country}, not in {demand.country}"
    if demand.architecture and candidate.architectures and demand.architecture not in candidate.architectures:
        return f"no {demand.architecture} host"
    if demand.format and candidate.formats and demand.format not in candidate.formats:
        return f"runs no image of format {demand.format}"
    latency = _latency(candidate, demand)
    if demand.max_latency is not None and latency is not None and latency > demand.max_latency:
        return f"latency {_ms(latency)} exceeds {_ms(demand.max_latency)}"
    if not _fits(candidate, demand.each, 1):
        return "no room"
    return ""


def _latency(candidate: Candidate, demand: Demand) -> Decimal | None:
    """Access latency and the way there; None when neither is known."""
    if candidate.place is None or demand.place is None:
        return candidate.latency
    way = Decimal(str(round(candidate.place.distance(demand.place) * MS_PER_KM, 3)))
    return way + (candidate.latency or 0)


def _order(candidate: Candidate, demand: Demand) -> tuple[object, ...]:
    latency = _latency(candidate, demand)
    free = candidate.free or Resources()
    return (latency is None, latency or 0, bool(candidate.partner), -free.millicpu, -free.memory, candidate.zone)


def _reasons(candidate: Candidate, demand: Demand, position: int) -> tuple[str, ...]:
    latency = _latency(candidate, demand)
    reasons = ["best of the zones that suit" if position == 0 else f"number {position + 1} of the zones that suit"]
    if latency is not None:
        reasons.append(f"latency {_ms(latency)}" + (f" of {_ms(demand.max_latency)}" if demand.max_latency else ""))
    if candidate.free is not None:
        reasons.append(f"{candidate.free.millicpu / 1000:g} CPU and {candidate.free.memory} MiB are free")
    return tuple(reasons)


def _ms(latency: Decimal) -> str:
    return f"{latency.normalize():f} ms"
