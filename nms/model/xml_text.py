"""The pieces of YANG's XML encoding that are text: character data, tags, leafs (RFC 7950 sections 7.5.7, 7.6.6)."""

from __future__ import annotations

import re
from typing import Final

from nms.model.schema import Node
from nms.model.types import text_of
from nms.model.values import Identity, InstanceId, Scalar

_SPECIAL: Final = re.compile(r"[&<>\r]")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_MODULE: Final = re.compile(r"(?:^|[/\[])([A-Za-z_][\w.-]*):")


def escape(text: str) -> str:
    """Character data; carriage returns survive the receiver's line-end normalisation."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text) if _SPECIAL.search(text) else text


def start(node: Node) -> str:
    """The start tag of an instance of `node`, with `xmlns` where the namespace differs from the parent's."""
    parent = node.parent
    if parent is None or parent.namespace != node.namespace or parent.kind in ("input", "output"):
        return f'<{node.name} xmlns="{escape(node.namespace)}">'
    return f"<{node.name}>"


def end(node: Node) -> str:
    """The end tag."""
    return f"</{node.name}>"


def leaf(node: Node, value: Scalar) -> str:
    """The element of a leaf or leaf-list value; qualified names in it use module names as prefixes."""
    opening = start(node)
    if isinstance(value, Identity | InstanceId):
        modules = dict.fromkeys(_MODULE.findall(value))
        names = "".join(
            f' xmlns:{m}="{escape(node.names.namespaces[m])}"' for m in modules if m in node.names.namespaces
        )
        opening = f"{opening[:-1]}{names}>"
    return f"{opening}{escape(text_of(value))}</{node.name}>"
