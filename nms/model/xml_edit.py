"""The edits of a `<config>`: data with operations and places among it (RFC 6241 section 7.2, RFC 7950 section 7.8.6).

What has no operation below it is one edit with one value, decoded as in `nms.model.xml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, cast

from lxml import etree

from nms.errors import RpcError
from nms.model import anydata, codegen, entries, xml_attributes
from nms.model.codegen_source import Unexpected
from nms.model.codegen_xml import resolver
from nms.model.edit import Edit, Insert, Op
from nms.model.fault import Fault, invalid, twice, two_cases
from nms.model.path import InstancePath, format_path, parse_path
from nms.model.schema import Choice, Node, Schema
from nms.model.types import InvalidValue
from nms.model.values import Key, Value
from nms.model.xml import YANG_NS, child_node, decode_children, decode_entry, decode_key, decode_leaf, elements
from nms.model.xml_attributes import DEFAULT, INSERT, OPERATION
from nms.model.xml_runs import NOTHING_PLACED, Placed

_KEY: Final = f"{{{YANG_NS}}}key"
_VALUE: Final = f"{{{YANG_NS}}}value"
_OPERATIONS: Final = frozenset({"merge", "replace", "create", "delete", "remove"})
_BELOW: Final[Mapping[str, Op]] = {"replace": "merge", "create": "merge"}


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
    document = _Document(schema, xml_attributes.marked(schema, element), placed)
    return _edits(element, default_operation, document)


def repeatable(schema: Schema, element: etree._Element, default_operation: Op) -> Callable[[], list[Edit]]:
    """`decode_edit` for many calls on an element that has been decoded before: only texts in it have changed since.

    Where all that it holds is one list entry, that is what is decoded each time.

    Args and errors: those of `decode_edit`, for attributes; for the rest those of what is returned.
    """
    document = _Document(schema, xml_attributes.marked(schema, element), NOTHING_PLACED)
    edits = partial(_edits, element, default_operation, document)
    above, entry = ([], element) if document.marked else _only_entry(schema.root, element)
    return partial(_entry_edits, above, entry, default_operation, edits) if above else edits


def _edits(element: etree._Element, default: Op, document: _Document) -> list[Edit]:
    try:
        return _decode_edits(document.schema.root, element, default, document)
    except Fault as fault:
        raise fault.error() from None


def _only_entry(node: Node, element: etree._Element) -> tuple[list[Node], etree._Element]:
    """The one list entry that is all there is below `element`, behind the schema nodes down to its list; else none."""
    above: list[Node] = []
    while len(element) == 1 and (child := node.by_tag.get(cast(str, element[0].tag))) is not None:
        above.append(child)
        node, element = child, element[0]
        if node.keys:
            return above, element
    return [], element


def _entry_edits(
    above: Sequence[Node], element: etree._Element, op: Op, otherwise: Callable[[], list[Edit]]
) -> list[Edit]:
    """The edit of the one entry `element`; `otherwise` where that is not as expected, which it may turn out to be."""
    node = above[-1]
    try:
        value = codegen.of(node).decode_xml(element)
    except (Unexpected, InvalidValue):
        return otherwise()
    if len(above) == 1:
        return [Edit(node, op, node.key_of(value), value)]
    value = entries.single(node.key_of(value), value, ordered=node.user_ordered)
    for parent in above[-2::-1]:
        slots: list[Value | None] = list(parent.blank)
        slots[node.index] = value
        node, value = parent, tuple(slots)
    return [Edit(node, op, None, value)]


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
        path, node = xml_attributes.instance(base[-1][0] if base else schema.root, xml_attributes.line(element, found))
        if node is not None and not node.config:
            where = format_path((*base, *path))
            raise RpcError("invalid-value", f"{node.name} is state and cannot be configured", path=where)


class _Document(NamedTuple):
    """What is known of the whole message: the elements with an operation at or below them, and the runs of entries."""

    schema: Schema
    marked: set[etree._Element]
    placed: Placed


def _decode_edits(node: Node, element: etree._Element, default: Op, document: _Document) -> list[Edit]:
    edits: list[Edit] = []
    seen: set[tuple[Node, Key | None]] = set()
    for sub in elements(element):
        child = child_node(node, sub)
        try:
            if child in node.keys:
                if sub in document.marked:
                    edits.insert(0, _key_edit(child, sub))
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
        return Edit(node, op, None, None if gone else decode_leaf(node, element))
    if node.kind == "leaf-list":
        return Edit(node, op, decode_leaf(node, element), insert=insert)
    if node.kind in ("anydata", "anyxml"):
        return Edit(node, op, None, None if gone else anydata.from_xml(element))
    key = decode_key(node, element) if node.kind == "list" else None
    if gone:
        return Edit(node, op, key)
    try:
        children = _decode_edits(node, element, _BELOW.get(op, op), document)
    except Fault as fault:
        raise fault.at(node, key) from None
    if children and children[0].node in node.keys and op != "none":
        if op == "merge" and any(edit.op == "create" for edit in children if edit.node in node.keys):
            op = "create"  # a key is new only where its entry is
        children = [edit for edit in children if edit.node not in node.keys]
    return Edit(node, op, key, None, children, insert)


def _key_edit(leaf: Node, element: etree._Element) -> Edit:
    """The operation of a key whose entry stays: it cannot go (RFC 7950 section 7.8.2).

    Raises:
        Fault: bad-attribute.
    """
    op = _operation(element, "merge")
    if op in ("delete", "remove"):
        raise _bad_operation(f"{leaf.name} is a key: it goes with its entry only", leaf.name)
    return Edit(leaf, op, None, decode_leaf(leaf, element))


def _to_default(node: Node, element: etree._Element) -> Edit:
    """A leaf that the client marks as a default is to be in use without being set (RFC 6243 section 4.5.2)."""
    if decode_leaf(node, element) != node.default:
        raise Fault("invalid-value", f"{node.name} is marked as a default and has another value than it").at(node)
    return Edit(node, "remove")


def _plain_edit(node: Node, element: etree._Element, op: Op, placed: Placed) -> Edit:
    """The edit of an element without operations below it: its value as a whole."""
    if node.kind == "leaf":
        return Edit(node, op, None, decode_leaf(node, element))
    if node.kind == "leaf-list":
        return Edit(node, op, decode_leaf(node, element))
    if node.kind == "list":
        entry = decode_entry(node, element, placed)
        return Edit(node, op, node.key_of(entry), entry)
    if node.kind == "container":
        return Edit(node, op, None, decode_children(node, element, placed))
    return Edit(node, op, None, anydata.from_xml(element))


def _operation(element: etree._Element, default: Op) -> Op:
    given = element.get(OPERATION)
    if given is None:
        return default
    if given not in _OPERATIONS:
        known = ", ".join(sorted(_OPERATIONS))
        raise _bad_operation(f"operation {given!r} is not one of {known}", etree.QName(element).localname)
    return cast(Op, given)


def _bad_operation(message: str, name: str) -> Fault:
    return Fault("bad-attribute", message, type="protocol", info={"bad-attribute": "operation", "bad-element": name})


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
