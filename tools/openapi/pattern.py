"""YANG's regular expressions (XML Schema, RFC 7950 section 9.4.5) as those of JSON Schema (ECMA 262, mode u)."""

from __future__ import annotations

import re
from typing import Final

_CLASSES: Final = {"i": "A-Za-z_:", "c": "A-Za-z0-9._:-", "I": "", "C": ""}
_SYNTAX: Final = frozenset("^$\\.*+?()[]{}|/")
_KEPT: Final = frozenset("dDwWsSnrt")
#: Letters and numbers by range: more than Unicode has, so that nothing right is refused; not every engine knows \\p.
_CATEGORIES: Final = {"L": "A-Za-z\u00aa-\uffff", "N": "0-9\u00b2-\uffff", "Nd": "0-9\u0660-\uffff"}
_CATEGORY: Final = re.compile(r"\{(\w+)\}")


def ecma(pattern: str) -> str | None:
    """A pattern that matches the same texts, anchored; None where ECMA has no word for it.

    XML Schema anchors always, knows no ``^`` and ``$``, subtracts classes and has classes of its own (``\\i``, ``\\c``,
    ``\\p{IsGreek}``).
    """
    out: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\":
            escaped = pattern[at]
            at += 1
            if escaped in "pP":
                category = _CATEGORY.match(pattern, at)
                ranges = _CATEGORIES.get(category[1]) if category is not None and escaped == "p" else None
                if category is None or ranges is None:
                    return None
                at = category.end()
                out.append(ranges if inside else f"[{ranges}]")
            elif escaped in _CLASSES:
                if not _CLASSES[escaped]:
                    return None
                out.append(_CLASSES[escaped] if inside else f"[{_CLASSES[escaped]}]")
            elif escaped in _KEPT or escaped in _SYNTAX or (inside and escaped == "-"):
                out.append(f"\\{escaped}")
            else:
                out.append(escaped)
        elif inside:
            if char == "[":  # class subtraction
                return None
            inside = char != "]"
            out.append(char)
        elif char == "[":
            inside = True
            negated = pattern.startswith("^", at)
            at += negated
            out.append("[^" if negated else "[")
        else:
            out.append(f"\\{char}" if char in "^$" else char)
    return f"^(?:{''.join(out)})$"
