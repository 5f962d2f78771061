"""From JSON (RFC 7951) and XML (RFC 7950) to pyangbind's objects, with errors that name the place.

pyangbind's own decoders guess types from the look of XML text ("0010" becomes 10) and answer with generated code.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lxml import etree
from pyangbind.lib.yangtypes import safe_name

from bindings.writing import kind


class BindingError(ValueError):
    """A payload holds what the model does not have."""


def fill(node: Any, source: Any, path: str = "") -> Any:
    """Put the members of `source`, a JSON object or an XML element, into `node`, and return it.

    Raises:
        BindingError: an unknown node, an entry without a key, a value that its type does not allow; names the place.
    """
    for name, values in _grouped(source, path).items():
        here = f"{path}/{name}"
        get = getattr(node, f"_get_{safe_name(name)}", None)
        if get is None:
            raise BindingError(f"{here}: the model has no such node")
        child = get()
        match kind(child):
            case "container":
                if getattr(child, "_presence", False):
                    child._set_present()
                fill(child, _only(values, here), here)
            case "YANGListType":
                for value in values:
                    fill(_entry(child, value, here), value, here)
            case "TypedListType":
                for value in values:
                    _put(child.append, child, value, here)
            case _:
                if not child._is_keyval:  # keys were given when the entry was made
                    _put(getattr(node, f"_set_{safe_name(name)}"), child, _only(values, here), here)
    return node


def _grouped(source: Any, path: str) -> dict[str, list[Any]]:
    """Local name -> values, of the members of a JSON object or of the children of an XML element."""
    groups: dict[str, list[Any]] = {}
    if isinstance(source, etree._Element):
        for element in source:
            groups.setdefault(etree.QName(element).localname, []).append(element)
    elif isinstance(source, dict):
        for name, value in source.items():
            if not name.startswith("@"):  # metadata, RFC 7952
                groups[name.rpartition(":")[2]] = value if isinstance(value, list) else [value]
    else:
        raise BindingError(f"{path}: an object is expected, not {source!r}")
    return groups


def _only(values: list[Any], path: str) -> Any:
    if len(values) != 1:
        raise BindingError(f"{path}: one value is expected, not {len(values)}")
    return values[0]


def _entry(children: Any, source: Any, path: str) -> Any:
    """A new entry of the list `children` with the keys found in `source`."""
    members = _grouped(source, path)
    sample = _sample(children._contained_class)
    keys = {}
    for attribute, name in zip(children._keyval.split(" "), children._yang_keys.split(" "), strict=True):
        if name not in members:
            raise BindingError(f"{path}: an entry without its key {name}")
        keys[attribute] = _read(getattr(sample, f"_get_{attribute}")(), _only(members[name], path))
    try:
        return children.add(**keys)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BindingError(f"{path}: {' '.join(map(str, keys.values()))!r} is not allowed here, or twice") from error


@cache
def _sample(entry_class: Any) -> Any:
    """An entry of which only the types of its children are read."""
    return entry_class()


def _put(setter: Any, leaf: Any, value: Any, path: str) -> None:
    try:
        setter(_read(leaf, value))
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        # pyangbind's own text is a page of generated code
        shown = value.text if isinstance(value, etree._Element) else value
        raise BindingError(f"{path}: {shown!r} is not allowed here") from error


def _read(leaf: Any, value: Any) -> Any:
    """What pyangbind takes for `value`, a JSON scalar or the element of an XML leaf."""
    if isinstance(value, etree._Element):
        value = value.text or ""
        if leaf._yang_type == "boolean":
            return {"true": True, "false": False}[value.strip()]
    if isinstance(value, str) and _is_identityref(leaf):
        return value.strip().rpartition(":")[2]
    return value


def _is_identityref(leaf: Any) -> bool:
    known = getattr(leaf, "_enumeration_dict", {})
    return leaf._yang_type == "identityref" or any("@module" in identity for identity in known.values())
