"""Which constraints of a module make a change slow: those that some edit has the engine evaluate for a whole list.

`nms.model.constraint_dependents` follows each constraint from what it looks at to the instances that it is checked at;
where a list lies between, all its entries are asked after one edit.  What a server meets of it, it counts by the same
names (module mec-nms-validation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nms.model.constraint_dependents import Dependent, dependents
from nms.model.constraint_plan import MustRule, UniqueRule
from nms.model.schema import Node, Schema
from tools.model.parsed import Statement
from tools.model.xpath_cost import own_nodes


class Wide(NamedTuple):
    """One such constraint: where it stands, its name, the list and what is changed there or elsewhere."""

    statement: Statement
    name: str
    lists: tuple[str, ...]
    causes: tuple[str, ...]


def wide(schema: Schema, module: Statement) -> Iterator[Wide]:
    """The wide constraints at nodes that `module` defines, once for each line."""
    statements = {node: statement for statement, node in own_nodes(schema, module)}
    seen = set()
    for dependent, causes in dependents(schema).wide().items():
        statement = _statement(dependent, statements)
        while statement is not None and statement.pos.ref != module.pos.ref:
            statement = statement.parent  # it comes from a grouping of another module
        if (
            statement is None
            or statement.keyword == "module"
            or (line := (statement.pos.line, str(dependent.rule))) in seen
        ):
            continue
        seen.add(line)
        yield Wide(statement, dependent.name, _lists(dependent), tuple(sorted({node.path or "/" for node in causes})))


def _statement(dependent: Dependent, statements: Mapping[Node, Statement]) -> Statement | None:
    """The statement of a constraint, or that of its node where it is not among its substatements."""
    node = dependent.slot or dependent.target
    statement = statements.get(node)
    if statement is None:
        return None
    rule = dependent.rule
    if isinstance(rule, MustRule):
        return _nth(statement, "must", node.musts.index(rule.must), len(node.musts))
    if isinstance(rule, UniqueRule):
        return _nth(statement, "unique", node.unique.index(rule.routes), len(node.unique))
    return statement.search_one("when") or statement.search_one("type") or statement


def _nth(statement: Statement, keyword: str, index: int, count: int) -> Statement:
    found = statement.search(keyword)
    return found[index] if len(found) == count else statement


def _lists(dependent: Dependent) -> tuple[str, ...]:
    checked = [
        *dependent.route,
        *([dependent.slot] if isinstance(dependent.rule, UniqueRule) and dependent.slot else []),
    ]
    return tuple(node.path for node in checked if node.kind == "list")
