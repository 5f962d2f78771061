"""Compiled expressions and how those of node-sets are put together: steps, predicates, look-up by key.

A node-set closure gives document order without duplicates; the `shape` of its part says where that comes for free.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, Literal, NamedTuple

from nms.model import entries
from nms.model.cursor import Cursor, Evaluation, Getter, document_order, entry, string_value
from nms.model.schema import Node
from nms.model.xpath_functions import Kind, canonical

Run = Callable[[Cursor, Evaluation], Any]

#: At most one node; nodes of one depth, none above another; anything.
Shape = Literal["single", "level", "mixed"]


class Part(NamedTuple):
    """A compiled expression.

    Attributes:
        run: its closure.
        kind: of its value.
        nodes: schema nodes a node-set can hold.
        shape: of a node-set.
        values: the string-values of a node-set as a set that is computed once per instance the path starts from.
        constant: a literal number.
        scope: the uppermost schema node on the way from the context node to a node-set; None: anything.
    """

    run: Run
    kind: Kind
    nodes: frozenset[Node] = frozenset()
    shape: Shape = "mixed"
    values: Callable[[Cursor, Evaluation], frozenset[str]] | None = None
    constant: float | None = None
    scope: Node | None = None


def metered(run: Run) -> Run:
    """`run`, counting what it does and the nodes it gives."""

    def count(c: Cursor, v: Evaluation) -> Any:
        found = run(c, v)
        v.spend(1 + len(found) if type(found) is list else 1)
        return found

    return count


def metered_text(run: Run) -> Run:
    """`run`, counting the text that it gives, since somebody looks at each character of it."""

    def count(c: Cursor, v: Evaluation) -> str:
        text: str = run(c, v)
        v.spend(len(text) >> 8)
        return text

    return count


def here(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
    """The context node."""
    return [c]


def climb(start: Run, levels: int) -> Getter:
    """The node `levels` above the one that `start` gives."""

    def get(c: Cursor, v: Evaluation) -> list[Cursor]:
        found = [c] if start is here else start(c, v)
        for _ in range(levels):
            if not found or found[0].parent is None:
                return []
            found = [found[0].parent]
        return found

    return get


def direct(node: Node, wanted: list[Callable[[Cursor, Evaluation], set[str]]], fallback: Getter) -> Getter:
    """The entries of a list whose keys have the `wanted` texts, by look-up; `fallback` where that is more work."""
    index, blank, above = node.index, node.blank, node.parent
    types = [key.type for key in node.keys]
    single = len(types) == 1

    def get(c: Cursor, v: Evaluation) -> list[Cursor]:
        held = c.value[index] if c.node is above else None
        if held is None:
            return []
        dummy = Cursor(node, blank, c)
        columns = []
        combinations = 1
        for texts, kind in zip(wanted, types, strict=True):
            assert kind is not None
            column = [value for text in texts(dummy, v) if (value := canonical(kind, text)) is not None]
            columns.append(column)
            combinations *= len(column)
        if combinations > 1 and combinations > entries.size(held):
            return fallback(c, v)
        v.spend(combinations)
        if single:
            found = [x for key in columns[0] for x in entry(node, c, key)]
        else:
            found = [x for key in product(*columns) for x in entry(node, c, key)]
        return document_order(found, v)

    return get


def joined(anchor: Part, below: Part, *, memoise: bool) -> Part:
    """The nodes of `below` from the one node of `anchor`; `memoise` the values where they depend on that node alone."""
    start, down = anchor.run, below.run

    def descend(c: Cursor, v: Evaluation) -> Any:
        found = start(c, v)
        return down(found[0], v) if found else []

    run = descend if down is not here else start
    if not memoise:
        return Part(run, "nodes", below.nodes, below.shape)

    def values(c: Cursor, v: Evaluation) -> frozenset[str]:
        found = start(c, v)
        if not found:
            return frozenset()
        key = (down, found[0].place())
        known: frozenset[str] | None = v.memo.get(key)
        if known is None:
            known = v.memo[key] = frozenset([string_value(x, v) for x in down(found[0], v)])
        return known

    return Part(run, "nodes", below.nodes, below.shape, values)


def composed(source: Part, select: Getter, nodes: frozenset[Node], axis: str) -> Part:
    """One step from every node of `source`, in document order."""
    run = source.run
    if source.shape == "single":
        one = all(n.kind not in ("list", "leaf-list") for n in nodes) and len(nodes) == 1
        shape: Shape = "single" if axis in ("parent", "self") or (axis == "child" and one) else "mixed"
        shape = "level" if shape == "mixed" and axis == "child" else shape
        if run is here:
            return Part(select, "nodes", nodes, shape)
        return Part(lambda c, v: select(x[0], v) if (x := run(c, v)) else [], "nodes", nodes, shape)
    if axis == "self" or (axis == "child" and source.shape == "level"):

        def each(c: Cursor, v: Evaluation) -> list[Cursor]:
            found: list[Cursor] = []
            for x in run(c, v):
                found += select(x, v)
            return found

        return Part(each, "nodes", nodes, source.shape)

    def sort(c: Cursor, v: Evaluation) -> list[Cursor]:
        found: list[Cursor] = []
        for x in run(c, v):
            found += select(x, v)
        return document_order(list({id(x): x for x in found}.values()), v)

    return Part(sort, "nodes", nodes, "level" if axis == "parent" and source.shape == "level" else "mixed")


def kept(select: Run, test: Run) -> Getter:
    """A predicate that is a boolean of each node."""
    return lambda c, v: [x for x in select(c, v) if test(x, v)]


def at_position(select: Run, wanted: float) -> Getter:
    """A predicate that is a literal number."""
    index = int(wanted) - 1 if wanted >= 1 and wanted.is_integer() else -1
    return lambda c, v: select(c, v)[index : index + 1] if index >= 0 else []


def counted(select: Run, test: Run, numeric: bool) -> Getter:
    """A predicate that uses position() or last(), or is a number to be compared with the position."""

    def get(c: Cursor, v: Evaluation) -> list[Cursor]:
        outer = v.position, v.size
        found = select(c, v)
        kept = []
        size = len(found)
        for position, x in enumerate(found, 1):
            v.position, v.size = position, size
            result = test(x, v)
            if result == position if numeric else result:
                kept.append(x)
        v.position, v.size = outer
        return kept

    return get
