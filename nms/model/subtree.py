"""Subtree filters (RFC 6241 section 6): compiled against the schema once per request, then applied to a tree.

Compiling looks at each element of the filter once, whatever the number of instances; where content matches fix all keys
of a list, its entry is looked up.  What is wholly selected is shared with the original, so that remembered encodings
stay valid.  A filter that comes again with other values is compiled once, with parameters in their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from lxml import etree

from nms.model import entries, select
from nms.model.schema import Node
from nms.model.types import InvalidValue
from nms.model.values import Key, Value
from nms.model.work import Work

_NOTHING: Final = object()  # equals no value

#: Elements of a filter whose values are given later, and the places of these among all that are given.
Parameters: TypeAlias = Mapping[etree._Element, int]
_NO_PARAMETERS: Final[Parameters] = MappingProxyType({})


class Selection(NamedTuple):
    """What sibling filter elements ask of one instance.

    Attributes:
        node: of the instance.
        matches: content match nodes with their values: all of them must be there (section 6.2.5).
        key: of the entry, where the matches give all its keys; else None.
        parts: selection and containment nodes.
        whole: there are content matches only, so that all of a matching instance is selected.
        levels: how much of what is selected as a whole, None: all of it.
    """

    node: Node
    matches: Sequence[tuple[Node, Value]]
    key: Key | None
    parts: Sequence[_Part]
    whole: bool
    levels: int | None

    def of(self, root: Value, work: Work | None = None) -> Value:
        """What is selected of the root of a datastore.

        Args:
            work: what may be spent; None: anything.

        Raises:
            RpcError: resource-denied; the filter takes too much.
        """
        return _selected(self, root, work or Work()) or self.node.blank

    def narrow(self, root: Value) -> Value:
        """`root` without the entries that the filter cannot reach by its keys: all that it can look at stays."""
        return _narrowed(self, root)

    def filled(self, texts: Sequence[str]) -> Selection:
        """This selection with values for its parameters: what the filter with these `texts` is compiled to.

        Args:
            texts: none of them is empty or only whitespace.
        """
        node, matches, key, parts, whole, levels = self
        if matches:
            matches = [(leaf, _given(leaf, wanted, texts)) for leaf, wanted in matches]
            key = _key(node, matches)
        parts = [
            _Part(child, wanted and _given(child, wanted, texts), inside and inside.filled(texts))
            for child, wanted, inside in parts
        ]
        return Selection(node, matches, key, parts, whole, levels)


class _Part(NamedTuple):
    """What one filter element asks of the instances of one schema node under one parent.

    Attributes:
        wanted: the value that a leaf or leaf-list must have, None for any.
        inside: for containers and lists; None selects all of them.
    """

    node: Node
    wanted: Value | None
    inside: Selection | None


class _Parameter(NamedTuple):
    """Stands for a value that is given later."""

    element: etree._Element
    place: int


class _Terms(NamedTuple):
    """What holds for all of a filter: see `compile`."""

    levels: int | None
    parameters: Parameters


def compile(  # noqa: A001 - the word of the field
    root: Node, element: etree._Element, levels: int | None = None, parameters: Parameters = _NO_PARAMETERS
) -> Selection:
    """The filter whose top-level elements are the children of `element`.

    Args:
        levels: of what is selected as a whole, where each instance is level 1; None: all of it.
        parameters: elements with a text, but without children.  With any, the selection is good for `filled` only.
    """
    return _selection(root, _elements(element), _Terms(levels, parameters), matching=False)


def _elements(element: etree._Element) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)] if len(element) else []


def _selection(node: Node, elements: list[etree._Element], terms: _Terms, *, matching: bool = True) -> Selection:
    """What sibling elements ask; only inside an instance there is `matching` (section 6.2.5)."""
    matches: list[tuple[Node, Value]] = []
    parts: list[_Part] = []
    whole = matching
    for element in elements:
        inner = _elements(element)
        text = "" if inner else (element.text or "").strip()
        named = _named(node, str(element.tag))
        leaf = next((child for child in named if child.type is not None), None) if matching and text else None
        if leaf is not None:
            matches.append((leaf, _wanted(leaf, element, text, terms.parameters)))
        else:
            whole = False
            parts += [_part(child, element, inner, text, terms) for child in named]
    return Selection(node, matches, _key(node, matches), parts, whole, terms.levels)


def _named(node: Node, tag: str) -> Sequence[Node]:
    """The children that a filter element can mean.  No namespace is any namespace (section 6.2.1)."""
    if tag[0] != "{":
        return node.by_name.get(tag, ())
    found = node.by_tag.get(tag)
    return () if found is None else (found,)


def _part(node: Node, element: etree._Element, inner: list[etree._Element], text: str, terms: _Terms) -> _Part:
    if node.kind in ("container", "list"):
        return _Part(node, None, _selection(node, inner, terms) if inner else None)
    return _Part(node, _wanted(node, element, text, terms.parameters) if text and node.type else None, None)


def _given(node: Node, wanted: Value, texts: Sequence[str]) -> Value:
    return _wanted(node, wanted.element, texts[wanted.place].strip()) if type(wanted) is _Parameter else wanted


def _wanted(node: Node, element: etree._Element, text: str, parameters: Parameters = _NO_PARAMETERS) -> Value:
    place = parameters.get(element)
    if place is not None:
        return _Parameter(element, place)
    assert node.type is not None

    def resolve(prefix: str) -> str | None:
        return node.names.modules.get(element.nsmap.get(prefix or None) or "")

    try:
        return node.type.parse(text, resolve)
    except InvalidValue:
        return _NOTHING


def _key(node: Node, matches: list[tuple[Node, Value]]) -> Key | None:
    if not matches or not node.keys:
        return None
    given = dict(matches)
    wanted = [given.get(leaf, _NOTHING) for leaf in node.keys]
    return None if _NOTHING in wanted else node.make_key(wanted)


# ---------------------------------------------------------------- applied


def _selected(selection: Selection, value: Value, work: Work) -> Value | None:
    """What is selected of one instance; None if nothing."""
    node, matches, _, parts, whole, levels = selection
    for leaf, wanted in matches:
        held = value[leaf.index]
        if held is None or (wanted not in held if leaf.kind == "leaf-list" else held != wanted):
            return None
    if whole:
        return value if levels is None else select.depth(node, value, levels)
    if node.kind != "list":  # entries are counted together
        work.spend(len(parts))
    slots: list[Value | None] = list(node.blank)
    found = False
    for part in parts:
        index = part.node.index
        held = value[index]
        chosen = None if held is None else _of_part(part, held, levels, work)
        if chosen is not None:
            found = True
            if slots[index] is None:
                slots[index] = chosen
            elif slots[index] is not chosen:
                work.spend(4 * entries.size(chosen) if part.node.kind == "list" else 1)
                slots[index] = select.union(part.node, slots[index], chosen)
    if not found and not matches:  # what matches is selected, whatever else there is (section 6.2.5)
        return None
    for leaf in (*(leaf for leaf, _ in matches), *node.keys):
        slots[leaf.index] = value[leaf.index]
    return tuple(slots)


def _of_part(part: _Part, held: Value, levels: int | None, work: Work) -> Value | None:
    node, wanted, inside = part
    if inside is not None:
        return _selected(inside, held, work) if node.kind == "container" else _of_entries(node, held, inside, work)
    if wanted is None:
        return select.within(node, held, levels)
    if node.kind == "leaf":
        return held if held == wanted else None
    return (wanted,) if wanted in held else None


def _of_entries(node: Node, held: entries.Entries, inside: Selection, work: Work) -> entries.Entries | None:
    key = inside.key
    tests = 2 + len(inside.parts) + len(inside.matches)
    if key is not None:
        work.spend(tests)
        entry = entries.get(held, key)
        chosen = None if entry is None else _selected(inside, entry, work)
        return None if chosen is None else entries.single(key, chosen, ordered=node.user_ordered)
    work.spend(entries.size(held) * tests >> 2)
    found = [(key, part) for key, entry in entries.items(held) if (part := _selected(inside, entry, work)) is not None]
    return entries.from_values(found, ordered=node.user_ordered) if found else None


def _narrowed(selection: Selection, value: Value) -> Value:
    node, matches, _, parts, whole, _ = selection
    if whole:
        return value
    slots: list[Value | None] = list(node.blank)
    for leaf in (*(leaf for leaf, _ in matches), *node.keys):
        slots[leaf.index] = value[leaf.index]
    for child, _, inside in parts:
        held = value[child.index]
        if held is None or inside is None or slots[child.index] is not None:
            slots[child.index] = held
        elif child.kind == "container":
            slots[child.index] = _narrowed(inside, held)
        elif inside.key is None:
            slots[child.index] = held
        elif (entry := entries.get(held, inside.key)) is not None:
            slots[child.index] = entries.single(inside.key, _narrowed(inside, entry), ordered=child.user_ordered)
    return tuple(slots)
