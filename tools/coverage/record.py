"""Notes which schema nodes got values, and which constraints were found true and false, while a program runs.

The engine is watched from outside: `watch` wraps the methods by which it checks, commits, publishes and invokes, so
that nothing is paid where nobody asked for coverage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

from nms.datastore import commit as commits
from nms.datastore.store import Store
from nms.model import entries
from nms.model.constraint_change import ChangeCheck
from nms.model.constraint_check import Check
from nms.model.schema import Node
from nms.model.values import Value
from nms.notify.streams import Streams
from nms.operations.dispatch import Core
from nms.operations.request import Invoke

#: Verdicts on a constraint, as (kind, schema path, what it says) -> {True, False}.
Verdicts = defaultdict[tuple[str, str, str], set[bool]]


class Record:
    """What one process has touched.

    Attributes:
        nodes: paths of the schema nodes that had a value.
        verdicts: what each constraint was found to be.
    """

    def __init__(self) -> None:
        self.nodes: set[str] = set()
        self.verdicts: Verdicts = defaultdict(set)

    def value(self, node: Node, value: Value) -> None:
        """Note a value of `node`, and all below it."""
        self.nodes.add(node.path)
        if node.kind == "list" and isinstance(value, entries.Entries):
            for entry in entries.values(value):
                self._children(node, entry)
        elif node.children and isinstance(value, tuple):
            self._children(node, value)

    def top(self, node: Node, value: Value) -> None:
        """Note what a validated root holds; what is below it was noted with it."""
        if node.kind == "root" and value is not None:
            self._children(node, value)

    def _children(self, node: Node, value: Value) -> None:
        for child, held in zip(node.children, value, strict=True):
            if held is not None:
                self.value(child, held)

    def verdict(self, kind: str, node: Node, text: str, found: bool) -> None:
        """Note what a constraint was found to be."""
        self.verdicts[kind, node.path, text].add(found)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        rows = [[*key, sorted(found)] for key, found in sorted(self.verdicts.items())]
        return {"nodes": sorted(self.nodes), "verdicts": rows}

    def add(self, other: dict[str, Any]) -> None:
        """Take in what another process has touched."""
        self.nodes.update(other["nodes"])
        for kind, path, text, found in other["verdicts"]:
            self.verdicts[kind, path, text].update(found)


def watch(record: Record) -> Callable[[], None]:
    """Have `record` told of all that happens in this process from now on; what is returned ends it."""
    undo: list[Callable[[], None]] = []

    def around(owner: Any, name: str, note: Callable[..., None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def noted(*arguments: Any, **named: Any) -> Any:
            before = len(arguments[0].errors) if isinstance(arguments[0], Check) else 0
            result = original(*arguments, **named)
            note(result, before, *arguments)
            return result

        setattr(owner, name, noted)
        undo.append(lambda: setattr(owner, name, original))

    def told(kind: str, place: Callable[..., tuple[Node, str]]) -> Callable[..., None]:
        def note(_: Any, before: int, check: Check, *arguments: Any) -> None:
            node, text = place(*arguments)
            record.verdict(kind, node, text, len(check.errors) == before)

        return note

    around(Check, "must", told("must", lambda rule, c: (c.node, str(rule.must.expression))))
    around(Check, "reference", told("leafref", lambda refers, c: (c.node, "")))
    around(Check, "choice", told("choice", lambda rule, c: (c.node, rule.choice.name)))
    around(Check, "unique", told("unique", lambda rule, node, parent, held: (node, names_of(rule))))
    around(Check, "when", lambda holds, _, check, node, parent: record.verdict("when", node, "", bool(holds)))
    around(Check, "_count", lambda _, before, check, node, parent, size: _counted(record, node, size))
    around(Check, "absent", lambda _, before, check, plan, parent: _missed(record, plan, len(check.errors) > before))
    around(
        Check,
        "not_unique",
        lambda _, b, check, rule, node, *more: record.verdict("unique", node, names_of(rule), False),
    )
    around(
        ChangeCheck,
        "_unique_among",
        told("unique", lambda rule, parent, held, changed: (held_by(rule), names_of(rule))),
    )
    around(Check, "below", lambda _, before, check, plan, c: record.top(c.node, c.value))
    around(commits, "_swap", lambda _, b, store, tx, pending: _changed(record, tx.changes))
    around(Store, "publish", lambda made, *_: _changed(record, made))
    around(Streams, "publish", lambda _, b, streams, told: record.value(told.node, told.value))
    around(Core, "dispatch", lambda reply, b, core, session, wanted: _invoked(record, wanted, reply))

    def end() -> None:
        for back in reversed(undo):
            back()

    return end


def names_of(rule: Any) -> str:
    """The leafs of a unique."""
    return " ".join("/".join(node.name for node in route) for route in rule.routes)


def held_by(rule: Any) -> Node:
    """The list that a unique belongs to."""
    parent = rule.routes[0][0].parent
    assert isinstance(parent, Node)
    return parent


def _counted(record: Record, node: Node, size: int) -> None:
    if node.min_elements:
        record.verdict("min-elements", node, str(node.min_elements), size >= node.min_elements)
    if node.max_elements is not None:
        record.verdict("max-elements", node, str(node.max_elements), size <= node.max_elements)


def _missed(record: Record, plan: Any, failed: bool) -> None:
    if plan.required and failed:
        record.verdict("mandatory", plan.node, "", False)


def _changed(record: Record, changes: Any) -> None:
    for change in changes:
        for node, _ in change.path:
            record.nodes.add(node.path)
        if change.new is None:
            continue
        node, key = change.path[-1]
        if node.kind == "list" and key is not None:
            for child, held in zip(node.children, change.new, strict=True):
                if held is not None:
                    record.value(child, held)
        else:
            record.value(node, change.new)


def _invoked(record: Record, wanted: Any, reply: Any) -> None:
    if isinstance(wanted, Invoke):
        record.nodes.add(wanted.node.path)
        for part, value in zip(wanted.node.children, (wanted.input, reply.data), strict=False):
            if value is not None:
                record.value(part, value)
