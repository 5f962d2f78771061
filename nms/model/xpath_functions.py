"""XPath 1.0 values: conversions, comparisons and the functions of its core library and of RFC 7950 section 10.

A node-set is a list of cursors in document order; a string, number and boolean are `str`, `float` and `bool`.  Nothing
here knows syntax trees' structure beyond where a function keeps its arguments: `nms.model.xpath` compiles them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from yangson import xpathast as ast

from nms.errors import RpcError
from nms.model.cursor import Cursor, Evaluation, name_of, string_value
from nms.model.regex import Expression
from nms.model.types import Type
from nms.model.values import Identity, Scalar

Kind = Literal["nodes", "string", "number", "boolean"]
NAN: Final = float("nan")

_NUMBER: Final = re.compile(r"[ \t\r\n]*-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[ \t\r\n]*\Z")


def number_of(text: str) -> float:
    """number() of a string: NaN unless it is a Number of XPath 1.0 with an optional minus (section 4.4)."""
    return float(text) if _NUMBER.match(text) else NAN


def number_text(value: float) -> str:
    """string() of a number: decimal form without exponent (section 4.2)."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def to_string(value: Any, kind: Kind, evaluation: Evaluation) -> str:
    """string() of a value of `kind`."""
    if kind == "nodes":
        return str(string_value(value[0], evaluation)) if value else ""
    if kind == "number":
        return number_text(value)
    if kind == "boolean":
        return "true" if value else "false"
    return str(value)


def number_of_node(c: Cursor, evaluation: Evaluation) -> float:
    """number() of a node's string-value."""
    value = c.value
    if type(value) is int or type(value) is Decimal:
        return float(value)
    return number_of(string_value(c, evaluation))


def to_number(value: Any, kind: Kind, evaluation: Evaluation) -> float:
    """number() of a value of `kind`."""
    if kind == "nodes":
        return number_of_node(value[0], evaluation) if value else NAN
    if kind == "string":
        return number_of(value)
    return float(value)


def to_boolean(value: Any, kind: Kind, evaluation: Evaluation) -> bool:
    """boolean() of a value of `kind` (section 4.3)."""
    return bool(value) and value == value


# Arithmetic (section 3.5)


def divide(left: float, right: float) -> float:
    """IEEE 754 division."""
    if right:
        return left / right
    if left != left or right != right or not left:
        return NAN
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: float, right: float) -> float:
    """Remainder of a truncating division; it has the sign of the left side."""
    if not right or math.isinf(left) or left != left or right != right:
        return NAN
    return math.fmod(left, right)


def round_half_up(value: float) -> float:
    """round(): the nearest integer, of two the greater one; keeps the sign of zero (section 4.4)."""
    if value != value or math.isinf(value):
        return value
    low = math.floor(value)
    return math.copysign(float(low + (value - low >= 0.5)), value)


def _integral(rounding: Callable[[float], int]) -> Callable[[float], float]:
    def rounded(value: float) -> float:
        if value != value or math.isinf(value):
            return value
        return math.copysign(float(rounding(value)), value) if abs(value) < 1 else float(rounding(value))

    return rounded


def _floor(value: float) -> float:
    return float(math.floor(value)) if math.isfinite(value) and value else value


# Strings (section 4.2)


def _substring(text: str, start: float, length: float = math.inf) -> str:
    first = round_half_up(start)
    end = first + round_half_up(length)
    if first != first or end != end:
        return ""
    low = max(first, 1.0)
    high = min(end, len(text) + 1.0)
    return text[int(low) - 1 : int(high) - 1] if high > low else ""


def _before(text: str, mark: str) -> str:
    return text.partition(mark)[0] if mark and mark in text else ""


def _after(text: str, mark: str) -> str:
    return text.partition(mark)[2] if mark else text


