"""Whether a configuration may come into force (RFC 7950 section 8)."""

from __future__ import annotations

from nms.errors import RpcErrors
from nms.model import constraints
from nms.model.schema import Schema
from nms.model.values import Value


def validate(schema: Schema, root: Value) -> None:
    """Check all constraints of a configuration.

    Raises:
        RpcError, RpcErrors: the violations.
    """
    violations = constraints.validate(schema, root, config=True)
    if len(violations) == 1:
        raise violations[0]
    if violations:
        raise RpcErrors(violations)
