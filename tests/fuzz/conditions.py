"""Random XPath conditions and leafref paths over the nodes of a model (RFC 7950 sections 6.4, 9.9.2, 10).

Names are written ``{n7}`` for the printer to qualify.  Left out is what has no defined value: the position or the
string of one among several entries that the system orders.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from tests.fuzz.leaf_types import CLOSURE, LeafType, text_of

if TYPE_CHECKING:
    from tests.fuzz.model import Node

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


def literal(rng: Random, node: Node) -> str:
    """The text of one of the values that a leaf may have."""
    assert node.type is not None
    return text_of(rng.choice(list(node.type.good)))


def _spine(node: Node) -> list[Node]:
    """Data nodes from the top down to `node`."""
    return [n for n in reversed([node, *node.up()]) if n.is_data]


def resolved(node: Node) -> LeafType:
    """The type at the end of a chain of leafrefs."""
    while node.type is not None and node.type.base == "leafref":
        node = node.type.target
    assert node.type is not None
    return node.type


def reference(rng: Random, node: Node, target: Node) -> str:
    """A leafref path from `node` to `target`, some of the lists on its way narrowed by a predicate."""
    here, there = _spine(node), _spine(target)
    common = 0
    while common < min(len(here), len(there)) and here[common] is there[common]:
        common += 1
    if common == len(there):
        common -= 1
    absolute = rng.random() < 0.4
    start = "" if absolute else "/".join([".."] * (len(here) - common))
    path = start
    for index, step in enumerate(there):
        if not absolute and index < common:
            continue
        path += f"/{{{step.name}}}"
        if step.keyword == "list" and step is not there[-1] and step.keys and rng.random() < 0.3:
            path += _key_predicate(rng, node, step)
    return path


def _key_predicate(rng: Random, node: Node, entry: Node) -> str:
    """``[key = current()/../leaf]`` with a leaf beside `node`, or nothing."""
    beside = [
        n
        for n in node.data_parent.members
        if n.keyword == "leaf"
        and n is not node
        and (n.module == "fa" or node.module == "fb")
        and n.number < node.number
    ]
    if not beside:
        return ""
    key = entry.keys[0]
    return f"[{{{key.name}}} = current()/../{{{rng.choice(beside).name}}}]"


class Scope:
    """What one condition may see.

    Args:
        node: the node that it stands on.
        when: it is a when: it may see only nodes that came before, so that no circle arises.
    """

    def __init__(self, rng: Random, node: Node, when: bool) -> None:
        self.rng = rng
        self.node = node
        self.context = node if node.is_data else node.data_parent
        root = list(node.up())[-1]
        self.seen = [
            n
            for n in root.walk()
            if n.is_data
            and (n.module == "fa" or node.module == "fb")
            and n.keyword != "anydata"
            and (n.config or not node.config)
            and (not when or (n.number < node.number and node not in n.up()))
        ]
        self.when = when
        # The prefixes in the string of an instance-identifier are an implementation's own (section 9.13.2).
        valued = [n for n in self.seen if n.keyword in ("leaf", "leaf-list")]
        self.leafs = [n for n in valued if resolved(n).base != "instance-identifier"]

    def path(self, target: Node, *, context: Node | None = None, origin: bool = True) -> tuple[str, bool]:
        """A path to `target` and whether it leads to one node at most.

        Args:
            context: where it starts; the condition's context node by default.
            origin: predicates may go back to current().
        """
        rng = self.rng
        start = context or self.context
        here, there = _spine(start), _spine(target)
        common = 0
        while common < min(len(here), len(there)) and here[common] is there[common]:
            common += 1
        single = True
        if rng.random() < 0.3 and start is self.context:
            text, common = "", 0
        else:
            ups = len(here) - common
            parts = [".."] * ups
            text = "/".join(parts)
            if not ups:
                text = "."
            if rng.random() < 0.15 and start is self.context:
                text = "current()" + (f"/{'/'.join(parts)}" if parts else "")
        for step in there[common:]:
            text += f"/{{{step.name}}}"
            if step.keyword == "list":
                predicate, one = self.predicate(step, origin)
                text += predicate
                single = single and one
            elif step.keyword == "leaf-list":
                single = False
        return (text if text else "/"), single

    def predicate(self, entry: Node, origin: bool) -> tuple[str, bool]:
        """Predicates on a list entry, and whether they leave one entry at most."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.35 or not entry.keys:
            return "", False
        if draw < 0.65:
            parts = []
            for key in entry.keys:
                value = f"'{literal(rng, key)}'"
                if origin and rng.random() < 0.5 and (singles := self.single_leafs()):
                    value = self.path(rng.choice(singles), origin=False)[0]
                    value = value if value.startswith(("/", "current()")) else f"current()/{value}"
                parts.append(f"[{{{key.name}}} = {value}]" if rng.random() < 0.8 else f"[{value}={{{key.name}}}]")
            return "".join(parts), True
        if draw < 0.75 and entry.user_ordered:
            return rng.choice(["[1]", "[2]", "[last()]", "[position() = 2]"]), True
        if draw < 0.8 and entry.user_ordered:
            return rng.choice(["[position() > 1]", "[position() != last()]"]), False
        inner = [n for n in entry.members if n in self.leafs]
        if not inner:
            return "", False
        leaf = rng.choice(inner)
        return rng.choice(
            [
                f"[{{{leaf.name}}} = '{literal(rng, leaf)}']",
                f"[{{{leaf.name}}} != '{literal(rng, leaf)}']",
                f"[{{{leaf.name}}}]",
                f"[not({{{leaf.name}}})]",
            ]
        ), False

    def single_leafs(self) -> list[Node]:
        """Leafs that are reached from the context without entering a list."""
        spine = _spine(self.context)
        return [
            n
            for n in self.leafs
            if n.keyword == "leaf"
            and all(s in spine for s in _spine(n) if s.keyword == "list")
            and (not self.when or n is not self.node)
        ]

    def some(self) -> Node:
        """A leaf to speak of, rather a near one."""
        near = (
            [n for n in self.leafs if n.data_parent in (self.context, self.context.data_parent)]
            if self.context.keyword != "root"
            else []
        )
        return self.rng.choice(near if near and self.rng.random() < 0.6 else self.leafs)


