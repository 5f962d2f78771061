"""XML in and out (RFC 7950 sections 7.x.x "XML encoding rules", RFC 6241 section 7.2 for edits).

Encodings of list entries are remembered per leaf of the list's tree, so that reading again costs a join.  An element
says `xmlns` where its namespace differs from its parent's; qualified names in values use module names as prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

from lxml import etree

from nms.errors import RpcError
from nms.model import anydata, codegen, codegen_xml, entries, xml_attributes
from nms.model.codegen_source import Unexpected
from nms.model.codegen_xml import resolver
from nms.model.edit import Edit, Insert, Op
from nms.model.fault import Fault, invalid, missing_key, twice, two_cases, unknown
from nms.model.path import InstancePath, format_path, parse_path
from nms.model.schema import Choice, Node, Schema
from nms.model.types import InvalidValue
from nms.model.values import Key, Scalar, Value
from nms.model.xml_attributes import DEFAULT, INSERT, OPERATION
from nms.model.xml_attributes import NETCONF_NS as NETCONF_NS
from nms.model.xml_attributes import YANG_NS as YANG_NS
from nms.model.xml_runs import NOTHING_PLACED, Placed
from nms.model.xml_text import end, leaf, start
from nms.model.xml_text import escape as escape

_KEY: Final = f"{{{YANG_NS}}}key"
_VALUE: Final = f"{{{YANG_NS}}}value"
_OPERATIONS: Final = frozenset({"merge", "replace", "create", "delete", "remove"})
_BELOW: Final[Mapping[str, Op]] = {"replace": "merge", "create": "merge"}

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
        return _decode_children(node, element)
    except Fault as fault:
        raise fault.error(base) from None


def decode_edit(
    schema: Schema,
    element: etree._Element,
    default_operation: Op = "merge",
    placed: Placed = NOTHING_PLACED,
) -> list[Edit]:
    """The edits of a `<config>` element (its children are top-level data nodes).

    Args:
        default_operation: merge, replace or none (RFC 6241 section 7.2).
        placed: runs of entries that some elements stand for.

    Raises:
        RpcError: as `decode`, and bad-attribute, unknown-attribute for operations and inserts.
    """
    marked = xml_attributes.marked(schema, element, _key_if_any)
    try:
        return _decode_edits(schema.root, element, default_operation, _Document(schema, marked, placed))
    except Fault as fault:
        raise fault.error() from None


def refuse_empty_state(schema: Schema, element: etree._Element, base: InstancePath = ()) -> None:
    """Is there, in what is to be configured, a container of state without content?  No value tells of it.

    Args:
        element: holds children of the instance at `base`.

    Raises:
        RpcError: invalid-value, with the path.
    """
    for found in element.iter(*schema.state_tags) if schema.state_tags else ():
        if found is element or len(found) or (found.text or "").strip():
            continue
        path, node = xml_attributes.instance(
            base[-1][0] if base else schema.root, xml_attributes.line(element, found), _key_if_any
        )
        if node is not None and not node.config:
            where = format_path((*base, *path))
            raise RpcError("invalid-value", f"{node.name} is state and cannot be configured", path=where)


class _Document(NamedTuple):
    """What is known of the whole message: the elements with an operation at or below them, and the runs of entries."""

    schema: Schema
    marked: set[etree._Element]
    placed: Placed


def _child_node(node: Node, element: etree._Element) -> Node:
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


def _elements(element: etree._Element) -> list[etree._Element]:
    """Child elements; text between them is an error."""
    found = [child for child in element if isinstance(child.tag, str)]
    if (element.text and element.text.strip()) or any(child.tail and child.tail.strip() for child in element):
        name = etree.QName(element).localname
        raise Fault("bad-element", f"text between the elements of {name}", info={"bad-element": name})
    return found


def _decode_children(node: Node, element: etree._Element, placed: Placed = NOTHING_PLACED) -> Value:
    slots: list[Value | None] = list(node.blank)
    lists: dict[Node, dict[Key, Value]] = {}
    for sub in _elements(element):
        child = _child_node(node, sub)
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
                entry = _decode_entry(child, sub, placed)
                key = child.key_of(entry) if child.keys else len(held)
                if key in held:
                    raise twice(child.name).at(child, key)
                held[key] = entry
            elif child.kind == "leaf-list":
                slots[child.index] = (*(slots[child.index] or ()), _decode_leaf(child, sub))
            elif slots[child.index] is not None:
                raise twice(child.name)
            elif child.kind == "leaf":
                slots[child.index] = _decode_leaf(child, sub)
            elif child.kind == "container":
                value = _decode_children(child, sub, placed)
                slots[child.index] = value if child.presence or value != child.blank else None
            else:
                slots[child.index] = anydata.from_xml(sub)
        except Fault as fault:
            raise fault if fault.steps and fault.steps[-1][0] is child else fault.at(child) from None
    for child, held in lists.items():
        slots[child.index] = entries.from_mapping(held, ordered=child.user_ordered)
    return tuple(slots)


def _decode_entry(node: Node, element: etree._Element, placed: Placed) -> Value:
    try:
        return codegen.of(node).decode_xml(element)
    except (Unexpected, InvalidValue):  # what it is, and whether it is an error, is found out below
        pass
    try:
        entry = _decode_children(node, element, placed)
    except Fault as fault:
        raise fault.at(node, _key_if_any(node, element)) from None
    for key in node.keys:
        if entry[key.index] is None:
            raise missing_key(node, key)
    return entry


def _decode_key(node: Node, element: etree._Element) -> Key:
    values = []
    for key in node.keys:
        found = element.findall(key.tag)
        if not found:
            raise missing_key(node, key)
        if len(found) > 1:
            raise twice(key.name).at(key)
        values.append(_decode_leaf(key, found[0]))
    return node.make_key(values)


def _key_if_any(node: Node, element: etree._Element) -> Key | None:
    """The key of an entry that is wrong somewhere, if the key itself is right."""
    try:
        return _decode_key(node, element) if node.keys else None
    except Fault:
        return None


def _decode_leaf(node: Node, element: etree._Element) -> Scalar:
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


def _decode_edits(node: Node, element: etree._Element, default: Op, document: _Document) -> list[Edit]:
    edits: list[Edit] = []
    seen: set[tuple[Node, Key | None]] = set()
    for sub in _elements(element):
        child = _child_node(node, sub)
        try:
            if child in node.keys:
                continue
            run = document.placed.take(child, sub)
            if run is not None:
                edits += _run_edits(child, run, default)
                continue
            edit = _decode_edit(child, sub, default, document)
        except Fault as fault:
            raise fault if fault.steps and fault.steps[-1][0] is child else fault.at(child) from None
        if (edit.node, edit.key) in seen and child.kind not in ("list", "leaf-list"):
            raise twice(child.name).at(child)
        seen.add((edit.node, edit.key))
        edits.append(edit)
    _refuse_two_cases(edits)
    return edits


def _refuse_two_cases(edits: Sequence[Edit]) -> None:
    """Data of two cases of a choice in one parent (RFC 7950 section 8.3.1); one may go where the other comes."""
    chosen: dict[Choice, str] = {}
    for edit in edits:
        if edit.op not in ("delete", "remove"):
            for choice, case in edit.node.cases:
                if chosen.setdefault(choice, case) != case:
                    raise two_cases(edit.node, choice)


def _run_edits(node: Node, run: list[Value], op: Op) -> list[Edit]:
    keys = list(map(node.key_of, run))
    pairs = zip(keys, run, strict=True)
    if op == "merge" and len(set(keys)) == len(run):
        return [Edit(node, op, None, entries.from_values(pairs, ordered=node.user_ordered))]
    return [Edit(node, op, key, entry) for key, entry in pairs]


def _decode_edit(node: Node, element: etree._Element, default: Op, document: _Document) -> Edit:
    if element not in document.marked:
        return _plain_edit(node, element, default, document.placed)
    op = _operation(element, default)
    insert = _insert(node, element, document.schema)
    gone = op in ("delete", "remove")
    if node.kind == "leaf":
        if element.get(DEFAULT) in ("true", "1") and not gone:
            return _to_default(node, element)
        return Edit(node, op, None, None if gone else _decode_leaf(node, element))
    if node.kind == "leaf-list":
        return Edit(node, op, _decode_leaf(node, element), insert=insert)
    if node.kind in ("anydata", "anyxml"):
        return Edit(node, op, None, None if gone else anydata.from_xml(element))
    key = _decode_key(node, element) if node.kind == "list" else None
    if gone:
        return Edit(node, op, key)
    try:
        children = _decode_edits(node, element, _BELOW.get(op, op), document)
    except Fault as fault:
        raise fault.at(node, key) from None
    return Edit(node, op, key, None, children, insert)


def _to_default(node: Node, element: etree._Element) -> Edit:
    """A leaf that the client marks as a default is to be in use without being set (RFC 6243 section 4.5.2)."""
    if _decode_leaf(node, element) != node.default:
        raise Fault("invalid-value", f"{node.name} is marked as a default and has another value than it").at(node)
    return Edit(node, "remove")


def _plain_edit(node: Node, element: etree._Element, op: Op, placed: Placed) -> Edit:
    """The edit of an element without operations below it: its value as a whole."""
    if node.kind == "leaf":
        return Edit(node, op, None, _decode_leaf(node, element))
    if node.kind == "leaf-list":
        return Edit(node, op, _decode_leaf(node, element))
    if node.kind == "list":
        entry = _decode_entry(node, element, placed)
        return Edit(node, op, node.key_of(entry), entry)
    if node.kind == "container":
        return Edit(node, op, None, _decode_children(node, element, placed))
    return Edit(node, op, None, anydata.from_xml(element))


def _operation(element: etree._Element, default: Op) -> Op:
    given = element.get(OPERATION)
    if given is None:
        return default
    if given not in _OPERATIONS:
        raise Fault(
            "bad-attribute",
            f"operation {given!r} is not one of {', '.join(sorted(_OPERATIONS))}",
            type="protocol",
            info={"bad-attribute": "operation", "bad-element": etree.QName(element).localname},
        )
    return cast(Op, given)


def _insert(node: Node, element: etree._Element, schema: Schema) -> Insert | None:
    where = element.get(INSERT)
    if where is None:
        return None
    if not node.user_ordered:
        raise Fault(
            "unknown-attribute",
            f"insert is for lists in the user's order, and {node.name} is none",
            info={"bad-attribute": "insert", "bad-element": node.name},
        )
    attribute = _KEY if node.kind == "list" else _VALUE
    anchor = element.get(attribute)
    needs = where in ("before", "after")
    name = etree.QName(attribute).localname
    if where not in ("first", "last", "before", "after") or needs != (anchor is not None):
        missing = needs and anchor is None
        raise Fault(
            "missing-attribute" if missing else "bad-attribute",
            f"insert={where!r}: there are first and last, and before and after with yang:{name}",
            info={"bad-attribute": name if missing else "insert", "bad-element": node.name},
        )
    if anchor is None:
        return Insert(where)  # type: ignore[arg-type]
    return Insert(where, _anchor(node, element, anchor, schema))  # type: ignore[arg-type]


def _anchor(node: Node, element: etree._Element, text: str, schema: Schema) -> Key:
    """The key that `yang:key` names by predicates, or the value of `yang:value`."""
    resolve = resolver(node, element)
    if node.kind == "leaf-list":
        assert node.type is not None
        try:
            return node.type.parse(text, resolve)
        except InvalidValue as error:
            raise invalid(error) from None
    qualified = re.sub(r"\[\s*([A-Za-z_][\w.-]*):", lambda m: f"[{resolve(m[1]) or m[1]}:", text)
    try:
        _, key = parse_path(schema, f"{_whole_path(node)}{qualified}")[-1]
    except RpcError as error:
        raise Fault("bad-attribute", error.message, info={"bad-attribute": "key", "bad-element": node.name}) from None
    return key


def _whole_path(node: Node) -> str:
    return "".join(f"/{n.module}:{n.name}" for n in reversed(list(node.ancestors())))


def fragment(data: bytes | Sequence[bytes]) -> bytes:
    """`data` inside a nameless root, for parsers that want one."""
    return b"<data>" + (data if isinstance(data, bytes) else b"".join(data)) + b"</data>"
