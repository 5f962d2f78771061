"""What values a type takes, with every typedef followed: two types are compared by it, not by their names.

RFC 7950 section 9; pyang has resolved the typedefs.  Bounds are integers: of a decimal64 the
value times ten to its fraction-digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tools.model.parsed import Statement

Interval = tuple[int, int]


@dataclass(slots=True)
class Facets:
    """The value space of a type.

    Attributes:
        base: built-in type.
        bounds: intervals of the range or length, in order; empty where the type has none.
        patterns: regular expressions with "!" before inverted ones.
        names: enums or bits with their number.
        detail: fraction digits or the bases of an identityref: what must stay as it is; leafref paths are the engine's.
        members: of a union.
    """

    base: str
    bounds: tuple[Interval, ...] = ()
    patterns: frozenset[str] = frozenset()
    names: dict[str, int] = field(default_factory=dict)
    detail: str = ""
    require_instance: bool = False
    members: tuple[Facets, ...] = ()


def facets(type_: Statement) -> Facets:
    """The facets of a type statement."""
    specs = list(_chain(type_.i_type_spec))
    bottom = specs[-1]
    found = Facets(bottom.name)
    for spec in specs:  # the outermost restriction is the narrowest, as each must lie within its base's
        kind = type(spec).__name__
        if kind in ("RangeTypeSpec", "LengthTypeSpec") and not found.bounds:
            found.bounds = _intervals(spec.ranges if kind == "RangeTypeSpec" else spec.lengths, specs, spec)
        elif kind == "PatternTypeSpec":
            found.patterns |= {("!" if p.invert_match else "") + p.spec for p in spec.res}
        elif kind == "EnumTypeSpec" and not found.names:
            found.names = dict(spec.enums)
        elif kind == "BitTypeSpec" and not found.names:
            found.names = {name: position for name, position, *_ in spec.bits}
    if not found.bounds and hasattr(bottom, "min"):
        found.bounds = ((_number(bottom.min), _number(bottom.max)),)
    found.detail = _detail(specs)
    found.require_instance = bool(getattr(specs[0], "require_instance", False))
    found.members = tuple(facets(member) for member in getattr(bottom, "types", ()))
    return found


def compare(old: Facets, new: Facets) -> Iterator[tuple[str, str]]:
    """(code, message) of each way in which the value spaces differ; the codes are of `tools.model.compat`."""
    if old.base != new.base:
        yield "type-changed", f"the type changed from {old.base} to {new.base}"
        return
    if old.bounds != new.bounds:
        inside = all(any(lo <= low and high <= hi for lo, hi in new.bounds) for low, high in old.bounds)
        word = "length" if old.base in ("string", "binary") else "range"
        text = f"the {word} changed from {_shown(old)} to {_shown(new)}"
        yield ("range-expanded" if inside else "range-narrowed"), text
    for pattern in sorted(new.patterns - old.patterns):
        yield "pattern-added", f"the pattern {pattern!r} is new"
    for pattern in sorted(old.patterns - new.patterns):
        yield "pattern-removed", f"the pattern {pattern!r} is gone"
    for name, number in old.names.items():
        if name not in new.names:
            yield "value-removed", f"{name} is no longer a value"
        elif new.names[name] != number:
            yield "value-renumbered", f"the number of {name} changed from {number} to {new.names[name]}"
    for name in new.names.keys() - old.names.keys():
        yield "value-added", f"{name} is a new value"
    if old.detail != new.detail:
        yield "type-changed", f"{old.base} changed from {old.detail} to {new.detail}"
    if old.require_instance != new.require_instance:
        code = "reference-required" if new.require_instance else "reference-relaxed"
        yield code, f"require-instance is {str(new.require_instance).lower()} now"
    if len(old.members) != len(new.members):
        yield "type-changed", f"the union has {len(new.members)} member types in place of {len(old.members)}"
    else:
        for before, after in zip(old.members, new.members, strict=True):
            yield from compare(before, after)


def _chain(spec: Any) -> Iterator[Any]:
    while spec is not None:
        yield spec
        spec = spec.base


def _detail(specs: list[Any]) -> str:
    for spec in specs:
        match type(spec).__name__:
            case "Decimal64TypeSpec":
                return f"fraction-digits {spec.fraction_digits}"
            case "IdentityrefTypeSpec":
                bases = [base.i_identity for base in spec.idbases]
                return "base " + " and ".join(sorted(f"{base.i_module.i_modulename}:{base.arg}" for base in bases))
    return ""


def _intervals(ranges: Any, specs: list[Any], spec: Any) -> tuple[Interval, ...]:
    rest = specs[specs.index(spec) + 1 :]
    below = next((s for s in rest if getattr(s, "ranges", None) or getattr(s, "lengths", None)), None)
    if below is not None:
        inner = _intervals(getattr(below, "ranges", None) or below.lengths, specs, below)
        least, most = inner[0][0], inner[-1][1]
    else:
        least, most = _number(specs[-1].min), _number(specs[-1].max)
    ends = {"min": least, "max": most}

    def end(value: Any) -> int:
        return ends[value] if value in ("min", "max") else _number(value)

    merged: list[Interval] = []
    for low, high in ranges:
        first, last = end(low), end(low if high is None else high)
        if merged and merged[-1][1] + 1 == first:
            first = merged.pop()[0]
        merged.append((first, last))
    return tuple(merged)


def _number(value: Any) -> int:
    """A bound as an integer; pyang keeps a decimal64 as its scaled integer, the same for the same fraction-digits."""
    return int(getattr(value, "value", value))


def _shown(of: Facets) -> str:
    digits = int(of.detail.rpartition(" ")[2]) if of.base == "decimal64" else 0

    def end(number: int) -> str:
        return str(Decimal(number).scaleb(-digits)) if digits else str(number)

    return " | ".join(end(low) if low == high else f"{end(low)}..{end(high)}" for low, high in of.bounds) or "any"
