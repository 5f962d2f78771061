"""Whether a configuration may come into force (RFC 7950 section 8).

`running` is valid at any time, so what a commit changes is all that a commit has to check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nms.errors import RpcError, RpcErrors
from nms.model import constraints
from nms.model.diff import Change
from nms.model.schema import Schema
from nms.model.values import Value


@dataclass(slots=True)
class Known:
    """What is kept between commits to validate changes of `running` in time that follows the change.

    Attributes:
        indexes: of the present running; None until a commit asked for some.
        fallbacks: how often a constraint had to be evaluated for all entries of a list, by its name.
    """

    indexes: constraints.Indexes | None = None
    fallbacks: Counter[str] = field(default_factory=Counter)

    def validate(self, schema: Schema, old: Value, new: Value, changes: Sequence[Change]) -> None:
        """Check what `changes` from running's root `old` to `new` can violate.

        The empty configuration that a server begins with is not known to be valid: from there all is checked.

        Raises:
            RpcError, RpcErrors: the violations.
        """
        if old == schema.root.blank:
            validate(schema, new)
            return
        if self.indexes is None or self.indexes.root is not old:
            self.indexes = constraints.index(schema, old)
        _refuse(constraints.validate_change(schema, old, new, changes, indexes=self.indexes, fallbacks=self.fallbacks))

    def follow(self, old: Value, new: Value, changes: Sequence[Change]) -> None:
        """Note that `changes` have led running's root from `old` to `new`."""
        if self.indexes is not None:
            self.indexes = self.indexes.after(changes, new) if self.indexes.root is old else None


def validate(schema: Schema, root: Value) -> None:
    """Check all constraints of a configuration.

    Raises:
        RpcError, RpcErrors: the violations.
    """
    _refuse(constraints.validate(schema, root, config=True))


def _refuse(violations: list[RpcError]) -> None:
    if len(violations) == 1:
        raise violations[0]
    if violations:
        raise RpcErrors(violations)
