"""Regular expressions of XML Schema (part 2, appendix F) that clients write: matching takes time linear in the text.

Python's own engine tries one way after the other: a client's ``(a+)+b`` would keep it, and everybody who waits for the
interpreter, for years.  Here all ways are followed at once: an expression becomes a graph of positions (Thompson's
construction), and each character moves a set of positions on.  Steps that have been made are remembered, so that a
pattern in use costs a look-up for each character.  What one character class means is left to Python.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from elementpath import RegexError, translate_pattern

from nms.errors import RpcError

#: Positions in the graph of one expression; repetitions are written out, so that (a{9}){9} has hundreds.
MOST_POSITIONS: Final = 2_000
MOST_NESTING: Final = 32
#: Positions in all the steps that one expression remembers; after them it starts anew.
_MOST_REMEMBERED: Final = 20_000

_QUANTIFIER: Final = re.compile(r"[?*+]|\{([0-9]{1,9})(?:(,)([0-9]{1,9})?)?\}")
_ESCAPE: Final = re.compile(r"\\(?:[pP]\{[^{}]*\}|[^pP])")

#: Does a character belong to the class?
_Class: TypeAlias = Callable[[str], object]


class _Term(NamedTuple):
    """A part of an expression: one character of a `class`, or what its `parts` say in turn, or one of them.

    Attributes:
        least, most: how often; None: any number.
    """

    kind: Literal["class", "sequence", "choice"]
    parts: tuple[_Term, ...] = ()
    belongs: _Class | None = None
    least: int = 1
    most: int | None = 1


class Expression:
    """A compiled expression; it matches whole texts, as re-match() does (RFC 7950 section 10.2.1).

    Raises:
        RpcError: invalid-value; it is no XML Schema regular expression.  resource-denied; it is too large.
    """

    def __init__(self, text: str) -> None:
        #: (character class or None, the next positions); without a class these are reached at once.
        self._positions: list[tuple[_Class | None, list[int]]] = []
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._remembered = 0
        start = self._position()
        self._end = self._build(_Parser(text).whole(), start)
        self._start = self._closed({start})

    def matches(self, text: str, spend: Callable[[int], None]) -> bool:
        """Does it match all of `text`?

        Args:
            spend: is told how many positions were looked at; may raise.
        """
        known = self._start
        for character in text:
            found = self._steps.get((known, character))
            if found is None:
                spend(1 + len(known))
                found = self._step(known, character)
            known = found
            if not known:
                return False
        spend(len(text) >> 3)
        return self._end in known

    def _step(self, known: frozenset[int], character: str) -> frozenset[int]:
        reached: set[int] = set()
        for number in known:
            belongs, following = self._positions[number]
            if belongs is not None and belongs(character):
                reached.update(following)
        found = self._closed(reached)
        self._remembered += 1 + len(found)
        if self._remembered > _MOST_REMEMBERED:
            self._steps.clear()
            self._remembered = 1 + len(found)
        self._steps[known, character] = found
        return found

    def _closed(self, reached: set[int]) -> frozenset[int]:
        """`reached` with all that is reached from there without a character."""
        queue = list(reached)
        while queue:
            belongs, following = self._positions[queue.pop()]
            if belongs is None:
                new = [number for number in following if number not in reached]
                reached.update(new)
                queue += new
        return frozenset(reached)

    # The graph

    def _position(self, belongs: _Class | None = None) -> int:
        if len(self._positions) >= MOST_POSITIONS:
            raise RpcError("resource-denied", f"the regular expression has more than {MOST_POSITIONS} positions")
        self._positions.append((belongs, []))
        return len(self._positions) - 1

    def _link(self, one: int, other: int) -> None:
        self._positions[one][1].append(other)

    def _build(self, term: _Term, start: int) -> int:
        """Add `term` behind position `start`; gives the position behind it."""
        end = self._position()
        at = start
        for number in range(term.least if term.most is None else term.most):
            if number >= term.least:
                self._link(at, end)
            at = self._once(term, at)
        if term.most is None:
            loop = self._position()
            self._link(at, loop)
            self._link(self._once(term, loop), loop)
            at = loop
        self._link(at, end)
        return end

    def _once(self, term: _Term, start: int) -> int:
        if term.kind == "class":
            consumed, end = self._position(term.belongs), self._position()
            self._link(start, consumed)
            self._link(consumed, end)
            return end
        if term.kind == "sequence":
            if not term.parts:  # a position all the same, so that (){999999999} ends soon
                end = self._position()
                self._link(start, end)
                return end
            for part in term.parts:
                start = self._build(part, start)
            return start
        end = self._position()
        for part in term.parts:
            begin = self._position()
            self._link(start, begin)
            self._link(self._build(part, begin), end)
        return end


class _Parser:
    """The grammar of appendix F: regExp, branch, piece, atom."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._nesting = 0

    def whole(self) -> _Term:
        found = self._expression()
        if self._at < len(self._text):
            raise self._bad()
        return found

    def _bad(self) -> RpcError:
        where = f", after {self._text[: self._at][-60:]!r}" if self._at else ""
        return RpcError("invalid-value", f"{self._text[:60]!r} is no XML Schema regular expression{where}")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expression(self) -> _Term:
        self._nesting += 1
        if self._nesting > MOST_NESTING:
            raise RpcError("resource-denied", f"the regular expression is nested deeper than {MOST_NESTING} groups")
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        self._nesting -= 1
        return _Term("choice", tuple(branches)) if len(branches) > 1 else branches[0]

    def _branch(self) -> _Term:
        pieces = []
        while self._peek() not in ("", "|", ")"):
            pieces.append(self._piece())
        return _Term("sequence", tuple(pieces))

    def _piece(self) -> _Term:
        atom = self._atom()
        quantifier = _QUANTIFIER.match(self._text, self._at)
        if quantifier is None:
            return atom
        least, most = _counts(quantifier)
        if most is not None and most < least:
            raise self._bad()
        self._at = quantifier.end()
        return atom._replace(least=least, most=most)

    def _atom(self) -> _Term:
        first = self._peek()
        if first == "(":
            self._at += 1
            inner = self._expression()
            if self._peek() != ")":
                raise self._bad()
            self._at += 1
            return inner
        if first in "?*+{}]":
            raise self._bad()
        start = self._at
        self._at = self._class_end() if first == "[" else self._escape_end() if first == "\\" else start + 1
        return _Term("class", belongs=self._class(self._text[start : self._at]))

    def _escape_end(self) -> int:
        found = _ESCAPE.match(self._text, self._at)
        if found is None:
            raise self._bad()
        return found.end()

    def _class_end(self) -> int:
        """Where the class expression ends that starts here; one may be subtracted in it: ``[a-z-[aeiou]]``."""
        depth = 0
        at = self._at
        while at < len(self._text):
            match self._text[at]:
                case "\\":
                    at += 1
                case "[":
                    depth += 1
                case "]":
                    depth -= 1
                    if not depth:
                        return at + 1
            at += 1
        raise self._bad()

    def _class(self, text: str) -> _Class:
        if len(text) == 1 and text != ".":
            return text.__eq__
        try:
            pattern = translate_pattern(text, back_references=False, lazy_quantifiers=False, anchors=False)
            return re.compile(pattern).match
        except (RegexError, re.error):
            raise self._bad() from None


def _counts(quantifier: re.Match[str]) -> tuple[int, int | None]:
    match quantifier[0]:
        case "?":
            return 0, 1
        case "*":
            return 0, None
        case "+":
            return 1, None
    least = int(quantifier[1])
    if quantifier[2] is None:
        return least, least
    return least, None if quantifier[3] is None else int(quantifier[3])
