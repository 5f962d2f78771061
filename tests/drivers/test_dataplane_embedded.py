"""The embedded data plane records rules and is honest about it; the driver lookup names what exists."""

import asyncio
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from nms.drivers import api
from nms.drivers.api import ConfigError, TrafficRule
from nms.drivers.dataplane_embedded import EmbeddedDataplane


def rule(instance: str, rule_id: str, priority: int, action: str = "passthrough") -> TrafficRule:
    return TrafficRule(instance, rule_id, priority, action, filter={"destination-address": ["10.0.0.0/8"]})


def test_rules_come_and_go_by_instance_and_rule_id() -> None:
    async def story() -> None:
        plane = EmbeddedDataplane({}, Path("."))
        assert plane.steers is False
        for each in (rule("b", "r1", 7), rule("a", "r1", 9), rule("a", "r2", 1), rule("a", "r1", 9, "drop")):
            await plane.activate(each)
        assert await plane.rules() == [rule("a", "r2", 1), rule("b", "r1", 7), rule("a", "r1", 9, "drop")]
        await plane.deactivate("a", "r1")
        await plane.deactivate("a", "r1")
        assert await plane.rules() == [rule("a", "r2", 1), rule("b", "r1", 7)]

    asyncio.run(story())


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key 'bridge'"):
        EmbeddedDataplane({"bridge": "br0"}, Path("."))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, value, "mec_nms.drivers.dataplane")
        for name, value in [
            ("embedded", "nms.drivers.dataplane_embedded:EmbeddedDataplane"),
            ("gone", "nms.drivers.no_such_module:Driver"),
            ("value", "nms.drivers.api:__all__"),
        ]
    )
    monkeypatch.setattr(api, "entry_points", lambda group: points.select(group=group))


@pytest.mark.usefixtures("registered")
def test_a_driver_is_found_by_its_entry_point() -> None:
    assert api.load("mec_nms.drivers.dataplane", "embedded") is EmbeddedDataplane


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("netns", "no driver 'netns' in mec_nms.drivers.dataplane: there is embedded, gone, value"),
        ("gone", "driver 'gone' in mec_nms.drivers.dataplane cannot be loaded: No module named"),
        ("value", "driver 'value' in mec_nms.drivers.dataplane is no factory"),
    ],
)
def test_a_driver_that_cannot_be_had_is_one_clear_line(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        api.load("mec_nms.drivers.dataplane", name)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)
