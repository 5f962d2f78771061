"""Tree diagrams with links (RFC 8340): each line as pyang draws it, cut where the name and the type stand."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from pyang.plugins import tree as pyang_tree

from tools.model.parsed import Statement
from tools.site.parts import Line, Part, Places, children

_NAME = re.compile(r"--(?:(?:rw|ro|-w|-x|-n|-u)? )?:?\(?(?:[\w.-]+:)?([\w.-]+)")


def lines(nodes: Sequence[Statement], module: Statement, mode: str, places: Places, lead: str = "") -> list[Line]:
    """The diagram of `nodes`, children of one parent in `module`.

    Args:
        mode: what pyang calls the kind of tree: data, rpc, notification or grouping.
        lead: what stands before each line.
    """
    return list(_below(nodes, module, lead, mode, 0, places))


def _below(
    nodes: Sequence[Statement], module: Statement, lead: str, mode: str, width: int, places: Places
) -> Iterator[Line]:
    width = width or _width(nodes, module)
    for node in nodes:
        inner = node.keyword if node.keyword in ("input", "output") else mode
        prefix = lead + ("   " if node is nodes[-1] else "  |")
        drawn = io.StringIO()
        # Of one level pyang writes the node's line, and dots for what is below.
        pyang_tree.print_node(node, module, drawn, prefix, None, inner, 1, None, False, width)
        yield _line(drawn.getvalue().partition("\n")[0], node, places)
        narrower = width - 3 if node.keyword in ("choice", "case") else 0
        yield from _below(children(node), module, prefix, inner, narrower, places)


def _width(nodes: Sequence[Statement], module: Statement) -> int:
    """The widest name among siblings, whatever choices and cases they stand in."""
    widest = 0
    for node in nodes:
        if node.keyword in ("choice", "case"):
            widest = max(widest, 3 + _width(node.i_children, module))
        else:
            foreign = node.i_module.i_modulename != module.i_modulename
            widest = max(widest, len(node.arg or node.keyword) + (len(node.i_module.i_prefix) + 1 if foreign else 0))
    return widest


def _line(text: str, node: Statement, places: Places) -> Line:
    found = _NAME.search(text, len(text) - len(text.lstrip(" |")))
    assert found is not None, text
    start, end = found.span(1)
    name = Part(text[start:end], places.href(node))
    type_ = pyang_tree.get_typename(node, False)
    at = text.find(type_, end) if type_ else -1
    if at < 0:
        return Line(text[:start], name, text[end:])
    return Line(text[:start], name, text[end:at], Part(type_, _target(node, places)), text[at + len(type_) :])


def _target(node: Statement, places: Places) -> str:
    of = node.search_one("type")
    if of is None:
        return ""
    if of.arg == "leafref":
        pointer = getattr(node, "i_leafref_ptr", None)
        return places.href(pointer[0]) if pointer else ""
    if of.arg == "identityref":
        return places.href(of.search_one("base").i_identity)
    return places.href(getattr(of, "i_typedef", None))
