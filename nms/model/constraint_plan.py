"""What must be checked at each schema node, compiled once per schema (RFC 7950 section 8.1).

A `Plan` stands for a schema node below which anything is to be checked; nodes without a plan are not visited.  The
plans know the constraints' programs and with them the dependencies that an incremental validation follows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache

from nms.errors import ConfigError, RpcError
from nms.model.constraint_memo import deciding, names_the_same_everywhere, once_per_value
from nms.model.cursor import OPERATIONS, Cursor, Evaluation, getter, lineage, ordered_children, rank
from nms.model.schema import Choice, Must, Node, Schema, comparable
from nms.model.types import InvalidValue, Type, module_resolver, text_of
from nms.model.values import Value
from nms.model.xpath import Expressions, Program, expressions
from nms.model.xpath_functions import to_boolean

#: Whether the reference that a leaf holds has an instance; raises invalid-value for what cannot have any.
Refers = Callable[[Cursor, Evaluation], bool]


@dataclass(slots=True, eq=False)
class MustRule:
    """A must, its program, and the values that decide it where these are few."""

    must: Must
    program: Program
    deciding: Callable[[Value], Hashable] | None


@dataclass(slots=True, eq=False)
class ChoiceRule:
    """A choice: at most one case has data, and one has where it is mandatory (RFC 7950 section 7.9).

    Attributes:
        member: any node of it, where its whens are decided.
    """

    choice: Choice
    member: Node


@dataclass(slots=True, eq=False)
class UniqueRule:
    """A unique: routes of schema nodes from the entry down to each leaf (RFC 7950 section 7.8.3)."""

    routes: tuple[tuple[Node, ...], ...]

    def values(self, c: Cursor, evaluation: Evaluation) -> tuple[Value, ...] | None:
        """The leafs' values in an entry, those in use by default among them; None if one has none."""
        found = []
        for route in self.routes:
            here = c
            for node in route:
                below = getter(node)(here, evaluation)
                if not below:
                    return None
                here = below[0]
            found.append(comparable(here.node, here.value))
        return tuple(found)


@dataclass(slots=True, eq=False)
class Plan:
    """The checks at one schema node and below it.

    Attributes:
        required: a mandatory leaf or anydata.
        implicit: there is something to check even where no instance is set.
        children: plans of the children, in document order.
        wants_absent: an absent node can violate something.
        wants_entries: each instance is to be visited, and not only their number and values.
        single: all there is to check of what is set is the one instance.
    """

    node: Node
    required: bool
    implicit: bool
    musts: tuple[MustRule, ...]
    refers: Refers | None
    references: tuple[Program, ...]
    uniques: tuple[UniqueRule, ...]
    choices: tuple[ChoiceRule, ...]
    children: tuple[Plan, ...]
    wants_absent: bool = False
    wants_entries: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        node = self.node
        self.wants_absent = self.required or self.implicit or node.min_elements > 0
        self.wants_entries = bool(self.musts or self.refers or self.children or self.choices)
        self.single = not node.whens and node.kind not in ("list", "leaf-list")


