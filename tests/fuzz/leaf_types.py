"""Random YANG types with values of theirs that are right and wrong, as RFC 7951 writes them (RFC 7950 section 9).

The values are decided here, by the few restrictions that are in use, and not by the engine under test.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final

#: Identities of the module of types and their bases.
IDENTITIES: Final[dict[str, tuple[str, ...]]] = {
    "any": (),
    "colour": ("any",),
    "warm": ("colour",),
    "red": ("warm",),
    "blue": ("colour",),
    "round": (),
    "ball": ("round", "red"),
}
#: Identities that the first module adds.
OWN: Final[dict[str, tuple[str, ...]]] = {"rose": ("ball",), "sky": ("blue",)}


@dataclass(slots=True, eq=False)
class LeafType:
    """A type as it stands in a module, and what fits it.

    Attributes:
        statement: the `type` statement.
        base: the built-in type; "union" and "leafref" among them.
        good, bad: values that are in it and that are not.
        target: of a leafref, the leaf that it refers to.
        extra: facts that conditions are made of: names of enums and bits.
    """

    statement: str
    base: str
    good: Sequence[Any]
    bad: Sequence[Any] = ()
    target: Any = None
    require: bool = True
    extra: Sequence[str] = field(default_factory=tuple)

    @property
    def ordered(self) -> bool:
        """Whether it is a number, for comparisons and sums."""
        return "int" in self.base or self.base == "decimal64"


def text_of(value: Any) -> str:
    """The canonical text of an RFC 7951 value."""
    if value == [None]:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def identity_closure() -> dict[str, set[str]]:
    """Qualified identity -> the qualified identities it is derived from."""
    known = {f"ft:{name}": {f"ft:{b}" for b in bases} for name, bases in IDENTITIES.items()}
    known |= {f"fa:{name}": {f"ft:{b}" for b in bases} for name, bases in OWN.items()}
    for name in known:
        while True:
            more = set().union(*(known[b] for b in known[name])) - known[name]
            if not more:
                break
            known[name] |= more
    return known


CLOSURE: Final = identity_closure()
WORDS: Final = ("a", "b", "ab", "ba", "c", "abc", "", "3", "x-1")


def random_type(rng: Random, *, key: bool = False, nested: bool = False) -> LeafType:
    """Any type but a leafref; `key`: one whose values can stand in a path."""
    makers: list[Callable[[Random], LeafType]] = [_string, _string, _integer, _integer, _enumeration, _boolean]
    if not key:
        makers += [_decimal, _bits, _binary, _identityref]
        if not nested:
            makers += [_union, _empty]
    return rng.choice(makers)(rng)


def _string(rng: Random) -> LeafType:
    inner, tests = "", []
    if rng.random() < 0.4:
        low, high = sorted(rng.sample(range(4), 2))
        argument, low, high = rng.choice(
            [(f"{low}..{high}", low, high), (f"min..{high}", 0, high), (f"{low}..max", low, 99)]
        )
        inner += f'length "{argument}" {{ error-app-tag "len"; }} '
        tests.append(lambda v: low <= len(v) <= high)
    if rng.random() < 0.3:
        pattern = rng.choice(["[abc]*", "a?b*", "[^3]*", r"\w*", "(ab|c){0,2}"])
        invert = rng.random() < 0.4
        inner += f"pattern '{pattern}'" + (" { modifier invert-match; } " if invert else "; ")
        tests.append(lambda v: (re.fullmatch(pattern, v) is not None) != invert)
    good = [w for w in WORDS if all(t(w) for t in tests)]
    if not good:
        return LeafType("type string;", "string", ("a", "b"), (3, True))
    bad: list[Any] = [w for w in WORDS if w not in good]
    return LeafType(f"type string {{ {inner}}}" if inner else "type string;", "string", good, [*bad, 3])


_BITS: Final = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64, "uint64": 64}


def _integer(rng: Random) -> LeafType:
    base = rng.choice(["uint8", "uint8", *_BITS])
    least, most = (
        (0, 2 ** _BITS[base] - 1) if base[0] == "u" else (-(2 ** (_BITS[base] - 1)), 2 ** (_BITS[base] - 1) - 1)
    )
    pool = [v for v in (-2, -1, 0, 1, 2, 3, 5, 8) if least <= v]
    statement = f"type {base};"
    bad: list[Any] = [least - 1, most + 1]
    if rng.random() < 0.3:
        low, high = sorted(rng.sample(range(6), 2))
        argument, allowed = rng.choice(
            [
                (f"{low}..{high}", lambda v: low <= v <= high),
                (f"{low} | {high + 1}..max", lambda v: v == low or v > high),
                (f"min..{high}", lambda v: v <= high),
            ]
        )
        statement = f'type {base} {{ range "{argument}"; }}'
        bad += [v for v in pool if not allowed(v)]
        pool = [v for v in pool if allowed(v)] or [low]
    wide = base.endswith("64")
    wrap: Callable[[int], Any] = str if wide else int
    return LeafType(statement, base, [wrap(v) for v in pool], [*map(wrap, bad), "x", 1.5])


def _decimal(rng: Random) -> LeafType:
    digits = rng.choice([1, 2, 18])
    pool = ["0.5", "1.0", "1.5", "-1.5", "2.0", "3.0"]
    statement = f"type decimal64 {{ fraction-digits {digits}; }}"
    bad: list[Any] = ["1e3", "x", "0." + "1" * (digits + 1), 1.5, "9223372036854775808.0"]
    if rng.random() < 0.4:
        statement = f'type decimal64 {{ fraction-digits {digits}; range "0.5..1.5 | 3"; }}'
        bad += [v for v in pool if not (Decimal("0.5") <= Decimal(v) <= Decimal("1.5") or v == "3.0")]
        pool = ["0.5", "1.0", "1.5", "3.0"]
    return LeafType(statement, "decimal64", pool, bad)


def _enumeration(rng: Random) -> LeafType:
    names = rng.sample(["low", "mid", "high", "two words", "3"], rng.randint(2, 4))
    values = rng.sample(range(-3, 9), len(names))
    numbered = rng.random() < 0.5
    inner = " ".join(
        f'enum "{n}" {{ value {v}; }}' if numbered else f'enum "{n}";' for n, v in zip(names, values, strict=True)
    )
    return LeafType(f"type enumeration {{ {inner} }}", "enumeration", names, ["other", "LOW", 1], extra=names)


def _bits(rng: Random) -> LeafType:
    names = rng.sample(["up", "fast", "far", "old"], rng.randint(2, 3))
    positions = sorted(rng.sample(range(9), len(names)))
    numbered = rng.random() < 0.5
    inner = " ".join(
        f"bit {n} {{ position {p}; }}" if numbered else f"bit {n};" for n, p in zip(names, positions, strict=True)
    )
    good = ["", *names, " ".join(names)]
    return LeafType(f"type bits {{ {inner} }}", "bits", good, ["none", f"{names[0]} {names[0]}", 1], extra=names)


def _binary(rng: Random) -> LeafType:
    low, high = sorted(rng.sample(range(4), 2))
    values = [base64.b64encode(bytes(n)).decode() for n in range(5)]
    return LeafType(
        f'type binary {{ length "{low}..{high}"; }}',
        "binary",
        values[low : high + 1],
        [*values[:low], *values[high + 1 :], "A", "*"],
    )


def _boolean(rng: Random) -> LeafType:
    return LeafType("type boolean;", "boolean", [True, False], ["yes", 1, "true"])


def _empty(rng: Random) -> LeafType:
    return LeafType("type empty;", "empty", [[None]], ["", "x", []])


def _identityref(rng: Random) -> LeafType:
    bases = [f"ft:{b}" for b in rng.choice([("any",), ("colour",), ("warm",), ("round",), ("round", "colour")])]
    good = sorted(i for i, above in CLOSURE.items() if above >= set(bases))
    inner = " ".join(f"base {b};" for b in bases)
    bad = [i for i in CLOSURE if i not in good]
    return LeafType(f"type identityref {{ {inner} }}", "identityref", good, [*bad[:3], "ft:none", "zz:red"])


def _union(rng: Random) -> LeafType:
    members = [random_type(rng, nested=True) for _ in range(rng.randint(2, 3))]
    good = [v for m in members for v in rng.sample(list(m.good), min(2, len(m.good)))]
    # A value that one member refuses may be another one's: whether it is bad is for the two engines to agree on.
    bad = [v for m in members for v in rng.sample(list(m.bad), 1)]
    return LeafType(f"type union {{ {' '.join(m.statement for m in members)} }}", "union", good, bad)
