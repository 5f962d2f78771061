"""Comparisons of XPath 1.0 (section 3.4) and the conversions around them, chosen by the kinds of both sides.

A node-set compares as true when one of its nodes does; sets of any size compare in time linear in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from nms.model.cursor import Cursor, Evaluation, string_value
from nms.model.xpath_functions import number_of_node, to_boolean, to_number, to_string
from nms.model.xpath_parts import Part, Run
from nms.model.xpath_tree import names_identities


def as_string(part: Part) -> Run:
    """A part's closure with string() around it."""
    if part.kind == "string":
        return part.run
    run, kind = part.run, part.kind
    return lambda c, v: to_string(run(c, v), kind, v)


def as_number(part: Part) -> Run:
    """A part's closure with number() around it."""
    if part.kind == "number":
        return part.run
    run, kind = part.run, part.kind
    return lambda c, v: to_number(run(c, v), kind, v)


def as_boolean(part: Part) -> Run:
    """A part's closure with boolean() around it."""
    if part.kind == "boolean":
        return part.run
    run, kind = part.run, part.kind
    return lambda c, v: to_boolean(run(c, v), kind, v)


def equality(left: Part, right: Part, negate: bool, alias: Callable[[str], str | None]) -> Part:
    """= or !=; `alias` gives the canonical form of an identity that a string names by prefix."""
    if right.kind == "nodes" and left.kind != "nodes":
        left, right = right, left
    if left.kind != "nodes":
        return Part(_equal_scalars(left, right, negate), "boolean")
    if right.kind == "nodes":
        return Part(_equal_nodes(left, right, negate), "boolean")
    run, other = left.run, right.run
    if right.kind == "boolean":
        return Part(lambda c, v: (bool(run(c, v)) is other(c, v)) is not negate, "boolean")
    if right.kind == "number":

        def equals_number(c: Cursor, v: Evaluation) -> bool:
            number = other(c, v)
            return any((number_of_node(x, v) == number) is not negate for x in run(c, v))

        return Part(equals_number, "boolean")
    if any(names_identities(node) for node in left.nodes):

        def equals_identity(c: Cursor, v: Evaluation) -> bool:
            text = other(c, v)
            names = (text, alias(text))
            return any((string_value(x, v) in names) is not negate for x in run(c, v))

        return Part(equals_identity, "boolean")

    def equals_string(c: Cursor, v: Evaluation) -> bool:
        text = other(c, v)
        return any((string_value(x, v) == text) is not negate for x in run(c, v))

    return Part(equals_string, "boolean")


def _equal_scalars(left: Part, right: Part, negate: bool) -> Run:
    kinds = {left.kind, right.kind}
    convert = as_boolean if "boolean" in kinds else as_number if "number" in kinds else as_string
    a, b = convert(left), convert(right)
    return lambda c, v: (a(c, v) == b(c, v)) is not negate


def _equal_nodes(left: Part, right: Part, negate: bool) -> Run:
    """= or != of two node-sets."""
    if not negate:
        for part, other in ((left, right), (right, left)):
            if part.values is not None:
                return _among(other.run, part.values)
    a, b = left.run, right.run
    return lambda c, v: _any_equal(a(c, v), b(c, v), negate, v)


def _among(run: Run, values: Callable[[Cursor, Evaluation], frozenset[str]]) -> Run:
    def among(c: Cursor, v: Evaluation) -> bool:
        found = run(c, v)
        if not found:
            return False
        known = values(c, v)
        return any(string_value(x, v) in known for x in found)

    return among


def relation(left: Part, right: Part, operator: str) -> Part:
    """<, <=, > or >=: always of numbers."""
    if "boolean" in (left.kind, right.kind):
        left, right = Part(as_boolean(left), "boolean"), Part(as_boolean(right), "boolean")
    # One node compares as its number, and no node as NaN: in no way.
    if all(part.kind != "nodes" or part.shape == "single" for part in (left, right)):
        a, b = as_number(left), as_number(right)
        compare = COMPARISONS[operator]
        return Part(lambda c, v: compare(a(c, v), b(c, v)), "boolean")
    many = [_numbers(part) for part in (left, right)]
    return Part(lambda c, v: _any_ordered(operator, many[0](c, v), many[1](c, v)), "boolean")


def _numbers(part: Part) -> Run:
    run = as_number(part)
    if part.kind != "nodes":
        return lambda c, v: [run(c, v)]
    nodes = part.run
    return lambda c, v: [number_of_node(x, v) for x in nodes(c, v)]


COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _any_equal(left: list[Cursor], right: list[Cursor], negate: bool, evaluation: Evaluation) -> bool:
    """= or != of two node-sets, in time linear in both."""
    if not left or not right:
        return False
    a = {string_value(c, evaluation) for c in left}
    b = {string_value(c, evaluation) for c in right}
    return not a.isdisjoint(b) if not negate else len(a) > 1 or a != b or len(b) > 1


def _any_ordered(operator: str, left: list[float], right: list[float]) -> bool:
    """<, <=, > or >= of any number of `left` with any of `right`; NaN compares with nothing."""
    a = [x for x in left if x == x]
    b = [x for x in right if x == x]
    if not a or not b:
        return False
    if operator in ("<", "<="):
        return bool(COMPARISONS[operator](min(a), max(b)))
    return bool(COMPARISONS[operator](max(a), min(b)))
