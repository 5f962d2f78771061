"""Instance data with metadata: which values are defaults (RFC 6243 section 3.4), and where configuration comes from
(RFC 8342 section 5.3.4), in XML attributes and in RFC 7952 JSON.

An annotation follows from comparing an instance with the same one in other trees; nothing is kept with the data.  Each
instance is encoded for itself: what `nms.model.json` and `nms.model.xml` remember has no annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nms.model import json, tree, xml
from nms.model.codegen_json import member_name
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.values import Key, Value
from nms.model.xml_text import end, leaf, start

_DEFAULT: Final = "ietf-netconf-with-defaults:default"
_ORIGIN: Final = "ietf-origin:origin"
#: annotation -> prefix and namespace of its attribute
_ATTRIBUTES: Final[Mapping[str, tuple[str, str]]] = {
    _DEFAULT: ("wd", "urn:ietf:params:xml:ns:netconf:default:1.0"),
    _ORIGIN: ("or", "urn:ietf:params:xml:ns:yang:ietf-origin"),
}


@dataclass(frozen=True, slots=True)
class Basis:
    """What the annotations of one instance follow from; made for a root, `below` leads down.

    Attributes:
        explicit: the instance before defaults were added.
        intended: the instance in the intended configuration.
        tagged: say which values are defaults.
        origins: say where configuration comes from.
        inherited: origin of the instance above, which needs no repetition.
    """

    explicit: Value | None
    intended: Value | None
    tagged: bool = False
    origins: bool = False
    inherited: str = ""

    def below(self, node: Node, key: Key | None) -> Basis:
        """The basis of the child instance (`node`, `key`)."""
        step = ((node, key),)
        return replace(
            self,
            explicit=tree.get(self.explicit, step) if self.explicit is not None else None,
            intended=tree.get(self.intended, step) if self.intended is not None else None,
            origins=self.origins and node.config,
        )

    def at(self, path: InstancePath) -> Basis:
        """The basis of the instance at `path` below this one."""
        basis = self
        for node, key in path:
            basis = basis.below(node, key)
        return basis

    def annotations(self, node: Node) -> dict[str, Any]:
        """By qualified name, as JSON has their values."""
        found: dict[str, Any] = {}
        if self.tagged and self.explicit is None and node.kind in ("leaf", "leaf-list"):
            found[_DEFAULT] = True
        if self.origins and self.origin != self.inherited:
            found[_ORIGIN] = self.origin
        return found

    @property
    def origin(self) -> str:
        """The identity that says where the instance comes from."""
        name = "intended" if self.intended is not None else "default" if self.explicit is None else "system"
        return f"ietf-origin:{name}"

    @property
    def inside(self) -> Basis:
        """For the children of the instance, once its own annotations are told."""
        return replace(self, inherited=self.origin) if self.origins else self


# ---------------------------------------------------------------- JSON


def to_json(node: Node, value: Value, basis: Basis) -> dict[str, Any]:
    """The members of an instance of `node`, ready for `orjson.dumps`; `basis` is the instance's own."""
    members: dict[str, Any] = {}
    for child, held in zip(node.children, value, strict=True):
        if held is not None:
            members |= member_json(member_name(child), child, tree.members(child, held), basis)
    return members


def member_json(
    name: str, node: Node, found: Iterable[tuple[tuple[Node, Key | None], Value]], basis: Basis
) -> dict[str, Any]:
    """The member `name` for the instances `found` (steps and values) of `node`, and the one with its annotations.

    Args:
        basis: of the instance above.
    """
    instances = [(value, basis.below(*step)) for step, value in found]
    if node.kind == "list":
        return {name: [_object(node, value, own) for value, own in instances]}
    if node.kind == "container":
        ((value, own),) = instances
        return {name: _object(node, value, own)}
    marks = [own.annotations(node) for _, own in instances]
    if node.kind == "leaf-list":
        content = json.encode_value(node, tuple(value for value, _ in instances))
        return {name: content} | ({f"@{name}": [mark or None for mark in marks]} if any(marks) else {})
    content = json.encode_value(node, instances[0][0])
    return {name: content} | ({f"@{name}": marks[0]} if marks[0] else {})


def _object(node: Node, value: Value, basis: Basis) -> dict[str, Any]:
    marks = basis.annotations(node)
    return ({"@": marks} if marks else {}) | to_json(node, value, basis.inside)


# ---------------------------------------------------------------- XML


def to_xml(node: Node, value: Value, basis: Basis) -> bytes:
    """The children of an instance of `node`; `basis` is the instance's own."""
    order = [*node.keys, *(child for child in node.children if child not in node.keys)]
    return b"".join(
        element_xml(child, one, basis.below(*step))
        for child in order
        if value[child.index] is not None
        for step, one in tree.members(child, value[child.index])
    )


def element_xml(node: Node, value: Value, basis: Basis) -> bytes:
    """The element of one instance; `basis` is its own."""
    if node.kind in ("leaf", "leaf-list"):
        text = leaf(node, value).encode()
    elif node.kind in ("container", "list"):
        text = start(node).encode() + to_xml(node, value, basis.inside) + end(node).encode()
    else:
        text = xml.encode_instance(((node, None),), value)
    marks = basis.annotations(node)
    return text.replace(b">", _attributes(marks).encode() + b">", 1) if marks else text


def _attributes(marks: Mapping[str, Any]) -> str:
    parts = []
    for name, value in marks.items():
        prefix, namespace = _ATTRIBUTES[name]
        text = "true" if value is True else f"{prefix}:{str(value).partition(':')[2]}"
        parts.append(f' xmlns:{prefix}="{namespace}" {prefix}:{name.partition(":")[2]}="{text}"')
    return "".join(parts)
