"""XPath expressions that are nothing but the way to one instance, or to a whole list: most of what clients ask for.

Such an expression is an absolute path of names in which each list but the last has its keys compared with literals
(``/m:list[m:key='v']/m:leaf``).  Its path is read off the text, without compiling or evaluating anything; every other
expression is the business of `nms.model.xpath`, which selects the same for these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from nms.model.path import InstancePath, Step
from nms.model.schema import Node, Schema
from nms.model.values import Key, Scalar
from nms.model.xpath_functions import canonical
from nms.model.xpath_syntax import MAX_LENGTH
from nms.model.xpath_tree import names_identities

_STEP: Final = re.compile(r"\s*/\s*(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)\s*")
_KEY: Final = re.compile(r"\[\s*(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")\s*\]\s*")


def path(schema: Schema, expression: str, namespaces: Mapping[str, str]) -> InstancePath | None:
    """The path of the one instance (or whole list or leaf-list) that `expression` selects, if it is of that kind.

    Args:
        namespaces: prefix to namespace URI; what a name without prefix means is said in `nms.model.xpath`.
    """
    if len(expression) > MAX_LENGTH:
        return None
    steps: list[Step] = []
    node: Node | None = schema.root
    at = 0
    while at < len(expression):
        step = _STEP.match(expression, at)
        if step is None or node is None or (steps and node.kind == "list" and steps[-1][1] is None):
            return None
        node = _child(node, step[1], step[2], namespaces)
        if node is None:
            return None
        at = step.end()
        literals: dict[Node, str] = {}
        while predicate := _KEY.match(expression, at):
            leaf = _child(node, predicate[1], predicate[2], namespaces)
            if leaf is None or leaf in literals:
                return None
            literals[leaf] = predicate[3] if predicate[3] is not None else predicate[4]
            at = predicate.end()
        key = None
        if literals:
            key = _key(node, literals)
            if key is None:
                return None
        steps.append((node, key))
    return tuple(steps) or None


def _child(parent: Node, prefix: str | None, name: str, namespaces: Mapping[str, str]) -> Node | None:
    if prefix is not None:
        return parent.by_tag.get(f"{{{namespaces.get(prefix)}}}{name}")
    if parent.kind != "root":
        return parent.by_tag.get(f"{{{parent.namespace}}}{name}")
    found = parent.by_name.get(name, ())
    return found[0] if len(found) == 1 else None


def _key(node: Node, literals: Mapping[Node, str]) -> Key | None:
    if len(literals) != len(node.keys):
        return None
    values: list[Scalar] = []
    for leaf in node.keys:
        text = literals.get(leaf)
        if text is None or leaf.type is None or names_identities(leaf):
            return None
        value = canonical(leaf.type, text)
        if value is None:
            return None
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)
