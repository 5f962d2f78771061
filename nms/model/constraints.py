"""Validation: every constraint of RFC 7950 that concerns more than one value (section 8.1), on immutable trees.

Types, list keys and the schema's shape hold by construction of the values; here are mandatory nodes, numbers of
elements, `unique`, `when`, `must`, references, and choices.  All violations are found, in document order, with the
error-tags and app-tags of section 15.  `nms.model.constraint_plan` says what there is to check at each schema node.
"""

from __future__ import annotations

from nms.errors import RpcError
from nms.model import entries
from nms.model.constraint_plan import ChoiceRule, MustRule, Plan, Plans, UniqueRule, plans
from nms.model.cursor import Cursor, Evaluation, exists, follow, selected
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node, Schema, comparable
from nms.model.types import text_of
from nms.model.values import Value
from nms.model.xpath_functions import to_boolean


def validate(schema: Schema, root: Value, *, config: bool = True) -> list[RpcError]:
    """All violations in a datastore, in document order; an empty list says that it is valid.

    Args:
        root: value of the schema's root.
        config: whether it holds configuration only, so that state nodes are not asked for.
    """
    known = plans(schema)
    check = Check(known)
    plan = known.configuration if config else known.all
    check.below(plan, Cursor(schema.root, root if root is not None else schema.root.blank, None))
    return check.errors


def validate_value(
    schema: Schema, node: Node, value: Value, root: Value | None = None, *, parent: InstancePath = ()
) -> list[RpcError]:
    """All violations in the input or output of an operation, or in a notification (RFC 7950 section 8.3.3).

    Args:
        node: its input, output or notification node.
        root: the datastore that its expressions can see beside it (section 6.4.1).
        parent: path of the instance that an action or nested notification belongs to.
    """
    known = plans(schema)
    check = Check(known, missing="missing-element" if node.kind == "input" else "data-missing")
    top = Cursor(schema.root, root if root is not None else schema.root.blank, None)
    above = next(follow(top, parent, check.evaluation), top)
    check.instance(known.operation(node), Cursor(node, value if value is not None else node.blank, above))
    return check.errors


