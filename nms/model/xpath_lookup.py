"""Predicates that fix all keys of a list: its entries are looked up, not scanned.

``list[k = expression]`` qualifies where the expression is the same for all entries: a literal, or a path that starts
at current(), the root or the entry's parent.  A node-set on the right side gives several wanted keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from yangson import xpathast as ast

from nms.model.cursor import Cursor, Evaluation, Getter, string_value
from nms.model.schema import Node
from nms.model.xpath_functions import number_text
from nms.model.xpath_parts import Part, direct
from nms.model.xpath_tree import axis_of, counts, names_identities, node_test, operands, same_for_entries

if TYPE_CHECKING:
    from nms.model.xpath_compiler import Compiler

#: The texts a key is to have, evaluated at an entry without values.
Texts: TypeAlias = Callable[[Cursor, Evaluation], set[str]]


def look_up(compiler: Compiler, step: Any, nodes: frozenset[Node], scan: Getter) -> Getter | None:
    """A child step with its predicates as direct access, or None where they do not fix all keys.

    Args:
        nodes: what the step can reach.
        scan: the step without its predicates.
    """
    if len(nodes) != 1 or not step.predicates:
        return None
    (node,) = nodes
    conditions, rest = _conditions(step.predicates)
    wanted: dict[Node, Texts] = {}
    others: list[Any] = []
    for condition in conditions:
        key, texts = _key_condition(compiler, condition, node)
        if key is None or key in wanted or texts is None:
            others.append(condition)
        else:
            wanted[key] = texts
    if not node.keys or len(wanted) < len(node.keys):
        return None
    fallback = compiler.filtered(scan, conditions, nodes)
    entries = direct(node, [wanted[key] for key in node.keys], fallback)
    return compiler.filtered(entries, [*others, *rest], nodes)


def _conditions(predicates: list[Any]) -> tuple[list[Any], list[Any]]:
    """The leading predicates that do not count positions, with their ``and`` taken apart, and those after them."""
    conditions: list[Any] = []
    for done, predicate in enumerate(predicates):
        if counts(predicate):
            return conditions, predicates[done:]
        parts = operands(predicate) if isinstance(predicate, ast.AndExpr) else [predicate]
        # A number is true inside an `and`, and a position by itself.
        conditions += [predicate] if any(map(counts, parts)) else parts
    return conditions, []


def _key_condition(compiler: Compiler, e: Any, node: Node) -> tuple[Node | None, Texts | None]:
    """The key leaf and its wanted texts, if `e` is ``key = expression`` with an expression the same for all entries."""
    if not isinstance(e, ast.EqualityExpr) or e.negate:
        return None, None
    for left, right in ((e.left, e.right), (e.right, e.left)):
        if isinstance(left, ast.Step) and axis_of(left) == "child" and left.qname and not left.predicates:
            test = node_test(left.qname)
            key = next((key for key in node.keys if test(key)), None)
            if key is not None and same_for_entries(right):
                return key, _texts(compiler, compiler.compile(right, frozenset((node,))), key)
    return None, None


def _texts(compiler: Compiler, part: Part, key: Node) -> Texts | None:
    run = part.run
    assert key.type is not None
    if part.kind == "nodes":
        compiler.reads_text(part)
        return lambda c, v: {string_value(x, v) for x in run(c, v)}
    if part.kind == "string":
        if names_identities(key):
            alias = compiler.alias
            return lambda c, v: {text for t in (run(c, v),) for text in (t, alias(t)) if text is not None}
        return lambda c, v: {run(c, v)}
    if part.kind == "number" and "int" in key.type.base:
        return lambda c, v: {number_text(run(c, v))}
    return None
