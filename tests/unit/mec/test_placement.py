"""Placement is a function: which zones, in which order, and why."""

from dataclasses import replace
from decimal import Decimal

import pytest

from nms.drivers.api import Resources
from nms.errors import RpcError
from nms.mec.placement import Candidate, Choice, Demand, Place, choose, extend, rank

ROOM = Resources(4000, 4096, 4096)
SMALL = Resources(1000, 1024, 1024)
MADRID, LISBON = Place(40.4168, -3.7038), Place(38.7223, -9.1393)
NEAR = Candidate("near", ROOM, latency=Decimal(2), place=MADRID, country="ES")
FAR = Candidate("far", ROOM, latency=Decimal(2), place=LISBON, country="PT")
DEMAND = Demand(SMALL)


@pytest.mark.parametrize(
    ("candidate", "demand", "why"),
    [
        (NEAR, replace(DEMAND, acceptable=frozenset({"far"})), "not acceptable to the customer"),
        (NEAR, replace(DEMAND, domain="b"), "not in domain b"),
        (replace(NEAR, serves=False), DEMAND, "takes nothing new"),
        (NEAR, replace(DEMAND, country="PT"), "in ES, not in PT"),
        (replace(NEAR, architectures=frozenset({"aarch64"})), replace(DEMAND, architecture="x86-64"), "no x86-64 host"),
        (replace(NEAR, formats=frozenset({"raw"})), replace(DEMAND, format="oci"), "runs no image of format oci"),
        (NEAR, replace(DEMAND, max_latency=Decimal("1.5")), "latency 2 ms exceeds 1.5 ms"),
        (FAR, replace(DEMAND, max_latency=Decimal(5), place=MADRID), "latency 7.024 ms exceeds 5 ms"),
        (replace(NEAR, free=Resources(999, 4096, 4096)), DEMAND, "no room"),
    ],
)
def test_why_a_zone_does_not_suit(candidate: Candidate, demand: Demand, why: str) -> None:
    ranking = rank([candidate], demand, "home")
    assert ranking.choices == ()
    assert ranking.refusals == ((candidate.zone, why),)


def test_a_zone_suits_at_its_very_limits() -> None:
    demand = replace(DEMAND, max_latency=Decimal(2), country="ES", domain="home", acceptable=frozenset({"near"}))
    assert [each.candidate.zone for each in rank([replace(NEAR, free=SMALL)], demand, "home").choices] == ["near"]


def test_the_nearest_comes_first_and_says_so() -> None:
    choices = rank([FAR, NEAR], replace(DEMAND, place=MADRID)).choices
    assert [each.candidate.zone for each in choices] == ["near", "far"]
    assert choices[0].reasons == ("best of the zones that suit", "latency 2 ms", "4 CPU and 4096 MiB are free")


def test_ones_own_zone_is_preferred_where_nothing_else_tells() -> None:
    remote = replace(NEAR, zone="a", partner="b", agreement="x", remote_zone="z")
    assert [each.candidate.zone for each in rank([remote, NEAR], DEMAND).choices] == ["near", "a"]
    assert choose([remote, NEAR], replace(DEMAND, domain="b"))[0].candidate is remote


@pytest.mark.parametrize(
    ("affinity", "count", "zones"),
    [
        ("none", 3, ["near", "near", "far"]),
        ("together", 2, ["near", "near"]),
        ("apart", 2, ["near", "far"]),
    ],
)
def test_instances_are_spread_as_wished(affinity: object, count: int, zones: list[str]) -> None:
    candidates = [replace(NEAR, free=Resources(2000, 4096, 4096)), replace(FAR, latency=Decimal(3))]
    demand = replace(DEMAND, count=count, affinity=affinity)
    assert [each.candidate.zone for each in choose(candidates, demand)] == zones


def test_nowhere_is_told_with_every_reason() -> None:
    with pytest.raises(RpcError) as refused:
        choose([NEAR, replace(FAR, serves=False)], replace(DEMAND, count=2, affinity="apart"))
    assert refused.value.tag == "resource-denied"
    assert refused.value.message == "no zone suits: far: takes nothing new; near: no room for instance 2 of 2"
    with pytest.raises(RpcError) as refused:
        choose([replace(FAR, serves=False)], DEMAND)
    assert refused.value.tag == "operation-failed"


def zones_of(choices: list[Choice]) -> list[str]:
    return [each.candidate.zone for each in choices]


def test_what_is_replaced_stays_in_its_zone_while_there_is_room() -> None:
    one = Resources(1000, 64, 16)
    zones = [Candidate("big", Resources(9000, 999, 999)), Candidate("small", Resources(1000, 64, 16))]
    demand = Demand(each=one)
    assert zones_of(extend(zones, demand, 1, [], ["small"], "home")) == ["small"]
    assert zones_of(extend(zones, demand, 2, [], ["small", "small"], "home")) == ["small", "big"]
    assert zones_of(extend(zones, demand, 1, [], ["gone"], "home")) == ["big"]
    assert zones_of(extend(zones, demand, 0, ["big"], [], "home")) == []


def test_what_joins_keeps_to_the_affinity_of_what_stays() -> None:
    zones = [Candidate(name, Resources(9000, 999, 999)) for name in ("a", "b", "c")]
    each = Resources(1000, 64, 16)
    assert zones_of(extend(zones, Demand(each=each, affinity="apart"), 2, ["a"], [], "home")) == ["b", "c"]
    assert zones_of(extend(zones, Demand(each=each, affinity="together"), 2, ["c"], [], "home")) == ["c", "c"]
    with pytest.raises(RpcError, match="no zone suits"):
        extend(zones, Demand(each=each, affinity="apart"), 3, ["a"], [], "home")


def test_there_is_no_room_for_more_than_there_is() -> None:
    zones = [Candidate("a", Resources(2000, 999, 999))]
    with pytest.raises(RpcError) as caught:
        extend(zones, Demand(each=Resources(1000, 64, 16)), 3, ["a"], [], "home")
    assert caught.value.tag == "resource-denied"
