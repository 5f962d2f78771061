"""YANG types as the engine uses them: text and JSON in, canonical values out (RFC 7950 section 9, RFC 7951 section 6).

How a `Type` is made of what a model says is `nms.model.type_compiler`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from nms.model.values import Empty, Scalar

#: Resolves a prefix of a qualified name in a value ("" for none) to a module name, or None if it is unknown.
Resolver = Callable[[str], str | None]


class InvalidValue(ValueError):
    """A value outside its type's value space; `app_tag` and the message are the model's own where it has them."""

    def __init__(self, message: str, app_tag: str = "") -> None:
        super().__init__(message)
        self.app_tag = app_tag


@dataclass(slots=True, eq=False)
class Type:
    """A resolved YANG type.

    Attributes:
        base: built-in type name (RFC 7950 section 4.2.4); a leafref shows its target's.
        name: name of the typedef or built-in as written in the model.
        parse: (text, resolver) -> value; raises `InvalidValue`.
        from_json: (RFC 7951 value, resolver) -> value; raises `InvalidValue`.
        to_json: value -> RFC 7951 value.
        enums, bits: names -> number or position.
        identities: qualified names an identityref accepts.
        members: types of a union, in order.
        bounds: intervals of the range, or of the length; empty: none but the built-in type's.
        patterns: regular expressions as written, and whether each is inverted.
        digits: fraction-digits.
        leafref: the yangson XPath of the path, None when this is no leafref; `require_instance` as in section 9.9.3.
    """

    base: str
    parse: Callable[[str, Resolver], Scalar]
    from_json: Callable[[Any, Resolver], Scalar]
    to_json: Callable[[Any], Any]
    name: str = ""
    enums: Mapping[str, int] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    identities: frozenset[str] = frozenset()
    members: Sequence[Type] = ()
    bounds: Sequence[tuple[Any, Any]] = ()
    patterns: Sequence[tuple[str, bool]] = ()
    digits: int = 0
    leafref: Any = None
    require_instance: bool = False


def text_of(value: Scalar) -> str:
    """Canonical lexical form (RFC 7950 section 9.1); qualified names keep their module as prefix."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Empty):
        return ""
    return value if isinstance(value, str) else decimal_text(value) if isinstance(value, Decimal) else str(value)


def decimal_text(value: Decimal) -> str:
    """Canonical lexical form of a decimal64 (section 9.3.2)."""
    text = format(value, "f")
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def module_resolver(default: str | None) -> Resolver:
    """Prefixes are module names (RFC 7951); an unqualified name is in module `default`."""
    return lambda prefix: prefix or default


def no_prefix(prefix: str) -> str | None:
    """The `Resolver` where there are no prefixes."""
    return None
