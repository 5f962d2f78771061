"""From yangson's XPath syntax trees to closures over cursors (XPath 1.0, RFC 7950 sections 6.4 and 10).

Types are static in XPath without variables, so conversions are chosen while compiling.  Every node-set closure gives
document order without duplicates; its `shape` says what makes sorting unnecessary.  Noted on the way: the schema nodes
the expression can touch, each with how far up the way to it goes.  Location paths are built by `nms.model.xpath_paths`;
what belongs to the whole schema (leafref paths, whens, prefixes) is asked of `nms.model.xpath.Expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from yangson import exceptions as yangson_errors
from yangson import xpathast as ast
from yangson.enumerations import MultiplicativeOp

from nms.errors import RpcError
from nms.model import xpath_paths
from nms.model.cursor import OPERATIONS, Cursor, Evaluation, Getter, document_order, lineage
from nms.model.schema import Node
from nms.model.xpath_axes import reach
from nms.model.xpath_comparisons import as_boolean, as_number, as_string, equality, relation
from nms.model.xpath_functions import FUNCTIONS, LOCAL_NAME, Function, Kind, derived_from, divide, modulo
from nms.model.xpath_parts import Part, Run, at_position, counted, here, kept, metered, metered_text
from nms.model.xpath_tree import operands, words

if TYPE_CHECKING:
    from nms.model.xpath import Expressions

#: Deepest nesting of a syntax tree.
MAX_DEPTH: Final = 80

#: Schema nodes that may be looked at to compile a client's expression; `//*` looks at all there are.
MAX_REACHED: Final = 200_000


class Compiler:
    """Compiles one expression; the attributes are read when it is done.

    Attributes:
        touched: schema nodes whose instances the expression may look at, each with its scope: the uppermost schema node
            on the way from the context node, below whose instance all those instances lie.  The root means any node.
        scope: of the nodes that the expression at work is evaluated at.
        reached: how many schema nodes were looked at.

    Where literals are cut the expression is a client's: what it compiles to counts its work (`Evaluation.spend`).
    """

    def __init__(self, expressions: Expressions, context: Node, alias: Callable[[str], str | None], cut: bool) -> None:
        self.expressions = expressions
        self.root = expressions.schema.root
        self.context = context
        self.alias = alias
        self.cut = cut
        self.touched: dict[Node, Node] = {}
        self.higher = expressions.higher
        self.scope = context
        self.operation = next((n for n in lineage(context, self.root) if n.kind in OPERATIONS), None)
        self.focus = False
        self.current = False
        self.depth = 0
        self.reached = 0

    def compile(self, e: Any, at: frozenset[Node]) -> Part:
        """The part for syntax tree `e` evaluated at instances of any of `at`.

        Raises:
            RpcError: invalid-value; a type does not fit or a function is unknown.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RpcError("resource-denied", f"the XPath expression is nested deeper than {MAX_DEPTH} levels")
        try:
            build = _BUILDERS.get(type(e))
            if build is not None:
                part = build(self, e, at)
                return part._replace(run=metered(part.run)) if self.cut and type(e) not in _COUNTED else part
            function = FUNCTIONS.get(type(e))
            if function is not None:
                part = self._function(function if not getattr(e, "local", False) else LOCAL_NAME, e, at)
                return part._replace(run=metered(part.run)) if self.cut else part
            raise RpcError("invalid-value", f"XPath: {type(e).__name__} is not supported")
        finally:
            self.depth -= 1

    # Conversions

    def string(self, part: Part) -> Run:
        self.reads_text(part)
        return metered_text(as_string(part)) if self.cut else as_string(part)

    def number(self, part: Part) -> Run:
        self.reads_text(part)
        return as_number(part)

    def reads_text(self, part: Part) -> None:
        """Note that the text of `part` is used: the string-value of an inner node depends on all below it."""
        for node in part.nodes:
            if node.children:
                self.touch(node.walk(), part.scope)

    def convert(self, part: Part, kind: Kind, e: Any) -> Run:
        """The closure of `part`, the compiled `e`, giving a `kind`.

        Raises:
            RpcError: invalid-value; a node-set is wanted, and it is none.
        """
        if kind == "nodes":
            if part.kind != "nodes":
                raise RpcError("invalid-value", f"XPath: {words(e)} wants a node-set, not a {part.kind}")
            if isinstance(e, ast.FuncSum):
                self.reads_text(part)
            return part.run
        if kind == "string":
            return self.string(part)
        return self.number(part) if kind == "number" else as_boolean(part)

    # Literals and operators

    def literal(self, e: ast.Literal, at: frozenset[Node]) -> Part:
        value = e.value
        if self.cut:
            position = int(value)
            return Part(lambda c, v: v.literals[position], "string")
        return Part(lambda c, v: value, "string")

    def number_literal(self, e: ast.Number, at: frozenset[Node]) -> Part:
        value = float(e.value)
        return Part(lambda c, v: value, "number", constant=value)

    def boolean_operator(self, e: Any, at: frozenset[Node]) -> Part:
        runs = [as_boolean(self.compile(operand, at)) for operand in operands(e)]
        decisive = isinstance(e, ast.OrExpr)

        def run(c: Cursor, v: Evaluation) -> bool:
            return decisive if any(operand(c, v) is decisive for operand in runs) else not decisive

        return Part(run, "boolean")

    def arithmetic(self, e: Any, at: frozenset[Node]) -> Part:
        left, right = self.number(self.compile(e.left, at)), self.number(self.compile(e.right, at))
        operate = _ARITHMETIC[e.operator if isinstance(e, ast.MultiplicativeExpr) else bool(e.plus)]
        return Part(lambda c, v: operate(left(c, v), right(c, v)), "number")

    def minus(self, e: ast.UnaryMinusExpr, at: frozenset[Node]) -> Part:
        operand = self.number(self.compile(e.expr, at))
        return Part((lambda c, v: -operand(c, v)) if e.negate else operand, "number")

    def equality(self, e: ast.EqualityExpr, at: frozenset[Node]) -> Part:
        left, right = self._compared(e, at)
        return equality(left, right, bool(e.negate), self.alias)

    def relation(self, e: ast.RelationalExpr, at: frozenset[Node]) -> Part:
        left, right = self._compared(e, at)
        return relation(left, right, ("<" if e.less else ">") + ("=" if e.equal else ""))

    def _compared(self, e: Any, at: frozenset[Node]) -> tuple[Part, Part]:
        left, right = self.compile(e.left, at), self.compile(e.right, at)
        self.reads_text(left)
        self.reads_text(right)
        return left, right

    def union(self, e: ast.UnionExpr, at: frozenset[Node]) -> Part:
        parts = [self.compile(operand, at) for operand in operands(e)]
        runs = [self.convert(part, "nodes", e) for part in parts]
        return Part(
            lambda c, v: document_order([x for run in runs for x in run(c, v)], v),
            "nodes",
            frozenset().union(*(part.nodes for part in parts)),
            scope=reduce(self.higher, [part.scope or self.root for part in parts]),
        )

    # Functions

    def _function(self, function: Function, e: Any, at: frozenset[Node]) -> Part:
        parts = [
            Part(here, "nodes", at, "single", scope=self.scope) if argument is None else self.compile(argument, at)
            for argument in function.arguments(e)
        ]
        kinds = function.kinds * len(parts) if len(function.kinds) == 1 else function.kinds
        runs = [self.convert(part, kind, e) for part, kind in zip(parts, kinds, strict=False)]
        code = function.code
        if function.over_nodes:
            return Part(lambda c, v: code(*[run(c, v) for run in runs], v), function.result)
        if len(runs) == 1:
            (only,) = runs
            return Part(lambda c, v: code(only(c, v)), function.result)
        return Part(lambda c, v: code(*[run(c, v) for run in runs]), function.result)

    def position(self, e: Any, at: frozenset[Node]) -> Part:
        self.focus = True
        if isinstance(e, ast.FuncLast):
            return Part(lambda c, v: float(v.size), "number")
        return Part(lambda c, v: float(v.position), "number")

    def derived(self, e: ast.FuncDerivedFrom, at: frozenset[Node]) -> Part:
        nodes = self.convert(self.compile(e.left, at), "nodes", e)
        name = self.string(self.compile(e.right, at))
        bases = self.expressions.schema.identity_bases
        prefixes, or_self = e.sctx, bool(e.or_self)

        def run(c: Cursor, v: Evaluation) -> bool:
            text = name(c, v)
            try:
                local, module = prefixes.schema_data.translate_pname(text, prefixes.text_mid)
            except yangson_errors.YangsonException:
                raise RpcError("invalid-value", f"XPath: the prefix of identity {text!r} is not declared") from None
            return derived_from(nodes(c, v), f"{module}:{local}", bases, or_self=or_self)

        return Part(run, "boolean")

    def deref(self, e: ast.FuncDeref, at: frozenset[Node]) -> Part:
        part = self.compile(e.expr, at)
        nodes = self.convert(part, "nodes", e)
        targets: set[Node] = set()
        scope = part.scope or self.root
        for node in part.nodes:
            if node.type is None:
                continue
            if node.type.leafref is not None:
                program = self.expressions.leafref(node)
                targets |= program.nodes
                for touched, above in program.touched.items():
                    self.touch([touched], self.higher(above, scope))
                scope = self.higher(scope, program.highest)
            elif any(t.base in ("instance-identifier", "union") for t in (node.type, *node.type.members)):
                targets |= set(self.root.walk())
                self.touch([self.root], self.root)
                scope = self.root
        follow = self.expressions.dereference

        def run(c: Cursor, v: Evaluation) -> list[Cursor]:
            found = nodes(c, v)
            return follow(found[0], v) if found else []

        return Part(run, "nodes", frozenset(targets), scope=scope)

    # Dependencies

    def reach(self, axis: str, nodes: Iterable[Node]) -> set[Node]:
        """The schema nodes on `axis`.

        Raises:
            RpcError: resource-denied; a client's expression looks at too much of the schema.
        """
        found: set[Node] = set()
        for some in reach(axis, nodes, self.root, self.operation):
            self.count(len(some))
            found.update(some)
        return found

    def count(self, nodes: int) -> None:
        """Note that so many schema nodes were looked at."""
        self.reached += nodes
        if self.cut and self.reached > MAX_REACHED:
            message = "the XPath expression looks at too much of the schema: make it more specific"
            raise RpcError("resource-denied", message)

    def touch(self, nodes: Iterable[Node], scope: Node | None) -> None:
        """Note that instances of `nodes` below that of `scope` are looked at."""
        scope = scope or self.root
        for node in nodes:
            self.count(1)
            known = self.touched.get(node)
            self.touched[node] = scope if known is None else self.higher(known, scope)

    # Predicates

    def _predicate(self, e: Any, nodes: frozenset[Node]) -> tuple[Part, bool]:
        outer, self.focus = self.focus, False
        part = self.compile(e, nodes)
        positional, self.focus = self.focus or part.kind == "number", outer
        return part, positional

    def filtered(self, select: Run, predicates: Sequence[Any], nodes: frozenset[Node]) -> Getter:
        """What passes all `predicates`, of the nodes that `select` gives."""
        for e in predicates:
            part, positional = self._predicate(e, nodes)
            if part.constant is not None:
                select = at_position(select, part.constant)
            elif positional:
                numeric = part.kind == "number"
                select = counted(select, part.run if numeric else as_boolean(part), numeric)
            else:
                select = kept(select, as_boolean(part))
        return select


