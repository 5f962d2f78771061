"""Hypothesis strategies: random instance data of any schema node, small and full of corners."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nms.model import entries, load
from nms.model.schema import Node, Schema
from nms.model.types import Type
from nms.model.values import EMPTY, Identity, InstanceId

MODULES = Path(__file__).parents[1] / "unit" / "model" / "modules"
TEXT = st.text(alphabet="ab<&>'\"\r\n\té中 ]:[", max_size=6)


def shapes() -> Schema:
    """The schema of every kind of node."""
    return load.load([MODULES], ["shapes"])


def scalar(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type as our schema `shapes` uses it."""
    simple: dict[str, st.SearchStrategy[Any]] = {
        "string": TEXT,
        "uint8": st.integers(0, 5),
        "uint16": st.integers(0, 9),
        "uint32": st.integers(0, 2**32 - 1),
        "int32": st.integers(-(2**31), 2**31 - 1),
        "uint64": st.integers(0, 2**64 - 1),
        "decimal64": st.integers(-(10**6), 10**6).map(lambda n: Decimal(n).scaleb(-3)),
        "boolean": st.booleans(),
        "empty": st.just(EMPTY),
        "binary": st.sampled_from(["", "AAE=", "/+8="]),
        "enumeration": st.sampled_from(sorted(type_.enums) or [""]),
        "bits": st.sampled_from(["", "read", "read exec", "write"]),
        "identityref": st.sampled_from(sorted(type_.identities) or [""]).map(Identity),
        "instance-identifier": st.sampled_from(
            ["/shapes:top/shapes:text", "/shapes:top/shapes:item[shapes:name='a']"]
        ).map(InstanceId),
    }
    if type_.base == "union":
        return st.one_of(*[scalar(member) for member in type_.members]).filter(_first_member(type_))
    return simple[type_.base]


def _first_member(type_: Type) -> Callable[[Any], bool]:
    """Texts that a member before would take (`1`, `true`, `shapes:red`) come back as that member's value."""
    return lambda v: not isinstance(v, str) or isinstance(v, Identity) or v not in ("true", "false")


def instance(node: Node, *, config_only: bool = False) -> st.SearchStrategy[Any]:
    """Values of an inner node; choices keep to one case."""

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        slots: list[Any] = list(node.blank)
        chosen = {id(choice): draw(st.sampled_from(sorted(choice.cases))) for choice in node.choices}
        for child in node.children:
            if config_only and not child.config:
                continue
            if any(chosen[id(choice)] != case for choice, case in child.cases):
                continue
            if child in node.keys or draw(st.booleans()):
                slots[child.index] = draw(member(child, config_only=config_only))
        return tuple(slots)

    return build()


def member(child: Node, *, config_only: bool) -> st.SearchStrategy[Any]:
    """The value of one data node under its parent, None included for what may be empty."""
    if child.kind == "leaf":
        assert child.type is not None
        return scalar(child.type)
    if child.kind == "leaf-list":
        assert child.type is not None
        return st.lists(scalar(child.type), unique=True, max_size=3).map(lambda v: tuple(v) or None)
    if child.kind == "container":
        return instance(child, config_only=config_only).map(lambda v: v if child.presence or v != child.blank else None)
    if child.kind == "list":
        rows = st.lists(instance(child, config_only=config_only), max_size=4)
        return rows.map(lambda found: _entries(child, found))
    return st.none()


def _entries(node: Node, rows: list[Any]) -> Any:
    pairs = {node.key_of(row) if node.keys else i: row for i, row in enumerate(rows)}
    return entries.from_values(pairs.items(), ordered=node.user_ordered) if pairs else None
