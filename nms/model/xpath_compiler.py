"""From yangson's XPath syntax trees to closures over cursors (XPath 1.0, RFC 7950 sections 6.4 and 10).

Types are static in XPath without variables, so conversions are chosen while compiling.  Every node-set closure gives
document order without duplicates; its `shape` says what makes sorting unnecessary.  Noted on the way: the schema nodes
the expression can touch and how far up it goes.  What belongs to the whole schema (leafref paths, whens, prefixes) is
asked of `nms.model.xpath.Expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from yangson import exceptions as yangson_errors
from yangson import xpathast as ast
from yangson.enumerations import Axis, MultiplicativeOp

from nms.errors import RpcError
from nms.model import entries
from nms.model.cursor import TEXT, Children, Cursor, Evaluation, Getter, document_order, entry, name_of, parent_of, string_value
from nms.model.schema import Node
from nms.model.xpath_axes import AXES, REVERSE, UPWARD, Test, reach
from nms.model.xpath_functions import (
    FUNCTIONS,
    LOCAL_NAME,
    Comparison,
    Function,
    Kind,
    canonical,
    compare_equal,
    compare_order,
    derived_from,
    divide,
    modulo,
    number_of_node,
    number_text,
    to_boolean,
    to_number,
    to_string,
)

if TYPE_CHECKING:
    from nms.model.xpath import Expressions

#: Deepest nesting of a syntax tree.
MAX_DEPTH: Final = 80

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
    """

    run: Run
    kind: Kind
    nodes: frozenset[Node] = frozenset()
    shape: Shape = "mixed"
    values: Callable[[Cursor, Evaluation], frozenset[str]] | None = None
    constant: float | None = None


def _here(c: Cursor, evaluation: Evaluation) -> list[Cursor]:
    return [c]


