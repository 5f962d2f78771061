"""The <action> of RFC 7950 section 7.15: a chain of nested data nodes that ends with the action's own element."""

from __future__ import annotations

from lxml import etree

from nms.errors import RpcError
from nms.model import xml
from nms.model.codegen_xml import resolver
from nms.model.path import Step
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue
from nms.netconf.parameters import name_of, text_of, unexpected
from nms.operations.request import Invoke, Request


def action_of(schema: Schema, wrapper: etree._Element) -> Request:
    """The action at the end of a chain of nested data nodes, of which lists hold their keys."""
    node, path = schema.root, list[Step]()
    parent, element = wrapper, _next(wrapper, frozenset())
    while True:
        action = next((a for a in node.actions if a.tag == element.tag), None)
        if action is not None:
            where = (*path, (action, None))
            return Invoke(action, xml.decode(action.children[0], element, where), tuple(path))
        child = node.by_tag.get(str(element.tag))
        if child is None or child.kind not in ("container", "list"):
            raise unexpected(element, schema.module_of_namespace)
        path.append((child, _key(child, element) if child.kind == "list" else None))
        node, parent = child, element
        element = _next(parent, frozenset(leaf.tag for leaf in child.keys))


def _key(node: Node, element: etree._Element) -> object:
    values = []
    for leaf in node.keys:
        given = element.find(leaf.tag)
        if given is None:
            raise RpcError("missing-element", f"key {leaf.name} is missing", info={"bad-element": leaf.name})
        assert leaf.type is not None
        try:
            values.append(leaf.type.parse(text_of(given), resolver(leaf, given)))
        except InvalidValue as error:
            raise RpcError("invalid-value", f"key {leaf.name}: {error}", info={"bad-element": leaf.name}) from None
    return node.make_key(values)


def _next(parent: etree._Element, keys: frozenset[str]) -> etree._Element:
    """The one child of `parent` that is no key."""
    inner = [child for child in parent if child.tag not in keys]
    if not inner:
        raise RpcError(
            "missing-element", "an <action> ends with the action's element", info={"bad-element": name_of(parent)}
        )
    if len(inner) > 1:
        raise RpcError("bad-element", "an <action> names one action", info={"bad-element": name_of(inner[1])})
    return inner[0]
