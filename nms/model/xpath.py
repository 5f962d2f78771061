"""XPath expressions of models and of clients, compiled once and evaluated over instance trees (RFC 7950 section 6.4).

Names without a prefix: in a model they are in the current module (yangson has resolved them).  In a client's
expression RFC 6241 section 8.9 gives them no namespace, so by the letter they match nothing; as most clients leave
prefixes out we take such a name for the one in its parent's module, and at the top for that of any module.

Comparing an identityref with a string, the string may be ``module:name``, which is the canonical form, or use a prefix
that is declared where the expression stands (RFC 7950 section 9.10.3).

Defaults in use count as present, with their whens decided on the spot.  What an expression means is compiled in
`nms.model.xpath_compiler`; this module holds what belongs to a whole schema and the caches.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache, partial, reduce
from typing import Any, Final

from yangson import xpathast as ast

from nms.errors import RpcError
from nms.model.cursor import Cursor, Evaluation, follow, lineage, parent_of, string_value
from nms.model.path import InstancePath, parse_path
from nms.model.schema import Node, Schema, When
from nms.model.types import Type, text_of
from nms.model.values import InstanceId, Value
from nms.model.xpath_compiler import Compiler
from nms.model.xpath_functions import Kind, to_boolean, to_number, to_string
from nms.model.xpath_parts import Part
from nms.model.xpath_programs import Programs
from nms.model.xpath_syntax import alias, cut_literals, parse

#: What one evaluation of a client's expression may spend, unless somebody says otherwise (`nms.limits`).
BUDGET: Final = 1_000_000


class Program:
    """A compiled expression without its literals, shared by all who use it.

    Attributes:
        context: schema node of the context node.
        touched: schema nodes whose instances it may look at, its defaults' conditions not included, each with its
            scope: the uppermost schema node on the way there, below whose instance all those instances lie.
        reached: how many schema nodes were looked at to compile it.
    """

    __slots__ = ("context", "run", "kind", "nodes", "touched", "reached", "_scopes", "expressions")

    def __init__(self, expressions: Expressions, context: Node, part: Part, compiler: Compiler) -> None:
        self.expressions = expressions
        self.context = context
        self.run = part.run
        self.kind: Kind = part.kind
        self.nodes = part.nodes
        self.touched: Mapping[Node, Node] = compiler.touched
        self.reached = compiler.reached
        self._scopes: Mapping[Node, Node] | None = None

    @property
    def highest(self) -> Node:
        """The uppermost of the scopes in `touched`."""
        return reduce(self.expressions.higher, self.touched.values(), self.context)

    def scopes(self) -> Mapping[Node, Node]:
        """`touched`, with what decides whether the defaults among them are in use."""
        if self._scopes is None:
            self._scopes = self.expressions.scopes(self.touched)
        return self._scopes


class Compiled:
    """An expression ready for use: a program and a client's literals."""

    __slots__ = ("program", "literals")

    def __init__(self, program: Program, literals: tuple[str, ...] = ()) -> None:
        self.program = program
        self.literals = literals

    @property
    def kind(self) -> Kind:
        """Kind of the result: "nodes", "string", "number" or "boolean"."""
        return self.program.kind

    @property
    def depends(self) -> frozenset[Node]:
        """The schema nodes whose instances can change the result; the schema's root among them means any."""
        return frozenset(self.program.scopes())

    @property
    def scope(self) -> Node | None:
        """The schema node above the context node below whose instance all that matters lies; None: anywhere."""
        program = self.program
        highest = reduce(program.expressions.higher, program.scopes().values(), program.context)
        return highest if highest.kind != "root" else None

    def evaluate(self, cursor: Cursor, evaluation: Evaluation | None = None) -> object:
        """The value at `cursor`: a list of cursors in document order, `str`, `float` or `bool`.

        Args:
            evaluation: shared with other expressions over the same tree; a new one with the budget of a client if None.

        Raises:
            RpcError: resource-denied when the budget is spent or the steps are too many, invalid-value for a bad
                pattern or identity.
        """
        if evaluation is None:
            evaluation = self.program.expressions.evaluation(BUDGET)
        evaluation.origin, evaluation.literals = cursor, self.literals
        evaluation.position = evaluation.size = 1
        try:
            return self.program.run(cursor, evaluation)
        except RecursionError:
            raise RpcError("resource-denied", "the XPath expression has too many steps") from None

    def boolean(self, cursor: Cursor, evaluation: Evaluation | None = None) -> bool:
        """The value as boolean() makes it."""
        evaluation = evaluation or self.program.expressions.evaluation(BUDGET)
        return to_boolean(self.evaluate(cursor, evaluation), self.kind, evaluation)

    def string(self, cursor: Cursor, evaluation: Evaluation | None = None) -> str:
        """The value as string() makes it."""
        evaluation = evaluation or self.program.expressions.evaluation(BUDGET)
        return to_string(self.evaluate(cursor, evaluation), self.kind, evaluation)

    def number(self, cursor: Cursor, evaluation: Evaluation | None = None) -> float:
        """The value as number() makes it."""
        evaluation = evaluation or self.program.expressions.evaluation(BUDGET)
        return to_number(self.evaluate(cursor, evaluation), self.kind, evaluation)

    def cursors(self, cursor: Cursor, evaluation: Evaluation | None = None) -> list[Cursor]:
        """The nodes selected from `cursor`.

        Raises:
            RpcError: invalid-value; the result is no node-set.
        """
        found = self.evaluate(cursor, evaluation)
        if not isinstance(found, list):
            raise RpcError("invalid-value", f"the XPath expression gives a {self.kind}, not a node-set")
        return found

    def nodeset(self, root: Value, budget: int = BUDGET, evaluation: Evaluation | None = None) -> list[InstancePath]:
        """Paths of the nodes selected from the root of a datastore, in document order; the root's path is ().

        Nodes in use by default are among them; ``text()`` stands for its leaf.

        Args:
            budget: what it may spend.
            evaluation: a fresh one, in place of one with that budget.

        Raises:
            RpcError: invalid-value; the result is no node-set.  resource-denied; the budget is spent.
        """
        known = self.program.expressions
        found = self.cursors(Cursor(known.schema.root, root, None), evaluation or known.evaluation(budget))
        return [(c if c.node.name or c.parent is None else c.parent).path() for c in found]


