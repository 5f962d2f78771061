"""Is there state among what is to be configured?  It is published, never configured (RFC 7950 section 7.21.1)."""

from __future__ import annotations

from collections.abc import Sequence

from nms.errors import RpcError
from nms.model import tree
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.model.values import Value


def refuse_state(changes: Sequence[Change]) -> None:
    """Refuse changes of a configuration that bring state.

    Raises:
        RpcError: invalid-value, with the path of the first state node.
    """
    for change in changes:
        state = _first_state(change.node, change.new, change.path)
        if state is not None:
            message = f"{state[-1][0].name} is state and cannot be configured"
            raise RpcError("invalid-value", message, path=format_path(state))


def _first_state(node: Node, value: Value | None, path: InstancePath) -> InstancePath | None:
    if not node.config:
        return path
    if value is None or node.kind not in ("container", "list") or not node.holds_state:
        return None
    if node.kind == "list" and path[-1][1] is None:
        return None  # a new order brings nothing new
    for child in node.children:
        held = value[child.index]
        if held is not None and (child.holds_state or not child.config):
            for step, inner in tree.members(child, held) if child.config else [((child, None), held)]:
                if found := _first_state(child, inner, (*path, step)):
                    return found
    return None
