"""Entries of a list read from the text of a message: a pattern and a function generated for them (RFC 7950 section 7).

The pattern only knows entries as most clients write them: elements without attributes in the schema's order, texts
without references, all tags with one prefix or none.  Whatever else XML may say does not match, and is left to an XML
parser and the decoders of `nms.model.xml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from nms.model.codegen_source import Source, collect, parsed, unpack, variable, without_blank
from nms.model.schema import Node
from nms.model.types import Type, no_prefix
from nms.model.values import Scalar, Value

#: Character data that stands for itself: no markup, no line end to normalise, no `]]>`, only characters of XML 1.0.
#: What is longer is left to the parser, which has limits of its own.
_TEXT: Final = "[^<&\\]\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]{0,65535}"
_SPACE: Final = "[ \t\r\n]*"
#: Built-in types whose values are names that depend on the place in the document.
_QUALIFIED: Final = frozenset({"identityref", "instance-identifier"})


class Reader(NamedTuple):
    """How entries of one list (or a container) are read.

    Attributes:
        pattern: of one element and the space behind it; a group for each child.
        read: the groups -> instance; raises `Unexpected` or `InvalidValue`.
    """

    pattern: re.Pattern[str]
    read: Callable[[tuple[str | None, ...]], Value]

    def all(self, text: str) -> list[Value]:
        """The instances in `text`, which consists of nothing else."""
        read = self.read
        return [read(found.groups()) for found in self.pattern.finditer(text)]


@lru_cache(maxsize=256)
def reader(node: Node, prefix: str) -> Reader:
    """The reader of a list's entries or of a container; `prefix` as in tags: "" or for instance "x:"."""
    children = [*node.keys, *(child for child in node.children if child not in node.keys)]
    groups = [_group(child, prefix) for child in children]
    source = Source("def read(groups):", node.path)
    names = ", ".join(map(variable, children))
    if children:
        source.add(f"({names},) = groups")
    for child in children:
        source.add(*_READERS[child.kind](source, child, prefix))
    source.add(f"return {unpack(node)}")
    return Reader(re.compile(_tagged(node, prefix, _SPACE + "".join(groups)) + _SPACE), source.function())


def _tagged(node: Node, prefix: str, content: str) -> str:
    name = re.escape(prefix + node.name)
    return f"<{name}>{content}</{name}>"


def _group(node: Node, prefix: str) -> str:
    """The part of its parent's pattern that stands for a child, with one group."""
    parent = node.parent
    assert parent is not None
    if node.kind == "leaf":
        element = _tagged(node, prefix, f"({_TEXT})") + _SPACE
        return element if node in parent.keys else "()" if not _is_plain(node) else f"(?:{element})?"
    if not _is_plain(node):
        return "()"
    return f"((?:{_element(node, prefix)}){'?' if node.kind == 'container' else '*'})"


def _element(node: Node, prefix: str) -> str:
    """The pattern of an element, without groups."""
    if node.kind in ("leaf", "leaf-list"):
        return _tagged(node, prefix, _TEXT) + _SPACE
    children = [*node.keys, *(child for child in node.children if child not in node.keys)]
    content = []
    for child in children:
        if _is_plain(child):
            many = "" if child in node.keys else "?" if child.kind in ("leaf", "container") else "*"
            content.append(f"(?:{_element(child, prefix)}){many}")
    return _tagged(node, prefix, _SPACE + "".join(content)) + _SPACE


def _is_plain(node: Node) -> bool:
    """Can instances be read from text?  Others are not expected, so that entries with them do not match."""
    if node.namespace != (node.parent.namespace if node.parent is not None else ""):
        return False
    if node.kind in ("anydata", "anyxml"):
        return False
    if node.kind == "list":
        return is_readable(node)
    return node.type is None or not _is_qualified(node.type)


def is_readable(node: Node) -> bool:
    """Can entries of list `node` be read from text?"""
    return bool(node.keys) and all(map(_is_plain, node.keys))


def _is_qualified(kind: Type) -> bool:
    return kind.base in _QUALIFIED or any(map(_is_qualified, kind.members))


def _scalar(source: Source, node: Node, name: str) -> str:
    """The expression of the value whose text is in the variable `name`."""
    assert node.type is not None
    parse = node.type.parse

    def unqualified(text: str) -> Scalar:
        return parse(text, no_prefix)

    return parsed(source, node, unqualified, name)


def _read_leaf(source: Source, node: Node, _: str) -> list[str]:
    name = variable(node)
    if not _is_plain(node):
        return [f"{name} = None"]
    return [f"if {name} is not None:", f"    {name} = {_scalar(source, node, name)}"]


def _read_leaf_list(source: Source, node: Node, prefix: str) -> list[str]:
    name = variable(node)
    items = source.bind(f"items_{node.index}", re.compile(_tagged(node, prefix, f"({_TEXT})")).findall)
    return [f"{name} = tuple([{_scalar(source, node, 'item')} for item in {items}({name})]) or None"]


def _read_container(source: Source, node: Node, prefix: str) -> list[str]:
    name = variable(node)
    if not _is_plain(node):
        return [f"{name} = None"]
    one = source.bind(f"all_{node.index}", reader(node, prefix).all)
    return [f"{name} = {one}({name})[0] if {name} else None", *without_blank(source, node)]


def _read_list(source: Source, node: Node, prefix: str) -> list[str]:
    name = variable(node)
    if not _is_plain(node):
        return [f"{name} = None"]
    source.bind("collect", collect)
    every = source.bind(f"all_{node.index}", reader(node, prefix).all)
    held = source.bind(f"list_{node.index}", node)
    return [f"{name} = collect({held}, {every}({name}))"]


def _read_any(source: Source, node: Node, _: str) -> list[str]:
    return [f"{variable(node)} = None"]


_READERS: Final[dict[str, Callable[[Source, Node, str], list[str]]]] = {
    "leaf": _read_leaf,
    "leaf-list": _read_leaf_list,
    "container": _read_container,
    "list": _read_list,
    "anydata": _read_any,
    "anyxml": _read_any,
}
