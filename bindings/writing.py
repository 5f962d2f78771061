"""From pyangbind's objects to JSON (RFC 7951) and XML (RFC 7950): only what was set, decimals in canonical form.

pyangbind's own encoders write identities of leaf-lists without their namespace and decimals with trailing zeros.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from lxml import etree
from pyangbind.lib.serialise import IETFYangDataSerialiser
from pyangbind.lib.yangtypes import safe_name


def kind(node: Any) -> str:
    """pyangbind's word for the kind of `node`: container, YANGListType, TypedListType (leaf-list), else a leaf."""
    return str(getattr(node, "_pybind_generated_by", "leaf"))


def is_module(node: Any) -> bool:
    """Whether `node` is a whole module, not a node of it."""
    return not hasattr(node, "_namespace")


def list_of(node: Any) -> Any:
    """What knows the module and namespace of `node`: its list for a list entry, else itself."""
    return node if node._defining_module else getattr(node._parent, safe_name(node._yang_name))


def tag(node: Any) -> str:
    """The element name of `node`, as lxml writes it."""
    return f"{{{node._namespace}}}{node._yang_name}"


def json_members(node: Any, module: str) -> dict[str, Any]:
    """The members of a container, entry or module; `module` is the one that `node` itself belongs to."""
    members: dict[str, Any] = {}
    for child in _held(node):
        owner = child._defining_module
        name = child._yang_name if owner == module else f"{owner}:{child._yang_name}"
        members[name] = json_value(child, owner)
    return members


def json_value(node: Any, module: str) -> Any:
    """The JSON value of `node`, which belongs to `module`; a list gives an array."""
    match kind(node):
        case "container":
            return json_members(node, module)
        case "YANGListType":
            return [json_members(entry, module) for entry in node.itervalues()]
        case "TypedListType":
            return [_scalar(value) for value in node]
        case _:
            return _scalar(node)


def append(parent: etree._Element, node: Any) -> None:
    """Put the elements of what `node` holds under `parent`."""
    for child in _held(node):
        nsmap = {None: child._namespace}
        match kind(child):
            case "container":
                append(etree.SubElement(parent, tag(child), nsmap=nsmap), child)
            case "YANGListType":
                for entry in child.itervalues():
                    append(etree.SubElement(parent, tag(child), nsmap=nsmap), entry)
            case "TypedListType":
                for value in child:
                    _append_leaf(parent, child, value)
            case _:
                _append_leaf(parent, child, child)


def _append_leaf(parent: etree._Element, leaf: Any, value: Any) -> None:
    nsmap: dict[str | None, str] = {None: leaf._namespace}
    if identity := _identity(value):
        nsmap[identity["@module"]] = identity["@namespace"]
    text = _scalar(value)
    etree.SubElement(parent, tag(leaf), nsmap=nsmap).text = str(text).lower() if isinstance(text, bool) else str(text)


def _held(node: Any) -> Iterator[Any]:
    """The children of `node` that hold something."""
    for name in node._pyangbind_elements:
        child = getattr(node, name)
        match kind(child):
            case "container":
                held = child._present() is True or any(True for _ in _held(child))
            case "YANGListType":
                held = len(child) > 0
            case _:
                held = child._changed()
        if held:
            yield child


def _identity(value: Any) -> Mapping[str, str] | None:
    """What pyangbind knows of the identity that `value` names; None when it is no identityref."""
    known: Mapping[str, str] = getattr(value, "_enumeration_dict", {}).get(str(value), {})
    return known if "@module" in known else None


class _Scalars(IETFYangDataSerialiser):  # type: ignore[misc]  # pyangbind is untyped
    """pyangbind's JSON scalars, with decimals in canonical form (RFC 7950 section 9.3.2)."""

    def yangt_decimal(self, obj: Decimal) -> str:
        whole, _, fraction = f"{obj:f}".partition(".")
        return f"{whole}.{fraction.rstrip('0') or '0'}"


def _scalar(value: Any) -> Any:
    if identity := _identity(value):
        return f"{identity['@module']}:{str(value).rpartition(':')[2]}"
    if isinstance(value, bytes):  # binary, which pyangbind holds decoded (RFC 7951 section 6.6)
        return b64encode(value).decode()
    return _Scalars().default(value)
