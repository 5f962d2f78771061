"""Default values on request: the retrieval modes of RFC 6243 over trees that hold what was set explicitly.

What is in use without being set is decided by `nms.model.cursor.in_use`, as it is for XPath and for validation: under
the selected or default case and a true `when` (RFC 7950 sections 7.5.1, 7.6.1, 7.7.2, 7.9.3 and 7.21.5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from nms.model import entries
from nms.model.cursor import Cursor, Evaluation, in_use
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.model.values import Value, alike
from nms.model.xpath import expressions

Mode = Literal["report-all", "trim", "explicit"]

#: What becomes of one container, list entry or root.
_Change: TypeAlias = Callable[[Cursor, Evaluation], Value]


def apply(schema: Schema, root: Value, path: InstancePath, mode: Mode) -> Value:
    """A datastore's `root` with the instance at `path` as `mode` shows it, or every entry of the list that it names.

    `root` is the whole datastore, as whens look anywhere.  A container on the way that is in use need not be set.
    """
    change = _MODES[mode]
    if change is None:
        return root
    return _within(Cursor(schema.root, root, None), path, change, expressions(schema).evaluation())


def _within(c: Cursor, path: InstancePath, change: _Change, evaluation: Evaluation) -> Value:
    """The value of an instance with `change` done at `path` below it."""
    if not path:
        return change(c, evaluation)
    (node, key), rest = path[0], path[1:]
    held = c.value[node.index]
    if node.kind == "container":
        below: Value = _container(node, c, lambda inner: _within(inner, rest, change, evaluation), evaluation)
    elif node.kind != "list" or held is None:
        return c.value
    elif key is None:
        below = _entries(node, c, lambda inner: _within(inner, rest, change, evaluation))
    else:
        entry = entries.get(held, key)
        if entry is None:
            return c.value
        below = entries.put(held, key, _within(Cursor(node, entry, c, key), rest, change, evaluation))
    return (*c.value[: node.index], below, *c.value[node.index + 1 :])


def _container(node: Node, parent: Cursor, inside: Callable[[Cursor], Value], evaluation: Evaluation) -> Value | None:
    """A container with `inside` done; None where it is not in use, and where it is but there is nothing to show."""
    held = parent.value[node.index]
    if held is not None:
        return inside(Cursor(node, held, parent))
    if node.presence or not in_use(node, parent, evaluation):
        return None
    made = inside(Cursor(node, node.blank, parent))
    return made if made != node.blank else None


def _entries(node: Node, parent: Cursor, inside: Callable[[Cursor], Value]) -> entries.Entries:
    held = parent.value[node.index]
    changed = ((key, inside(Cursor(node, entry, parent, key))) for key, entry in entries.items(held))
    return entries.from_values(changed, ordered=node.user_ordered)


def _report_all(c: Cursor, evaluation: Evaluation) -> Value:
    slots = list(c.value)
    for child in c.node.children:
        held = slots[child.index]
        if child.default is not None:
            if held is None and in_use(child, c, evaluation):
                slots[child.index] = child.default
        elif not child.holds_defaults:
            continue
        elif child.kind == "container":
            slots[child.index] = _container(child, c, lambda inner: _report_all(inner, evaluation), evaluation)
        elif held is not None:
            slots[child.index] = _entries(child, c, lambda inner: _report_all(inner, evaluation))
    return tuple(slots)


def _trim(c: Cursor, evaluation: Evaluation) -> Value:
    slots = list(c.value)
    for child in c.node.children:
        held = slots[child.index]
        if held is None or child in c.node.keys:
            continue
        if child.default is not None:
            slots[child.index] = None if alike(held, child.default) else held
        elif not child.holds_defaults:
            continue
        elif child.kind == "container":
            trimmed = _trim(Cursor(child, held, c), evaluation)
            slots[child.index] = None if trimmed == child.blank and not child.presence else trimmed
        elif child.kind == "list":
            slots[child.index] = _entries(child, c, lambda inner: _trim(inner, evaluation))
    return tuple(slots)


_MODES: Final[Mapping[Mode, _Change | None]] = {"report-all": _report_all, "trim": _trim, "explicit": None}