class Compiler:
    """Compiles one expression; the attributes are read when it is done.

    Attributes:
        touched: schema nodes whose instances the expression may look at; the root among them means any.
        highest: the uppermost schema node it looks below.
    """

    def __init__(self, expressions: Expressions, context: Node, alias: Callable[[str], str | None], cut: bool) -> None:
        self.expressions = expressions
        self.root = expressions.schema.root
        self.context = context
        self.alias = alias
        self.cut = cut
        self.touched: set[Node] = set()
        self.highest = context
        self.operation = next((n for n in _chain(context, self.root) if n.kind in ("input", "output", "notification")), None)
        self.focus = False
        self.current = False
        self.depth = 0

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
                return build(self, e, at)
            function = FUNCTIONS.get(type(e))
            if function is not None:
                return self._function(function if not getattr(e, "local", False) else LOCAL_NAME, e, at)
            raise RpcError("invalid-value", f"XPath: {type(e).__name__} is not supported")
        finally:
            self.depth -= 1

    # Conversions

    def string(self, part: Part) -> Run:
        if part.kind == "string":
            return part.run
        self._reads_text(part)
        run, kind = part.run, part.kind
        return lambda c, v: to_string(run(c, v), kind, v)

    def number(self, part: Part) -> Run:
        if part.kind == "number":
            return part.run
        self._reads_text(part)
        run, kind = part.run, part.kind
        return lambda c, v: to_number(run(c, v), kind, v)

    def boolean(self, part: Part) -> Run:
        if part.kind == "boolean":
            return part.run
        run, kind = part.run, part.kind
        return lambda c, v: to_boolean(run(c, v), kind, v)

    def _reads_text(self, part: Part) -> None:
        """The string-value of an inner node depends on all below it."""
        for node in part.nodes:
            if node.children:
                self.touched.update(node.walk())

    def _convert(self, part: Part, kind: Kind, e: Any) -> Run:
        if kind == "nodes":
            if part.kind != "nodes":
                raise RpcError("invalid-value", f"XPath: {_words(e)} wants a node-set, not a {part.kind}")
            if isinstance(e, ast.FuncSum):
                self._reads_text(part)
            return part.run
        if kind == "string":
            return self.string(part)
        return self.number(part) if kind == "number" else self.boolean(part)

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
        runs = [self.boolean(self.compile(operand, at)) for operand in _operands(e)]
        decisive = isinstance(e, ast.OrExpr)

        def run(c: Cursor, v: Evaluation) -> bool:
            for operand in runs:
                if operand(c, v) is decisive:
                    return decisive
            return not decisive

        return Part(run, "boolean")

    def arithmetic(self, e: Any, at: frozenset[Node]) -> Part:
        left, right = self.number(self.compile(e.left, at)), self.number(self.compile(e.right, at))
        operate = _ARITHMETIC[e.operator if isinstance(e, ast.MultiplicativeExpr) else e.plus]
        return Part(lambda c, v: operate(left(c, v), right(c, v)), "number")

    def minus(self, e: ast.UnaryMinusExpr, at: frozenset[Node]) -> Part:
        operand = self.number(self.compile(e.expr, at))
        return Part((lambda c, v: -operand(c, v)) if e.negate else operand, "number")

    def equality(self, e: ast.EqualityExpr, at: frozenset[Node]) -> Part:
        left, right = self.compile(e.left, at), self.compile(e.right, at)
        negate = bool(e.negate)
        if right.kind == "nodes" and left.kind != "nodes":
            left, right = right, left
        for part in (left, right):
            self._reads_text(part)
        if left.kind != "nodes":
            return Part(self._equal_scalars(left, right, negate), "boolean")
        if right.kind == "nodes":
            return Part(_equal_nodes(left, right, negate), "boolean")
        run, other = left.run, right.run
        if right.kind == "boolean":
            return Part(lambda c, v: (bool(run(c, v)) is other(c, v)) is not negate, "boolean")
        if right.kind == "number":

            def equals_number(c: Cursor, v: Evaluation) -> bool:
                number = other(c, v)
                return any((number_of_node(x, v) == number) is not negate for x in run(c, v))

            return Part(equals_number, "boolean")
        if any(_names_identities(node) for node in left.nodes):
            alias = self.alias

            def equals_identity(c: Cursor, v: Evaluation) -> bool:
                text = other(c, v)
                names = (text, alias(text))
                return any((string_value(x, v) in names) is not negate for x in run(c, v))

            return Part(equals_identity, "boolean")

        def equals_string(c: Cursor, v: Evaluation) -> bool:
            text = other(c, v)
            return any((string_value(x, v) == text) is not negate for x in run(c, v))

        return Part(equals_string, "boolean")

    def _equal_scalars(self, left: Part, right: Part, negate: bool) -> Run:
        kinds = {left.kind, right.kind}
        convert = self.boolean if "boolean" in kinds else self.number if "number" in kinds else self.string
        a, b = convert(left), convert(right)
        return lambda c, v: (a(c, v) == b(c, v)) is not negate

    def relation(self, e: ast.RelationalExpr, at: frozenset[Node]) -> Part:
        operator = ("<" if e.less else ">") + ("=" if e.equal else "")
        left, right = self.compile(e.left, at), self.compile(e.right, at)
        if "nodes" not in (left.kind, right.kind) or "boolean" in (left.kind, right.kind):
            a, b = (self.number(Part(self.boolean(p), "boolean") if "boolean" in (left.kind, right.kind) else p) for p in (left, right))
            compare = Comparison[operator]
            return Part(lambda c, v: compare(a(c, v), b(c, v)), "boolean")
        many = [self._numbers(part) for part in (left, right)]
        return Part(lambda c, v: compare_order(operator, many[0](c, v), many[1](c, v)), "boolean")

    def _numbers(self, part: Part) -> Run:
        run = self.number(part)
        if part.kind != "nodes":
            return lambda c, v: [run(c, v)]
        nodes = part.run
        return lambda c, v: [number_of_node(x, v) for x in nodes(c, v)]

    def union(self, e: ast.UnionExpr, at: frozenset[Node]) -> Part:
        parts = [self.compile(operand, at) for operand in _operands(e)]
        runs = [self._convert(part, "nodes", e) for part in parts]
        return Part(
            lambda c, v: document_order([x for run in runs for x in run(c, v)], v),
            "nodes",
            frozenset().union(*(part.nodes for part in parts)),
        )

    # Functions

    def _function(self, function: Function, e: Any, at: frozenset[Node]) -> Part:
        parts = [
            Part(_here, "nodes", at, "single") if argument is None else self.compile(argument, at)
            for argument in function.arguments(e)
        ]
        kinds = function.kinds * len(parts) if len(function.kinds) == 1 else function.kinds
        runs = [self._convert(part, kind, e) for part, kind in zip(parts, kinds, strict=False)]
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
        nodes = self._convert(self.compile(e.left, at), "nodes", e)
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
        nodes = self._convert(part, "nodes", e)
        targets: set[Node] = set()
        for node in part.nodes:
            if node.type is None:
                continue
            if node.type.leafref is not None:
                program = self.expressions.leafref(node)
                targets |= program.nodes
                self.touched |= program.touched
                self._rise(program.highest)
            elif any(t.base in ("instance-identifier", "union") for t in (node.type, *node.type.members)):
                targets |= set(self.root.walk())
                self.touched.add(self.root)
                self._rise(self.root)
        follow = self.expressions.dereference
        return Part(lambda c, v: follow(found[0], v) if (found := nodes(c, v)) else [], "nodes", frozenset(targets))

    # Paths

    def root_node(self, e: ast.Root, at: frozenset[Node]) -> Part:
        self._rise(self.root)
        return Part(lambda c, v: [c.root()], "nodes", frozenset((self.root,)), "single")

    def current_node(self, e: ast.FuncCurrent, at: frozenset[Node]) -> Part:
        self.current = True
        return Part(lambda c, v: [v.origin], "nodes", frozenset((self.context,)), "single")

    def filter(self, e: ast.FilterExpr, at: frozenset[Node]) -> Part:
        part = self.compile(e.primary, at)
        if not e.predicates:
            return part
        run = self._convert(part, "nodes", e)
        return Part(self._filtered(run, e.predicates, part.nodes), "nodes", part.nodes, part.shape)

    def path(self, e: Any, at: frozenset[Node]) -> Part:
        """A location path, as an anchor of at most one node (root, current, parents) and the steps down from it."""
        start, steps = _flatten(e)
        if start is None:
            anchor = Part(_here, "nodes", at, "single")
        else:
            anchor = self.compile(start, at)
            self._convert(anchor, "nodes", e)
        steps = self._merge_descendants(steps)
        split = 0
        if anchor.shape == "single":
            while split < len(steps) and _axis(steps[split]) in ("parent", "self"):
                anchor = self._step(anchor, steps[split])
                split += 1
        outer, self.current = self.current, False
        below = Part(_here, "nodes", anchor.nodes, "single")
        if anchor.shape != "single":
            below = anchor
        for step in steps[split:]:
            below = self._step(below, step)
        same_for_all = not self.current
        self.current = outer or self.current
        if anchor.shape != "single" or anchor.run is _here and below.shape == "single":
            return below
        return _joined(anchor, below, memoise=same_for_all and below.shape != "single")

    def _merge_descendants(self, steps: Sequence[Any]) -> list[Any]:
        """``//x`` as descendant::x, unless a predicate counts positions among the children of one parent."""
        merged: list[Any] = []
        for step in steps:
            if (
                merged
                and _axis(merged[-1]) == "descendant_or_self"
                and merged[-1].qname is None
                and not merged[-1].predicates
                and _axis(step) == "child"
                and step.qname is not TEXT
                and not any(_counts(predicate) for predicate in step.predicates)
            ):
                merged[-1] = ast.Step(Axis.descendant, step.qname, step.predicates)
            else:
                merged.append(step)
        return merged

    def _step(self, source: Part, step: Any) -> Part:
        axis = _axis(step)
        if step.qname is TEXT:
            if axis != "child":
                raise RpcError("invalid-value", f"XPath: text() on the axis {axis.replace('_', '-')} is not supported")
            select: Getter = Children(lambda node: False, None, text=True).below
            nodes = frozenset((TEXT,))
        else:
            test = _node_test(step.qname)
            nodes = frozenset(filter(test, reach(axis, source.nodes, self.root, self.operation)))
            select = AXES[axis](test, self.operation)
            self.touched |= nodes - {self.root}
        if axis in UPWARD:
            for node in source.nodes:
                self._rise(self.root if axis in ("following", "preceding") else parent_of(node, self.root) or self.root)
            for node in nodes:
                self._rise(node)
        select = self._look_up(step, source, nodes, select) if axis == "child" else select
        if step.predicates and select.__name__ != "look_up":
            select = self._filtered(select, step.predicates, nodes)
        if axis in REVERSE:
            backward = select
            select = lambda c, v: backward(c, v)[::-1]  # noqa: E731 - a closure like the others
        return _composed(source, select, nodes, axis)

    def _rise(self, node: Node) -> None:
        if len(_chain(node, self.root)) < len(_chain(self.highest, self.root)):
            self.highest = node

    # Predicates

    def _predicate(self, e: Any, nodes: frozenset[Node]) -> tuple[Part, bool]:
        outer, self.focus = self.focus, False
        part = self.compile(e, nodes)
        counts, self.focus = self.focus or part.kind == "number", outer
        return part, counts

    def _filtered(self, select: Run, predicates: Sequence[Any], nodes: frozenset[Node]) -> Getter:
        for e in predicates:
            part, counts = self._predicate(e, nodes)
            if part.constant is not None:
                select = _at_position(select, part.constant)
            elif counts:
                select = _counted(select, part.run if part.kind == "number" else self.boolean(part), part.kind == "number")
            else:
                select = _kept(select, self.boolean(part))
        return select

    def _look_up(self, step: Any, source: Part, nodes: frozenset[Node], scan: Getter) -> Getter:
        """Direct access to the entries of a list whose predicates fix all keys; `scan` when they do not."""
        if len(nodes) != 1 or not step.predicates:
            return scan
        (node,) = nodes
        if not node.keys:
            return scan
        conditions: list[Any] = []
        rest: list[Any] = []
        for predicate in step.predicates:
            (rest if rest or _counts(predicate) else conditions).extend(
                _operands(predicate) if isinstance(predicate, ast.AndExpr) and not rest else [predicate]
            )
        wanted: dict[Node, Callable[[Cursor, Evaluation], set[str]]] = {}
        others: list[Any] = []
        for condition in conditions:
            key, texts = self._key_condition(condition, node)
            if key is None or key in wanted or texts is None:
                others.append(condition)
            else:
                wanted[key] = texts
        if len(wanted) < len(node.keys):
            return scan
        fallback = self._filtered(scan, conditions, nodes)
        filtered = self._filtered(_direct(node, [wanted[key] for key in node.keys], fallback), [*others, *rest], nodes)

        def look_up(c: Cursor, v: Evaluation) -> list[Cursor]:
            return filtered(c, v)

        return look_up

    def _key_condition(self, e: Any, node: Node) -> tuple[Node | None, Callable[[Cursor, Evaluation], set[str]] | None]:
        """The key leaf and its wanted texts, of ``key = expression`` where the expression is the same for all entries."""
        if not isinstance(e, ast.EqualityExpr) or e.negate:
            return None, None
        for left, right in ((e.left, e.right), (e.right, e.left)):
            if isinstance(left, ast.Step) and _axis(left) == "child" and left.qname and not left.predicates:
                test = _node_test(left.qname)
                key = next((key for key in node.keys if test(key)), None)
                if key is not None and _same_for_entries(right):
                    return key, self._texts(self.compile(right, frozenset((node,))), key)
        return None, None

    def _texts(self, part: Part, key: Node) -> Callable[[Cursor, Evaluation], set[str]] | None:
        run = part.run
        assert key.type is not None
        if part.kind == "nodes":
            self._reads_text(part)
            return lambda c, v: {string_value(x, v) for x in run(c, v)}
        if part.kind == "string":
            if _names_identities(key):
                alias = self.alias
                return lambda c, v: {text for t in (run(c, v),) for text in (t, alias(t)) if text is not None}
            return lambda c, v: {run(c, v)}
        if part.kind == "number" and "int" in key.type.base:
            return lambda c, v: {number_text(run(c, v))}
        return None


