"""What becomes of nodes whose `when` an edit makes false: the server deletes them (RFC 7950 section 8.2).

Nodes that the edit sets itself stay, for the validation to refuse (section 8.3.2), as do those whose when was false
already.  A deletion can make further whens false.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nms.model import tree
from nms.model.constraint_dependents import Dependents, dependents
from nms.model.constraint_marks import SHALLOW
from nms.model.cursor import Cursor
from nms.model.diff import diff
from nms.model.edit import Edit
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.model.values import Value


def without_false(schema: Schema, old: Value, new: Value, edits: Sequence[Edit]) -> Value:
    """`new`, which `edits` have made of `old`, without the nodes that are not set by them and whose when is now false.

    Args:
        old, new: roots of a configuration.
    """
    known = dependents(schema)
    if not any(known.decides(_deepest(edit)) for edit in edits):
        return new
    before = old
    while True:
        gone = [path for path in _false(known, before, new, old) if not _sets(edits, path)]
        if not gone:
            return new
        before = new
        for path in gone:
            new = tree.remove(schema.root, new, path)
            new = schema.root.blank if new is None else new


def _deepest(edit: Edit) -> Node:
    """The schema node at or below which all that an edit changes lies."""
    while edit.children is not None and len(edit.children) == 1:
        (edit,) = edit.children
    return edit.node


def _false(known: Dependents, before: Value, new: Value, old: Value) -> Iterator[InstancePath]:
    """Nodes whose when holds in `old` and, by what is changed from `before` to `new`, no longer."""
    expressions = known.expressions
    now, then = expressions.evaluation(), expressions.evaluation()
    root = known.schema.root
    done = set()
    for dependent, anchor in known.reached(diff(root, before, new), before, new):
        node = dependent.slot
        if node is None or dependent.rule is not SHALLOW or not node.whens or (dependent, anchor) in done:
            continue
        done.add((dependent, anchor))
        for parent in _instances(Cursor(root, new, None), anchor, dependent.route[len(anchor) :]):
            path = (*parent.path(), (node, None))
            if parent.value[node.index] is None or tree.get(old, path) is None:
                continue
            if not expressions.holds(node, parent, now) and expressions.holds(node, _same(root, old, parent), then):
                yield path


def _instances(c: Cursor, path: InstancePath, route: Sequence[Node]) -> Iterator[Cursor]:
    """What is set at `path`, and below it at the end of `route`."""
    for node, key in path:
        held = tree.get(c.value, ((node, key),))
        if held is None:
            return
        c = Cursor(node, held, c, key)
    yield from _below(c, route)


def _below(c: Cursor, route: Sequence[Node]) -> Iterator[Cursor]:
    if not route:
        yield c
        return
    held = c.value[route[0].index]
    for (node, key), value in tree.members(route[0], held) if held is not None else ():
        yield from _below(Cursor(node, value, c, key), route[1:])


def _same(root: Node, value: Value, c: Cursor) -> Cursor:
    """The instance in another tree that has the path of `c`."""
    return next(_instances(Cursor(root, value, None), c.path(), ()))


def _sets(edits: Sequence[Edit], path: InstancePath) -> bool:
    """Whether some of `edits` gives the node at `path`, or one below it, a value."""
    (node, key), rest = path[0], path[1:]
    for edit in edits:
        if edit.node is not node or (key is not None and edit.key != key) or edit.op in ("delete", "remove"):
            continue
        if not rest:
            if _gives(edit):
                return True
        elif edit.children is not None:
            if _sets(edit.children, rest):
                return True
        elif edit.value is not None and tree.get(edit.value, rest) is not None:
            return True
    return False


def _gives(edit: Edit) -> bool:
    """Whether an edit makes its node or something in it."""
    if edit.op in ("delete", "remove"):
        return False
    if edit.op in ("create", "replace") or (edit.op == "merge" and edit.node.kind == "list"):
        return True
    return edit.value is not None if edit.children is None else any(map(_gives, edit.children))
