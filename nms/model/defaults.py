"""Default values on request: the retrieval modes of RFC 6243 over trees that hold what was set explicitly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from nms.model import entries
from nms.model.schema import Choice, Node
from nms.model.values import Value

Mode = Literal["report-all", "trim", "explicit"]


def apply(node: Node, value: Value, mode: Mode) -> Value:
    """The instance `value` of `node` as `mode` shows it.

    Defaults of nodes under a `when` are not added: whether they are in use depends on other data.
    """
    return _MODES[mode](node, value)


def _explicit(node: Node, value: Value) -> Value:
    return value


def _report_all(node: Node, value: Value) -> Value:
    slots = list(value)
    for child in node.children:
        held = slots[child.index]
        if held is None:
            if child.whens or not _in_use(child, value):
                continue
            if child.kind in ("leaf", "leaf-list"):
                slots[child.index] = child.default
            elif child.kind == "container" and not child.presence:
                filled = _report_all(child, child.blank)
                slots[child.index] = filled if filled != child.blank else None
        elif child.kind == "container":
            slots[child.index] = _report_all(child, held)
        elif child.kind == "list":
            filled_entries = ((key, _report_all(child, entry)) for key, entry in entries.items(held))
            slots[child.index] = entries.from_values(filled_entries, ordered=child.user_ordered)
    return tuple(slots)


def _in_use(node: Node, siblings: Value) -> bool:
    """May the default of `node` be in use beside `siblings`, as far as choices go (RFC 7950 sections 7.6.1, 7.9.3)?"""
    return all(active_case(choice, siblings) == case for choice, case in node.cases)


def active_case(choice: Choice, siblings: Value) -> str | None:
    """The case that has data among `siblings`, else the default case."""
    for name, members in choice.cases.items():
        if any(siblings[member.index] is not None for member in members):
            return name
    return choice.default_case


def _trim(node: Node, value: Value) -> Value:
    slots = list(value)
    for child in node.children:
        held = slots[child.index]
        if held is None or child in node.keys:
            continue
        if child.kind in ("leaf", "leaf-list"):
            slots[child.index] = None if held == child.default else held
        elif child.kind == "container":
            trimmed = _trim(child, held)
            slots[child.index] = None if trimmed == child.blank and not child.presence else trimmed
        elif child.kind == "list":
            trimmed_entries = ((key, _trim(child, entry)) for key, entry in entries.items(held))
            slots[child.index] = entries.from_values(trimmed_entries, ordered=child.user_ordered)
    return tuple(slots)


_MODES: Final[Mapping[str, Callable[[Node, Value], Value]]] = {
    "report-all": _report_all,
    "trim": _trim,
    "explicit": _explicit,
}
