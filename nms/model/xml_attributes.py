"""The attributes of a `<config>`: which elements have operations (RFC 6241 section 7.2), and which nobody knows.

An attribute without namespace is refused: it is mostly an operation that forgot its prefix, and to pass over a deletion
is to merge what should go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from lxml import etree

from nms.errors import RpcError
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node, Schema
from nms.model.xml import NETCONF_NS, YANG_NS, key_if_any

OPERATION: Final = f"{{{NETCONF_NS}}}operation"
INSERT: Final = f"{{{YANG_NS}}}insert"
DEFAULT: Final = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"

_MARKS: Final = frozenset({OPERATION, INSERT, DEFAULT})
_ATTRIBUTES: Final = etree.XPath("descendant-or-self::*/@*", smart_strings=True)


def marked(schema: Schema, element: etree._Element) -> set[etree._Element]:
    """Elements with an operation or insert of their own or below them.

    Args:
        element: the `<config>`.

    Raises:
        RpcError: unknown-attribute; one without namespace, which an ``operation`` is that forgot its prefix.
    """
    found: set[etree._Element] = set()
    free: set[etree._Element | None] = set()  # where there may be any attribute: found once, whatever their number
    for attribute in cast(list[Any], _ATTRIBUTES(element)):
        up: etree._Element | None = attribute.getparent()
        if attribute.attrname in _MARKS:
            while up is not None and up not in found:
                found.add(up)
                up = up.getparent()
        elif attribute.attrname[0] != "{" and up is not None and up is not element:
            if up.getparent() not in free:
                free.update(_refuse(schema, element, up, attribute.attrname))
            free.add(up)
    return found


def _refuse(schema: Schema, top: etree._Element, element: etree._Element, name: str) -> Sequence[etree._Element]:
    """Refuse an attribute of a data node.

    Returns:
        The element and those above it that may have any: in anydata and anyxml, and what is refused under its own name.
    """
    way = line(top, element)
    path, node = instance(schema.root, way)
    if node is None:
        return way[len(path) :]
    if path[-1][0].kind in ("anydata", "anyxml"):
        return way[len(path) - 1 :]
    local = etree.QName(element).localname
    raise RpcError(
        "unknown-attribute",
        f"{local} has no attribute {name}; NETCONF's and YANG's own have a namespace, as in nc:operation",
        type="protocol",
        path=format_path(path),
        info={"bad-attribute": name, "bad-element": local},
    )


def line(top: etree._Element, element: etree._Element) -> list[etree._Element]:
    """The elements from the child of `top` down to `element`."""
    upwards = [element]
    for up in element.iterancestors():
        if up is top:
            break
        upwards.append(up)
    return upwards[::-1]


def instance(root: Node, elements: Sequence[etree._Element]) -> tuple[InstancePath, Node | None]:
    """The way from `root` to the instance that the last of `elements` is; it ends at anydata, and at None."""
    path: InstancePath = ()
    node = root
    for step in elements:
        if node.kind in ("anydata", "anyxml"):
            break
        child = node.by_tag.get(cast(str, step.tag))
        if child is None:
            return path, None
        path, node = (*path, (child, key_if_any(child, step) if child.kind == "list" else None)), child
    return path, node