class Expressions:
    """The compiled expressions of one schema; get it by `expressions(schema)`."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._whens: dict[When, Program] = {}
        self._leafrefs: dict[tuple[Node, Type], Program] = {}

    def evaluation(self, budget: int | None = None) -> Evaluation:
        """A fresh evaluation over one tree."""
        return Evaluation(self.holds, budget)

    def compile(self, tree: Any, context: Node) -> Program:
        """The program of a syntax tree that stands in the module of `context`.

        Raises:
            RpcError: invalid-value; its types do not fit.
        """
        return self._program(tree, context, partial(alias, modules=self._prefixes(context.module)), cut=False)

    def _program(self, tree: Any, context: Node, named: Any, *, cut: bool) -> Program:
        compiler = Compiler(self, context, named, cut)
        part = compiler.compile(tree, frozenset((context,)))
        return Program(self, context, part, compiler)

    def _prefixes(self, module: str) -> Mapping[str, str | None]:
        known = self.schema.modules.get(module)
        if known is None or self.schema.data is None:
            return {}
        data = self.schema.data.modules.get((known.name, known.revision))
        return {prefix: mid[0] for prefix, mid in data.prefix_map.items()} if data is not None else {}

    def client(self, template: str, namespaces: tuple[tuple[str, str], ...], context: Node) -> Program:
        """The program of a client's expression whose literals were cut.

        Raises:
            RpcError: invalid-value for what is wrong with it, resource-denied for what is nested too deeply.
        """
        modules = {prefix: self.schema.module_of_namespace.get(uri) for prefix, uri in namespaces}
        try:
            tree = parse(template, modules)
            return self._program(tree, context, partial(alias, modules=modules), cut=True)
        except RecursionError:
            raise RpcError("resource-denied", "the XPath expression is nested too deeply") from None

    # Whens

    def when(self, when: When, node: Node) -> Program:
        """The program of a `when` of `node`."""
        found = self._whens.get(when)
        if found is None:
            context = parent_of(node, self.schema.root) if when.on_parent else node
            assert context is not None
            found = self._whens[when] = self.compile(when.expression, context)
        return found

    def holds(self, node: Node, parent: Cursor, evaluation: Evaluation, whens: tuple[When, ...] | None = None) -> bool:
        """Whether all whens of `node`, or those of `whens`, are true below `parent` (RFC 7950 section 7.21.5).

        A when on the node itself sees a dummy node in its place.  A when that depends on itself is false.
        """
        pending = evaluation.pending
        if any(n is node and w is whens and p.place() == parent.place() for n, w, p in pending):
            return False
        pending.append((node, whens, parent))
        outer = evaluation.origin, evaluation.literals, evaluation.position, evaluation.size
        try:
            for when in node.whens if whens is None else whens:
                program = self.when(when, node)
                at = parent if when.on_parent else dummy(node, parent)
                evaluation.origin, evaluation.literals, evaluation.position, evaluation.size = at, (), 1, 1
                if not to_boolean(program.run(at, evaluation), program.kind, evaluation):
                    return False
            return True
        finally:
            pending.pop()
            evaluation.origin, evaluation.literals, evaluation.position, evaluation.size = outer

    # References

    def leafref(self, node: Node) -> Program:
        """The program of the path of a leafref, with the leaf as its context (RFC 7950 section 9.9.2)."""
        kind = node.type
        assert kind is not None
        found = self._leafrefs.get((node, kind))
        if found is None:
            found = self._leafrefs[node, kind] = self.compile(kind.leafref, node)
        return found

    def refers(self, node: Node, kind: Type) -> Program:
        """Whether a leafref of type `kind` at `node` refers to an instance, as a boolean program at the leaf.

        ``path = current()``; where the path ends in the key of a list the key is looked up instead.
        """
        path = kind.leafref
        target = self.compile(path, node).nodes
        if isinstance(path, ast.LocationPath) and isinstance(path.left, ast.LocationPath) and len(target) == 1:
            (leaf,) = target
            entry = path.left.right
            keys = leaf.parent.keys if leaf.parent is not None else ()
            if leaf in keys and len(keys) == len(entry.predicates) + 1:
                wanted = ast.EqualityExpr(path.right, ast.FuncCurrent(), False)
                step = ast.Step(entry.axis, entry.qname, [*entry.predicates, wanted])
                return self.compile(ast.LocationPath(path.left.left, step), node)
        return self.compile(ast.EqualityExpr(path, ast.FuncCurrent(), False), node)

    def dereference(self, c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        """deref(): the nodes that a leafref or instance-identifier refers to (section 10.3.1)."""
        if isinstance(c.value, InstanceId):
            with suppress(RpcError):
                return self.identified(c, evaluation)
            return []
        if c.node.type is None or c.node.type.leafref is None:
            return []
        program = self.leafref(c.node)
        outer, evaluation.origin = evaluation.origin, c
        try:
            found: list[Cursor] = program.run(c, evaluation)
        finally:
            evaluation.origin = outer
        text = text_of(c.value)
        return [x for x in found if string_value(x, evaluation) == text]

    def named(self, c: Cursor) -> InstancePath:
        """The path of the one instance, there or not, that the instance-identifier at `c` names (section 9.13).

        Raises:
            RpcError: invalid-value; the schema has no such node, or a predicate is missing.
        """
        path = parse_path(self.schema, c.value)
        for node, key in path:
            if key is None and node.kind in ("list", "leaf-list"):
                raise RpcError("invalid-value", f"{c.value!r} does not say which instance of {node.name} it names")
        return path

    def identified(self, c: Cursor, evaluation: Evaluation) -> list[Cursor]:
        """The node that the instance-identifier at `c` names, which may be in use by default; none if it is not there.

        Raises:
            RpcError: invalid-value; as `named`.
        """
        return list(follow(c.root(), self.named(c), evaluation))

    # Dependencies

    def higher(self, one: Node, other: Node) -> Node:
        """The upper of two schema nodes, one of which is above the other."""
        root = self.schema.root
        return one if len(lineage(one, root)) <= len(lineage(other, root)) else other

    def scopes(self, touched: Mapping[Node, Node]) -> Mapping[Node, Node]:
        """Schema nodes with their scopes, and with them all that decides whether the defaults among them are in use."""
        found: dict[Node, Node] = {}
        queue = list(touched.items())
        while queue:
            node, scope = queue.pop()
            known = found.get(node)
            if known is not None and self.higher(known, scope) is known:
                continue
            found[node] = scope
            if not implicit(node) or node.kind == "root":
                continue
            beside = self.higher(scope, parent_of(node, self.schema.root) or self.schema.root)
            for choice, _ in node.cases:
                queue += [(member, beside) for case in choice.cases.values() for member in case]
            for when in node.whens:
                inner = self.when(when, node).touched
                queue += [(member, self.higher(beside, above)) for member, above in inner.items()]
        return found


def implicit(node: Node) -> bool:
    """Whether instances of `node` can be in use without being set."""
    return (node.kind == "container" and not node.presence) or node.default is not None


def dummy(node: Node, parent: Cursor) -> Cursor:
    """The node without value and children that a `when` sees in place of the one it is on (section 7.21.5)."""
    return Cursor(node, node.blank if node.kind in ("container", "list") else None, parent)


@lru_cache(maxsize=16)
def expressions(schema: Schema) -> Expressions:
    """The compiled expressions of `schema`."""
    return Expressions(schema)


_CLIENTS: Final[Programs[Program]] = Programs()


def _client_program(schema: Schema, template: str, namespaces: tuple[tuple[str, str], ...], context: Node) -> Program:
    def make() -> tuple[Program, int]:
        program = expressions(schema).client(template, namespaces, context)
        texts = len(template) + sum(len(prefix) + len(uri) for prefix, uri in namespaces)
        return program, 8 + program.reached + texts // 8

    return _CLIENTS.get((schema, template, namespaces, context), make)


def compile(schema: Schema, expression: Any, context: Node) -> Compiled:  # noqa: A001 - the word of the field
    """An expression of a model: yangson's syntax tree, with `context` the schema node of its context node.

    Raises:
        RpcError: invalid-value; its types do not fit.
    """
    return Compiled(expressions(schema).compile(expression, context))


def compile_text(schema: Schema, text: str, namespaces: Mapping[str, str], *, context: Node | None = None) -> Compiled:
    """An expression of a client (RFC 6241 section 8.9, RFC 8040 section 4.8.4).

    Expressions that differ in string literals only share one program.

    Args:
        namespaces: prefix to namespace URI; a default namespace does not count in XPath.
        context: schema node of the context node; the root if None.

    Raises:
        RpcError: invalid-value; it is no XPath 1.0 expression, its types do not fit or a prefix is not declared.
            resource-denied; it is too long or too deeply nested.
    """
    template, literals = cut_literals(text)
    declared = tuple(sorted((prefix, uri) for prefix, uri in namespaces.items() if prefix))
    program = _client_program(schema, template, declared, context if context is not None else schema.root)
    return Compiled(program, literals)


def module_namespaces(schema: Schema) -> dict[str, str]:
    """Module names as prefixes of their namespaces, as RFC 8040 section 4.8.4 declares them."""
    return {module.name: module.namespace for module in schema.modules.values()}


def root_cursor(schema: Schema, root: Value) -> Cursor:
    """The cursor at the root of a datastore."""
    return Cursor(schema.root, root, None)
