"""XML in and out (RFC 7950 sections 7.x.x "XML encoding rules"); the edits of a `<config>` are `nms.model.xml_edit`'s.

Encodings of list entries are remembered per leaf of the list's tree, so that reading again costs a join.  An element
says `xmlns` where its namespace differs from its parent's; qualified names in values use module names as prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from lxml import etree

from nms.model import anydata, codegen, codegen_xml, entries
from nms.model.codegen_source import Unexpected
from nms.model.codegen_xml import resolver
from nms.model.fault import Fault, invalid, missing_key, twice, unknown
from nms.model.path import InstancePath
from nms.model.schema import Node
from nms.model.types import InvalidValue
from nms.model.values import Key, Scalar, Value
from nms.model.xml_runs import NOTHING_PLACED, Placed
from nms.model.xml_text import end, leaf, start
from nms.model.xml_text import escape as escape

NETCONF_NS: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_NS: Final = "urn:ietf:params:xml:ns:yang:1"

# ---------------------------------------------------------------- encoding


def encode(node: Node, value: Value | None) -> bytes:
    """The children of an instance of `node` as XML; empty for None."""
    return b"".join(encode_pieces(node, value))


def encode_pieces(node: Node, value: Value | None) -> list[bytes]:
    """`encode` as the pieces that are remembered; none of them ends inside a character."""
    out: list[bytes] = []
    if value is not None:
        _children(node, value, out)
    return out


def encode_instance(path: InstancePath, value: Value) -> bytes:
    """The instance at `path` inside its ancestors, each list entry of which shows its keys."""
    node, key = path[-1]
    out: list[bytes] = []
    if key is not None and node.kind == "list":
        _encode_container(node, value, out)
    elif key is not None:
        _encode_leaf(node, value, out)
    else:
        _ENCODERS[node.kind](node, value, out)
    inner = b"".join(out)
    for node, key in reversed(path[:-1]):
        keys = (
            "".join(leaf(key_leaf, v) for key_leaf, v in zip(node.keys, node.key_values(key), strict=True))
            if node.keys
            else ""
        )
        inner = (start(node) + keys).encode() + inner + end(node).encode()
    return inner


def _children(node: Node, value: Value, out: list[bytes]) -> None:
    keys = node.keys
    for key in keys:
        _encode_leaf(key, value[key.index], out)
    for child, held in zip(node.children, value, strict=True):
        if held is not None and child not in keys:
            _ENCODERS[child.kind](child, held, out)


def _encode_leaf(node: Node, value: Value, out: list[bytes]) -> None:
    out.append(leaf(node, value).encode())


def _encode_leaf_list(node: Node, values: Value, out: list[bytes]) -> None:
    out.extend(leaf(node, value).encode() for value in values)


def _encode_container(node: Node, value: Value, out: list[bytes]) -> None:
    opening, closing = codegen.of(node).xml_tags
    out.append(opening)
    _children(node, value, out)
    out.append(closing)


def _encode_list(node: Node, held: entries.Entries, out: list[bytes]) -> None:
    codec = codegen.of(node)
    if isinstance(held, entries.Ordered):
        text: list[str] = []
        for entry in entries.values(held):
            codec.write_xml(entry, text.append)
        out.append("".join(text).encode())
    else:
        out.extend(codegen_xml.remembered(codec, part) for part in entries.leaves(held))


def _encode_any(node: Node, value: Value, out: list[bytes]) -> None:
    out.append(f"{start(node)}{anydata.to_xml(value, node.names)}{end(node)}".encode())


_ENCODERS: Final = {
    "leaf": _encode_leaf,
    "leaf-list": _encode_leaf_list,
    "container": _encode_container,
    "list": _encode_list,
    "anydata": _encode_any,
    "anyxml": _encode_any,
}

# ---------------------------------------------------------------- decoding


def decode(node: Node, element: etree._Element, base: InstancePath = ()) -> Value:
    """The value of `node` (rpc input or output, notification, root, container, list entry) from its element.

    Args:
        base: what the paths of errors begin with.

    Raises:
        RpcError: unknown-element, unknown-namespace, missing-element, bad-element, invalid-value; with the path.
    """
    try:
        return decode_children(node, element)
    except Fault as fault:
        raise fault.error(base) from None


# What follows raises `Fault`, whose path is found on the way up.


def child_node(node: Node, element: etree._Element) -> Node:
    """The child of `node` that `element` is an instance of."""
    child = node.by_tag.get(cast(str, element.tag))
    if child is not None:
        return child
    name = etree.QName(element)
    if name.namespace not in node.names.modules:
        raise Fault(
            "unknown-namespace",
            f"namespace {name.namespace or 'none'} of element {name.localname} is not known here",
            info={"bad-element": name.localname, "bad-namespace": name.namespace or ""},
        )
    raise unknown(name.localname, node.name or "the datastore")


def elements(element: etree._Element) -> list[etree._Element]:
    """Child elements; text between them is an error."""
    found = [child for child in element if isinstance(child.tag, str)]
    if (element.text and element.text.strip()) or any(child.tail and child.tail.strip() for child in element):
        name = etree.QName(element).localname
        raise Fault("bad-element", f"text between the elements of {name}", info={"bad-element": name})
    return found


def decode_children(node: Node, element: etree._Element, placed: Placed = NOTHING_PLACED) -> Value:
    """`decode`, where some elements may stand for the runs of entries in `placed`."""
    slots: list[Value | None] = list(node.blank)
    lists: dict[Node, dict[Key, Value]] = {}
    for sub in elements(element):
        child = child_node(node, sub)
        try:
            if child.kind == "list":
                held = lists.setdefault(child, {})
                run = placed.take(child, sub)
                if run is not None:
                    expected = len(held) + len(run)
                    held.update(zip(map(child.key_of, run), run, strict=True))
                    if len(held) != expected:
                        raise twice(child.name).at(child)
                    continue
                entry = decode_entry(child, sub, placed)
                key = child.key_of(entry) if child.keys else len(held)
                if key in held:
                    raise twice(child.name).at(child, key)
                held[key] = entry
            elif child.kind == "leaf-list":
                slots[child.index] = (*(slots[child.index] or ()), decode_leaf(child, sub))
            elif slots[child.index] is not None:
                raise twice(child.name)
            elif child.kind == "leaf":
                slots[child.index] = decode_leaf(child, sub)
            elif child.kind == "container":
                value = decode_children(child, sub, placed)
                slots[child.index] = value if child.presence or value != child.blank else None
            else:
                slots[child.index] = anydata.from_xml(sub)
        except Fault as fault:
            raise fault if fault.steps and fault.steps[-1][0] is child else fault.at(child) from None
    for child, held in lists.items():
        slots[child.index] = entries.from_mapping(held, ordered=child.user_ordered)
    return tuple(slots)


def decode_entry(node: Node, element: etree._Element, placed: Placed) -> Value:
    """An entry of list `node`; it has its keys."""
    try:
        return codegen.of(node).decode_xml(element)
    except (Unexpected, InvalidValue):  # what it is, and whether it is an error, is found out below
        pass
    try:
        entry = decode_children(node, element, placed)
    except Fault as fault:
        raise fault.at(node, key_if_any(node, element)) from None
    for key in node.keys:
        if entry[key.index] is None:
            raise missing_key(node, key)
    return entry


def decode_key(node: Node, element: etree._Element) -> Key:
    """The key of an entry of list `node`, whatever else is in it."""
    values = []
    for key in node.keys:
        found = element.findall(key.tag)
        if not found:
            raise missing_key(node, key)
        if len(found) > 1:
            raise twice(key.name).at(key)
        values.append(decode_leaf(key, found[0]))
    return node.make_key(values)


def key_if_any(node: Node, element: etree._Element) -> Key | None:
    """The key of an entry that is wrong somewhere, if the key itself is right."""
    try:
        return decode_key(node, element) if node.keys else None
    except Fault:
        return None


def decode_leaf(node: Node, element: etree._Element) -> Scalar:
    """The value of a leaf, or one of a leaf-list."""
    assert node.type is not None
    if len(element) and any(isinstance(child.tag, str) for child in element):
        raise Fault("bad-element", f"{node.name} holds a value, no elements", info={"bad-element": node.name})
    text = element.text or ""
    if len(element):  # comments split the text
        text = "".join(cast(list[str], element.xpath("text()")))
    try:
        return node.type.parse(text, resolver(node, element))
    except InvalidValue as error:
        raise invalid(error) from None


def fragment(data: bytes | Sequence[bytes]) -> bytes:
    """`data` inside a nameless root, for parsers that want one."""
    return b"<data>" + (data if isinstance(data, bytes) else b"".join(data)) + b"</data>"
