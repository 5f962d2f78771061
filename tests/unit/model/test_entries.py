"""Many changes of a list at once: the same entries as one by one, a tree of the same form, what is untouched shared."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nms.model import entries


def tree_of(keys: Any) -> entries.Entries:
    found = sorted(keys)
    return entries.build(found, [(key, 0) for key in found])


def height(tree: Any) -> int:
    """The height of a tree, after a look at its form: equal heights, sorted keys, separators between the parts."""
    if isinstance(tree, entries.Leaf):
        assert list(tree.keys) == sorted(tree.keys)
        assert 0 < len(tree.keys) <= entries.FANOUT
        return 0
    assert len(tree.children) == len(tree.separators) + 1 <= entries.FANOUT
    assert tree.size == sum(map(entries.size, tree.children))
    for left, separator, right in zip(tree.children, tree.separators, tree.children[1:], strict=False):
        assert max(key for key, _ in entries.items(left)) < separator <= min(key for key, _ in entries.items(right))
    heights = {height(child) for child in tree.children}
    assert len(heights) == 1
    return 1 + heights.pop()


@pytest.mark.parametrize("seed", range(12))
def test_any_changes_at_once_are_the_changes_one_by_one(seed: int) -> None:
    chosen = random.Random(seed)
    model = {key: (key, 0) for key in chosen.sample(range(20_000), chosen.choice((0, 10, 500, 8_000)))}
    held: Any = tree_of(model)
    for step in range(1, 6):
        low = chosen.randrange(20_000)
        places = range(low, low + chosen.choice((1, 100, 20_000)))
        keys = chosen.sample(places, min(len(places), chosen.choice((1, 5, 300, 9_000))))
        gone = chosen.choice((0.0, 0.3, 1.0))
        changes = {key: None if chosen.random() < gone else (key, step) for key in keys}
        held = entries.update(held, changes)
        model.update(changes)
        model = {key: value for key, value in model.items() if value is not None}
        assert list(entries.items(held)) == sorted(model.items())
        assert not model or height(held) >= 0
    for key in chosen.sample(sorted(model), min(200, len(model))):
        held = entries.remove(held, key)
        del model[key]
    held = entries.put(held, -1, (-1, 9))
    assert list(entries.items(held)) == [(-1, (-1, 9)), *sorted(model.items())]


def test_everything_can_go_at_once() -> None:
    held: Any = tree_of(range(5_000))
    assert entries.update(held, dict.fromkeys(range(5_000))) is entries.NONE


def test_what_changes_nothing_gives_the_same_tree() -> None:
    held: Any = tree_of(range(5_000))
    known = {key: entries.get(held, key) for key in range(0, 5_000, 7)}
    assert entries.update(held, {**known, 9_999: None}) is held


def test_parts_without_a_change_are_shared() -> None:
    held: Any = tree_of(range(5_000))
    after: Any = entries.update(held, {key: (key, 1) for key in range(4_995, 6_000)})
    shared = {id(leaf) for leaf in entries.leaves(held)} & {id(leaf) for leaf in entries.leaves(after)}
    assert len(shared) == len(list(entries.leaves(held))) - 1
