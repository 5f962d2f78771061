"""The difference of two configurations as the `<config>` of an edit-config (RFC 6241 section 7.2).

The default operation is merge.  What is gone is deleted, what is new created, so that a datastore which is not the old
one refuses the edit instead of becoming a third thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from lxml import etree

from nms.model import entries
from nms.model import xml as instance_xml
from nms.model.diff import Change, diff
from nms.model.path import InstancePath
from nms.model.schema import Node, Schema
from nms.model.values import Value

_BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
_YANG: Final = "urn:ietf:params:xml:ns:yang:1"
#: (path, value, operation, place in a user-ordered list)
_Step = tuple[InstancePath, Value, str, str]


def edit_config(schema: Schema, old: Value, new: Value) -> etree._Element | None:
    """The `<config>` that makes `new` out of `old`; None when they are the same.

    The order of what the system orders does not count.
    """
    changes = diff(schema.root, old, new)
    config = etree.Element(f"{{{_BASE}}}config", nsmap={None: _BASE, "nc": _BASE, "yang": _YANG})
    for change in changes:
        for path, value, operation, insert in _steps(change):
            element = _graft(config, path, value)
            element.set(f"{{{_BASE}}}operation", operation)
            if insert:
                element.set(f"{{{_YANG}}}insert", insert)
    etree.cleanup_namespaces(config, keep_ns_prefixes=["nc"])
    return config if len(config) else None


def _steps(change: Change) -> Iterator[_Step]:
    node, key = change.path[-1]
    above = change.path[:-1]
    if node.kind == "leaf-list":
        old, new = change.old or (), change.new or ()
        yield from (((*above, (node, value)), value, "delete", "") for value in old if value not in new)
        if node.user_ordered:
            yield from (((*above, (node, value)), value, "merge", "last") for value in new)
        else:
            yield from (((*above, (node, value)), value, "create", "") for value in new if value not in old)
    elif node.kind == "list" and key is None:  # a new order: every entry is put at the end in its turn
        for entry_key, entry in entries.items(change.new if change.new is not None else entries.NONE_ORDERED):
            yield (*above, (node, entry_key)), entry, "replace", "last"
    elif change.new is None:
        yield change.path, _bare(node, change.old), "delete", ""
    else:
        operation = "create" if change.old is None else "replace"
        yield change.path, change.new, operation, "last" if node.user_ordered and change.old is None else ""


def _graft(config: etree._Element, path: InstancePath, value: Value) -> etree._Element:
    """Put the instance at `path` below the elements that are there already; its element."""
    fragment = etree.fromstring(instance_xml.encode_instance(path, value))
    here = config
    for (node, _), (below, _) in pairwise(path):
        present = next((e for e in here if e.tag == fragment.tag and _keys(node, e) == _keys(node, fragment)), None)
        if present is None:
            here.append(fragment)
            present = fragment
        inner = next(element for element in reversed(fragment) if element.tag == below.tag)
        here, fragment = present, inner
    if fragment.getparent() is not here:
        here.append(fragment)
    return fragment


def _keys(node: Node, element: etree._Element) -> list[str | None]:
    return [element.findtext(key.tag) for key in node.keys]


def _bare(node: Node, value: Value) -> Value:
    """What names an instance: an entry's keys, nothing of a container; a leaf keeps its value."""
    if node.kind not in ("list", "container"):
        return value
    return tuple(held if child in node.keys else None for child, held in zip(node.children, value, strict=True))
