"""The table of boundary options, against tables 3 and 4 of the paper and against our models."""

from __future__ import annotations

import re

from nms.config import YANG_DIR
from nms.federation.options import INTENTS, INTERCONNECTION, OPTIONS, interconnected, option_of

TYPES = next(YANG_DIR.glob("mec-types@*.yang")).read_text()


def test_every_option_of_the_model_is_a_row() -> None:
    derived = re.findall(r"identity (\S+) \{\s+base boundary-option;", TYPES)
    assert sorted(option.identity for option in OPTIONS) == sorted(derived)
    assert [option.number for option in OPTIONS] == [1, 2, 3, 4, 5]


def test_every_remote_point_is_a_reference_point() -> None:
    points = re.findall(r"identity (\S+) \{\s+base reference-point;", TYPES)
    assert {point.name for option in OPTIONS for point in option.points} <= set(points)


def test_table_3() -> None:
    points = {option.number: [point.name for point in option.points] for option in OPTIONS}
    assert points == {
        1: ["mm4", "mm6", "mp2"],
        2: ["mm5", "mp2"],
        3: ["mm5", "mm6"],
        4: ["mm2", "mm3", "mm4"],
        5: ["mx3"],
    }
    both_ways = [option.number for option in OPTIONS if {s for p in option.points for s in p.servers} >= {"consumer"}]
    assert both_ways == [2, 5]


def test_mp3_is_in_no_row_and_goes_both_ways() -> None:
    assert all(point.name != INTERCONNECTION.name for option in OPTIONS for point in option.points)
    assert set(INTERCONNECTION.servers) == {"consumer", "provider"}
    wanted = {"interconnection": {"enabled": True}}
    assert interconnected(wanted, wanted)
    assert not any(interconnected(wanted, other) for other in (None, {}, {"interconnection": {"enabled": False}}))


def test_what_a_row_speaks_is_exposed() -> None:
    for option in OPTIONS:
        assert {point.model for point in option.points} <= set(option.exposed)


def test_what_each_side_serves() -> None:
    served = {
        (option.number, side): {container.partition(":")[2] for container in option.served(side)}
        for option in OPTIONS
        for side in ("consumer", "provider")
    }
    assert served == {
        (1, "consumer"): set(),
        (1, "provider"): {"resources"},
        (2, "consumer"): {"resources"},
        (2, "provider"): {"platform"},
        (3, "consumer"): set(),
        (3, "provider"): {"platform", "resources"},
        (4, "consumer"): set(),
        (4, "provider"): {"platform-manager", "resources"},
        (5, "consumer"): {"system"},
        (5, "provider"): {"system"},
    }


def test_every_list_of_intents_is_one_of_the_model() -> None:
    for container, names in INTENTS.items():
        module = next(YANG_DIR.glob(f"{container.partition(':')[0]}@*.yang")).read_text()
        text = module + next(YANG_DIR.glob("mec-app-descriptor@*.yang")).read_text()
        assert all(f"list {name} {{" in text for name in names)


def test_a_domain_that_lacks_a_block_says_which() -> None:
    infrastructure = option_of("mec-types:option-infrastructure")
    assert infrastructure.missing("provider", ["vim"]) == ""
    assert infrastructure.missing("provider", ["meo"]).endswith("runs vim too")
    assert option_of("option-system").missing("consumer", ["meo"]) == ""


def test_an_option_of_somebody_elses() -> None:
    theirs = option_of("their-module:their-own")
    assert "their-own" in theirs.missing("provider", ["vim", "mep", "mepm", "meo"])
    assert theirs.served("provider") == ()
