"""Incremental validation: what a change of a valid root can have violated, and nothing else (RFC 7950 section 8).

The change is marked on the instances it touches and on those whose constraints depend on it; the marks are then walked
in document order with the checks of the full validation, so that both find the same violations in the same words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from nms.model import constraint_leafs, entries, tree
from nms.model.constraint_check import Check
from nms.model.constraint_dependents import Dependent, Dependents, Referral
from nms.model.constraint_index import Indexes
from nms.model.constraint_marks import SHALLOW, Mark, Slot, mark_below, mark_changes
from nms.model.constraint_plan import Plan, UniqueRule
from nms.model.cursor import Cursor, selected
from nms.model.diff import Change
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.types import text_of
from nms.model.values import Key, Value


def check_change(
    known: Dependents, indexes: Indexes, new: Value, changes: Sequence[Change], fallbacks: Counter[str]
) -> Check:
    """The check, done, of what `changes` from the valid root of `indexes` to `new` can have violated.

    Args:
        fallbacks: constraints that had to be evaluated for all entries of a list are counted in it by name.
    """
    check = ChangeCheck(known, indexes)
    place = constraint_leafs.place(known, changes, indexes.root, new)
    if place is None:
        top = Marking(known, indexes, new, fallbacks).marks(changes)
        place = known.plans.configuration, top, Cursor(known.schema.root, new, None)
    check.visit(*place)
    return check


class Marking:
    """Marks what one change makes worth checking."""

    def __init__(self, known: Dependents, indexes: Indexes, new: Value, fallbacks: Counter[str]) -> None:
        self.known = known
        self.indexes = indexes
        self.new = new
        self.fallbacks = fallbacks
        self.top = Mark()
        self.done: set[tuple[Dependent, InstancePath]] = set()

    def marks(self, changes: Sequence[Change]) -> Mark:
        """The mark of the root."""
        known, old = self.known, self.indexes.root
        mark_changes(self.top, changes, old, self.new)
        for dependent, anchor in known.reached(changes, old, self.new):
            self._spread(dependent, anchor)
        for change in changes:
            if change.old is not None:
                for referral in known.lost(change.node):
                    self._referrers(referral, change)
        return self.top

    def _spread(self, dependent: Dependent, anchor: InstancePath) -> None:
        """Mark the contexts of a constraint below the instance at `anchor`."""
        if (dependent, anchor) in self.done:
            return
        self.done.add((dependent, anchor))
        depth = len(anchor)
        if dependent.crosses(depth):
            self.fallbacks[dependent.name] += 1
        mark_below(self.top, self.new, anchor, dependent.route[depth:], dependent.slot, dependent.rule)

    def _referrers(self, referral: Referral, change: Change) -> None:
        """Mark the leafrefs that hold a value which a target of theirs had."""
        if change.path[-1][1] is None and change.node.kind == "list":
            return  # a new order takes nothing away
        kept = change.new if change.node.kind == "leaf-list" and change.new is not None else ()
        targets = [*tree.instances(change.node, change.old, referral.targets)]
        if change.node.kind == "leaf-list":
            targets = [((), value) for value in change.old or () if value not in kept]
        for text in {text_of(value) for _, value in targets}:
            for row in self.indexes.find(referral.index, (text,)):
                mark_below(self.top, self.new, referral.index.path(row), (), None, referral.refers)


class ChangeCheck(Check):
    """The checks of one change."""

    def __init__(self, known: Dependents, indexes: Indexes) -> None:
        super().__init__(known.plans)
        self.known = known
        self.indexes = indexes

    def visit(self, plan: Plan, mark: Mark, c: Cursor) -> None:
        """Check what is marked at one instance and below."""
        if mark.whole:
            self.instance(plan, c)
            return
        if mark.rules:
            for must in plan.musts:
                if must in mark.rules:
                    self.must(must, c)
            if plan.refers in mark.rules and plan.refers is not None:
                self.reference(plan.refers, c)
            for choice in plan.choices:
                if choice in mark.rules:
                    self.choice(choice, c)
        for child in plan.children if mark.slots else ():
            slot = mark.slots.get(child.node)
            if slot is not None:
                self._slot(child, slot, c)

    def _slot(self, plan: Plan, slot: Slot, parent: Cursor) -> None:
        node = plan.node
        held = parent.value[node.index]
        if slot.whole:
            self.child(plan, parent)
        elif held is None:
            self._not_set(plan, slot, parent)
        elif SHALLOW in slot.rules and not self.shallow(plan, parent, held):
            return
        elif node.kind == "list":
            self._entries(plan, slot, parent, held)
        elif None in slot.marks:
            self._marked(plan, slot.marks[None], parent, held)

    def _not_set(self, plan: Plan, slot: Slot, parent: Cursor) -> None:
        node = plan.node
        if SHALLOW in slot.rules:
            if plan.wants_absent:
                self.absent(plan, parent)
            return
        if None not in slot.marks or not plan.implicit or not selected(node.cases, parent.value):
            return
        if not node.whens or self.when(node, parent):
            default = node.blank if node.kind == "container" else node.default
            self._marked(plan, slot.marks[None], parent, default)

    def _marked(self, plan: Plan, mark: Mark, parent: Cursor, held: Value) -> None:
        """Check what is marked of the one instance, or of all values of a leaf-list."""
        if plan.node.kind != "leaf-list":
            self.visit(plan, mark, Cursor(plan.node, held, parent))
        elif plan.wants_entries:
            for position, value in enumerate(held):
                self.visit(plan, mark, Cursor(plan.node, value, parent, position))

    def _entries(self, plan: Plan, slot: Slot, parent: Cursor, held: entries.Entries) -> None:
        node, marks = plan.node, slot.marks
        keys = []
        for key in _in_order(held, marks):
            entry = entries.get(held, key)
            if entry is not None:
                keys.append(key)
                self.visit(plan, marks[key], Cursor(node, entry, parent, key))
        for rule in plan.uniques:
            if rule in slot.rules:
                self.unique(rule, node, parent, held)
            elif rule in self.known.values:
                changed = [key for key in keys if marks[key].whole or rule in marks[key].rules]
                if changed:
                    self._unique_among(rule, parent, held, changed)

    def _unique_among(self, rule: UniqueRule, parent: Cursor, held: entries.Entries, changed: Sequence[Key]) -> None:
        """Check a unique for changed entries against each other and the others, which the index finds."""
        index = self.known.values[rule]
        node = index.node
        if entries.size(held) <= 2 * len(changed):
            self.unique(rule, node, parent, held)
            return
        above = tuple(key for step, key in parent.path() if step.kind == "list")
        groups: dict[tuple[Value, ...], list[Key]] = {}
        for key in changed:
            values = self._row(rule, node, parent, held, key)
            if values is not None:
                groups.setdefault(values, []).append(key)
        known = set(changed)
        later: dict[Key, tuple[Key, tuple[Value, ...]]] = {}
        for values, group in groups.items():
            for row in self.indexes.find(index, (*above, *map(text_of, values))):
                key = row[-1]
                if key not in known and self._row(rule, node, parent, held, key) == values:
                    group.append(key)
            first, *others = _in_order(held, group)
            later |= dict.fromkeys(others, (first, values))
        for key in _in_order(held, later):
            self.not_unique(rule, node, parent, later[key][0], key, later[key][1])

    def _row(
        self, rule: UniqueRule, node: Node, parent: Cursor, held: entries.Entries, key: Key
    ) -> tuple[Value, ...] | None:
        entry = entries.get(held, key)
        return self.unique_values(rule, Cursor(node, entry, parent, key)) if entry is not None else None


def _in_order(held: entries.Entries, keys: Collection[Key]) -> list[Key]:
    """Some keys of a list, in the order of its entries."""
    if len(keys) < 2:
        return list(keys)
    if isinstance(held, entries.Ordered):
        wanted = set(keys)
        return [key for key in held.order if key in wanted]
    return sorted(keys)
