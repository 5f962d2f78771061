"""The law of incremental validation: for any change of a valid configuration it says what full validation says."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError
from nms.model import constraints
from nms.model.diff import diff
from nms.model.load import load
from nms.model.schema import Schema
from tests.property.edits import Editor

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


@cache
def schema_of(module: str) -> Schema:
    return load([MODULES], [module])


def told(errors: list[RpcError]) -> list[tuple[Any, ...]]:
    return [(e.tag, e.app_tag, e.path, e.message, tuple((e.info or {}).items())) for e in errors]


@pytest.mark.parametrize("module", ["rules", "changing"])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_change_is_judged_as_the_whole(module: str, seed: int, steps: int) -> None:
    schema = schema_of(module)
    editor = Editor(schema, Random(seed), POINTERS[module])
    root = schema.root.blank
    indexes = constraints.index(schema, root)
    fallbacks: Counter[str] = Counter()
    for _ in range(steps):
        new = editor.change(root)
        changes = diff(schema.root, root, new)
        whole = constraints.validate(schema, new)
        found = constraints.validate_change(schema, root, new, changes, indexes=indexes, fallbacks=fallbacks)
        assert told(found) == told(whole), changes
        if not whole:
            indexes = indexes.after(changes, new)
            root = new
    assert set(fallbacks) <= set(constraints.costly(schema))
