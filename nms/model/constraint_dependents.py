"""Which constraints depend on a schema node, and where: what an incremental validation follows from a change.

Each constraint is a `Dependent` of the schema nodes that its outcome can depend on, its whens' and defaults' conditions
included.  A touched node has a scope: the schema node whose instance is above both the change and every context that
looks at it.  Leafrefs and uniques are found by their indexes where their shape allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

from nms.model import tree
from nms.model.constraint_index import Referrers, Values
from nms.model.constraint_marks import SHALLOW
from nms.model.constraint_plan import ChoiceRule, Plan, Refers, UniqueRule, members, plans
from nms.model.diff import Change
from nms.model.path import InstancePath
from nms.model.schema import Choice, Node, Schema
from nms.model.values import Value


@dataclass(slots=True, eq=False)
class Dependent:
    """A constraint by what it depends on.

    Attributes:
        name: for people; where it stands and what it says.
        target: schema node of the instances it is checked at.
        slot: the child node that is checked there; None for the instance itself.
        rule: what to check: a rule of the plan, its `refers`, or `SHALLOW`.
        route: schema nodes from the root's child to `target`.
    """

    name: str
    target: Node
    slot: Node | None
    rule: object
    route: tuple[Node, ...]

    def crosses(self, depth: int) -> bool:
        """Whether all entries of some list are visited from an instance `depth` steps below the root."""
        whole = self.slot is not None and isinstance(self.rule, UniqueRule)
        return whole or any(node.kind == "list" for node in self.route[depth:])


@dataclass(slots=True, eq=False)
class Referral:
    """Leafrefs without a default to a leaf without one: they break when a value of their target goes.

    Attributes:
        refers: their check.
        targets: schema nodes from a changed one down to the target.
    """

    index: Referrers
    refers: Refers
    targets: tuple[Node, ...] = ()


class Dependents:
    """The dependents of one schema's configuration; get them by `dependents(schema)`.

    Attributes:
        values: the indexes of those uniques that depend on nothing outside of an entry.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.plans = plans(schema)
        self.expressions = self.plans.expressions
        self.values: dict[UniqueRule, Values] = {}
        self._of: dict[Node, list[tuple[Dependent, int]]] = {}
        self._referrals: dict[Node, list[Referral]] = {}
        self._outward: dict[Node, Sequence[tuple[Dependent, int]]] = {}
        self._lost: dict[Node, Sequence[Referral]] = {}
        self._optional: dict[Node, Sequence[int]] = {}
        self._decides: dict[Node, bool] = {}
        self._collect(self.plans.configuration)

    # Questions about a change

    def outward(self, node: Node) -> Sequence[tuple[Dependent, int]]:
        """What depends, from outside of it, on an instance of `node` or anything in it; with the depth of the scope."""
        found = self._outward.get(node)
        if found is None:
            depth = len(tree.route(node))
            best: dict[Dependent, int] = {}
            for touched in (*node.walk(), self.schema.root):
                for dependent, scope in self._of.get(touched, ()):
                    if scope < depth:
                        best[dependent] = min(scope, best.get(dependent, scope))
            found = self._outward[node] = tuple(best.items())
        return found

    def reached(self, changes: Sequence[Change], old: Value, new: Value) -> Iterator[tuple[Dependent, InstancePath]]:
        """What depends on something that changed; with the path of an instance below which all its contexts lie."""
        for change in changes:
            path, node = change.path, change.node
            for dependent, depth in self.outward(node):
                yield dependent, _anchor(dependent, depth, path)
            for place in self.optional(node):
                above = path[: place + 1]
                if (tree.get(old, above) is None) != (tree.get(new, above) is None):
                    for dependent, depth in self.on(path[place][0]):
                        yield dependent, _anchor(dependent, depth, above)

    def decides(self, node: Node) -> bool:
        """Whether a when can depend on an instance of `node`, on anything in it, or on whether it is there."""
        found = self._decides.get(node)
        if found is None:
            around = (self.schema.root, *node.ancestors(), *node.walk())
            rows = (row for touched in around for row in self._of.get(touched, ()))
            found = any(dependent.slot is not None and dependent.slot.whens for dependent, _ in rows)
            self._decides[node] = found
        return found

    def on(self, node: Node) -> Sequence[tuple[Dependent, int]]:
        """What depends on whether there is an instance of `node`, whatever is in it; with the depth of the scope."""
        return self._of.get(node, ())

    def optional(self, node: Node) -> Sequence[int]:
        """Places in the path of an instance of `node` of containers that data in them brings into use."""
        found = self._optional.get(node)
        if found is None:
            found = self._optional[node] = [
                place
                for place, n in enumerate(tree.route(node)[:-1])
                if n.kind == "container" and not n.presence and (n.whens or n.cases) and self.on(n)
            ]
        return found

    def lost(self, node: Node) -> Sequence[Referral]:
        """Leafrefs whose targets are in an instance of `node`, or are one."""
        found = self._lost.get(node)
        if found is None:
            depth = len(tree.route(node))
            found = self._lost[node] = [
                Referral(referral.index, referral.refers, tree.route(target)[depth:])
                for target in node.walk()
                for referral in self._referrals.get(target, ())
            ]
        return found

    def wide(self) -> dict[Dependent, list[Node]]:
        """What some change has to evaluate for all entries of a list, by name; with the nodes that are changed then."""
        found: dict[Dependent, list[Node]] = {}
        for touched, rows in self._of.items():
            for dependent, scope in rows:
                if dependent.crosses(scope):
                    found.setdefault(dependent, []).append(touched)
        return dict(sorted(found.items(), key=lambda row: row[0].name))

    # Collecting

    def _add(self, name: str, target: Node, slot: Node | None, rule: object, scopes: Mapping[Node, Node]) -> None:
        dependent = Dependent(f"{(slot or target).path or '/'}: {name}", target, slot, rule, tree.route(target))
        for touched, scope in scopes.items():
            depth = min(len(tree.route(scope)), len(dependent.route))
            self._of.setdefault(touched, []).append((dependent, depth))

    def _collect(self, plan: Plan) -> None:
        node = plan.node
        for must in plan.musts:
            self._add(f"must {must.must.expression}", node, None, must, must.program.scopes())
        if plan.refers is not None:
            self._reference(plan, plan.refers)
        for rule in plan.choices:
            self._choice(rule, node)
        for child in plan.children:
            self._slot(child, node)
            for unique in child.uniques:
                self._unique(unique, child.node, node)
            self._collect(child)

    def _choice(self, rule: ChoiceRule, parent: Node) -> None:
        choice = rule.choice
        chosen = _members([choice, *(outer for outer, _ in choice.outer)])
        self._add(f"choice {choice.name}", parent, None, rule, dict.fromkeys(chosen, parent))
        for when in choice.whens:
            program = self.expressions.when(when, rule.member)
            self._add(f"when {when.expression}", parent, None, rule, program.scopes())

    def _slot(self, plan: Plan, parent: Node) -> None:
        node = plan.node
        if node.cases and plan.wants_absent:
            beside = _members(choice for choice, _ in node.cases)
            self._add("case", parent, node, SHALLOW, dict.fromkeys(beside, parent))
        for when in node.whens:
            program = self.expressions.when(when, node)
            self._add(f"when {when.expression}", parent, node, SHALLOW, program.scopes())

    def _unique(self, rule: UniqueRule, node: Node, parent: Node) -> None:
        name = "unique " + " ".join("/".join(n.name for n in route) for route in rule.routes)
        touched = {n: node for route in rule.routes for n in route}
        scopes = self.expressions.scopes(touched)
        if reduce(self.expressions.higher, scopes.values(), node) is node:
            self.values[rule] = Values(node, rule)
            self._add(name, node, None, rule, scopes)
        else:
            self._add(name, parent, node, rule, {**scopes, **dict.fromkeys((node, *touched), parent)})

    def _reference(self, plan: Plan, refers: Refers) -> None:
        node = plan.node
        assert node.type is not None
        kinds = [kind for kind in members(node.type) if kind.require_instance]
        scopes: dict[Node, Node] = {}
        if any(kind.leafref is None for kind in kinds):
            scopes[self.schema.root] = self.schema.root
        for program in plan.references:
            touched = dict(program.touched)
            target = self._indexed(node)
            if target is not None:
                for gone in self._comes_and_goes_with(target):
                    touched.pop(gone, None)
                self._referrals.setdefault(target, []).append(Referral(Referrers(node), refers))
            for n, scope in self.expressions.scopes(touched).items():
                scopes[n] = self.expressions.higher(scopes[n], scope) if n in scopes else scope
        self._add("reference", node, None, refers, scopes)

    def _indexed(self, node: Node) -> Node | None:
        """The target of a leafref if its referrers can be found by their value."""
        assert node.type is not None
        if node.type.members or node.default is not None:
            return None
        targets = self.expressions.leafref(node).nodes
        target = next(iter(targets)) if len(targets) == 1 else None
        return target if target is not None and target.default is None and target.config else None

    def _comes_and_goes_with(self, target: Node) -> list[Node]:
        """A leafref's target, and nodes which go only if it goes: those above, and the keys of lists among them."""
        above = tree.route(target)
        return [*above, *(key for node in above for key in node.keys)]


def _anchor(dependent: Dependent, depth: int, path: InstancePath) -> InstancePath:
    """The part of `path` that is on the way to the contexts of a constraint, at most `depth` steps."""
    if depth > len(path) or (depth and path[depth - 1][0] is not dependent.route[depth - 1]):
        return ()
    return path[:depth]


def _members(choices: Iterable[Choice]) -> list[Node]:
    return [member for choice in choices for case in choice.cases.values() for member in case]


@lru_cache(maxsize=16)
def dependents(schema: Schema) -> Dependents:
    """The dependents of `schema`.

    Raises:
        ConfigError: a must, when or path of the model does not fit together.
    """
    return Dependents(schema)
