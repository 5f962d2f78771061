"""From the types that yangson has resolved (typedefs, restrictions, bases) to `Type`s (RFC 7950 section 9).

Each built-in type has its function, which makes a parser of text and one of JSON that check the restrictions.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from yangson import datatype

from nms.model.types import InvalidValue, Resolver, Type, decimal_text, no_prefix
from nms.model.values import EMPTY, Empty, Identity, InstanceId, Scalar

T = TypeVar("T")


def compile_type(source: datatype.DataType[Any, Any], identities: Callable[[Sequence[Any]], set[str]]) -> Type:
    """The `Type` of a resolved yangson type.

    Args:
        source: yangson's type object after post-processing.
        identities: gives the qualified names derived from all of some bases.
    """
    leafref = None
    require = False
    name = source.name or ""
    while isinstance(source, datatype.LeafrefType):
        if leafref is None:  # of a chain the first one speaks (RFC 7950 section 9.9.3)
            leafref, require = source.path, bool(source.require_instance)
        source = source.ref_type
    compiled = _COMPILERS[_family(source)](source, identities)
    compiled.name = name or compiled.base
    compiled.leafref, compiled.require_instance = leafref, require
    if leafref is None and isinstance(source, datatype.InstanceIdentifierType):
        compiled.require_instance = bool(source.require_instance)
    return compiled


def _family(source: Any) -> type:
    for known in _COMPILERS:
        if isinstance(source, known):
            return known
    raise TypeError(f"no codec for {source!r}")


def _fail(constraint: Any, message: str) -> InvalidValue:
    own: str = getattr(constraint, "error_message", None) or ""
    stock = own in ("", "not in range", "invalid length") or own.startswith("pattern '")
    return InvalidValue(message if stock else own, getattr(constraint, "error_tag", None) or "")


def _intervals(limits: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((interval[0], interval[-1]) for interval in limits.intervals) if limits is not None else ()


def _length_check(source: Any) -> Callable[[int], None] | None:
    if source.length is None:
        return None
    limits = source.length

    def check(length: int) -> None:
        if length not in limits:
            raise _fail(limits, f"length {length} is not in {limits}")

    return check


#: What is no character of a YANG string (RFC 7950 section 9.4, rule yang-char); XML could not carry most of it.
_EXCLUDED: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]")


def _string(source: Any, _: Any) -> Type:
    check_length = _length_check(source)
    patterns = [(p.regex.match, p.invert_match, p) for p in source.patterns]

    def parse(text: str, _: Resolver) -> str:
        if not text.isprintable() and (excluded := _EXCLUDED.search(text)):
            raise InvalidValue(f"a string cannot hold the character U+{ord(excluded[0]):04X}")
        if check_length is not None:
            check_length(len(text))
        for match, inverted, pattern in patterns:
            if (match(text) is not None) == inverted:
                raise _fail(pattern, f"{text!r} does not match {'(inverted) ' * inverted}{pattern.pattern!r}")
        return text

    written = tuple((p.pattern, bool(p.invert_match)) for p in source.patterns)
    return Type(
        "string", parse, _from_text(parse, "a string"), _same, bounds=_intervals(source.length), patterns=written
    )


_INTEGER: Final = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)\s*\Z")


#: Python refuses to read thousands of digits; no range has as many as these.
_MOST_DIGITS: Final = 100


def _integer(source: Any, _: Any) -> Type:
    limits = source.range
    low, high = (limits.intervals[0][0], limits.intervals[-1][-1]) if limits else source._range
    several = limits is not None and len(limits.intervals) > 1
    base = _BUILTIN[type(source)]
    is_wide = isinstance(source, datatype.Int64Type | datatype.Uint64Type)

    def check(value: int) -> int:
        if not low <= value <= high or (several and value not in limits):
            raise _fail(limits, f"{value} is not in {limits if limits else f'{low}..{high}'}")
        return value

    def parse(text: str, _: Resolver) -> int:
        match = _INTEGER.match(text)
        if match is None:
            raise InvalidValue(f"{text!r} is not an {base}")
        sign, digits = match.groups()
        if len(digits) > _MOST_DIGITS:
            raise _fail(limits, f"a number of {len(digits)} digits is not in {limits if limits else f'{low}..{high}'}")
        value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
        return check(-value if sign == "-" else value)

    def from_json(raw: Any, resolve: Resolver) -> int:
        if is_wide:
            if not isinstance(raw, str):
                raise InvalidValue(f"an {base} is a JSON string")
            return parse(raw, resolve)
        if type(raw) is not int:
            raise InvalidValue(f"{raw!r} is not an {base}")
        return check(raw)

    return Type(base, parse, from_json, str if is_wide else _same, bounds=_intervals(limits) or ((low, high),))


_DECIMAL: Final = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*\Z")


def _decimal(source: Any, _: Any) -> Type:
    digits: int = source.fraction_digits
    limits = source.range
    low, high = source._range

    def parse(text: str, _: Resolver) -> Decimal:
        match = _DECIMAL.match(text)
        if match is None:
            raise InvalidValue(f"{text!r} is not a decimal64")
        value = Decimal(match[1]) or Decimal(0)  # there is no negative zero (section 9.3.2)
        exponent = value.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > digits:
            raise InvalidValue(f"{text.strip()} has more than {digits} fraction digits")
        if not low <= value <= high or (limits is not None and value not in limits):
            raise _fail(limits, f"{text.strip()} is not in {limits if limits else f'{low}..{high}'}")
        return value.quantize(Decimal(1).scaleb(-digits))

    return Type(
        "decimal64",
        parse,
        _from_text(parse, "a decimal64 as a JSON string"),
        decimal_text,
        bounds=_intervals(limits),
        digits=digits,
    )


def _boolean(_: Any, __: Any) -> Type:
    def parse(text: str, _: Resolver) -> bool:
        text = text.strip()
        if text not in ("true", "false"):
            raise InvalidValue(f"{text!r} is not true or false")
        return text == "true"

    def from_json(raw: Any, _: Resolver) -> bool:
        return bool(_expect(raw, bool, "true or false"))

    return Type("boolean", parse, from_json, _same)


def _enumeration(source: Any, _: Any) -> Type:
    names: dict[str, str] = {name: name for name in source.enum}

    def parse(text: str, _: Resolver) -> str:
        try:
            return names[text]
        except KeyError:
            pass
        try:
            return names[text.strip()]
        except KeyError:
            raise InvalidValue(f"{text!r} is not one of {', '.join(names)}") from None

    return Type("enumeration", parse, _from_text(parse, "an enumeration as a string"), _same, enums=dict(source.enum))


def _bits(source: Any, _: Any) -> Type:
    positions: dict[str, int] = dict(source.bit)

    def parse(text: str, _: Resolver) -> str:
        names = text.split()
        for name in names:
            if name not in positions:
                raise InvalidValue(f"{name!r} is not one of {', '.join(positions)}")
        if len(set(names)) < len(names):
            raise InvalidValue(f"{text!r} names a bit twice")
        return " ".join(sorted(names, key=positions.__getitem__))

    return Type("bits", parse, _from_text(parse, "bits as a string"), _same, bits=positions)


def _binary(source: Any, _: Any) -> Type:
    check_length = _length_check(source)

    def parse(text: str, _: Resolver) -> str:
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidValue("not base64") from None
        if check_length is not None:
            check_length(len(data))
        return base64.b64encode(data).decode()

    return Type(
        "binary", parse, _from_text(parse, "binary as a base64 string"), _same, bounds=_intervals(source.length)
    )


def _empty(_: Any, __: Any) -> Type:
    def parse(text: str, _: Resolver) -> Empty:
        if text.strip():
            raise InvalidValue("type empty takes no value")
        return EMPTY

    def from_json(raw: Any, _: Resolver) -> Empty:
        if raw != [None]:
            raise InvalidValue("type empty is [null]")
        return EMPTY

    return Type("empty", parse, from_json, lambda _: [None])


def _identityref(source: Any, identities: Callable[[Sequence[Any]], set[str]]) -> Type:
    accepted = frozenset(identities(source.bases))
    interned = {name: Identity(name) for name in accepted}
    default_module = source.sctx.default_ns

    def parse(text: str, resolve: Resolver) -> Identity:
        prefix, colon, local = text.strip().rpartition(":")
        module = resolve(prefix)
        if module is None:
            if colon:
                raise InvalidValue(f"prefix {prefix!r} of {text.strip()!r} is not declared")
            module = default_module
        try:
            return interned[f"{module}:{local}"]
        except KeyError:
            pass
        bases = " and ".join(f"{b[1]}:{b[0]}" for b in source.bases)
        raise InvalidValue(f"{module}:{local} is not an identity derived from {bases}")

    return Type("identityref", parse, _from_text(parse, "an identity as a string"), str, identities=accepted)


_QNAME: Final = re.compile(r"'[^']*'|\"[^\"]*\"|([A-Za-z_][\w.-]*)(:[A-Za-z_][\w.-]*)?")
_INSTANCE: Final = re.compile(
    r"""(/(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*(\[\s*(?:(?:\.|(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*)\s*=\s*"""
    r"""(?:'[^']*'|"[^"]*")|[1-9]\d*)\s*\])*)+\Z"""
)


def _instance_identifier(_: Any, __: Any) -> Type:
    def parse(text: str, resolve: Resolver) -> InstanceId:
        text = text.strip()
        if _INSTANCE.match(text) is None:
            raise InvalidValue(f"{text!r} is not an instance-identifier")
        current = ""  # RFC 7951 section 6.11: an unprefixed name is in its parent's module

        def qualify(match: re.Match[str]) -> str:
            nonlocal current
            if match[1] is None:
                return match[0]
            if match[2] is None:
                if not current:
                    raise InvalidValue(f"{match[0]!r} in {text!r} needs a prefix")
                return f"{current}:{match[1]}"
            module = resolve(match[1])
            if module is None:
                raise InvalidValue(f"prefix {match[1]!r} in {text!r} is not declared")
            if match.start() and text[match.start() - 1] == "/":
                current = module
            return module + match[2]

        return InstanceId(_QNAME.sub(qualify, text))

    return Type("instance-identifier", parse, _from_text(parse, "an instance-identifier as a string"), str)


def _union(source: Any, identities: Callable[[Sequence[Any]], set[str]]) -> Type:
    members = [compile_type(member, identities) for member in source.types]

    def first(attempt: str, raw: Any, resolve: Resolver) -> Scalar:
        for member in members:
            try:
                value: Scalar = getattr(member, attempt)(raw, resolve)
            except InvalidValue:
                continue
            return value
        raise InvalidValue(f"{raw!r} fits no member of the union ({', '.join(m.name for m in members)})")

    def to_json(value: Any) -> Any:
        # An int belongs to the first integer member that holds it; the other scalars tell their type themselves.
        if type(value) is int:
            for member in members:
                if "int" in member.base or member.base == "union":
                    try:
                        member.parse(str(value), no_prefix)
                    except InvalidValue:
                        continue
                    return member.to_json(value)
        return [None] if isinstance(value, Empty) else decimal_text(value) if isinstance(value, Decimal) else value

    return Type(
        "union",
        lambda text, resolve: first("parse", text, resolve),
        lambda raw, resolve: first("from_json", raw, resolve),
        to_json,
        members=members,
    )


def _same(value: Any) -> Any:
    return value


def _from_text(parse: Callable[[str, Resolver], T], what: str) -> Callable[[Any, Resolver], T]:
    """The parser of a type whose JSON is a string with the same text."""

    def from_json(raw: Any, resolve: Resolver) -> T:
        return parse(_expect(raw, str, what), resolve)

    return from_json


def _expect(raw: Any, kind: type, what: str) -> Any:
    if type(raw) is not kind:
        raise InvalidValue(f"{raw!r} is not {what}")
    return raw


_BUILTIN: Final[Mapping[type, str]] = {
    datatype.Int8Type: "int8",
    datatype.Int16Type: "int16",
    datatype.Int32Type: "int32",
    datatype.Int64Type: "int64",
    datatype.Uint8Type: "uint8",
    datatype.Uint16Type: "uint16",
    datatype.Uint32Type: "uint32",
    datatype.Uint64Type: "uint64",
}

_COMPILERS: Final[Mapping[type, Callable[[Any, Callable[[Sequence[Any]], set[str]]], Type]]] = {
    datatype.StringType: _string,
    datatype.IntegralType: _integer,
    datatype.Decimal64Type: _decimal,
    datatype.BooleanType: _boolean,
    datatype.EnumerationType: _enumeration,
    datatype.BitsType: _bits,
    datatype.BinaryType: _binary,
    datatype.EmptyType: _empty,
    datatype.IdentityrefType: _identityref,
    datatype.InstanceIdentifierType: _instance_identifier,
    datatype.UnionType: _union,
}
