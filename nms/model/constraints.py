"""Validation: every constraint of RFC 7950 that concerns more than one value (section 8.1), on immutable trees.

Types, list keys and the schema's shape hold by construction of the values; here are mandatory nodes, numbers of
elements, `unique`, `when`, `must`, references, and choices.  A whole root is checked by `validate`; a change of a valid
one by `validate_change`, whose cost follows the change and whose verdict is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from nms.errors import RpcError
from nms.model import entries
from nms.model.constraint_change import check_change
from nms.model.constraint_check import Check
from nms.model.constraint_dependents import dependents
from nms.model.constraint_index import Indexes
from nms.model.constraint_plan import plans
from nms.model.cursor import Cursor, follow
from nms.model.diff import Change
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.model.values import Value

#: Changes from which on checking all may be less work, and how many times the work for one instance a change takes.
_MANY: Final = 1000
_DEARER: Final = 8

__all__ = ["Indexes", "costly", "index", "validate", "validate_change", "validate_value"]


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


def validate_change(
    schema: Schema,
    old: Value,
    new: Value,
    changes: Sequence[Change],
    *,
    indexes: Indexes | None = None,
    fallbacks: Counter[str] | None = None,
) -> list[RpcError]:
    """All violations in `new`, a configuration to which `changes` lead from the valid `old`, in document order.

    Where much of `new` has changed all of it is checked: that takes less for each instance.

    Args:
        changes: `nms.model.diff.diff` of both.
        indexes: those of `old`; kept from change to change by `Indexes.after` they spare visiting all of a list.
        fallbacks: counts, by name, the constraints that had to be evaluated for all entries of a list.
    """
    if len(changes) >= _MANY and len(changes) * _DEARER > _instances(schema.root, new):
        return validate(schema, new)
    known = indexes if indexes is not None and indexes.root is old else index(schema, old)
    counted = fallbacks if fallbacks is not None else Counter()
    return check_change(dependents(schema), known, new, changes, counted).errors


def _instances(node: Node, value: Value) -> int:
    """About how many instances `value` holds: entries of lists, those in entries not counted."""
    found = 0
    for child, held in zip(node.children, value, strict=True):
        if held is not None:
            if child.kind == "list":
                found += entries.size(held)
            elif child.kind == "container":
                found += _instances(child, held)
    return found


def index(schema: Schema, root: Value) -> Indexes:
    """The indexes of a valid root, none built yet."""
    return Indexes(plans(schema).expressions, root)


def costly(schema: Schema) -> list[str]:
    """The names of the constraints that some change has to evaluate for all entries of a list."""
    return list(dict.fromkeys(dependent.name for dependent in dependents(schema).wide()))


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
