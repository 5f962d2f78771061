"""Instances as the content of an anydata node, written only when they are sent and in the encoding they are sent in.

A push-update holds a part of a datastore: a pointer to an immutable tree while it waits, text when its reader reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from nms.model import json, tree, xml
from nms.model.path import Step
from nms.model.schema import Node
from nms.model.values import AnyData, Value


class Content(AnyData):
    """Content that `as_xml` and `as_json` write when it is asked for."""

    __slots__ = ("_as_json", "_as_xml")
    _as_xml: Callable[[], bytes]
    _as_json: Callable[[], Any]

    def __init__(self, as_xml: Callable[[], bytes], as_json: Callable[[], Any]) -> None:
        object.__setattr__(self, "_as_xml", as_xml)
        object.__setattr__(self, "_as_json", as_json)

    @property
    def xml(self) -> str:
        """The children, as XML."""
        return self._as_xml().decode()

    @property
    def json(self) -> str:
        """The members, as JSON text."""
        return orjson.dumps(self._as_json()).decode()


def children(node: Node, value: Value) -> AnyData:
    """The children of an instance of `node`; of the root: a datastore's contents."""
    return Content(lambda: xml.encode(node, value), lambda: json.encode(node, value))


def instance(step: Step, value: Value) -> AnyData:
    """One instance by itself, without its ancestors; of a list without a key all entries."""
    node, key = step
    name = f"{node.module}:{node.name}"

    def as_json() -> Any:
        if key is None:
            return {name: json.encode_value(node, value)}
        if node.kind == "leaf-list":
            return {name: json.encode_value(node, (value,))}
        return {name: [json.encode_entry(node, value)]}

    def as_xml() -> bytes:
        if node.kind == "list" and key is None:
            return b"".join(_in_namespace(node, xml.encode_instance((one,), v)) for one, v in tree.members(node, value))
        return _in_namespace(node, xml.encode_instance((step,), value))

    return Content(as_xml, as_json)


def _in_namespace(node: Node, text: bytes) -> bytes:
    """An instance that stands outside its parent declares the namespace that it would inherit there."""
    if node.parent is None or node.parent.module != node.module:
        return text
    start = f"<{node.name}".encode()
    return b'%b xmlns="%b"%b' % (start, xml.escape(node.namespace).encode(), text[len(start) :])