class Plans:
    """The plans of one schema; get them by `plans(schema)`."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.expressions: Expressions = expressions(schema)
        self.configuration = self._plan(schema.root, True)
        self.all = self._plan(schema.root, False)
        self._operations: dict[Node, Plan] = {}

    def operation(self, node: Node) -> Plan:
        """The plan of an input, output or notification."""
        found = self._operations.get(node)
        if found is None:
            found = self._operations[node] = self._plan(node, False)
        return found

    def _plan(self, node: Node, configuration: bool) -> Plan:
        children = []
        for child in ordered_children(node):
            if configuration and not child.config:
                continue
            plan = self._plan(child, configuration)
            if plan.wants_absent or plan.wants_entries or _counts(child) or plan.uniques or child.whens:
                children.append(plan)
        choices = tuple(
            ChoiceRule(choice, min(members, key=rank))
            for choice in node.choices
            if (members := [n for case in choice.cases.values() for n in case if n.config or not configuration])
        )
        programs = [self._compile(must.expression, node) for must in node.musts]
        musts = tuple(MustRule(must, run, deciding(run)) for must, run in zip(node.musts, programs, strict=True))
        references, refers = self._references(node)
        demanding = any(plan.wants_absent for plan in children) or any(rule.choice.mandatory for rule in choices)
        by_default = node.default is not None or (node.kind == "container" and not node.presence)
        return Plan(
            node=node,
            required=node.mandatory and node.kind in ("leaf", "anydata", "anyxml") and not _is_key(node),
            implicit=by_default and bool(musts or refers or (node.kind == "container" and demanding)),
            musts=musts,
            refers=refers,
            references=references,
            uniques=tuple(UniqueRule(routes) for routes in node.unique),
            choices=choices,
            children=tuple(children),
        )

    def _compile(self, expression: object, node: Node) -> Program:
        try:
            return self.expressions.compile(expression, node)
        except RpcError as error:
            raise ConfigError(f"{node.path}: {error.message} in {expression}") from None

    def _references(self, node: Node) -> tuple[tuple[Program, ...], Refers | None]:
        """The check of a leafref, an instance-identifier or a union with such members."""
        kind = node.type
        if kind is None:
            return (), None
        kinds = members(kind)
        if not any(member.require_instance or _names_instance(member) for member in kinds):
            return (), None
        rows = [(member, self._reference(node, member)) for member in kinds]
        leafrefs = [member for member in kinds if member.require_instance and member.leafref is not None]
        programs = tuple(self.expressions.refers(node, member) for member in leafrefs)
        if len(rows) == 1:
            return programs, rows[0][1]
        resolve = module_resolver(node.module)

        def any_member(c: Cursor, evaluation: Evaluation) -> bool:
            text = text_of(c.value)
            for member, refers in rows:
                try:
                    member.parse(text, resolve)
                    if refers is None or refers(c, evaluation):
                        return True
                except (InvalidValue, RpcError):
                    continue
            return False

        return programs, any_member

    def _reference(self, node: Node, kind: Type) -> Refers | None:
        if _names_instance(kind):
            return self._identifier(node, kind)
        if not kind.require_instance:
            return None
        program = self.expressions.refers(node, kind)
        run, result = program.run, program.kind

        def refers(c: Cursor, evaluation: Evaluation) -> bool:
            evaluation.origin = c
            return to_boolean(run(c, evaluation), result, evaluation)

        if kind.base != "union" and names_the_same_everywhere(kind.leafref):
            return once_per_value(refers)
        return refers

    def _identifier(self, node: Node, kind: Type) -> Refers:
        """The check of an instance-identifier: configuration that wants an instance wants configuration."""
        expressions = self.expressions
        if not kind.require_instance:
            return lambda c, evaluation: bool(expressions.named(c))
        above = lineage(node, self.schema.root)
        configured = node.config and not any(n.kind in OPERATIONS for n in above)
        return lambda c, evaluation: any(
            found.node.config or not configured for found in expressions.identified(c, evaluation)
        )


def _names_instance(kind: Type) -> bool:
    """Whether a value is an instance-identifier that no other leaf with the same value vouches for."""
    return kind.base == "instance-identifier" and (kind.leafref is None or not kind.require_instance)


def members(kind: Type) -> list[Type]:
    """The types that a value may have: those of a union, else the one; a leafref stays one whatever it refers to."""
    plain = kind.leafref is not None or not kind.members
    return [kind] if plain else [inner for member in kind.members for inner in members(member)]


def _is_key(node: Node) -> bool:
    """Key leafs are there by construction: entries are kept by key."""
    return node.parent is not None and node in node.parent.keys


def _counts(node: Node) -> bool:
    return node.min_elements > 0 or node.max_elements is not None or (node.kind == "leaf-list" and node.config)


@lru_cache(maxsize=16)
def plans(schema: Schema) -> Plans:
    """The plans of `schema`.

    Raises:
        ConfigError: a must, when or path of the model does not fit together.
    """
    return Plans(schema)
