"""Cursors: where an XPath evaluation stands in an instance tree (the accessible tree of RFC 7950 section 6.4.1).

A value does not know its parent, so a cursor pairs it with its schema node and its parent's cursor.  Nodes that exist
only by the rules of "in use" (default leafs and leaf-lists, non-presence containers, under the selected or default
case and a true `when`) get cursors like any other.  This module knows no XPath; the truth of a `when` is asked of the
`Evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from nms.model import entries
from nms.model.path import InstancePath, Step
from nms.model.schema import Choice, Names, Node
from nms.model.types import text_of
from nms.model.values import AnyData, Key, Value
from nms.model.work import Work


class Cursor:
    """One node of the accessible tree.

    Attributes:
        node: its schema node; input, output and notification nodes stand for their operation.
        value: as docs/architecture.md says for the kind, a list's being one entry and a leaf-list's one value.
        parent: None at the root.
        key: of a list entry; the position of a leaf-list entry; else None.
    """

    __slots__ = ("node", "value", "parent", "key")

    def __init__(self, node: Node, value: Value, parent: Cursor | None, key: Key | None = None) -> None:
        self.node = node
        self.value = value
        self.parent = parent
        self.key = key

    def __repr__(self) -> str:
        return f"<cursor {self.node!r} {self.key!r}>"

    def path(self) -> InstancePath:
        """The instance path; an operation's input or output shows as the operation."""
        steps: list[Step] = []
        here: Cursor | None = self
        while here is not None and here.parent is not None:
            node = name_of(here.node)
            steps.append((node, here.value if node.kind == "leaf-list" else here.key))
            here = here.parent
        return tuple(reversed(steps))

    def place(self) -> tuple[tuple[Node, Key | None], ...]:
        """Identity of the instance within its tree, whichever way it was reached."""
        steps: list[tuple[Node, Key | None]] = []
        here = self
        while here.parent is not None:
            steps.append((here.node, here.key))
            here = here.parent
        return tuple(steps)

    def root(self) -> Cursor:
        """The cursor at the top of the tree."""
        here = self
        while here.parent is not None:
            here = here.parent
        return here


#: Kinds of the nodes that stand for an operation or notification in the accessible tree.
OPERATIONS: Final = frozenset(("input", "output", "notification"))

#: Schema node of the text() of a leaf.
TEXT: Final = Node("leaf", "", "", "", None, Names({}, {}))

#: Asks whether the whens of a schema node hold below a parent instance.
Whens: TypeAlias = "Callable[[Node, Cursor, Evaluation], bool]"


class Evaluation(Work):
    """What all expressions evaluated over one tree share, and the focus of the one at work.

    Attributes:
        whens: decides a node's `when` statements.
        memo: results that depend on an instance only, by expression and place.
        pending: whens being decided, so that a model whose whens depend on each other in a circle ends.
        origin: the node of current().
        literals: texts of a client's string literals, in order.
        position, size: of the node in the predicate's node-set.
    """

    __slots__ = ("whens", "memo", "pending", "origin", "literals", "position", "size")

    def __init__(self, whens: Whens, left: int | None = None) -> None:
        super().__init__(left)
        self.whens = whens
        self.memo: dict[Any, Any] = {}
        self.pending: list[tuple[Node, Any, Cursor]] = []
        self.origin: Cursor | None = None
        self.literals: tuple[str, ...] = ()
        self.position = 1
        self.size = 1


#: Gives the cursors of one schema node's instances below a parent instance, in document order.
Getter: TypeAlias = Callable[[Cursor, Evaluation], list[Cursor]]


def name_of(node: Node) -> Node:
    """The node whose name an instance bears: the rpc or action for its input or output."""
    return node.parent if node.kind in ("input", "output") and node.parent is not None else node


def parent_of(node: Node, root: Node) -> Node | None:
    """The schema node of an instance's parent; None for the root's."""
    if node.kind == "root":
        return None
    return name_of(node).parent or root


def lineage(node: Node, root: Node) -> list[Node]:
    """The schema nodes from that of an instance up to the root."""
    nodes = [node]
    while (above := parent_of(nodes[-1], root)) is not None:
        nodes.append(above)
    return nodes


def rank(node: Node) -> int:
    """Place among siblings in document order: key leafs come first (RFC 7950 section 7.8.5)."""
    parent = node.parent
    if parent is not None and node in parent.keys:
        return parent.keys.index(node) - len(parent.keys)
    return node.index if node.kind not in OPERATIONS else 1 << 30


def ordered_children(node: Node) -> tuple[Node, ...]:
    """Data children in document order."""
    return tuple(sorted(node.children, key=rank)) if node.keys else node.children


def exists(choice: Choice, case: str, value: Value) -> bool:
    """Whether any node of `case` exists below the parent instance `value`."""
    return any(value[node.index] is not None for node in choice.cases[case])


def selected(cases: tuple[tuple[Choice, str], ...], value: Value) -> bool:
    """Whether nodes in `cases` may be in use: each has data, or is the default and no other has (section 7.9.3)."""
    return all(
        exists(choice, case, value)
        or (choice.default_case == case and not any(exists(choice, other, value) for other in choice.cases))
        for choice, case in cases
    )


def in_use(node: Node, parent: Cursor, evaluation: Evaluation) -> bool:
    """Whether an absent default leaf, leaf-list or non-presence container counts as present."""
    return selected(node.cases, parent.value) and (not node.whens or evaluation.whens(node, parent, evaluation))


def getter(node: Node) -> Getter:
    """Access to the instances of `node` below an instance of its parent."""
    return _GETTERS[node.kind](node)


