"""Questions about yangson's XPath syntax trees that need no data: starts, steps, node tests, use of position.

yangson's trees nest chains of one operator to the left, wrap functions and parentheses in filters without predicates,
and spell node tests as a pair of local name and module, False for ``*`` and None for ``node()``.
"""

from __future__ import annotations

from typing import Any, Final

from yangson import xpathast as ast
from yangson.enumerations import Axis

from nms.errors import RpcError
from nms.model.cursor import TEXT, name_of
from nms.model.schema import Node
from nms.model.xpath_axes import Test
from nms.model.xpath_functions import FUNCTIONS

_NUMERIC: Final = (ast.Number, ast.AdditiveExpr, ast.MultiplicativeExpr, ast.UnaryMinusExpr)


def axis_of(step: Any) -> str:
    """The axis of a step, with underscores for hyphens."""
    return step.axis.name if isinstance(step.axis, Axis) else str(step.axis)


def is_abbreviated(step: Any, axis: str) -> bool:
    """Whether a step is node() on `axis` without predicates, as ``..`` and the middle of ``//`` are."""
    return step.qname is None and not step.predicates and axis_of(step) == axis


def operands(e: Any) -> list[Any]:
    """The operands of a chain of one operator, however yangson nests it."""
    found: list[Any] = []
    left = e
    while type(left) is type(e):
        found.append(left.right)
        left = left.left
    return [left, *reversed(found)]


def flatten(e: Any) -> tuple[Any | None, list[Any]]:
    """The start of a path (None for the context node) and its steps."""
    steps: list[Any] = []
    while True:
        if isinstance(e, ast.LocationPath):
            steps.insert(0, e.right)
            e = e.left
        elif isinstance(e, ast.PathExpr):
            start, right = flatten(e.right)
            if start is not None:
                if not right:
                    raise RpcError("invalid-value", "XPath: a step is missing after '/'")
                # yangson reads the second slash of ``f()//x`` as the root.
                right.insert(0, ast.Step(Axis.descendant_or_self, None, []))
            steps[:0] = right
            e = e.left
        elif isinstance(e, ast.FilterExpr) and not e.predicates:
            e = e.primary
        elif isinstance(e, ast.Step):
            return None, [e, *steps]
        else:
            return e, steps


def node_test(qname: Any) -> Test:
    """The node test of a step; see the module `nms.model.xpath` for names without a prefix."""
    if qname is None:
        return lambda node: node is not TEXT
    if qname is False:
        return lambda node: node.kind != "root" and node is not TEXT
    local, module = qname
    if local is None:
        return lambda node: node.kind != "root" and bool(name_of(node).module == module)
    if module is not None:

        def named(node: Node) -> bool:
            own = name_of(node)
            return bool(own.name == local and own.module == module)

        return named

    def in_module_of_parent(node: Node) -> bool:
        own = name_of(node)
        return own.name == local and (
            own.parent is None or own.parent.kind == "root" or own.parent.module == own.module
        )

    return in_module_of_parent


def names_identities(node: Node) -> bool:
    """Whether instances can hold an identity."""
    return node.type is not None and any(t.base == "identityref" for t in (node.type, *node.type.members))


def counts(e: Any) -> bool:
    """Whether a predicate depends on positions: a number, or with position() or last() of its own."""
    if isinstance(e, ast.FilterExpr) and not e.predicates:
        return counts(e.primary)
    function = FUNCTIONS.get(type(e))
    if isinstance(e, _NUMERIC) or (function is not None and function.result == "number"):
        return True
    return uses_focus(e)


def uses_focus(e: Any) -> bool:
    """Whether position() or last() of the expression's own context is in it."""
    if isinstance(e, ast.FuncPosition | ast.FuncLast):
        return True
    if isinstance(e, ast.FilterExpr):
        return uses_focus(e.primary)
    if isinstance(e, ast.LocationPath | ast.PathExpr):
        return uses_focus(flatten(e)[0])
    if isinstance(e, ast.OrExpr | ast.AndExpr | ast.UnionExpr):
        return any(map(uses_focus, operands(e)))
    function = FUNCTIONS.get(type(e))
    if function is not None:
        return any(map(uses_focus, function.arguments(e)))
    return any(uses_focus(getattr(e, part, None)) for part in ("left", "right", "expr") if hasattr(e, part))


def same_for_entries(e: Any) -> bool:
    """Whether an expression in a list's predicate has one value for all entries: it starts outside of the entry."""
    if isinstance(e, ast.Literal | ast.Number | ast.FuncCurrent | ast.Root):
        return True
    if isinstance(e, ast.FuncPosition | ast.FuncLast):
        return False
    if isinstance(e, ast.Step):
        return axis_of(e) == "parent"
    if isinstance(e, ast.FilterExpr):
        return same_for_entries(e.primary)
    if isinstance(e, ast.LocationPath | ast.PathExpr):
        start, steps = flatten(e)
        return same_for_entries(start if start is not None else steps[0])
    if isinstance(e, ast.UnaryMinusExpr | ast.FuncDeref):
        return same_for_entries(e.expr)
    if isinstance(e, ast.AdditiveExpr | ast.MultiplicativeExpr | ast.UnionExpr):
        return same_for_entries(e.left) and same_for_entries(e.right)
    function = FUNCTIONS.get(type(e))
    return function is not None and all(a is not None and same_for_entries(a) for a in function.arguments(e))


def words(e: Any) -> str:
    """What to call an expression in an error."""
    name = type(e).__name__
    if not name.startswith("Func"):
        return "a path, union or filter"
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name[4:]).strip("-") + "()"
