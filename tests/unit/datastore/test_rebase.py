"""The law of operational: a change carried over is the surviving state laid over the new configuration."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nms.datastore.rebase import forget, overlay, rebase
from nms.model.diff import diff
from nms.model.values import Value
from tests.unit.operations.shop_server import plain, schema, tree

IDS = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)
NUMBERS = st.integers(0, 3)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    items = [{"id": key, "price": draw(NUMBERS)} for key in draw(IDS)]
    for item in items:
        if draw(st.booleans()):
            item["shelf"] = {"row": draw(NUMBERS)}
    members: dict[str, Any] = {"name": draw(st.sampled_from("xy"))} if draw(st.booleans()) else {}
    members |= {"item": items, "queue": [{"who": key, "note": str(draw(NUMBERS))} for key in draw(IDS)]}
    if draw(st.booleans()):
        members["hours"] = {"from": draw(st.sampled_from("89"))}
    return members


@st.composite
def states(draw: st.DrawFn, config: dict[str, Any]) -> dict[str, Any]:
    """State in some of the places that `config` has."""
    items = [{"id": item["id"], "sold": 1} for item in config["item"] if draw(st.booleans())]
    for item in items:
        if draw(st.booleans()):
            item["shelf"] = {"weight": 7}
    members: dict[str, Any] = {"item": items}
    members["queue"] = [{"who": entry["who"], "waits": 2} for entry in config["queue"] if draw(st.booleans())]
    if "hours" in config and draw(st.booleans()):
        members["hours"] = {"asked": 3}
    if draw(st.booleans()):
        members["status"] = {"visitors": 4}
    return members


@st.composite
def cases(draw: st.DrawFn) -> tuple[Value, Value, Value]:
    old = draw(configurations())
    return tree(old), tree(draw(configurations())), tree(draw(states(old)))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_rebase_is_the_overlay_of_what_survives(case: tuple[Value, Value, Value]) -> None:
    old, new, state = case
    root = schema().root
    operational = overlay(root, state, old)
    surviving = forget(root, state, diff(root, old, new))
    expected = overlay(root, surviving, new)
    carried = rebase(root, operational, old, new)
    assert plain(carried) == plain(expected)
    assert diff(root, rebase(root, carried, new, old), overlay(root, surviving, old)) == []


@settings(max_examples=50, deadline=None)
@given(configurations(), configurations())
def test_without_state_operational_is_running_itself(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = tree(one), tree(other)
    assert rebase(schema().root, old, old, new) is new