def _direct(node: Node, wanted: list[Callable[[Cursor, Evaluation], set[str]]], fallback: Getter) -> Getter:
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


def _joined(anchor: Part, below: Part, *, memoise: bool) -> Part:
    start, down = anchor.run, below.run

    def run(c: Cursor, v: Evaluation) -> list[Cursor]:
        found = start(c, v)
        return down(found[0], v) if found else []  # type: ignore[no-any-return]

    if down is _here:
        run = start
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


def _composed(source: Part, select: Getter, nodes: frozenset[Node], axis: str) -> Part:
    """One step from every node of `source`, in document order."""
    run = source.run
    if source.shape == "single":
        one = all(n.kind not in ("list", "leaf-list") for n in nodes) and len(nodes) == 1
        shape: Shape = "single" if axis in ("parent", "self") or (axis == "child" and one) else "mixed"
        shape = "level" if shape == "mixed" and axis == "child" else shape
        if run is _here:
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


def _equal_nodes(left: Part, right: Part, negate: bool) -> Run:
    if not negate:
        for part, other in ((left, right), (right, left)):
            if part.values is not None:
                values, run = part.values, other.run

                def among(c: Cursor, v: Evaluation) -> bool:
                    found = run(c, v)
                    if not found:
                        return False
                    known = values(c, v)
                    return any(string_value(x, v) in known for x in found)

                return among
    a, b = left.run, right.run
    return lambda c, v: compare_equal(a(c, v), b(c, v), negate, v)


