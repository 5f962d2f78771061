"""Dividing amounts, and taking them from hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.drivers.api import Resources
from nms.mec import capacity

AMOUNTS = st.builds(Resources, st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 9000))


@given(AMOUNTS, st.integers(1, 7))
def test_parts_are_equal_and_nothing_is_lost(amount: Resources, parts: int) -> None:
    found = capacity.split(amount, parts)
    assert len(found) == parts
    assert capacity.sum_of(found) == amount
    assert len(set(found[1:])) <= 1
    left = found[0] - found[-1]
    assert all(0 <= each < parts for each in (left.millicpu, left.memory, left.storage))


@given(AMOUNTS, st.lists(AMOUNTS, max_size=4))
def test_what_is_carved_is_the_amount_and_no_host_gives_more_than_it_has(
    amount: Resources, rooms: list[Resources]
) -> None:
    free = {f"h{number}": room for number, room in enumerate(rooms)}
    found = capacity.carve(amount, free)
    if found is None:
        assert not amount.fits(capacity.sum_of(rooms)) or not rooms
    else:
        assert capacity.sum_of(found.values()) == amount
        assert all(part.fits(free[host]) for host, part in found.items())


@pytest.mark.parametrize(
    ("amount", "hosts"),
    [((2, 2, 2), {"b": (2, 2, 2)}), ((3, 2, 2), {"a": (1, 1, 1), "b": (2, 1, 1)}), ((4, 1, 1), None)],
)
def test_one_host_gives_it_all_where_one_can(
    amount: tuple[int, int, int], hosts: dict[str, tuple[int, int, int]] | None
) -> None:
    free = {"a": Resources(1, 1, 1), "b": Resources(2, 2, 2)}
    wanted = None if hosts is None else {host: Resources(*part) for host, part in hosts.items()}
    assert capacity.carve(Resources(*amount), free) == wanted
