"""The checks of one validation: every constraint of RFC 7950 section 8.1 that concerns more than one value.

All violations are found, in document order, with the error-tags and app-tags of section 15.  What there is to check at
each schema node is in `nms.model.constraint_plan`; which part of a tree is visited is not decided here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from nms.errors import RpcError
from nms.model import entries
from nms.model.constraint_memo import MOST
from nms.model.constraint_plan import ChoiceRule, MustRule, Plan, Plans, Refers, UniqueRule
from nms.model.cursor import Cursor, Evaluation, exists, selected
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node, comparable
from nms.model.types import text_of
from nms.model.values import Key, Value
from nms.model.xpath_functions import to_boolean


class Check:
    """One validation of one tree.

    Attributes:
        errors: what was found so far.
        evaluated: constraints evaluated so far.
        met: the values that are known to meet a must.
        missing: error-tag for a mandatory leaf that is not there.
    """

    def __init__(self, known: Plans, *, missing: str = "data-missing") -> None:
        self.plans = known
        self.evaluation: Evaluation = known.expressions.evaluation()
        self.missing = missing
        self.errors: list[RpcError] = []
        self.evaluated = 0
        self.met: defaultdict[MustRule, set[Hashable]] = defaultdict(set)

    def below(self, plan: Plan, c: Cursor) -> None:
        """Check the choices and children of one instance."""
        for rule in plan.choices:
            self.choice(rule, c)
        for child in plan.children:
            self.child(child, c)

    def child(self, plan: Plan, parent: Cursor) -> None:
        """Check one schema node's instances below one parent instance, or that there are none."""
        node = plan.node
        held = parent.value[node.index]
        if held is None:
            if plan.wants_absent:
                self.absent(plan, parent)
        elif not plan.single:
            self.held(plan, parent, held)
        elif plan.wants_entries:
            self.instance(plan, Cursor(node, held, parent))

    def held(self, plan: Plan, parent: Cursor, held: Value) -> None:
        """Check what is set of one schema node below one parent instance."""
        node = plan.node
        if not self.shallow(plan, parent, held):
            return
        if node.kind == "list":
            if plan.wants_entries:
                for key, entry in entries.items(held):
                    self.instance(plan, Cursor(node, entry, parent, key))
            for rule in plan.uniques:
                self.unique(rule, node, parent, held)
        elif node.kind == "leaf-list":
            self._values(plan, parent, held)
        else:
            self.instance(plan, Cursor(node, held, parent))

    def shallow(self, plan: Plan, parent: Cursor, held: Value) -> bool:
        """Check what is set of one schema node but for what is in it; whether its when is true."""
        node = plan.node
        if node.whens and not self.when(node, parent):
            self._fail(
                "unknown-element",
                f"{node.name} may not be here: its when condition is false",
                (*parent.path(), (node, None)),
                info={"bad-element": node.name},
            )
            return False
        if node.kind == "list":
            self._count(node, parent, entries.size(held))
        elif node.kind == "leaf-list":
            self._count(node, parent, len(held))
            if node.config:
                self._distinct(node, parent, held)
        return True

    def absent(self, plan: Plan, parent: Cursor) -> None:
        """Check what nothing is set of: mandatory nodes, and those that exist without being set."""
        node = plan.node
        if node.whens and not self.when(node, parent):
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
            self.must(rule, c)
        if plan.refers is not None:
            self.reference(plan.refers, c)
        if plan.children or plan.choices:
            self.below(plan, c)

    def _values(self, plan: Plan, parent: Cursor, values: Value) -> None:
        if plan.wants_entries:
            for position, value in enumerate(values):
                self.instance(plan, Cursor(plan.node, value, parent, position))

    def when(self, node: Node, parent: Cursor) -> bool:
        """Whether a schema node may have instances below `parent`."""
        self.evaluated += 1
        return self.plans.expressions.holds(node, parent, self.evaluation)

    def reference(self, refers: Refers, c: Cursor) -> None:
        """Check that what a leaf refers to exists (sections 9.9, 9.13)."""
        self.evaluated += 1
        try:
            there = refers(c, self.evaluation)
        except RpcError as error:
            self._fail(error.tag, error.message, c.path())
            return
        if not there:
            message = f"{c.node.name} {text_of(c.value)!r} refers to nothing that exists"
            self._fail("data-missing", message, c.path(), "instance-required")

    def must(self, rule: MustRule, c: Cursor) -> None:
        """Check one must at one instance (section 7.5.3)."""
        met = values = None
        if rule.deciding is not None:
            met, values = self.met[rule], rule.deciding(c.value)
            if values in met:
                return
        self.evaluated += 1
        evaluation = self.evaluation
        evaluation.origin = c
        program = rule.program
        try:
            if to_boolean(program.run(c, evaluation), program.kind, evaluation):
                if met is not None and len(met) < MOST:
                    met.add(values)
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

    def choice(self, rule: ChoiceRule, c: Cursor) -> None:
        """Check one choice below one parent instance (section 7.9)."""
        self.evaluated += 1
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
        self.evaluated += 1
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

    def unique(self, rule: UniqueRule, node: Node, parent: Cursor, held: entries.Entries) -> None:
        """Check that all entries of one list differ in some leaf of a unique (section 7.8.3)."""
        seen: dict[tuple[Value, ...], Key] = {}
        for key, entry in entries.items(held):
            values = self.unique_values(rule, Cursor(node, entry, parent, key))
            if values is not None:
                first = seen.setdefault(values, key)
                if first != key:
                    self.not_unique(rule, node, parent, first, key, values)

    def unique_values(self, rule: UniqueRule, entry: Cursor) -> tuple[Value, ...] | None:
        """The values that no other entry may have; None if one of the leafs has none."""
        self.evaluated += 1
        return rule.values(entry, self.evaluation)

    def not_unique(
        self, rule: UniqueRule, node: Node, parent: Cursor, first: Key, second: Key, values: tuple[Value, ...]
    ) -> None:
        """Note that two entries, `second` the later one, have the same values."""
        above = parent.path()
        before, path = (*above, (node, first)), (*above, (node, second))
        leafs = [(*where, *((n, None) for n in route)) for where in (before, path) for route in rule.routes]
        pairs = zip(rule.routes, values, strict=True)
        names = " and ".join(f"{route[-1].name} {text_of(value)!r}" for route, value in pairs)
        self._fail(
            "operation-failed",
            f"{names} is not unique in {node.name}: {format_path(before)} has it too",
            path,
            "data-not-unique",
            {"non-unique": "\n".join(map(format_path, leafs))},
        )

    def _fail(
        self, tag: str, message: str, path: InstancePath, app_tag: str = "", info: dict[str, str] | None = None
    ) -> None:
        self.errors.append(RpcError(tag, message, path=format_path(path), app_tag=app_tag, info=info))
