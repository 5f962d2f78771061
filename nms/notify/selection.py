"""What a subscriber selects of a datastore (RFC 8641 section 3.6).

A selection can be made of what a change touches instead of the whole datastore where that gives the same answer: for a
subtree filter, and for an XPath filter that is a plain path (names, and predicates that compare a leaf with a literal).
Whether such a filter takes an instance depends on the leafs of its ancestors alone.  Any other XPath expression looks
at everything, within a budget: it runs in the thread of whoever changes data.  Pure; knows nothing of who may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from nms.errors import RpcError
from nms.model import entries, select, xpath
from nms.model import subtree as filters
from nms.model.cursor import Evaluation
from nms.model.diff import Change
from nms.model.path import InstancePath, Step
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, module_resolver
from nms.model.values import Key, Value

#: What one evaluation of a subscriber's expression may spend, unless somebody says otherwise (`nms.limits`).  A plain
#: path may spend as much as any client's: it is evaluated over what a change touches, and over all of a datastore only
#: as often as <get> would be.
BUDGET: Final = 20_000

_NAME: Final = r"(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*"
_LITERAL: Final = r"(?:'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?)"
_COMPARED: Final = rf"\[\s*{_NAME}\s*(?:=|!=|<=|>=|<|>)\s*{_LITERAL}\s*\]"
_TEST: Final = re.compile(rf"\[\s*({_NAME})\s*[=!<>]")
_KEY: Final = re.compile(rf"\[\s*({_NAME})\s*=\s*(?:'([^']*)'|\"([^\"]*)\")\s*\]")
_STEP: Final = re.compile(rf"/({_NAME})((?:{_COMPARED})*)")
_PATH: Final = rf"\s*(?:/{_NAME}(?:{_COMPARED})*)+\s*"
_PATHS: Final = re.compile(_PATH)
_PLAIN: Final = re.compile(rf"{_PATH}(?:\|{_PATH})*")


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter on a datastore, ready for use.

    Attributes:
        of: what it selects of a root; raises resource-denied when it takes too much.
        ends: schema nodes whose instances, with all below them, it can select; None: any.
        criteria: leafs that decide on the instance they are in.
        above: the ancestors of both.
        pinned: lists of which it selects the entries with these keys only.
        local: whether selecting from `narrowed` roots finds every difference.
    """

    of: Callable[[Value], Value]
    ends: frozenset[Node] | None = None
    criteria: frozenset[Node] = frozenset()
    above: frozenset[Node] = frozenset()
    pinned: Mapping[Node, Set[Key]] = field(default_factory=dict)
    local: bool = True

    def concerns(self, node: Node) -> bool:
        """Can a change of an instance of `node` make a difference to what is selected?"""
        if self.ends is None or node in self.criteria or node in self.above:
            return True
        return any(one in self.ends for one in node.ancestors())

    def passes_by(self, change: Change) -> bool:
        """Is `change` in an entry that the selection leaves out by its key?"""
        pinned = self.pinned
        return any(key is not None and node in pinned and key not in pinned[node] for node, key in change.path)


def _selection(
    of: Callable[[Value], Value],
    ends: Iterable[Node],
    criteria: Iterable[Node],
    pinned: Mapping[Node, set[Key | None]] | None = None,
    *,
    local: bool = True,
) -> Selection:
    taken, decisive = frozenset(ends), frozenset(criteria)
    above = frozenset(above for node in taken | decisive for above in node.ancestors())
    keys = {
        node: found
        for node, found in (pinned or {}).items()
        if None not in found and not any(up in taken for up in node.ancestors() if up is not node)
    }
    return Selection(of, taken, decisive, above, keys, local)


def everything() -> Selection:
    """The selection of a subscriber without a filter."""
    return Selection(lambda root: root)


def subtree(schema: Schema, element: etree._Element) -> Selection:
    """The selection of a subtree filter, the children of `element` (RFC 6241 section 6)."""
    ends: set[Node] = set()
    criteria: set[Node] = set()
    pinned: dict[Node, set[Key | None]] = {}
    _explore(schema.root, element, ends, criteria, pinned)
    return _selection(filters.compile(schema.root, element).of, ends, criteria, pinned)


def _explore(
    node: Node, element: etree._Element, ends: set[Node], criteria: set[Node], pinned: dict[Node, set[Key | None]]
) -> None:
    for sub in element:
        for child in node.children:
            if sub.tag not in (child.tag, child.name):
                continue
            if child.kind == "list":
                texts = {leaf: (sub.findtext(leaf.tag) or sub.findtext(leaf.name) or "").strip() for leaf in child.keys}
                pinned.setdefault(child, set()).add(_key(child, texts))
            inner = any(isinstance(e.tag, str) for e in sub)
            if node.kind != "root" and not inner and (sub.text or "").strip() and child.kind in ("leaf", "leaf-list"):
                criteria.add(child)
                if all(_is_test(node, other) for other in element):
                    ends.add(node)  # nothing but content matches: all of the instance (section 6.2.5)
            elif inner and child.kind in ("container", "list"):
                _explore(child, sub, ends, criteria, pinned)
            else:
                ends.add(child)


def _key(node: Node, texts: Mapping[Node, str]) -> Key | None:
    """The key of list `node` with these texts; None where one is missing or cannot be told from its text alone."""
    values = []
    for leaf in node.keys:
        assert leaf.type is not None
        if not texts.get(leaf) or leaf.type.base in ("identityref", "instance-identifier", "union"):
            return None
        try:
            values.append(leaf.type.parse(texts[leaf], module_resolver(leaf.module)))
        except InvalidValue:
            return None
    return node.make_key(values) if values else None


