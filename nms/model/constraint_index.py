"""Who refers to a value, and which entry has the values of a `unique`: indexes that are kept beside a valid root.

Each is a persistent sorted set of rows (the B+tree of `nms.model.entries`), built when it is first asked and from then
on carried along with the changes, so that asking follows the answer and keeping follows the change.  Rows hold
canonical text, which says less than values do (the 1 and '1' of a union): they find candidates, whoever asks decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from nms.model import entries, tree
from nms.model.constraint_plan import UniqueRule
from nms.model.cursor import Cursor, Evaluation, entry, getter
from nms.model.diff import Change
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.types import text_of
from nms.model.values import Key, Value
from nms.model.xpath import Expressions

#: Changes from which on it is considered whether an index is carried along.
_MANY: Final = 1000

#: The part that is looked up, then the part that is found; both comparable from row to row of one index.
Row: TypeAlias = tuple[Key, ...]


class Index(ABC):
    """What one index holds: rows of the instances of one schema node.

    Attributes:
        route: schema nodes from the root's child down to that node.
    """

    __slots__ = ("node", "route")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.route = tree.route(node)

    @abstractmethod
    def row(self, keys: tuple[Key, ...], c: Cursor, evaluation: Evaluation) -> Row | None:
        """The row of an instance, None for none; `keys` are those of the lists on the way to it, its own included."""


class Referrers(Index):
    """Leafrefs by the text of their value: (text, keys of the lists above)."""

    __slots__ = ()

    def row(self, keys: tuple[Key, ...], c: Cursor, evaluation: Evaluation) -> Row:
        """The row of one leaf or leaf-list value."""
        return (text_of(c.value), *keys)

    def path(self, row: Row) -> InstancePath:
        """The path of the leaf, or of the whole leaf-list, that a row stands for."""
        keys = iter(row[1:])
        return tuple((node, next(keys) if node.kind == "list" else None) for node in self.route)


class Values(Index):
    """The entries of a list by the values of a `unique`: (keys of the lists above, values as text, own key)."""

    __slots__ = ("rule",)

    def __init__(self, node: Node, rule: UniqueRule) -> None:
        super().__init__(node)
        self.rule = rule

    def row(self, keys: tuple[Key, ...], c: Cursor, evaluation: Evaluation) -> Row | None:
        """The row of one entry that has all the leafs."""
        values = self.rule.values(c, evaluation)
        return (*keys[:-1], *map(text_of, values), keys[-1]) if values is not None else None


class Indexes:
    """The indexes of one root.  Immutable but for those that are built when they are first asked.

    Attributes:
        root: what they are the indexes of.
    """

    def __init__(self, expressions: Expressions, root: Value, trees: dict[Index, entries.Tree] | None = None) -> None:
        self.expressions = expressions
        self.root = root
        self._trees = trees if trees is not None else {}

    def find(self, index: Index, prefix: Row) -> Iterator[Row]:
        """The rows of `index` that begin with `prefix`."""
        held = self._trees.get(index)
        if held is None:
            top = Cursor(self.expressions.schema.root, self.root, None)
            rows = sorted(_rows(index, top, index.route, (), self.expressions.evaluation()))
            held = self._trees[index] = entries.build(rows, [True] * len(rows))
        size = len(prefix)
        for row in _from(held, prefix):
            if row[:size] != prefix:
                return
            yield row

    def after(self, changes: Sequence[Change], root: Value) -> Indexes:
        """The indexes of `root`, to which `changes` lead; those that are mostly new are built when they are asked."""
        trees = {
            index: self._carried(index, held, changes, root)
            for index, held in self._trees.items()
            if len(changes) < max(_MANY, entries.size(held))
        }
        return Indexes(self.expressions, root, trees)

    def _carried(self, index: Index, held: entries.Tree, changes: Sequence[Change], root: Value) -> entries.Tree:
        paths = {path for change in changes if (path := _concerned(index, change.path)) is not None}
        rows: dict[Row, Value | None] = {}
        for top, value in ((self.root, None), (root, True)):
            start = Cursor(self.expressions.schema.root, top, None)
            evaluation = self.expressions.evaluation()
            for path in paths:
                rows |= dict.fromkeys(_rows_at(index, start, path, evaluation), value)
        after = entries.update(held, rows) if rows else held
        assert not isinstance(after, entries.Ordered)
        return after


def _concerned(index: Index, path: InstancePath) -> InstancePath | None:
    """Where rows may differ after a change at `path`: there and below, or at the indexed instance around it."""
    if path[-1][0].kind == "list" and path[-1][1] is None:
        return None  # a new order; what configuration has in lists has keys
    depth = min(len(path), len(index.route))
    if any(step[0] is not node for step, node in zip(path, index.route[:depth], strict=False)):
        return None
    return path[:depth]


def _rows_at(index: Index, top: Cursor, path: InstancePath, evaluation: Evaluation) -> Iterator[Row]:
    """The rows of the instances at or below `path`."""
    here = top
    keys: tuple[Key, ...] = ()
    for depth, (node, key) in enumerate(path):
        if node.kind != "list" or key is None:
            if depth == len(path) - 1 or here.value[node.index] is None:
                yield from _rows(index, here, index.route[depth:], keys, evaluation)
                return
            here = Cursor(node, here.value[node.index], here)
            continue
        found = entry(node, here, key) if here.value[node.index] is not None else []
        if not found:
            return
        here, keys = found[0], (*keys, key)
    yield from _rows(index, here, index.route[len(path) :], keys, evaluation)


def _rows(
    index: Index, c: Cursor, route: Sequence[Node], keys: tuple[Key, ...], evaluation: Evaluation
) -> Iterator[Row]:
    """The rows of the instances that `route` leads to from an instance."""
    if not route:
        row = index.row(keys, c, evaluation)
        if row is not None:
            yield row
        return
    node = route[0]
    if c.value[node.index] is None:
        return
    for below in getter(node)(c, evaluation):
        own = (*keys, below.key) if node.kind == "list" else keys
        yield from _rows(index, below, route[1:], own, evaluation)


def _from(held: entries.Tree, prefix: Row) -> Iterator[Row]:
    """The rows from the first that is not below `prefix`."""
    if isinstance(held, entries.Leaf):
        yield from (row for row in held.keys if row >= prefix)
        return
    for child, beyond in zip(held.children, (*held.separators, None), strict=True):
        if beyond is None or beyond >= prefix:
            yield from _from(child, prefix)