class Check:
    """One validation of one tree.

    Attributes:
        errors: what was found so far.
        missing: error-tag for a mandatory leaf that is not there.
    """

    def __init__(self, known: Plans, *, missing: str = "data-missing") -> None:
        self.plans = known
        self.evaluation: Evaluation = known.expressions.evaluation()
        self.missing = missing
        self.errors: list[RpcError] = []

    def below(self, plan: Plan, c: Cursor) -> None:
        """Check the choices and children of one instance."""
        for rule in plan.choices:
            self._choice(rule, c)
        value = c.value
        for child in plan.children:
            node = child.node
            held = value[node.index]
            if held is None:
                if child.wants_absent:
                    self.absent(child, c)
            elif not child.single:
                self.held(child, c, held)
            elif child.wants_entries:
                self.instance(child, Cursor(node, held, c))

    def held(self, plan: Plan, parent: Cursor, held: Value) -> None:
        """Check what is set of one schema node below one parent instance."""
        node = plan.node
        if node.whens and not self._when(node, parent):
            self._fail(
                "unknown-element",
                f"{node.name} may not be here: its when condition is false",
                (*parent.path(), (node, None)),
                info={"bad-element": node.name},
            )
            return
        if node.kind == "list":
            self._count(node, parent, entries.size(held))
            if plan.wants_entries:
                for key, entry in entries.items(held):
                    self.instance(plan, Cursor(node, entry, parent, key))
            for rule in plan.uniques:
                self._unique(rule, node, parent, held)
        elif node.kind == "leaf-list":
            self._count(node, parent, len(held))
            if node.config:
                self._distinct(node, parent, held)
            self._values(plan, parent, held)
        else:
            self.instance(plan, Cursor(node, held, parent))

    def absent(self, plan: Plan, parent: Cursor) -> None:
        """Check what nothing is set of: mandatory nodes, and those that exist without being set."""
        node = plan.node
        if node.whens and not self._when(node, parent):
            return
        if not node.cases or exists(*node.cases[-1], parent.value):
            if plan.required:
                path = (*parent.path(), (node, None))
                self._fail(self.missing, f"{node.name} is mandatory", path, info={"bad-element": node.name})
            if node.kind in ("list", "leaf-list") and node.default is None:
                self._count(node, parent, 0)
        if plan.implicit and selected(node.cases, parent.value):
            if node.kind == "leaf-list":
                self._values(plan, parent, node.default)
            else:
                self.instance(plan, Cursor(node, node.blank if node.kind == "container" else node.default, parent))

    def instance(self, plan: Plan, c: Cursor) -> None:
        """Check one instance and what is below it."""
        for rule in plan.musts:
            self._must(rule, c)
        if plan.refers is not None and not plan.refers(c, self.evaluation):
            text = text_of(c.value)
            message = f"{c.node.name} {text!r} refers to nothing that exists"
            self._fail("data-missing", message, c.path(), "instance-required")
        if plan.children or plan.choices:
            self.below(plan, c)

    def _values(self, plan: Plan, parent: Cursor, values: Value) -> None:
        if plan.wants_entries:
            for position, value in enumerate(values):
                self.instance(plan, Cursor(plan.node, value, parent, position))

    def _when(self, node: Node, parent: Cursor) -> bool:
        return self.plans.expressions.holds(node, parent, self.evaluation)

    def _must(self, rule: MustRule, c: Cursor) -> None:
        evaluation = self.evaluation
        evaluation.origin = c
        program = rule.program
        try:
            if to_boolean(program.run(c, evaluation), program.kind, evaluation):
                return
        except RpcError as error:
            self.errors.append(RpcError(error.tag, error.message, path=format_path(c.path())))
            return
        must = rule.must
        self._fail(
            "operation-failed",
            must.message or f"the condition {must.expression} of {c.node.name} is not met",
            c.path(),
            must.app_tag or "must-violation",
        )

    def _choice(self, rule: ChoiceRule, c: Cursor) -> None:
        choice = rule.choice
        held = [case for case in choice.cases if exists(choice, case, c.value)]
        if len(held) > 1:
            extra = next(n for n in choice.cases[held[1]] if c.value[n.index] is not None)
            self._fail(
                "bad-element",
                f"{extra.name}: the cases {', '.join(held)} of choice {choice.name} exclude each other",
                (*c.path(), (extra, None)),
                info={"bad-element": extra.name},
            )
        if held or not choice.mandatory or (choice.outer and not exists(*choice.outer[-1], c.value)):
            return
        if choice.whens and not self.plans.expressions.holds(rule.member, c, self.evaluation, choice.whens):
            return
        self._fail(
            "data-missing",
            f"one of {', '.join(choice.cases)} is mandatory (choice {choice.name})",
            c.path(),
            "missing-choice",
            {"missing-choice": choice.name},
        )

    def _count(self, node: Node, parent: Cursor, size: int) -> None:
        most = node.max_elements
        if size < node.min_elements:
            message, app_tag = f"{node.name} has {size} elements, fewer than {node.min_elements}", "too-few-elements"
        elif most is not None and size > most:
            message, app_tag = f"{node.name} has {size} elements, more than {most}", "too-many-elements"
        else:
            return
        self._fail("operation-failed", message, (*parent.path(), (node, None)), app_tag)

    def _distinct(self, node: Node, parent: Cursor, values: tuple[Value, ...]) -> None:
        told = [comparable(node, value) for value in values]
        if len(set(told)) == len(values):
            return
        seen = set()
        for value, mark in zip(values, told, strict=True):
            if mark in seen:
                path = (*parent.path(), (node, value))
                info = {"non-unique": format_path(path)}
                message = f"{text_of(value)!r} is twice in {node.name}"
                self._fail("operation-failed", message, path, "data-not-unique", info)
            seen.add(mark)

    def _unique(self, rule: UniqueRule, node: Node, parent: Cursor, held: entries.Entries) -> None:
        seen: dict[tuple[Value, ...], InstancePath] = {}
        above = parent.path()
        for key, entry in entries.items(held):
            values = rule.values(Cursor(node, entry, parent, key), self.evaluation)
            if values is None:
                continue
            path = (*above, (node, key))
            first = seen.setdefault(values, path)
            if first is path:
                continue
            leafs = [(*where, *((n, None) for n in route)) for where in (first, path) for route in rule.routes]
            pairs = zip(rule.routes, values, strict=True)
            names = " and ".join(f"{route[-1].name} {text_of(value)!r}" for route, value in pairs)
            self._fail(
                "operation-failed",
                f"{names} is not unique in {node.name}: {format_path(first)} has it too",
                path,
                "data-not-unique",
                {"non-unique": "\n".join(map(format_path, leafs))},
            )

    def _fail(
        self, tag: str, message: str, path: InstancePath, app_tag: str = "", info: dict[str, str] | None = None
    ) -> None:
        self.errors.append(RpcError(tag, message, path=format_path(path), app_tag=app_tag, info=info))
