"""Random models: the tree of schema nodes that a set of modules comes to, before its way of writing is chosen.

The tree holds choices and cases, and the pseudo-nodes `uses` and `augment`, which stand for a group of nodes that
comes from a grouping or another statement; names are unique within a model.  Conditions are texts in which ``{n7}``
stands for the name of node n7, so that the printer can write it with the prefix that its place asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz import conditions
from tests.fuzz.leaf_types import LeafType, random_type

GROUPS = ("uses", "augment")
INNER = ("container", "list")
VALUED = ("leaf", "leaf-list")


@dataclass(slots=True, eq=False)
class Node:
    """A schema node; `keyword` is that of its statement."""

    keyword: str
    name: str
    number: int
    module: str
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    type: LeafType | None = None
    keys: list[Node] = field(default_factory=list)
    uniques: list[list[Node]] = field(default_factory=list)
    config: bool = True
    presence: bool = False
    mandatory: bool = False
    user_ordered: bool = False
    least: int = 0
    most: int | None = None
    defaults: list[Any] = field(default_factory=list)
    default_case: Node | None = None
    musts: list[str] = field(default_factory=list)
    when: str = ""

    def __repr__(self) -> str:
        return f"<{self.keyword} {self.name}>"

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def up(self) -> Iterator[Node]:
        """The nodes above, nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    @property
    def is_data(self) -> bool:
        return self.keyword not in ("choice", "case", "root", *GROUPS)

    @property
    def data_parent(self) -> Node:
        return next(n for n in self.up() if n.is_data or n.keyword == "root")

    @property
    def members(self) -> list[Node]:
        """The nodes that instances of this one can hold, whichever choice or group they are in."""
        found: list[Node] = []
        for child in self.children:
            found += [child] if child.is_data else child.members
        return found

    @property
    def conditional(self) -> bool:
        """Whether it or a group between it and its data parent has a when."""
        if self.when:
            return True
        parent = self.parent
        return parent is not None and not parent.is_data and parent.keyword != "root" and parent.conditional

    def is_key(self) -> bool:
        return self.parent is not None and self in self.parent.keys


@dataclass(slots=True)
class Model:
    """A tree and what the printer needs beside it."""

    root: Node
    state: bool

    def nodes(self) -> list[Node]:
        return list(self.root.walk())[1:]

    def named(self, name: str) -> Node:
        return next(n for n in self.nodes() if n.name == name)