def _is_test(node: Node, element: etree._Element) -> bool:
    return bool((element.text or "").strip()) and any(
        element.tag in (child.tag, child.name) and child.kind in ("leaf", "leaf-list") for child in node.children
    )


def by_xpath(
    schema: Schema,
    text: str,
    namespaces: Mapping[str, str],
    evaluation: Callable[[], AbstractContextManager[Evaluation]] | None = None,
    work: int = xpath.BUDGET,
) -> Selection:
    """The selection of an XPath filter (RFC 6241 section 8.9).

    Args:
        evaluation: gives one with what may be spent, BUDGET if None.
        work: what a plain path may spend.

    Raises:
        RpcError: invalid-value, resource-denied; it is malformed or too long.
    """
    compiled = xpath.compile_text(schema, text, namespaces)
    selected, depends = compiled.program.nodes, compiled.depends
    names = {match[1].rpartition(":")[2] for match in _TEST.finditer(text)}
    tested = [node for node in depends if node.name in names]
    criteria = [node for node in tested if not (node.whens and node.default is not None)]
    plain = bool(_PLAIN.fullmatch(text)) and all(node.kind in ("leaf", "leaf-list") for node in tested)
    plain = plain and len(criteria) == len(tested)
    limited = evaluation or (lambda: nullcontext(xpath.expressions(schema).evaluation(BUDGET)))

    def of(root: Value) -> Value:
        if compiled.kind != "nodes":  # RFC 8641: a filter that gives no node set selects nothing
            return schema.root.blank
        with nullcontext(xpath.expressions(schema).evaluation(work)) if plain else limited() as allowed:
            return select.paths(schema, root, compiled.nodeset(root, evaluation=allowed))

    if plain:
        return _selection(of, selected, criteria, _pinned(schema, text, namespaces))
    if schema.root in selected | depends:
        return Selection(of, local=False)
    return _selection(of, selected | depends, (), local=False)


def _pinned(schema: Schema, text: str, namespaces: Mapping[str, str]) -> dict[Node, set[Key | None]]:
    """The lists on the way of a plain path, each with the keys that its predicates name."""
    pinned: dict[Node, set[Key | None]] = {}
    for path in _PATHS.finditer(text):
        nodes = [schema.root]
        for step in _STEP.finditer(path[0]):
            nodes = [child for node in nodes for child in node.children if _named(child, step[1], namespaces)]
            tests = {key[1].rpartition(":")[2]: key[2] or key[3] or "" for key in _KEY.finditer(step[2])}
            for node in nodes:
                if node.kind == "list":
                    texts = {leaf: tests.get(leaf.name, "") for leaf in node.keys}
                    pinned.setdefault(node, set()).add(_key(node, texts))
    return pinned


def _named(node: Node, name: str, namespaces: Mapping[str, str]) -> bool:
    prefix, _, local = name.rpartition(":")
    return node.name == local and (not prefix or namespaces.get(prefix) == node.namespace)


# ---------------------------------------------------------------- the part that a change touches


class _Trie(dict[Step, "_Trie"]):
    """Wanted instances by step; empty: all of the instance."""


def narrowed(schema: Schema, root: Value, selection: Selection, changes: Iterable[Change]) -> Value:
    """`root` without what `changes` do not touch: the changed instances, the leafs of their ancestors, nothing else.

    Where a criterion changed all of its instance is kept, as the filter may take or drop it; where an entry of a
    user-ordered list may come to the selection all of the list, as the entry's place is among the others.
    """
    wanted = _Trie()
    for change in changes:
        _enter(wanted, _lifted(change, selection.criteria))
    return _part(schema.root, root, wanted) if wanted else root


def _lifted(change: Change, criteria: frozenset[Node]) -> InstancePath:
    path = change.path
    decides = path[-1][0] in criteria and len(path) > 1
    if decides or change.old is None:
        for depth, (node, _) in enumerate(path):
            if node.user_ordered and node.kind == "list":
                return (*path[:depth], (node, None))
    return path[:-1] if decides else path


def _enter(trie: _Trie, path: InstancePath) -> None:
    for step in path[:-1]:
        below = trie.get(step)
        if below is None:
            below = trie[step] = _Trie()
        elif not below:
            return  # all of this instance is wanted already
        trie = below
    trie[path[-1]] = _Trie()


def _part(node: Node, value: Value, wanted: _Trie) -> Value:
    if not wanted:
        return value
    slots = [
        held if child.kind in ("leaf", "leaf-list") else None for child, held in zip(node.children, value, strict=True)
    ]
    found: dict[Node, list[tuple[Key, Value]]] = {}
    for (child, key), below in wanted.items():
        held = value[child.index]
        if held is None:
            continue
        if child.kind == "list" and key is not None:
            entry = entries.get(held, key)
            if entry is not None:
                found.setdefault(child, []).append((key, _part(child, entry, below)))
        else:
            slots[child.index] = _part(child, held, below) if child.kind == "container" else held
    for child, pairs in found.items():
        if (child, None) not in wanted:
            slots[child.index] = entries.from_values(pairs, ordered=child.user_ordered)
    return tuple(slots)


def element_of(content: str) -> etree._Element:
    """The element whose children are a subtree filter, from the content of an anydata in XML.

    Raises:
        RpcError: invalid-value; this is not XML.
    """
    parser: Any = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        element: etree._Element = etree.fromstring(f"<filter>{content}</filter>", parser)
        return element
    except etree.XMLSyntaxError as error:
        raise RpcError("invalid-value", f"the subtree filter is not XML: {error}") from None
