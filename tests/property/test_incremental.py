"""The law of incremental validation: for any change of a valid configuration it says what full validation says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model import constraint_index, constraints, edit, json
from nms.model.constraint_whens import without_false
from nms.model.diff import diff
from nms.model.load import load
from nms.model.schema import Schema
from tests.property.edits import Editor
from tests.property.test_oracle import CONDITIONS, ORACLE, quoted

MODULES = Path(__file__).parents[1] / "unit" / "model" / "modules"

POINTERS = {
    "rules": (
        "/rules:refs/rules:host[rules:name='a']",
        "/rules:refs/rules:plain",
        "/rules:refs/rules:to-ip",
        "/rules:refs/rules:hosts[.='b']",
    ),
    "changing": (
        "/changing:net/changing:node[changing:name='a']",
        "/changing:net/changing:node[changing:name='b']/changing:cap",
        "/changing:net/changing:full/changing:depth",
        "/changing:net/changing:vlan[.='2']",
        "/changing:net/changing:knob/changing:level",
    ),
}

#: Where half of the runs begin, so that what is rarely reached by chance can break.
STARTS: dict[str, Any] = {
    "rules": {
        "rules:needs": {
            "one": "1", "deep": {"deeper": {"two": "2"}}, "right": "r", "in-a": "a", "some": ["a", "b"],
            "few": [{"id": "a"}, {"id": "b"}], "any": {},
        },
        "rules:cases": {"m": "a", "d": 3},
        "rules:whens": {"mode": "plain"},
        "rules:refs": {
            "host": [{"name": "a", "ip": "a", "port": [{"proto": "rules-types:tcp", "number": 1}]}, {"name": "b"}],
            "to-host": "a", "to-ip": "a", "to-port": 1, "hosts": ["b"], "mixed": "b",
            "pointer": "/rules:refs/rules:host[rules:name='a']",
        },
        "rules:uniques": {"server": [{"name": n, "ip": n, "alias": n} for n in ("a", "b", "c", "gw", "yes", "rail")]},
        "rules:musts": {"low": 1, "high": 2, "odd": [1], "sum": [{"id": n, "share": 20} for n in "ab"]},
    },
    "changing": {
        "changing:net": {
            "limit": 13,
            "node": [
                {"name": n, "cap": 4, "address": {"ip": i}, "port": [{"slot": 1, "num": 1, "speed": 5, "vlan": [2]}]}
                for i, n in enumerate("abc")
            ],
            "vlan": [2, 3],
            "flow": [{"id": n, "src": n, "slot": 1, "weight": 1} for n in "abc"],
            "effort": 2, "helper": [{"k": "a"}, {"k": "b"}], "by-hand": [None], "summary": {},
        }
    },
    "leafs": {
        "leafs:farm": {
            "limit": 13, "favourite": "b", "eggs": [1],
            "hen": [
                {"name": "a", "ring": "a", "age": 1, "here": "a", "coop": {"perch": 4}, "egg": {"size": 2}},
                {"name": "b", "ring": "b", "tag": "b", "age": 4, "here": "b", "note": "b", "twin": "a"},
            ],
        },
        "leafs:flag": True,
    },
}  # fmt: skip


@cache
def schema_of(module: str) -> Schema:
    return load([MODULES], [module])


def told(errors: list[RpcError]) -> list[tuple[Any, ...]]:
    return [(e.tag, e.app_tag, e.path, e.message, tuple((e.info or {}).items())) for e in errors]


@pytest.fixture(scope="session")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    """Each of the oracle's conditions as a must, and as a when of what has a default or something mandatory."""
    folder = tmp_path_factory.mktemp("conditional")
    checks = [
        f"container c{i} {{ presence p; must {quoted(c)}; }} "
        f"container w{i} {{ when {quoted(c)}; presence p; leaf d {{ type string; mandatory true; }} }} "
        f"leaf d{i} {{ when {quoted(c)}; type uint8; default 1; }} "
        f"leaf e{i} {{ type uint8; must {quoted(f'../d{i}')}; }} "
        f"list l{i} {{ key k; must {quoted(c)}; leaf k {{ type string; }} }}"
        for i, c in enumerate(CONDITIONS)
    ]
    (folder / "oracle.yang").write_text(ORACLE % "\n".join(checks), encoding="utf-8")
    return load([folder], ["oracle"])