def _kept(select: Run, test: Run) -> Getter:
    return lambda c, v: [x for x in select(c, v) if test(x, v)]


def _at_position(select: Run, wanted: float) -> Getter:
    index = int(wanted) - 1 if wanted == int(wanted) and wanted >= 1 else -1
    return lambda c, v: select(c, v)[index : index + 1] if index >= 0 else []


def _counted(select: Run, test: Run, numeric: bool) -> Getter:
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


def _chain(node: Node, root: Node) -> list[Node]:
    """`node` and what is above it, the root last."""
    chain = [node]
    while (above := parent_of(chain[-1], root)) is not None:
        chain.append(above)
    return chain


def _axis(step: Any) -> str:
    return step.axis.name if isinstance(step.axis, Axis) else str(step.axis)


def _operands(e: Any) -> list[Any]:
    """The operands of a chain of one operator, however yangson nests it."""
    operands: list[Any] = []
    here = e
    while type(here) is type(e):
        operands.append(here.right)
        here = here.left
    return [here, *reversed(operands)]


def _flatten(e: Any) -> tuple[Any | None, list[Any]]:
    """The start of a path (None for the context node) and its steps."""
    steps: list[Any] = []
    while True:
        if isinstance(e, ast.LocationPath):
            steps.insert(0, e.right)
            e = e.left
        elif isinstance(e, ast.PathExpr):
            start, right = _flatten(e.right)
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