def _leaf(node: Node) -> Getter:
    index = node.index
    default = node.default

    def plain(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        value = c.value[index]
        return [Cursor(node, value, c)] if value is not None else []

    def defaulted(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        value = c.value[index]
        if value is None:
            if not in_use(node, c, evaluation):
                return []
            value = default
        return [Cursor(node, value, c)]

    return plain if default is None else defaulted


def _container(node: Node) -> Getter:
    index = node.index
    blank = node.blank

    def plain(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        value = c.value[index]
        return [Cursor(node, value, c)] if value is not None else []

    def implicit(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        value = c.value[index]
        if value is None:
            if not in_use(node, c, evaluation):
                return []
            value = blank
        return [Cursor(node, value, c)]

    return plain if node.presence else implicit


def _list(node: Node) -> Getter:
    index = node.index

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        held = c.value[index]
        if held is None:
            return []
        evaluation.spend(entries.size(held))
        return [Cursor(node, entry, c, key) for key, entry in entries.items(held)]

    return get


def _leaf_list(node: Node) -> Getter:
    index = node.index
    default = node.default

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        values = c.value[index]
        if values is None:
            if default is None or not in_use(node, c, evaluation):
                return []
            values = default
        evaluation.spend(len(values))
        return [Cursor(node, value, c, position) for position, value in enumerate(values)]

    return get


def _operation(node: Node) -> Getter:
    """The operation that current() belongs to, seen from the node it is invoked on."""

    def get(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        here = evaluation.origin
        while here is not None and here.node is not node:
            here = here.parent
        return [here] if here is not None and here.parent is not None and here.parent.place() == c.place() else []

    return get


_GETTERS: Final[dict[str, Callable[[Node], Getter]]] = {
    "leaf": _leaf,
    "anydata": _leaf,
    "anyxml": _leaf,
    "container": _container,
    "list": _list,
    "leaf-list": _leaf_list,
    "input": _operation,
    "output": _operation,
    "notification": _operation,
}


class Children(dict[Node, tuple[Getter, ...]]):
    """For each parent schema node the getters of the children that pass `test`; filled as nodes are met."""

    def __init__(self, test: Callable[[Node], bool], operation: Node | None = None, text: bool = False) -> None:
        self.test = test
        self.operation = operation
        self.text = text

    def __missing__(self, parent: Node) -> tuple[Getter, ...]:
        found = tuple(getter(child) for child in self.nodes(parent))
        if self.text and parent.kind in ("leaf", "leaf-list") and parent is not TEXT:
            found = (_text,)
        self[parent] = found
        return found

    def nodes(self, parent: Node) -> list[Node]:
        """The children of `parent` that pass, the operation of the context among them (section 6.4.1)."""
        found = [child for child in ordered_children(parent) if self.test(child)]
        operation = self.operation
        if operation is not None and self.test(operation):
            above = name_of(operation).parent
            if above is parent or (above is None and parent.kind == "root"):
                found.append(operation)
        return found

    def below(self, c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        """The children of an instance, in document order."""
        getters = self[c.node]
        if len(getters) == 1:
            return getters[0](c, evaluation)
        return [child for get in getters for child in get(c, evaluation)]


def _text(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
    return [Cursor(TEXT, c.value, c)] if string_value(c, evaluation) else []


_ALL: Final = Children(lambda node: True)


def children(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
    """All children of an instance in document order, those in use by default among them."""
    return _ALL.below(c, evaluation)


def string_value(c: Cursor, evaluation: Evaluation) -> str:
    """The string-value of XPath 1.0 section 5: a leaf's canonical text, else that of all leafs below in turn."""
    value = c.value
    if value is None:
        return ""  # the dummy node that stands for an absent one while its when is decided
    if type(value) is str:
        return value
    if type(value) is not tuple:
        return "" if isinstance(value, AnyData) else text_of(value)
    below = children(c, evaluation)
    evaluation.spend(len(below))
    return "".join([string_value(child, evaluation) for child in below])


def document_order(found: list[Cursor], evaluation: Evaluation) -> list[Cursor]:
    """`found` in document order, each instance once."""
    if len(found) < 2:
        return found
    keyed = {_order(c, evaluation): c for c in found}
    return [keyed[key] for key in sorted(keyed)]


def _order(c: Cursor, evaluation: Evaluation) -> tuple[Any, ...]:
    steps: list[Any] = []
    here = c
    while here.parent is not None:
        node = here.node
        key = here.key
        if node.user_ordered and node.kind == "list":
            key = _positions(here.parent.value[node.index], evaluation).get(key, -1)
        steps.append((rank(node), key) if key is not None else (rank(node),))
        here = here.parent
    return tuple(reversed(steps))


def _positions(held: entries.Ordered, evaluation: Evaluation) -> dict[Key, int]:
    found = evaluation.memo.get(("order", id(held)))
    if found is None:
        # The list itself is kept beside, so that its id stays its own.
        found = evaluation.memo["order", id(held)] = (held, {key: i for i, key in enumerate(held.order)})
    positions: dict[Key, int] = found[1]
    return positions


def follow(root: Cursor, path: InstancePath, evaluation: Evaluation) -> Iterator[Cursor]:
    """The instances that `path` names below `root`: one, or all of a list or leaf-list named without a key."""
    level = [root]
    for node, key in path:
        if key is not None and node.kind == "list":
            level = [c for parent in level for c in entry(node, parent, key)]
            continue
        get = getter(node)
        level = [c for parent in level for c in get(parent, evaluation)]
        if key is not None:
            level = [c for c in level if c.value == key]
    yield from level


def entry(node: Node, parent: Cursor, key: Key) -> list[Cursor]:
    """The entry of list `node` that has `key`, by direct look-up."""
    held = parent.value[node.index]
    found = entries.get(held, key) if held is not None else None
    return [Cursor(node, found, parent, key)] if found is not None else []