def condition(rng: Random, node: Node, *, when: bool) -> str:
    """A boolean expression for a must or when on `node`."""
    scope = Scope(rng, node, when)
    if not scope.leafs:
        return "true()"
    return _boolean(scope, 0)


def _boolean(scope: Scope, depth: int) -> str:
    rng = scope.rng
    draw = rng.random()
    if depth < 2 and draw < 0.2:
        glue = rng.choice([" and ", " or "])
        return f"({_boolean(scope, depth + 1)}{glue}{_boolean(scope, depth + 1)})"
    if depth < 2 and draw < 0.3:
        return f"not({_boolean(scope, depth + 1)})"
    return rng.choice(_ATOMS)(scope)


def _exists(scope: Scope) -> str:
    path = scope.path(scope.rng.choice(scope.seen))[0]
    return scope.rng.choice([path, f"boolean({path})", f"not({path})", f"count({path}) = {scope.rng.randint(0, 2)}"])


def _value(scope: Scope) -> str:
    rng = scope.rng
    leaf = scope.some()
    path, _ = scope.path(leaf)
    kind = resolved(leaf)
    operator = rng.choice(COMPARISONS) if kind.ordered else rng.choice(["=", "!="])
    value = literal(rng, leaf)
    quoted = f"'{value}'" if not kind.ordered or rng.random() < 0.3 else value
    return f"{path} {operator} {quoted}" if rng.random() < 0.8 else f"{quoted} {operator} {path}"


def _two(scope: Scope) -> str:
    rng = scope.rng
    first = scope.some()
    kind = resolved(first)
    same = [n for n in scope.leafs if (t := resolved(n)) and t.base == kind.base]
    second = rng.choice(same or [first])
    operator = rng.choice(COMPARISONS) if kind.ordered else rng.choice(["=", "!="])
    return f"{scope.path(first)[0]} {operator} {scope.path(second)[0]}"