def _node_test(qname: Any) -> Test:
    if qname is None:
        return lambda node: node is not TEXT
    if qname is False:
        return lambda node: node.kind != "root" and node is not TEXT
    local, module = qname
    if local is None:
        return lambda node: node.kind != "root" and name_of(node).module == module
    if module is not None:

        def named(node: Node) -> bool:
            own = name_of(node)
            return own.name == local and own.module == module

        return named

    def in_module_of_parent(node: Node) -> bool:
        own = name_of(node)
        return own.name == local and (own.parent is None or own.parent.kind == "root" or own.parent.module == own.module)

    return in_module_of_parent


def _names_identities(node: Node) -> bool:
    return node.type is not None and any(t.base == "identityref" for t in (node.type, *node.type.members))


def _counts(e: Any) -> bool:
    """Whether a predicate depends on positions: a number, or with position() or last() of its own."""
    if isinstance(e, ast.FilterExpr) and not e.predicates:
        return _counts(e.primary)
    function = FUNCTIONS.get(type(e))
    if isinstance(e, _NUMERIC) or (function is not None and function.result == "number"):
        return True
    return _uses_focus(e)


def _uses_focus(e: Any) -> bool:
    if isinstance(e, ast.FuncPosition | ast.FuncLast):
        return True
    if isinstance(e, ast.FilterExpr):
        return _uses_focus(e.primary)
    if isinstance(e, ast.LocationPath | ast.PathExpr):
        return _uses_focus(_flatten(e)[0])
    if isinstance(e, ast.OrExpr | ast.AndExpr | ast.UnionExpr):
        return any(map(_uses_focus, _operands(e)))
    function = FUNCTIONS.get(type(e))
    if function is not None:
        return any(map(_uses_focus, function.arguments(e)))
    return any(_uses_focus(getattr(e, part, None)) for part in ("left", "right", "expr") if hasattr(e, part))