class Builder:
    """Draws one model."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.count = 0
        self.budget = rng.randint(6, 24)
        self.state = rng.random() < 0.2
        self.root = Node("root", "", 0, "fa", None)

    def build(self) -> Model:
        rng = self.rng
        while self.budget > 0:
            self._child(self.root, 0)
        nodes = list(self.root.walk())[1:]
        for node in nodes:
            self._refer(node, nodes)
        for node in nodes:
            self._values(node)
        for node in nodes:
            self._sizes(node)
        for node in nodes:
            if node.keyword == "list" and rng.random() < 0.4:
                self._unique(node)
        for node in nodes:
            self._condition(node)
        return Model(self.root, self.state)

    def _new(self, keyword: str, parent: Node, module: str = "") -> Node:
        self.count += 1
        self.budget -= 1
        node = Node(keyword, f"n{self.count}", self.count, module or parent.module, parent)
        node.config = parent.config
        parent.children.append(node)
        return node

    def _child(self, parent: Node, depth: int) -> None:
        rng = self.rng
        top = parent.keyword == "root"
        kinds = ["container", "container", "list", "leaf", "leaf-list"]
        if not top:
            kinds += ["leaf", "leaf", "leaf", "leaf", "leaf-list", "choice", "choice", "uses", "augment"]
            kinds += ["anydata"] if rng.random() < 0.1 else []
        elif not parent.children:
            kinds = ["container", "list"]
        keyword = rng.choice(kinds)
        above = parent.parent if parent.keyword == "augment" and parent.parent is not None else parent
        if above.keyword == "choice" and keyword in ("uses", "choice"):
            keyword = "leaf"
        if depth > 3 and keyword not in VALUED:
            keyword = "leaf"
        if keyword == "augment":
            if parent.keyword in GROUPS:  # its target would not be the group
                keyword = "leaf"
            else:
                self._group(parent, depth, "augment", rng.choice(["fa", "fb", "fb"]) if parent.module == "fa" else "fb")
                return
        if keyword == "uses":
            self._group(parent, depth, "uses", parent.module)
            return
        node = self._new(keyword, parent)
        if keyword in INNER and node.config and self.state and rng.random() < 0.15:
            node.config = False
        if keyword == "container":
            node.presence = rng.random() < 0.3
        if keyword == "list":
            self._keys(node)
        if keyword == "choice":
            self._cases(node, depth)
        elif keyword in INNER:
            for _ in range(rng.randint(1, 5)):
                self._child(node, depth + 1)

    def _group(self, parent: Node, depth: int, keyword: str, module: str) -> None:
        node = self._new(keyword, parent, module)
        for _ in range(self.rng.randint(1, 3)):
            self._child(node, depth + 1)

    def _keys(self, node: Node) -> None:
        rng = self.rng
        if not node.config and rng.random() < 0.5:
            return
        node.user_ordered = node.config and rng.random() < 0.4
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            key = self._new("leaf", node)
            key.type = random_type(rng, key=True)
            node.keys.append(key)
        if rng.random() < 0.2:
            rng.shuffle(node.keys)

    def _cases(self, choice: Node, depth: int) -> None:
        rng = self.rng
        for _ in range(rng.randint(2, 3)):
            if rng.random() < 0.4:
                self._child(choice, depth + 1)  # a short case
                continue
            case = self._new("case", choice)
            for _ in range(rng.randint(1, 3)):
                self._child(case, depth + 1)

    def _refer(self, node: Node, nodes: list[Node]) -> None:
        """Give leafs their types: some are leafrefs to leafs that came before, leafrefs among them."""
        rng = self.rng
        if node.keyword not in VALUED or (node.type is not None and rng.random() < 0.9):
            return
        targets = [
            n
            for n in nodes
            if n.keyword in VALUED
            and n.number < node.number
            and n.type is not None
            and n.type.base != "empty"
            and (n.config or not node.config)
            and (n.module == "fa" or node.module == "fb")
        ]
        if node.is_key():
            targets = [t for t in targets if not _within(t, node.parent)]
            targets = [t for t in targets if _key_like(t)]
        if targets and rng.random() < 0.3:
            target = rng.choice(targets)
            assert target.type is not None
            require = rng.random() < 0.8
            path = conditions.reference(rng, node, target)
            inner = f'path "{path}"; ' + ("" if require else "require-instance false; ")
            node.type = LeafType(
                f"type leafref {{ {inner}}}", "leafref", target.type.good, target.type.bad, target, require
            )
        elif node.type is None:
            node.type = random_type(rng)
            plain = [n for n in nodes if n.keyword in VALUED and not n.is_key() and n.config and n.type is not None]
            if plain and rng.random() < 0.06 and node.keyword == "leaf":
                node.type = self._instance_identifier(node, plain)

    def _instance_identifier(self, node: Node, leafs: list[Node]) -> LeafType:
        rng = self.rng
        require = rng.random() < 0.7
        good = []
        for target in rng.sample(leafs, min(3, len(leafs))):
            steps = [n for n in reversed([target, *target.up()]) if n.is_data]
            text = ""
            module = ""
            for step in steps:  # as RFC 7951 section 6.11 has it: qualified where the module changes
                text += f"/{step.name}" if step.module == module else f"/{step.module}:{step.name}"
                module = step.module
                for key in step.keys:
                    text += f"[{key.name}='{conditions.literal(rng, key)}']"
            if target.keyword == "leaf-list" and target.type is not None:
                text += f"[.='{conditions.literal(rng, target)}']"
            good.append(text)
        inner = "" if require else " { require-instance false; }"
        return LeafType(f"type instance-identifier{inner or ';'}", "instance-identifier", good, ["x", "/zz:x", 3])

    def _values(self, node: Node) -> None:
        """Defaults and what is mandatory."""
        rng = self.rng
        if node.keyword == "choice":
            cases = [c for c in node.children if not _demands(c) and c.keyword != "augment"]
            draw = rng.random()
            if draw < 0.4 and cases:
                node.default_case = rng.choice(cases)
            elif draw < 0.6 and not self._unconditional_augment(node) and not _in_default(node):
                node.mandatory = True
        if node.keyword in VALUED and not node.is_key():
            assert node.type is not None
            draw = rng.random()
            allowed = conditions.resolved(node).base not in ("empty", "instance-identifier") and (
                node.type.base != "leafref" or not node.type.require
            )
            if draw < 0.3 and allowed and node.type.good:
                many = node.keyword == "leaf-list" and node.config
                count = rng.randint(1, 2) if many else 1
                node.defaults = rng.sample(list(node.type.good), min(count, len(node.type.good)))
                texts = {str(v) for v in node.defaults}
                node.defaults = node.defaults if len(texts) == len(node.defaults) else node.defaults[:1]
            elif (
                draw < 0.42
                and node.keyword == "leaf"
                and not _in_default(node)
                and not self._unconditional_augment(node)
            ):
                node.mandatory = True
        if node.keyword == "leaf-list":
            node.user_ordered = node.config and rng.random() < 0.4

    def _sizes(self, node: Node) -> None:
        rng = self.rng
        if node.keyword not in ("list", "leaf-list"):
            return
        if rng.random() < 0.2 and not node.defaults and not _in_default(node) and not self._unconditional_augment(node):
            node.least = rng.randint(1, 2)
        if rng.random() < 0.25:
            node.most = max(1, node.least) + rng.randint(0, 2)
            node.most = max(node.most, len(node.defaults))

    def _unconditional_augment(self, node: Node) -> bool:
        """Section 7.17: another module may not add what is mandatory, unless under a when; we leave such alone."""
        return any(n.keyword == "augment" for n in (node, *node.up()))

    def _unique(self, node: Node) -> None:
        leafs = []
        for member in node.members:
            if member.keyword == "leaf" and not member.is_key():
                leafs.append(member)
            elif member.keyword == "container":
                leafs += [m for m in member.members if m.keyword == "leaf"]
        leafs = [n for n in leafs if n.module == node.module and n.config == node.config]
        if leafs:
            node.uniques.append(self.rng.sample(leafs, min(len(leafs), self.rng.choice([1, 1, 2]))))

    def _condition(self, node: Node) -> None:
        rng = self.rng
        if node.keyword in ("uses", "augment", "choice", "case"):
            if node.data_parent.keyword != "root" and rng.random() < 0.25 and not _is_default(node):
                node.when = conditions.condition(rng, node, when=True)
            return
        if node.is_key():
            return
        if rng.random() < 0.12 and not _is_default(node):
            node.when = conditions.condition(rng, node, when=True)
        if node.keyword != "anydata" and rng.random() < 0.2:
            node.musts.append(conditions.condition(rng, node, when=False))


def _within(node: Node, ancestor: Node | None) -> bool:
    return ancestor in node.up()


def _key_like(node: Node) -> bool:
    """Whether its values can stand in a path as text, through a chain of leafrefs."""
    while node.type is not None and node.type.base == "leafref":
        node = node.type.target
    return (node.type is not None and node.type.base in ("string", "enumeration", "boolean")) or bool(
        node.type and "int" in node.type.base
    )


def _demands(node: Node) -> bool:
    """Whether something below is mandatory, so that it cannot be a default case (section 7.9.3)."""
    return any(n.mandatory or n.least for n in node.walk())


def _in_default(node: Node) -> bool:
    return any(n.default_case is not None for n in node.up())


def _is_default(node: Node) -> bool:
    return node.parent is not None and node.parent.default_case is node


def build(rng: Random) -> Model:
    """A random model."""
    return Builder(rng).build()
