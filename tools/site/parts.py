"""The pieces that pages are made of: text that may be a link, facts about a node, lines of a tree diagram."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tools.model.parsed import Statement

#: Statements that stand in a tree diagram (RFC 8340 section 2.6).
NODES = frozenset({
    "container", "list", "leaf", "leaf-list", "anydata", "anyxml", "choice", "case",
    "rpc", "action", "input", "output", "notification",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Some text; `href` where it leads, `code` whether it is YANG's own words."""

    text: str
    href: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One property of a definition: "units" and what is said of it."""

    label: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a tree diagram: what stands before the name, the name, what is between, the type, the rest."""

    before: str
    name: Part
    between: str = ""
    type: Part = Part("")
    after: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A node, typedef, identity, feature or extension of a page, under its anchor."""

    anchor: str
    name: str
    kind: str
    facts: tuple[Fact, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """An identity and what is derived from it, in whatever module."""

    name: Part
    below: tuple[Branch, ...] = ()


@dataclass(slots=True)
class Places:
    """Where each definition stands: pyang's statement (by its id, they do not compare) -> "page.html#anchor"."""

    of: dict[int, str] = field(default_factory=dict)

    def href(self, statement: Statement | None) -> str:
        """The address of a definition; "" if it has no anchor, as what is defined within another definition."""
        return self.of.get(id(statement), "")

    def part(self, statement: Statement | None, text: str) -> Part:
        """A link to a definition, as code."""
        return Part(text, self.href(statement), code=True)


def joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Parts with commas between."""
    for index, part in enumerate(parts):
        if index:
            yield Part(", ")
        yield part


def page_of(module: str) -> str:
    """The file of a module's page."""
    return f"{module}.html"


def children(node: Statement) -> list[Statement]:
    """The nodes below one in the schema tree; the empty input or output that pyang adds to each rpc left out."""
    return [
        child
        for child in getattr(node, "i_children", ())
        if child.keyword in NODES and (child.keyword not in ("input", "output") or child.i_children)
    ]


def with_anchors(node: Statement, module: str, above: str = "") -> Iterator[tuple[Statement, str]]:
    """A node and all below it with their anchors, ``/mec-order:orders/order`` (RFC 7951 section 6.11, and choices)."""
    own = node.i_module.i_modulename
    anchor = f"{above}/{node.arg if own == module else f'{own}:{node.arg}'}" if node.arg else f"{above}/{node.keyword}"
    yield node, anchor
    for child in children(node):
        yield from with_anchors(child, own, anchor)


def text_of(statement: Statement, keyword: str) -> str:
    """The argument of a substatement, "" without it."""
    found = statement.search_one(keyword)
    return "" if found is None else str(found.arg)


def definitions(module: Statement, submodules: Mapping[str, Statement], keyword: str) -> list[Statement]:
    """The top-level definitions of one kind in a module and its submodules, by name."""
    texts = [module, *(submodules[name.arg] for name in module.search("include") if name.arg in submodules)]
    return sorted((found for text in texts for found in text.search(keyword)), key=lambda found: str(found.arg))
