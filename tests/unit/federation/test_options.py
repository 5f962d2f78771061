"""The table of boundary options, against tables 3 and 4 of the paper and against our models."""

from __future__ import annotations

import re

import pytest

from nms.config import YANG_DIR
from nms.errors import RpcError
from nms.federation.options import OPTIONS, activable, option_of

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


def test_what_a_row_speaks_is_exposed() -> None:
    for option in OPTIONS:
        assert {point.model for point in option.points} <= set(option.exposed)


def test_an_option_that_does_not_work_yet_names_itself() -> None:
    assert activable("mec-types:option-system").number == 5
    for identity in ("mec-types:option-infrastructure", "mec-types:option-service"):
        with pytest.raises(RpcError, match=identity.partition(":")[2]) as refused:
            activable(identity)
        assert refused.value.tag == "operation-not-supported"


def test_an_option_of_somebody_elses() -> None:
    with pytest.raises(RpcError, match="their-own") as refused:
        option_of("their-module:their-own")
    assert refused.value.tag == "operation-not-supported"
