"""The axes of XPath 1.0 (section 2.2) over cursors, and which schema nodes they can reach.

Each axis gives an instance's nodes that pass a node test in the order of the axis: document order, or its reverse for
the `REVERSE` ones, which is what position() counts.  Attributes and namespaces are no part of the accessible tree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from nms.model.cursor import Children, Cursor, Evaluation, Getter, getter, parent_of, rank
from nms.model.schema import Node

#: Whether a schema node passes a node test.
Test: TypeAlias = Callable[[Node], bool]


class _Below(dict[Node, tuple[tuple[Getter, bool, bool], ...]]):
    """Per schema node the children worth visiting: (getter, passes the test, has such below)."""

    def __init__(self, test: Test, operation: Node | None) -> None:
        self.test = test
        self.every = Children(lambda node: True, operation)
        self.holding: dict[Node, bool] = {}

    def __missing__(self, node: Node) -> tuple[tuple[Getter, bool, bool], ...]:
        rows = [(child, self.test(child), self.holds(child)) for child in self.every.nodes(node)]
        found = self[node] = tuple((getter(child), match, deeper) for child, match, deeper in rows if match or deeper)
        return found

    def holds(self, node: Node) -> bool:
        if node not in self.holding:
            self.holding[node] = any(self.test(child) or self.holds(child) for child in node.children)
        return self.holding[node]

    def collect(self, c: Cursor, evaluation: Evaluation, out: list[Cursor]) -> None:
        rows = self[c.node]
        evaluation.spend(len(rows))
        for get, match, deeper in rows:
            for child in get(c, evaluation):
                if match:
                    out.append(child)
                if deeper:
                    self.collect(child, evaluation, out)


def _child(test: Test, operation: Node | None) -> Getter:
    return Children(test, operation).below


def _self(test: Test, operation: Node | None) -> Getter:
    return lambda c, evaluation: [c] if test(c.node) else []


def _parent(test: Test, operation: Node | None) -> Getter:
    return lambda c, evaluation: [c.parent] if c.parent is not None and test(c.parent.node) else []


def _ancestor(test: Test, operation: Node | None) -> Getter:
    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        found = []
        here = c.parent
        while here is not None:
            if test(here.node):
                found.append(here)
            here = here.parent
        return found

    return get


def _descendant(test: Test, operation: Node | None) -> Getter:
    below = _Below(test, operation)

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        found: list[Cursor] = []
        below.collect(c, evaluation, found)
        return found

    return get


def _or_self(axis: Callable[[Test, Node | None], Getter]) -> Callable[[Test, Node | None], Getter]:
    def build(test: Test, operation: Node | None) -> Getter:
        beyond = axis(test, operation)
        return lambda c, evaluation: [c, *beyond(c, evaluation)] if test(c.node) else beyond(c, evaluation)

    return build


def _following_sibling(test: Test, operation: Node | None) -> Getter:
    return lambda c, evaluation: [s for s in _siblings(c, operation, evaluation)[1] if test(s.node)]


def _preceding_sibling(test: Test, operation: Node | None) -> Getter:
    return lambda c, evaluation: [s for s in reversed(_siblings(c, operation, evaluation)[0]) if test(s.node)]


def _siblings(c: Cursor, operation: Node | None, evaluation: Evaluation) -> tuple[list[Cursor], list[Cursor]]:
    """The siblings before and after an instance."""
    if c.parent is None:
        return [], []
    every = Children(lambda node: True, operation).below(c.parent, evaluation)
    for position, sibling in enumerate(every):
        if sibling.node is c.node and sibling.key == c.key:
            return every[:position], every[position + 1 :]
    mine = rank(c.node)  # a dummy node that stands for an absent one
    return [s for s in every if rank(s.node) < mine], [s for s in every if rank(s.node) > mine]


def _following(test: Test, operation: Node | None) -> Getter:
    every = _or_self(_descendant)(lambda node: True, operation)

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        found: list[Cursor] = []
        here: Cursor | None = c
        while here is not None:
            for sibling in _siblings(here, operation, evaluation)[1]:
                found += every(sibling, evaluation)
            here = here.parent
        return [x for x in found if test(x.node)]

    return get


def _preceding(test: Test, operation: Node | None) -> Getter:
    every = _or_self(_descendant)(lambda node: True, operation)

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        found: list[Cursor] = []
        here: Cursor | None = c
        while here is not None:
            for sibling in reversed(_siblings(here, operation, evaluation)[0]):
                found += reversed(every(sibling, evaluation))
            here = here.parent
        return [x for x in found if test(x.node)]

    return get


def _nothing(test: Test, operation: Node | None) -> Getter:
    return lambda c, evaluation: []


#: By the axis's name with underscores for hyphens, as yangson spells them.
AXES: Final[Mapping[str, Callable[[Test, Node | None], Getter]]] = {
    "child": _child,
    "parent": _parent,
    "self": _self,
    "descendant": _descendant,
    "descendant_or_self": _or_self(_descendant),
    "ancestor": _ancestor,
    "ancestor_or_self": _or_self(_ancestor),
    "following_sibling": _following_sibling,
    "preceding_sibling": _preceding_sibling,
    "following": _following,
    "preceding": _preceding,
    "attribute": _nothing,
    "namespace": _nothing,
}

REVERSE: Final = frozenset(("ancestor", "ancestor_or_self", "preceding", "preceding_sibling"))

#: Axes that leave the subtree of the context node.
UPWARD: Final = frozenset(("parent", "ancestor", "ancestor_or_self", "following_sibling", "preceding_sibling",
                           "following", "preceding"))  # fmt: skip


def reach(axis: str, nodes: Iterable[Node], root: Node, operation: Node | None) -> Iterator[Collection[Node]]:
    """The schema nodes on `axis` from any of `nodes`, before the node test; those from one of them at a time."""
    if axis in ("following", "preceding"):
        yield set(root.walk())
        yield set(operation.walk()) if operation is not None else ()
        return
    follow = _REACH[axis]
    for node in nodes:
        yield follow(node, root, operation)


def _up(node: Node, root: Node) -> list[Node]:
    found = []
    here = parent_of(node, root)
    while here is not None:
        found.append(here)
        here = parent_of(here, root)
    return found


def _kids(node: Node, root: Node, operation: Node | None) -> list[Node]:
    return Children(lambda child: True, operation).nodes(node)


def _down(node: Node, root: Node, operation: Node | None) -> list[Node]:
    return [found for child in _kids(node, root, operation) for found in child.walk()]


def _beside(node: Node, root: Node, operation: Node | None) -> list[Node]:
    parent = parent_of(node, root)
    return _kids(parent, root, operation) if parent is not None else []


_REACH: Final[Mapping[str, Callable[[Node, Node, Node | None], Collection[Node]]]] = {
    "child": _kids,
    "parent": lambda node, root, operation: _up(node, root)[:1],
    "self": lambda node, root, operation: [node],
    "descendant": _down,
    "descendant_or_self": lambda node, root, operation: [node, *_down(node, root, operation)],
    "ancestor": lambda node, root, operation: _up(node, root),
    "ancestor_or_self": lambda node, root, operation: [node, *_up(node, root)],
    "following_sibling": _beside,
    "preceding_sibling": _beside,
    "attribute": lambda node, root, operation: [],
    "namespace": lambda node, root, operation: [],
}
