"""The business rules that the models themselves hold: each `must` refuses what breaks it, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FROM, UNTIL = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
SYSTEM = {"package": [{"id": "p"}]}
OBJECTIVE = {"id": "o", "metric": "mec-types:latency", "comparison": "at-most", "target": "20.0"}
PRICE = {"id": "t", "currency": "EUR", "price": [{"id": "s", "set-up": {"unit-price": "1.0"}}]}


def _vim(**members: Any) -> dict[str, Any]:
    return {"mec-resource:infrastructure": {"vim": [{"id": "v", **members}]}}


def _system(**deployment: Any) -> dict[str, Any]:
    return {"mec-system:system": {**SYSTEM, "deployment": [{"id": "d", "package": "p", **deployment}]}}


def _order(**members: Any) -> dict[str, Any]:
    items = [{"id": "one", "package": "p"}, {"id": "two", "package": "p"}]
    return {"mec-order:orders": {"order": [{"id": "o", "customer": "c", "item": items, **members}]}}


def _tariff(**members: Any) -> dict[str, Any]:
    return {"mec-pricing:pricing": {"tariff": [{**PRICE, **members}]}}


def _sla(**members: Any) -> dict[str, Any]:
    return {"mec-sla:slas": {"sla": [{"id": "s", "objective": [{**OBJECTIVE, **members}]}]}}


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (_vim(reservation=[{"id": "r", "hold-time": 60, "confirmed": True}]),
         _vim(reservation=[{"id": "r", "confirmed": True}]), "before it is confirmed"),
        (_vim(zone=[{"id": "z"}], host=[{"id": "h", "zone": "z"}]),
         _vim(host=[{"id": "h", "zone": "z"}]), "zone that does not exist"),
        (_system(zone="z", **{"acceptable-zone": ["z", "y"]}),
         _system(zone="z", **{"acceptable-zone": ["y"]}), "not among acceptable-zone"),
        (_order(link=[{"source": "one", "destination": "two"}]),
         _order(link=[{"source": "one", "destination": "one"}]), "joins two items"),
        (_order(**{"requested-start": FROM, "requested-end": UNTIL}),
         _order(**{"requested-start": UNTIL, "requested-end": FROM}), "not after requested-start"),
        (_order(**{"price-limit": {"amount": "1.0", "currency": "EUR"}}),
         _order(**{"price-limit": {"currency": "EUR"}}), "needs an amount"),
        (_tariff(**{"revenue-share": [{"domain": "b", "share": "60.0"}, {"domain": "c", "share": "40.0"}]}),
         _tariff(**{"revenue-share": [{"domain": "b", "share": "60.0"}, {"domain": "c", "share": "40.1"}]}),
         "exceed 100 percent"),
        (_sla(statistic="mec-sla:percentile", percentile="99.0"),
         _sla(statistic="mec-sla:mean", percentile="99.0"), "needs the statistic percentile"),
        ({"mec-catalogue:catalogue": {"max-markup": "10.0"}},
         {"mec-catalogue:catalogue": {"max-markup": "10.0", "offering": [{"id": "o", "import": "none"}]}}, ""),
    ],
    ids=["reservation", "host", "zone", "link", "order time", "money", "revenue", "percentile", "import"],
)  # fmt: skip
def test_rule(good: Any, bad: Any, message: str, errors: Callable[[Any], list[str]]) -> None:
    assert errors(good) == []
    found = errors(bad)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"valid_from": UNTIL, "valid_until": FROM}, "valid-until is not after valid-from"),
        ({"valid_from": FROM, "valid_until": FROM}, "valid-until is not after valid-from"),
        ({"zone": [{"id": "z", "offered": False, "accepted": True}]}, "not offered cannot be accepted"),
        ({"coordination": {"facilitator": "hub"}}, "no facilitator"),
    ],
)
def test_agreement_rule(
    members: Any, message: str, errors: Callable[[Any], list[str]], federation: Callable[..., Any]
) -> None:
    assert errors(federation(valid_from=FROM, valid_until=UNTIL)) == []
    found = errors(federation(**members))
    assert len(found) == 1
    assert message in found[0]


def test_a_domain_is_no_partner_of_itself(errors: Callable[[Any], list[str]], federation: Callable[..., Any]) -> None:
    data = federation()
    data["mec-federation:federation"]["domain"]["id"] = "b"
    assert "no partner of itself" in errors(data)[0]


def test_two_partners_do_not_share_a_user(errors: Callable[[Any], list[str]], federation: Callable[..., Any]) -> None:
    data = federation()
    data["mec-federation:federation"]["partner"].append({"id": "c", "user-name": "b"})
    assert len(errors(data)) == 1


def test_a_partner_is_not_shown_inner_identifiers(
    errors: Callable[[Any], list[str]], federation: Callable[..., Any]
) -> None:
    part = {"part": [{"id": "1", "platform-manager": "mepm-1"}]}
    own = {"mec-system:system": {**SYSTEM, "deployment": [{"id": "d", "package": "p", "state": part}]}}
    assert errors(own) == []
    assert len(errors(federation(**own))) == 1


def test_timestamps_are_in_utc(errors: Callable[[Any], list[str]], federation: Callable[..., Any]) -> None:
    assert errors(federation(valid_from="2026-11-01T00:00:00.5Z")) == []
    assert len(errors(federation(valid_from="2026-11-01T00:00:00+01:00"))) == 1
