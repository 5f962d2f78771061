"""XPath expressions in words: "direction is push and hub is present" (RFC 7950 sections 7.5.3, 7.21.5).

What has no entry in the table stays without words; the expression itself is always shown beside them.
"""

from __future__ import annotations

from typing import Any, Final

from pyang import xpath_lexer, xpath_parser

#: What a comparison says, and its opposite.
_COMPARED: Final = {
    "=": ("is", "is not"), "!=": ("is not", "is"), "<": ("is less than", "is at least"),
    "<=": ("is at most", "is more than"), ">": ("is more than", "is at most"), ">=": ("is at least", "is less than"),
}  # fmt: skip

#: Functions that change how a value is written, not what is meant.
_TRANSPARENT: Final = frozenset({"number", "string", "normalize-space", "substring", "translate"})


def words(expression: str) -> str:
    """What a condition asks for, "" where that cannot be said shortly."""
    try:
        return _condition(xpath_parser.parse(expression)) or ""
    except (xpath_lexer.XPathError, SyntaxError):
        return ""


def _condition(tree: Any, *, negated: bool = False) -> str | None:
    match tree:
        case ("path_expr", inner):
            return _condition(inner, negated=negated)
        case ("bool", operator, *sides):
            # De Morgan: what is denied of a conjunction is denied of one of its sides.
            word = operator if not negated else {"and": "or", "or": "and"}[operator]
            said = [_condition(side, negated=negated) for side in sides]
            return None if None in said else f" {word} ".join(_grouped(text, word) for text in said if text)
        case ("comp", sign, left, right):
            of, other = _operand(left), _operand(right)
            return None if of is None or other is None else f"{of} {_COMPARED[sign][negated]} {other}"
        case ("function_call", "not", [inner]):
            return _condition(inner, negated=not negated)
        case ("function_call", "derived-from-or-self" | "derived-from" as name, [leaf, identity]):
            of, other = _operand(leaf), _operand(identity)
            if of is None or other is None:
                return None
            kind = "a kind of" if name.endswith("self") else "derived from"
            return f"{of} is {'not ' if negated else ''}{kind} {other}"
        case ("relative" | "absolute", *_):
            path = _operand(tree)
            return None if path is None else f"{path} is {'absent' if negated else 'present'}"
    return None


def _grouped(text: str, word: str) -> str:
    other = "or" if word == "and" else "and"
    return f"({text})" if f" {other} " in text else text


def _operand(tree: Any) -> str | None:
    match tree:
        case ("path_expr", inner):
            return _operand(inner)
        case ("literal", text):
            return str(text).strip("'\"") or "empty"
        case ("number", number):
            return str(number)
        case ("function_call", "current", []):
            return "the value"
        case ("function_call", "count", [path]):
            counted = _operand(path)
            return None if counted is None else f"the number of {counted}"
        case ("function_call", name, [inner, *_]) if name in _TRANSPARENT:
            return _operand(inner)
        case ("relative" | "absolute" as kind, steps):
            return _path(kind, steps)
    return None


def _path(kind: str, steps: Any) -> str | None:
    names = []
    for step in steps:
        match step:
            case ("step", "child", ("name", _, str(name)), []):
                names.append(name)
            case ("step", "parent", _, []) if not names:
                continue
            case ("step", "self", _, []):
                continue
            case _:
                return None
    if not names:
        return "the value" if all(step[1] == "self" for step in steps) else None
    return ("/" if kind == "absolute" else "") + "/".join(names)
