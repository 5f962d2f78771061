"""The law of defaults: what report-all shows is what XPath sees."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.model import defaults, xpath
from nms.model.cursor import Cursor, children
from nms.model.path import InstancePath
from nms.model.schema import Schema
from nms.model.values import Value
from tests.property.edits import Editor
from tests.property.test_incremental import POINTERS, conditional, schema_of

__all__ = ["conditional"]


def seen(schema: Schema, root: Value) -> list[tuple[InstancePath, Value]]:
    """The leafs of the accessible tree, in document order."""
    evaluation = xpath.expressions(schema).evaluation()

    def leafs(c: Cursor) -> Iterator[tuple[InstancePath, Value]]:
        for child in children(c, evaluation):
            if child.node.kind in ("leaf", "leaf-list"):
                yield child.path(), child.value
            elif child.node.kind in ("container", "list"):
                yield from leafs(child)

    return list(leafs(Cursor(schema.root, root, None)))


def shown(schema: Schema, root: Value) -> list[tuple[InstancePath, Value]]:
    """The leafs that are set in a tree, in document order."""

    def leafs(c: Cursor) -> Iterator[tuple[InstancePath, Value]]:
        for child in children(c, evaluation):
            if c.value[child.node.index] is None:
                continue
            if child.node.kind in ("leaf", "leaf-list"):
                yield child.path(), child.value
            elif child.node.kind in ("container", "list"):
                yield from leafs(child)

    evaluation = xpath.expressions(schema).evaluation()
    return list(leafs(Cursor(schema.root, root, None)))


@pytest.mark.parametrize("module", ["rules", "changing"])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 30))
def test_report_all_shows_what_xpath_sees(module: str, seed: int, steps: int) -> None:
    schema = schema_of(module)
    check(schema, Editor(schema, Random(seed), POINTERS[module]), steps)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 30))
def test_report_all_shows_what_xpath_sees_under_conditions(conditional: Schema, seed: int, steps: int) -> None:
    check(conditional, Editor(conditional, Random(seed)), steps)


def check(schema: Schema, editor: Editor, steps: int) -> None:
    root = schema.root.blank
    for _ in range(steps):
        root = editor.change(root)
    assert shown(schema, defaults.apply(schema, root, (), "report-all")) == seen(schema, root)
