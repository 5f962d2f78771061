"""Location paths of XPath compiled: an anchor, and steps along the axes from it (XPath 1.0 section 2).

Each function is a builder of `nms.model.xpath_compiler`, to which it gives the syntax trees inside to compile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from yangson import xpathast as ast
from yangson.enumerations import Axis

from nms.errors import RpcError
from nms.model.cursor import OPERATIONS, TEXT, Children, Getter, getter, parent_of
from nms.model.schema import Node
from nms.model.xpath_axes import AXES, REVERSE, UPWARD, Test
from nms.model.xpath_lookup import look_up
from nms.model.xpath_parts import Part, climb, composed, here, joined, metered
from nms.model.xpath_tree import axis_of, counts, flatten, is_abbreviated, node_test

if TYPE_CHECKING:
    from nms.model.xpath_compiler import Compiler


def root_node(compiler: Compiler, e: ast.Root, at: frozenset[Node]) -> Part:
    """``/``"""
    return Part(lambda c, v: [c.root()], "nodes", frozenset((compiler.root,)), "single", scope=compiler.root)


def current_node(compiler: Compiler, e: ast.FuncCurrent, at: frozenset[Node]) -> Part:
    """current() (RFC 7950 section 10.1.1)."""
    compiler.current = True
    return Part(lambda c, v: [v.origin], "nodes", frozenset((compiler.context,)), "single", scope=compiler.context)


def filtered_expression(compiler: Compiler, e: ast.FilterExpr, at: frozenset[Node]) -> Part:
    """An expression in parentheses or a function, with predicates (section 3.3)."""
    part = compiler.compile(e.primary, at)
    if not e.predicates:
        return part
    run = compiler.convert(part, "nodes", e)
    outer, compiler.scope = compiler.scope, part.scope or compiler.root
    found = compiler.filtered(run, e.predicates, part.nodes)
    compiler.scope = outer
    return Part(found, "nodes", part.nodes, part.shape, scope=part.scope)


def path(compiler: Compiler, e: Any, at: frozenset[Node]) -> Part:
    """A location path, as an anchor of at most one node (root, current, parents) and the steps down from it."""
    start, steps = flatten(e)
    if start is None:
        anchor = Part(here, "nodes", at, "single", scope=compiler.scope)
    else:
        anchor = compiler.compile(start, at)
        compiler.convert(anchor, "nodes", e)
    steps = _merge_descendants(steps)
    split = 0
    if anchor.shape == "single":
        anchor, split = _climb(compiler, anchor, steps)
        while split < len(steps) and axis_of(steps[split]) in ("parent", "self"):
            anchor = _step(compiler, anchor, steps[split])
            split += 1
    outer, compiler.current = compiler.current, False
    below = Part(here, "nodes", anchor.nodes, "single", scope=anchor.scope)
    if anchor.shape != "single":
        below = anchor
    for step in steps[split:]:
        below = _step(compiler, below, step)
    same_for_all = not compiler.current
    compiler.current = outer or compiler.current
    if anchor.shape != "single" or (anchor.run is here and below.shape == "single"):
        return below
    whole = joined(anchor, below, memoise=same_for_all and below.shape != "single")
    return whole._replace(scope=below.scope)


def _climb(compiler: Compiler, anchor: Part, steps: Sequence[Any]) -> tuple[Part, int]:
    """Leading ``..`` steps at once, and their number."""
    levels = 0
    nodes = anchor.nodes
    while levels < len(steps) and is_abbreviated(steps[levels], "parent"):
        nodes = frozenset(compiler.reach("parent", nodes))
        levels += 1
    if not levels:
        return anchor, 0
    scope = reduce(compiler.higher, nodes or (compiler.root,), anchor.scope or compiler.root)
    compiler.touch(nodes - {compiler.root}, scope)
    return Part(climb(anchor.run, levels), "nodes", nodes, "single", scope=scope), levels


def _merge_descendants(steps: Sequence[Any]) -> list[Any]:
    """``//x`` as descendant::x, unless a predicate counts positions among the children of one parent."""
    merged: list[Any] = []
    for step in steps:
        if (
            merged
            and is_abbreviated(merged[-1], "descendant_or_self")
            and axis_of(step) == "child"
            and step.qname is not TEXT
            and not any(counts(predicate) for predicate in step.predicates)
        ):
            merged[-1] = ast.Step(Axis.descendant, step.qname, step.predicates)
        else:
            merged.append(step)
    return merged


def _step(compiler: Compiler, source: Part, step: Any) -> Part:
    axis, root, higher = axis_of(step), compiler.root, compiler.higher
    scope = source.scope or root
    if step.qname is TEXT:
        if axis != "child":
            raise RpcError("invalid-value", f"XPath: text() on the axis {axis.replace('_', '-')} is not supported")
        select: Getter = Children(lambda node: False, None, text=True).below
        nodes = frozenset((TEXT,))
    else:
        test = node_test(step.qname)
        nodes = frozenset(filter(test, compiler.reach(axis, source.nodes)))
        select = _select(compiler, axis, test, source, nodes)
        if axis in ("following", "preceding"):
            scope = root
        elif axis in UPWARD:
            scope = reduce(higher, [parent_of(node, root) or root for node in source.nodes], scope)
            scope = reduce(higher, nodes, scope)
        compiler.touch(nodes - {root}, scope)
    outer, compiler.scope = compiler.scope, scope
    found = look_up(compiler, step, nodes, select) if axis == "child" else None
    if compiler.cut:
        select = metered(select)
    select = found or compiler.filtered(select, step.predicates, nodes)
    compiler.scope = outer
    if axis in REVERSE:
        backward = select
        select = lambda c, v: backward(c, v)[::-1]  # noqa: E731 - a closure like the others
    return composed(source, select, nodes, axis)._replace(scope=scope)


def _select(compiler: Compiler, axis: str, test: Test, source: Part, nodes: frozenset[Node]) -> Getter:
    """An axis; a step to one child that every context node has is direct."""
    if axis == "child" and len(nodes) == 1:
        (node,) = nodes
        if node.kind not in OPERATIONS and source.nodes == {node.parent}:
            return getter(node)
    return AXES[axis](test, compiler.operation)