def _number(scope: Scope) -> str:
    rng = scope.rng
    leafs = [n for n in scope.leafs if (t := resolved(n)) and t.ordered and t.base != "decimal64"]
    if not leafs:
        return _count(scope)
    path, single = scope.path(rng.choice(leafs))
    n = rng.randint(0, 4)
    if not single:
        return f"sum({path}) {rng.choice(COMPARISONS)} {n}"
    return rng.choice(
        [
            f"{path} + 1 > {n}",
            f"{path} * 2 <= {n}",
            f"{path} mod 2 = {n % 2}",
            f"-{path} < {-n}",
            f"floor({path} div 2) = {n}",
            f"number({path}) >= {n}",
            f"round({path}) != {n}",
            f"{path} - {n} > -1",
            f"ceiling({path}) = {n}",
        ]
    )


def _count(scope: Scope) -> str:
    rng = scope.rng
    many = [n for n in scope.seen if n.keyword in ("list", "leaf-list")] or scope.leafs
    node = rng.choice(many)
    operator = rng.choice(COMPARISONS)
    n = rng.randint(0, 3)
    inner = [x for x in scope.seen if x.keyword in ("container", "list")]
    if inner and not scope.when and rng.random() < 0.25:
        path = scope.path(rng.choice(inner))[0].rstrip("/")
        tail = rng.choice(
            ["/*", "//*", f"//{{{node.name}}}", f"/descendant::{{{node.name}}}", "/ancestor::*", "/../*", "/.."]
        )
        return f"count({path}{tail}) {operator} {n}"
    if not scope.when and rng.random() < 0.2:
        return f"count(//{{{node.name}}}) {operator} {n}"
    if rng.random() < 0.1:
        other = rng.choice(scope.leafs)
        return f"count({scope.path(node)[0]} | {scope.path(other)[0]}) {operator} {n}"
    return f"count({scope.path(node)[0]}) {operator} {n}"


def _string(scope: Scope) -> str:
    rng = scope.rng
    leafs = [n for n in scope.leafs if (t := resolved(n)) and t.base in ("string", "enumeration", "boolean", "bits")]
    for _ in range(3):
        if not leafs:
            break
        leaf = rng.choice(leafs)
        path, single = scope.path(leaf)
        if single:
            text = literal(rng, leaf)
            return rng.choice(
                [
                    f"string-length({path}) {rng.choice(COMPARISONS)} {len(text)}",
                    f"starts-with({path}, '{text[:1]}')",
                    f"contains({path}, '{text[-1:]}')",
                    f"concat({path}, 'z') = '{text}z'",
                    f"substring({path}, 1, 1) = '{text[:1]}'",
                    f"normalize-space({path}) = '{text}'",
                    f"translate({path}, 'ab', 'ba') != '{text}'",
                    f"re-match({path}, '[a-c]+')",
                    f"substring-before({path}, 'b') = 'a'",
                    f"string({path}) = '{text}'",
                    f"substring-after({path}, 'a') = 'b'",
                    f"local-name({path}) = '{leaf.name}'",
                ]
            )
    return _value(scope)


def _typed(scope: Scope) -> str:
    """The functions of RFC 7950 section 10."""
    rng = scope.rng
    found: list[Any] = []
    for leaf in scope.leafs:
        kind = leaf.type
        assert kind is not None
        path, single = scope.path(leaf)
        if kind.base == "identityref":
            name = rng.choice([i for i in CLOSURE if i.startswith("ft:") or scope.node.module == "fa"])
            found += [f"derived-from({path}, '{name}')", f"derived-from-or-self({path}, '{name}')"]
        elif kind.base == "enumeration" and single:
            found.append(f"enum-value({path}) {rng.choice(COMPARISONS)} {rng.randint(0, 3)}")
        elif kind.base == "bits" and single:
            found.append(f"bit-is-set({path}, '{rng.choice(kind.extra)}')")
        elif kind.base == "leafref" and single and kind.target is not None and not scope.when:
            found.append(f"deref({path})/../{{{kind.target.name}}} = '{literal(rng, kind.target)}'")
            found.append(f"count(deref({path})) < 2")
    return str(rng.choice(found)) if found else _two(scope)


_ATOMS = (_exists, _exists, _value, _value, _value, _two, _two, _number, _count, _count, _string, _typed)
