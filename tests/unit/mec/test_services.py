"""What of a partner's services is let in, and which services a consumer finds."""

from __future__ import annotations

from typing import Any

import pytest

from nms.mec import services

FIT = {"id": "s", "name": "maps", "consumed-local-only": False}


def at(address: str) -> dict[str, Any]:
    return {"endpoint": [{"service-name": "s", "address": address}]}


@pytest.mark.parametrize(
    "said",
    [
        {},
        at("198.51.100.7"),
        at("2001:db8::7"),
        at("127.91.1.1"),
        {
            "uri": [
                "https://maps.example/v1",
                "mqtts://maps.example:8883",
                "http://198.51.100.7:80/",
                "http://[2001:db8::7]/",
            ]
        },
        {"endpoint": [{"service-name": "s", "dns-name": "maps.example"}]},
    ],
)
def test_what_is_let_in(said: dict[str, Any]) -> None:
    assert services.unfit({**FIT, **said}) == ""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": None}, "no name"),
        ({"consumed-local-only": True}, "own platform"),
        ({"category": {"name": "x" * services.LARGEST}}, "longer"),
        (at("0.0.0.0"), "nobody's"),
        (at("255.255.255.255"), "nobody's"),
        (at("240.0.0.1"), "nobody's"),
        (at("::"), "nobody's"),
        (at("::ffff:224.0.0.1"), "nobody's"),
        (at("169.254.169.254"), "own link"),
        (at("::ffff:169.254.1.1"), "own link"),
        (at("fe80::1"), "own link"),
        (at("2001:db8::7%eth0"), "own link"),
        (at("nowhere"), "is none"),
        ({"uri": ["file:///etc/passwd"]}, "file"),
        ({"uri": ["maps"]}, "none"),
        ({"uri": ["https:///maps"]}, "https"),
        ({"uri": ["http://maps.example:99999/"]}, "is none"),
        ({"uri": ["http://[::1/"]}, "is none"),
        ({"uri": ["http://me:secret@maps.example/"]}, "credentials"),
        ({"uri": ["http://0.0.0.0/"]}, "nobody's"),
        ({"uri": ["http://[ff02::1]/"]}, "nobody's"),
        ({"uri": ["http://2130706433/"]}, "is none"),
    ],
)
def test_what_is_not(said: dict[str, Any], why: str) -> None:
    assert why in services.unfit({name: value for name, value in {**FIT, **said}.items() if value is not None})


def test_not_to_be_consumed_elsewhere_is_the_default() -> None:
    assert services.unfit({"id": "s", "name": "maps"})
    assert not services.elsewhere({})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"id": ["s", "t"]}, True),
        ({"id": ["t"]}, False),
        ({"name": ["maps"], "is-local": True}, True),
        ({"is-local": False}, False),
        ({"category": "geo"}, True),
        ({"category": "other"}, False),
        ({"scope-of-locality": "mec-platform:mec-host-locality"}, True),
        ({"scope-of-locality": "mec-platform:zone-locality"}, False),
        ({"consumed-local-only": True}, False),
        ({"zone": "z"}, False),
    ],
)
def test_what_a_consumer_finds(wanted: dict[str, Any], found: bool) -> None:
    entry = {**FIT, "category": {"id": "geo"}, "state": {"is-local": True, "state": "mec-types:active"}}
    assert services.matches(entry, wanted) is found


def test_where_a_service_is_found() -> None:
    rules = [{"id": "off", "domain-name": "x", "desired-state": "inactive"}, {"id": "on", "domain-name": "maps"}]
    producer = {"address": "198.51.100.7", "dns-rule": rules}
    whole = "{}.mec.test".format
    assert services.endpoints({**FIT, "port": 80}, producer, whole) == {
        "endpoint": [{"service-name": "maps", "address": "198.51.100.7", "port": 80, "dns-name": "maps.mec.test"}]
    }
    assert services.endpoints(FIT, {}, whole) == {}
