"""Constraints whose verdict follows from a few values: what was met once is met by every instance with the same values.

In a large list most entries repeat the values of others, so one validation asks the same question again and again.
Only what is met is remembered; a violation is evaluated each time for its own words and path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any, Final

from yangson import xpathast as ast

from nms.model.cursor import Cursor, Evaluation
from nms.model.schema import Node
from nms.model.values import Value
from nms.model.xpath import Program
from nms.model.xpath_tree import flatten

#: Values remembered for one constraint in one validation.
MOST: Final = 4096


def deciding(program: Program) -> Callable[[Value], Hashable] | None:
    """The values that decide a must, taken from an instance of its context node; None if it looks further.

    They are those of leafs right below the context node whose defaults, too, depend on nothing else.
    """
    nodes = sorted(program.scopes(), key=lambda node: node.index)
    if not nodes or any(node.parent is not program.context or not _is_plain(node) for node in nodes):
        return None
    return itemgetter(*[node.index for node in nodes])


def _is_plain(node: Node) -> bool:
    """Whether equal values of a leaf are the same value: in a union 1 and true are not."""
    return node.kind == "leaf" and node.type is not None and node.type.base != "union"


def names_the_same_everywhere(path: Any) -> bool:
    """Whether an XPath names the same nodes from every instance: it starts at the root and has no predicates."""
    start, steps = flatten(path)
    return isinstance(start, ast.Root) and not any(step.predicates for step in steps)


def once_per_value(refers: Callable[[Cursor, Evaluation], bool]) -> Callable[[Cursor, Evaluation], bool]:
    """`refers` where its verdict follows from the value of the leaf alone."""

    def remembered(c: Cursor, evaluation: Evaluation) -> bool:
        met: set[Value] | None = evaluation.memo.get(remembered)
        if met is None:
            met = evaluation.memo[remembered] = set()
        if c.value in met:
            return True
        if not refers(c, evaluation):
            return False
        if len(met) < MOST:
            met.add(c.value)
        return True

    return remembered
