"""JSON Schemas of data nodes, kept as components that refer to each other.

A member is required where every body has it: the keys of a list.  Mandatory nodes are not: what `fields` or `depth`
leave out, and a plain patch, is no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nms.model.codegen_json import member_name
from nms.model.schema import Node
from nms.model.types import Type
from tools.openapi.types import Fragment, json_type


class Schemas:
    """The components of one document, made as they are asked for."""

    def __init__(self) -> None:
        self.components: dict[str, Fragment] = {}
        self._names: dict[Node, str] = {}
        self._types: dict[str, str] = {}

    def body(self, node: Node) -> Fragment:
        """What stands for one instance of `node` in a message: an object with its one qualified member."""
        content = self._member(node)
        if node.kind in ("list", "leaf-list"):
            content = content | {"minItems": 1, "maxItems": 1}
        return _object({f"{node.module}:{node.name}": content}, [f"{node.module}:{node.name}"])

    def whole(self, node: Node) -> Fragment:
        """A message with all instances of a list or leaf-list."""
        return _object({f"{node.module}:{node.name}": self._member(node)}, [f"{node.module}:{node.name}"])

    def datastore(self, tops: Sequence[Node]) -> Fragment:
        """The message of the datastore resource."""
        properties = {f"{top.module}:{top.name}": self._member(top) for top in tops}
        return _object({"ietf-restconf:data": _object(properties, [])}, ["ietf-restconf:data"])

    def child(self, children: Sequence[Node]) -> Fragment:
        """A message with one of `children`, to be created."""
        writable = [child for child in children if child.config]
        return {"oneOf": [self.body(child) for child in writable]} if len(writable) > 1 else self.body(writable[0])

    def content(self, node: Node) -> Fragment:
        """The object of a container, list entry, input, output or of the datastore itself."""
        name = self._names.get(node)
        if name is None:
            name = self._names[node] = self._free(name_of(node))
            self.components[name] = {}  # a place of its own before its children refer to others
            properties = {member_name(child): self._member(child) for child in node.children}
            schema = _object(properties, [member_name(key) for key in node.keys])
            self.components[name] = schema | _described(node)
        return _reference(name)

    def type(self, type_: Type) -> Fragment:
        """A value; what a typedef names is a component."""
        schema = json_type(type_)
        if type_.name == type_.base or len(str(schema)) < 80:
            return schema
        text = f"{type_.name} {schema}"
        if text not in self._types:
            self._types[text] = self._free(f"type.{type_.name.rpartition(':')[2]}")
            self.components[self._types[text]] = schema
        return _reference(self._types[text])

    def _member(self, node: Node) -> Fragment:
        if node.kind in ("container", "input", "output"):
            return self.content(node)
        if node.kind == "list":
            return _sized(node, {"type": "array", "items": self.content(node)}) | _read_only(node)
        if node.kind in ("anydata", "anyxml"):
            return _described(node) | _read_only(node)
        assert node.type is not None
        value = self.type(node.type)
        if node.kind == "leaf-list":
            return _sized(node, {"type": "array", "items": value}) | _described(node) | _read_only(node)
        default = {"default": node.type.to_json(node.default)} if node.default is not None else {}
        return value | _described(node, value.get("description", "")) | default | _read_only(node)

    def _free(self, name: str) -> str:
        number = 1
        free = name
        while free in self.components:
            number += 1
            free = f"{name}-{number}"
        return free


def name_of(node: Node) -> str:
    """A component's name: the schema path with a dot between its names."""
    if node.kind == "root":
        return "datastore"
    above = list(node.ancestors())[::-1]
    return ".".join([above[0].module, *(step.name for step in above)])


def _object(properties: Fragment, required: list[str]) -> Fragment:
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _reference(name: str) -> Fragment:
    return {"$ref": f"#/components/schemas/{name}"}


def _sized(node: Node, schema: Fragment) -> Fragment:
    if node.max_elements is not None:
        schema["maxItems"] = node.max_elements
    if node.kind == "leaf-list" and node.config:
        schema["uniqueItems"] = True
    return schema


def _read_only(node: Node) -> Fragment:
    return {} if node.config else {"readOnly": True}


def _described(node: Node, more: str = "") -> Fragment:
    parts = [" ".join(node.description.split()), more]
    if node.mandatory:
        parts.append("Mandatory.")
    if node.units:
        parts.append(f"Unit: {node.units}.")
    text = " ".join(part for part in parts if part)
    found: dict[str, Any] = {"description": text} if text else {}
    return found | ({"deprecated": True} if node.status != "current" else {})