def _same_for_entries(e: Any) -> bool:
    """Whether an expression in a list's predicate has one value for all entries: it starts outside of the entry."""
    if isinstance(e, ast.Literal | ast.Number | ast.FuncCurrent | ast.Root):
        return True
    if isinstance(e, ast.FuncPosition | ast.FuncLast):
        return False
    if isinstance(e, ast.Step):
        return _axis(e) == "parent"
    if isinstance(e, ast.FilterExpr):
        return _same_for_entries(e.primary)
    if isinstance(e, ast.LocationPath | ast.PathExpr):
        start, steps = _flatten(e)
        return _same_for_entries(start if start is not None else steps[0])
    if isinstance(e, ast.UnaryMinusExpr | ast.FuncDeref):
        return _same_for_entries(e.expr)
    if isinstance(e, ast.AdditiveExpr | ast.MultiplicativeExpr | ast.UnionExpr):
        return _same_for_entries(e.left) and _same_for_entries(e.right)
    function = FUNCTIONS.get(type(e))
    return function is not None and all(a is not None and _same_for_entries(a) for a in function.arguments(e))


def _words(e: Any) -> str:
    name = type(e).__name__
    if not name.startswith("Func"):
        return "a path, union or filter"
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name[4:]).strip("-") + "()"


_NUMERIC: Final = (ast.Number, ast.AdditiveExpr, ast.MultiplicativeExpr, ast.UnaryMinusExpr)

_ARITHMETIC: Final[dict[Any, Callable[[float, float], float]]] = {
    True: lambda a, b: a + b,
    False: lambda a, b: a - b,
    MultiplicativeOp.multiply: lambda a, b: a * b,
    MultiplicativeOp.divide: divide,
    MultiplicativeOp.modulo: modulo,
}

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
    ast.Root: Compiler.root_node,
    ast.FuncCurrent: Compiler.current_node,
    ast.FilterExpr: Compiler.filter,
    ast.LocationPath: Compiler.path,
    ast.PathExpr: Compiler.path,
    ast.Step: Compiler.path,
}