@pytest.mark.parametrize("module", STARTS)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_change_is_judged_as_the_whole(module: str, seed: int, steps: int) -> None:
    schema = schema_of(module)
    start = json.decode(schema.root, STARTS[module]) if seed % 2 else schema.root.blank
    follow(schema, start, steps, Editor(schema, Random(seed), POINTERS.get(module, ())).change)


@pytest.mark.parametrize("module", STARTS)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_change_of_leafs_is_judged_as_the_whole(module: str, seed: int, steps: int) -> None:
    schema = schema_of(module)
    start = json.decode(schema.root, STARTS[module])
    follow(schema, start, steps, Editor(schema, Random(seed), POINTERS.get(module, ())).change_leafs)


@pytest.mark.parametrize("module", ["rules", "changing"])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_change_is_judged_as_the_whole_where_most_indexes_are_built_anew(module: str, seed: int, steps: int) -> None:
    schema = schema_of(module)
    start = json.decode(schema.root, STARTS[module])
    with mock.patch.object(constraint_index, "_MANY", 1):
        follow(schema, start, steps, Editor(schema, Random(seed), POINTERS[module]).change)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_change_of_what_conditions_look_at(conditional: Schema, seed: int, steps: int) -> None:
    follow(conditional, conditional.root.blank, steps, Editor(conditional, Random(seed)).change)


@pytest.mark.parametrize("module", ["rules", "changing"])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_a_candidate_is_judged_by_what_it_changes(module: str, seed: int, steps: int) -> None:
    """However far it has come from running, and whether or not it was valid on the way."""
    schema, rng = schema_of(module), Random(seed)
    editor = Editor(schema, rng, POINTERS[module])
    running = json.decode(schema.root, STARTS[module]) if seed % 2 else schema.root.blank
    indexes = constraints.index(schema, running)
    candidate = running
    for _ in range(steps):
        candidate = editor.change(candidate)
        changes = diff(schema.root, running, candidate)
        whole = constraints.validate(schema, candidate)
        assert told(constraints.validate_change(schema, running, candidate, changes, indexes=indexes)) == told(whole)
        if not whole and rng.random() < 0.2:
            running, indexes = candidate, indexes.after(changes, candidate)
        elif rng.random() < 0.1:
            candidate = running


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 30))
def test_deletion_leaves_no_false_when_behind(seed: int, steps: int) -> None:
    """Of changes that nobody's edit stands for, whatever a when no longer allows is gone; and nothing else is."""
    schema = schema_of("changing")
    editor = Editor(schema, Random(seed), POINTERS["changing"])
    root = json.decode(schema.root, STARTS["changing"])
    for _ in range(steps):
        new = editor.change(root)
        touch = [edit.Edit(child, "none") for child in schema.root.children]
        made = without_false(schema, root, new, touch)
        wrong = [e for e in constraints.validate(schema, new) if _is_when(e)]
        left = [e for e in constraints.validate(schema, made) if _is_when(e)]
        assert {e.path for e in left} <= {e.path for e in wrong}
        if not wrong:
            assert made is new
        if not constraints.validate(schema, made):
            root = made


def _is_when(error: RpcError) -> bool:
    return error.message.endswith("its when condition is false")


def follow(schema: Schema, root: Any, steps: int, change: Callable[[Any], Any]) -> None:
    """Make changes of a valid root, and keep those that are valid; judge each in both ways."""
    assert constraints.validate(schema, root) == []
    indexes = constraints.index(schema, root)
    fallbacks: Counter[str] = Counter()
    for _ in range(steps):
        new = change(root)
        changes = diff(schema.root, root, new)
        whole = constraints.validate(schema, new)
        found = constraints.validate_change(schema, root, new, changes, indexes=indexes, fallbacks=fallbacks)
        assert told(found) == told(whole), changes
        if not whole:
            indexes = indexes.after(changes, new)
            root = new
    assert set(fallbacks) <= set(constraints.costly(schema))