def _translate(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for position, character in enumerate(old):
        table.setdefault(ord(character), new[position] if position < len(new) else None)
    return text.translate(table)


_WHITE: Final = " \t\r\n"


def _normalize(text: str) -> str:
    return " ".join(re.split(f"[{_WHITE}]+", text.strip(_WHITE)))


@lru_cache(maxsize=64)
def _regex(pattern: str) -> Expression:
    return Expression(pattern)


def _re_match(text: str, pattern: str, evaluation: Evaluation) -> bool:
    try:
        return _regex(pattern).matches(text, evaluation.spend)
    except RpcError as error:
        raise RpcError(error.tag, f"re-match(): {error.message}") from None


# Functions over node-sets


def _name(nodes: list[Cursor], evaluation: Evaluation) -> str:
    node = name_of(nodes[0].node) if nodes else None
    return f"{node.module}:{node.name}" if node is not None and node.name else ""


def _local_name(nodes: list[Cursor], evaluation: Evaluation) -> str:
    return name_of(nodes[0].node).name if nodes else ""


def _namespace_uri(nodes: list[Cursor], evaluation: Evaluation) -> str:
    return name_of(nodes[0].node).namespace if nodes else ""


def _count(nodes: list[Cursor], evaluation: Evaluation) -> float:
    return float(len(nodes))


def _sum(nodes: list[Cursor], evaluation: Evaluation) -> float:
    return sum([number_of_node(c, evaluation) for c in nodes], 0.0)


def _bit_is_set(nodes: list[Cursor], bit: str, evaluation: Evaluation) -> bool:
    if not nodes or not isinstance(nodes[0].value, str):
        return False
    kind = nodes[0].node.type
    return kind is not None and any(bit in t.bits for t in _plain(kind)) and bit in nodes[0].value.split()


def _enum_value(nodes: list[Cursor], evaluation: Evaluation) -> float:
    if nodes and nodes[0].node.type is not None:
        for kind in _plain(nodes[0].node.type):
            if nodes[0].value in kind.enums:
                return float(kind.enums[nodes[0].value])
    return NAN


def _plain(kind: Type) -> list[Type]:
    """The types a value may have: those of a union, else the one."""
    return [inner for member in kind.members for inner in _plain(member)] if kind.members else [kind]


def derived_from(nodes: list[Cursor], identity: str, bases: Mapping[str, frozenset[str]], *, or_self: bool) -> bool:
    """derived-from(-or-self)() of RFC 7950 section 10.4: is any node an identityref derived from `identity`?"""
    return any(
        isinstance(c.value, Identity) and (identity in bases.get(c.value, ()) or (or_self and c.value == identity))
        for c in nodes
    )


class Function(NamedTuple):
    """How a function is called: the kinds its arguments are converted to, the kind of its result, and its code.

    `code` takes the converted arguments, and after them the evaluation where `over_nodes`.  An argument left out
    (None in the syntax tree) is the context node where the table says so by `arguments` giving None.
    """

    arguments: Callable[[Any], tuple[Any, ...]]
    kinds: tuple[Kind, ...]
    result: Kind
    code: Callable[..., Any]
    over_nodes: bool = False


def _one(e: Any) -> tuple[Any, ...]:
    return (e.expr,)


def _two(e: Any) -> tuple[Any, ...]:
    return (e.left, e.right)


def _substring_arguments(e: Any) -> tuple[Any, ...]:
    return (e.left, e.right, e.length) if e.length is not None else (e.left, e.right)


class NamespaceUri(ast.UnaryExpr):  # type: ignore[misc] # yangson is not typed
    """namespace-uri(), which yangson's grammar lacks."""


class Lang(ast.UnaryExpr):  # type: ignore[misc]
    """lang(): no node of a data tree has an xml:lang."""


#: name() and its like depend on the class alone, but for the two that yangson tells apart by a flag.
FUNCTIONS: Final[Mapping[type, Function]] = {
    ast.FuncBoolean: Function(_one, ("boolean",), "boolean", lambda a: a),
    ast.FuncNot: Function(_one, ("boolean",), "boolean", lambda a: not a),
    ast.FuncTrue: Function(lambda e: (), (), "boolean", lambda: True),
    ast.FuncFalse: Function(lambda e: (), (), "boolean", lambda: False),
    ast.FuncNumber: Function(_one, ("number",), "number", lambda a: a),
    ast.FuncCeiling: Function(_one, ("number",), "number", _integral(math.ceil)),
    ast.FuncFloor: Function(_one, ("number",), "number", _floor),
    ast.FuncRound: Function(_one, ("number",), "number", round_half_up),
    ast.FuncString: Function(_one, ("string",), "string", lambda a: a),
    ast.FuncConcat: Function(lambda e: tuple(e.parts), ("string",), "string", lambda *parts: "".join(parts)),
    ast.FuncContains: Function(_two, ("string", "string"), "boolean", lambda a, b: b in a),
    ast.FuncStartsWith: Function(_two, ("string", "string"), "boolean", lambda a, b: a.startswith(b)),
    ast.FuncSubstringBefore: Function(_two, ("string", "string"), "string", _before),
    ast.FuncSubstringAfter: Function(_two, ("string", "string"), "string", _after),
    ast.FuncSubstring: Function(_substring_arguments, ("string", "number", "number"), "string", _substring),
    ast.FuncStringLength: Function(_one, ("string",), "number", lambda a: float(len(a))),
    ast.FuncNormalizeSpace: Function(_one, ("string",), "string", _normalize),
    ast.FuncTranslate: Function(lambda e: (e.left, e.right, e.nchars), ("string",) * 3, "string", _translate),
    ast.FuncReMatch: Function(_two, ("string", "string"), "boolean", _re_match, True),
    ast.FuncCount: Function(_one, ("nodes",), "number", _count, True),
    ast.FuncSum: Function(_one, ("nodes",), "number", _sum, True),
    ast.FuncName: Function(_one, ("nodes",), "string", _name, True),
    NamespaceUri: Function(_one, ("nodes",), "string", _namespace_uri, True),
    Lang: Function(_one, ("string",), "boolean", lambda a: False),
    ast.FuncBitIsSet: Function(_two, ("nodes", "string"), "boolean", _bit_is_set, True),
    ast.FuncEnumValue: Function(_one, ("nodes",), "number", _enum_value, True),
}
LOCAL_NAME: Final = Function(_one, ("nodes",), "string", _local_name, True)


def canonical(kind: Type, text: str) -> Scalar | None:
    """The value of type `kind` whose canonical text is `text`, or None; unions stand as text in keys."""
    if kind.base == "boolean":
        return {"true": True, "false": False}.get(text)
    if "int" in kind.base:
        return int(text) if _CANONICAL_INT.match(text) else None
    if kind.base == "decimal64":
        return Decimal(text) if _CANONICAL_DECIMAL.match(text) else None
    if kind.base == "empty":
        return None
    return text


_CANONICAL_INT: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,19})\Z")
_CANONICAL_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\.(?:0|[0-9]{0,17}[1-9])\Z")