_ARITHMETIC: Final[dict[Any, Callable[[float, float], float]]] = {
    True: lambda a, b: a + b,
    False: lambda a, b: a - b,
    MultiplicativeOp.multiply: lambda a, b: a * b,
    MultiplicativeOp.divide: divide,
    MultiplicativeOp.modulo: modulo,
}

#: What needs no count of its own: a path counts its steps.
_COUNTED: Final = frozenset((ast.Literal, ast.Number, ast.Root, ast.LocationPath, ast.PathExpr, ast.Step))

_BUILDERS: Final[dict[type, Callable[[Compiler, Any, frozenset[Node]], Part]]] = {
    ast.Literal: Compiler.literal,
    ast.Number: Compiler.number_literal,
    ast.OrExpr: Compiler.boolean_operator,
    ast.AndExpr: Compiler.boolean_operator,
    ast.AdditiveExpr: Compiler.arithmetic,
    ast.MultiplicativeExpr: Compiler.arithmetic,
    ast.UnaryMinusExpr: Compiler.minus,
    ast.EqualityExpr: Compiler.equality,
    ast.RelationalExpr: Compiler.relation,
    ast.UnionExpr: Compiler.union,
    ast.FuncPosition: Compiler.position,
    ast.FuncLast: Compiler.position,
    ast.FuncDerivedFrom: Compiler.derived,
    ast.FuncDeref: Compiler.deref,
    ast.Root: xpath_paths.root_node,
    ast.FuncCurrent: xpath_paths.current_node,
    ast.FilterExpr: xpath_paths.filtered_expression,
    ast.LocationPath: xpath_paths.path,
    ast.PathExpr: xpath_paths.path,
    ast.Step: xpath_paths.path,
}
