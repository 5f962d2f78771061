"""What is said of a definition besides its description: its type, units, default, conditions (RFC 7950 section 7)."""

from __future__ import annotations

from collections.abc import Iterator

from tools.model.parsed import Statement
from tools.site.parts import Fact, Part, Places, joined, page_of, text_of
from tools.site.words import words

#: Substatements whose argument is shown as it is -> the label.
_PLAIN = {
    "key": "key",
    "unique": "unique",
    "min-elements": "at least",
    "max-elements": "at most",
    "ordered-by": "ordered by",
    "units": "units",
    "default": "default",
    "presence": "its presence means",
    "status": "status",
    "if-feature": "feature",
    "reference": "reference",
}


def facts(node: Statement, places: Places) -> tuple[Fact, ...]:
    """All facts of a node or typedef, in the order in which a reader asks for them."""
    return tuple(_facts(node, places))


def _facts(node: Statement, places: Places) -> Iterator[Fact]:
    if (config := getattr(node, "i_config", None)) is not None and node.keyword not in ("choice", "case"):
        yield Fact("holds", (Part("configuration" if config else "state"),))
    if text_of(node, "mandatory") == "true":
        yield Fact("mandatory", (Part("yes"),))
    if (of := node.search_one("type")) is not None:
        yield Fact("type", tuple(type_parts(of, node, places)))
        yield from _inherited(node, of)
    for keyword, label in _PLAIN.items():
        if found := node.search(keyword):
            yield Fact(label, tuple(joined(Part(_flat(each.arg), code=keyword != "reference") for each in found)))
    for when in _whens(node):
        yield Fact("only when", _condition(when))
    for must in node.search("must"):
        yield Fact("must hold", _condition(must))
    if uses := getattr(node, "i_uses", None):
        grouping = getattr(uses[0], "i_grouping", None)
        yield Fact("from grouping", (places.part(grouping, uses[0].arg),))
    if (augment := getattr(node, "i_augment", None)) is not None and augment.parent.keyword == "module":
        module = augment.i_module.i_modulename
        yield Fact("added by", (Part(module, page_of(module), code=True),))


def _inherited(node: Statement, of: Statement) -> Iterator[Fact]:
    """Units and default that a leaf has from its typedef (RFC 7950 section 7.3)."""
    for keyword in ("units", "default"):
        typedef = getattr(of, "i_typedef", None)
        while node.search_one(keyword) is None and typedef is not None:
            if found := text_of(typedef, keyword):
                yield Fact(keyword, (Part(found, code=True), Part(f", from {typedef.arg}")))
                break
            typedef = getattr(typedef.search_one("type"), "i_typedef", None)


def _whens(node: Statement) -> list[Statement]:
    sources = [node, *getattr(node, "i_uses", ()), *filter(None, [getattr(node, "i_augment", None)])]
    return [when for source in sources for when in source.search("when")]


def _condition(statement: Statement) -> tuple[Part, ...]:
    expression = _flat(statement.arg)
    said = [text_of(statement, "error-message"), words(statement.arg), text_of(statement, "description")]
    explained = [Part(f": {_flat(text)}") for text in said if text][:2]
    return (Part(expression, code=True), *explained)


def type_parts(of: Statement, node: Statement, places: Places) -> Iterator[Part]:
    """A type in words: its name, a link to its typedef, and what narrows it (RFC 7950 section 9)."""
    if of.arg == "leafref":
        path = text_of(of, "path")
        yield Part("a reference to ")
        yield places.part(_referred(node) if of.parent is node else None, _flat(path))
    elif of.arg == "identityref":
        yield Part("an identity derived from ")
        yield from joined(places.part(base.i_identity, base.arg) for base in of.search("base"))
    elif of.arg == "union":
        yield Part("one of ")
        for index, member in enumerate(of.search("type")):
            if index:
                yield Part("; or ")
            yield from type_parts(member, node, places)
    else:
        yield places.part(getattr(of, "i_typedef", None), of.arg)
    for keyword in ("range", "length", "fraction-digits", "pattern"):
        for limit in of.search(keyword):
            inverted = "no " if limit.search_one("modifier") is not None else ""
            yield Part(f", {inverted}{keyword} ")
            yield Part(_flat(limit.arg), code=True)
    if names := [*of.search("enum"), *of.search("bit")]:
        yield Part(": ")
        for index, name in enumerate(names):
            yield Part(name.arg, code=True)
            described = _flat(text_of(name, "description")).rstrip(".")
            yield Part((f" ({described})" if described else "") + (", " if index < len(names) - 1 else ""))


def _referred(node: Statement) -> Statement | None:
    pointer = getattr(node, "i_leafref_ptr", None)
    return pointer[0] if pointer else None


def _flat(text: str) -> str:
    return " ".join(str(text).split())
