"""JSON Schema (2020-12) of YANG types in their JSON encoding (RFC 7951 section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from nms.model.types import Type
from tools.openapi.pattern import ecma

Fragment = dict[str, Any]


def json_type(type_: Type) -> Fragment:
    """The schema of a value of `type_`; a leafref is what its target is."""
    return _TYPES.get(type_.base, _integer)(type_)


def _string(type_: Type) -> Fragment:
    parts: list[Fragment] = [*_lengths(type_.bounds)]
    unsaid: list[str] = []
    for pattern, inverted in type_.patterns:
        translated = ecma(pattern)
        if translated is None:
            unsaid.append(("not " if inverted else "") + pattern)
        else:
            parts.append({"not": {"pattern": translated}} if inverted else {"pattern": translated})
    schema = _joined({"type": "string"}, parts)
    if unsaid:
        schema["description"] = f"XML Schema pattern: {' and '.join(unsaid)}"
    return schema


def _lengths(bounds: Sequence[tuple[Any, Any]]) -> list[Fragment]:
    spans: list[Fragment] = [
        ({"minLength": low} if low else {}) | ({"maxLength": high} if high < 2**32 else {}) for low, high in bounds
    ]
    return [part for part in ([{"anyOf": spans}] if len(spans) > 1 else spans) if part]


def _joined(base: Fragment, parts: Sequence[Fragment]) -> Fragment:
    """`base` with all of `parts`; what has the same keyword twice goes into an allOf."""
    rest: list[Fragment] = []
    for part in parts:
        if base.keys() & part.keys():
            rest.append(part)
        else:
            base = base | part
    return base | ({"allOf": rest} if rest else {})


def _integer(type_: Type) -> Fragment:
    if type_.base in ("int64", "uint64"):  # a string, so that no receiver makes a float of it
        sign = "-?" if type_.base == "int64" else ""
        return {"type": "string", "pattern": f"^{sign}[0-9]+$", "format": type_.base} | _said(type_)
    spans = [{"minimum": low, "maximum": high} for low, high in type_.bounds]
    return {"type": "integer"} | (spans[0] if len(spans) == 1 else {"anyOf": spans})


def _decimal(type_: Type) -> Fragment:
    return {"type": "string", "pattern": rf"^-?[0-9]+(\.[0-9]{{1,{type_.digits}}})?$"} | _said(type_)


def _said(type_: Type) -> Fragment:
    """A range of numbers that JSON has as strings cannot be checked: it is told."""
    if not type_.bounds:
        return {}
    spans = " | ".join(f"{_plain(low)}..{_plain(high)}" for low, high in type_.bounds)
    return {"description": f"range {spans}"}


def _plain(bound: Any) -> str:
    return format(bound, "f") if isinstance(bound, Decimal) else str(bound)


def _bits(type_: Type) -> Fragment:
    one = "|".join(type_.bits)
    return {"type": "string", "pattern": f"^(?:(?:{one})(?: (?:{one}))*)?$"}


def _identityref(type_: Type) -> Fragment:
    return {"type": "string", "enum": sorted(type_.identities)} if type_.identities else {"type": "string"}


def _union(type_: Type) -> Fragment:
    members: list[Fragment] = []
    for member in type_.members:
        schema = json_type(member)
        if schema not in members:
            members.append(schema)
    return members[0] if len(members) == 1 else {"anyOf": members}


_TYPES: Final[Mapping[str, Callable[[Type], Fragment]]] = {
    "string": _string,
    "decimal64": _decimal,
    "boolean": lambda _: {"type": "boolean"},
    "enumeration": lambda type_: {"type": "string", "enum": list(type_.enums)},
    "bits": _bits,
    "binary": lambda _: {"type": "string", "contentEncoding": "base64"},
    "empty": lambda _: {"type": "array", "prefixItems": [{"type": "null"}], "minItems": 1, "maxItems": 1},
    "identityref": _identityref,
    "instance-identifier": lambda _: {"type": "string", "pattern": "^/"},
    "union": _union,
}
