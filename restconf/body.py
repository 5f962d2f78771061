"""Message bodies (RFC 8040 section 5): bytes of a request to values, values to the bytes of an answer.  Pure.

Bodies are JSON (RFC 7951) or XML (RFC 7950); a document type is refused, so that no entity is ever expanded.
"""

from __future__ import annotations

import json as json_text
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import orjson
from lxml import etree

from nms.errors import RpcError
from nms.model import annotated, entries, json, tree, xml, xml_edit
from nms.model.annotated import Basis
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node, Schema
from nms.model.values import Key, Value
from nms.notify.prefixes import SUBSCRIPTIONS, qualify_filters
from restconf.media import Encoding

_DECLARATION: Final = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml\s[^>]*?(?:encoding\s*=\s*["']([^"']*)["'][^>]*?)?\?>)?"""
)
_EMPTY_OBJECT: Final = re.compile(rb"\{\s*\}")
#: XML tags, or JSON members and items, of one body: each takes some hundred bytes of memory.
MAX_PARTS: Final = 2_500_000
#: Namespaces of edit-config's attributes: operation, insert, value, key.
_EDITING: Final = (b"urn:ietf:params:xml:ns:netconf:base:1.0", b"urn:ietf:params:xml:ns:yang:1")
RESTCONF_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-restconf"


@dataclass(frozen=True, slots=True)
class Instance:
    """One data node of a body: its node, its key (list entry) or value as key (leaf-list), its value."""

    node: Node
    key: Key | None
    value: Value


def decode_child(parent: InstancePath, schema: Schema, encoding: Encoding, body: bytes) -> Instance:
    """The one data node that `body` holds, a child of the instance at `parent` (the datastore when empty).

    Raises:
        RpcError: malformed-message, or what the codecs raise, with the path.
    """
    if encoding == "json":
        document = read_json(body)
        if _EMPTY_OBJECT.search(body):
            refuse_empty_state(parent, schema, document)
        return child_of(parent, schema, document)
    wrapper = read_xml(body).getparent()
    assert wrapper is not None
    _refuse_operations(body, wrapper)
    refuse_empty_state(parent, schema, wrapper)
    return child_of(parent, schema, wrapper)


def child_of(parent: InstancePath, schema: Schema, held: Any) -> Instance:
    """As `decode_child`, of what is `held` in an XML element, or in a JSON object."""
    holder = parent[-1][0] if parent else schema.root
    if not isinstance(held, etree._Element):
        name, member = only_member(held)
        node, value = json.decode_member(holder, name, member, parent)
        return _single(node, value, parent)
    if len(held) != 1:
        raise _malformed(f"there must be one data node, not {len(held)}")
    slots = _below(parent, holder, held)
    node = holder.by_tag[str(held[0].tag)]
    return _single(node, slots[node.index], parent)


def decode_datastore(schema: Schema, encoding: Encoding, body: bytes) -> Value:
    """The root value of a body for the datastore resource, ``ietf-restconf:data``."""
    if encoding == "json":
        name, member = only_member(read_json(body))
        expect(name, "ietf-restconf:data")
        if _EMPTY_OBJECT.search(body):
            refuse_empty_state((), schema, member)
        return json.decode(schema.root, member)
    element = read_xml(body)
    expect(str(element.tag), f"{{{RESTCONF_NS}}}data")
    _refuse_operations(body, element)
    refuse_empty_state((), schema, element)
    return xml.decode(schema.root, element)


def _refuse_operations(body: bytes, element: etree._Element) -> None:
    """What to do with a node says the method, or a YANG Patch: NETCONF's attributes that say it would do nothing.

    Raises:
        RpcError: unknown-attribute.
    """
    if not any(namespace in body for namespace in _EDITING):
        return
    for inner in element.iter():
        for name in map(etree.QName, map(str, inner.attrib)):
            if (name.namespace or "").encode() in _EDITING:
                text = f"attribute {name.localname} is for NETCONF's edit-config: send a YANG Patch"
                local = etree.QName(inner).localname
                info = {"bad-attribute": name.localname, "bad-element": local}
                raise RpcError("unknown-attribute", text, type="protocol", info=info)


def refuse_empty_state(path: InstancePath, schema: Schema, held: Any) -> None:
    """Is there a container of state without content, of which no value tells, among the children of what is at `path`?

    Args:
        held: an XML element or a JSON object; what does not fit the schema is left to the decoder.

    Raises:
        RpcError: invalid-value.
    """
    if isinstance(held, etree._Element):
        xml_edit.refuse_empty_state(schema, held, path)
        return
    node = path[-1][0] if path else schema.root
    for name, member in held.items() if isinstance(held, dict) else ():
        module, _, local = name.rpartition(":")
        child = node.child(local, module or node.module)
        if child is None or child.kind not in ("container", "list"):
            continue
        below = (*path, (child, None))
        if child.kind == "container" and not child.config and not child.presence and member == {}:
            raise RpcError("invalid-value", f"{local} is state and cannot be configured", path=format_path(below))
        for inner in member if child.kind == "list" and isinstance(member, list) else [member]:
            refuse_empty_state(below, schema, inner)


def input_path(operation: Node) -> str:
    """Where the error-path of what is wrong in the input of an rpc or action starts (RFC 8040 section 3.6.3)."""
    return f"/{operation.module}:input"


def decode_input(operation: Node, encoding: Encoding | None, body: bytes) -> Value:
    """The input of an rpc or action (RFC 8040 section 3.6.1); `encoding` None when there is no body."""
    try:
        return _decode_input(operation, encoding, body)
    except RpcError as error:
        error.path = error.path and input_path(operation) + error.path
        raise


def _decode_input(operation: Node, encoding: Encoding | None, body: bytes) -> Value:
    node = next((child for child in operation.children if child.kind == "input"), None)
    if node is None:
        raise RpcError("operation-not-supported", f"{operation.name} has no input node", status=500)
    if encoding is None:
        return json.decode(node, {})
    if encoding == "json":
        name, member = only_member(read_json(body))
        expect(name, f"{operation.module}:input")
        return json.decode(node, member)
    element = read_xml(body)
    expect(str(element.tag), f"{{{operation.namespace}}}input")
    if operation.module in SUBSCRIPTIONS:
        qualify_filters(element, operation.names.modules)
    return xml.decode(node, element)


def encode_output(operation: Node, node: Node, value: Value, encoding: Encoding) -> bytes:
    """The output of an rpc or action (RFC 8040 section 3.6.2)."""
    if encoding == "json":
        return orjson.dumps({f"{operation.module}:output": json.encode(node, value)})
    # members of the output repeat their namespace where it differs from their schema parent's, the rpc
    return _element("output", operation.namespace, xml.encode(node, value))


def encode_datastore(root: Node, value: Value, encoding: Encoding, basis: Basis | None = None) -> bytes:
    """The datastore resource; with `basis`, that of the root, annotated."""
    if encoding == "json":
        members = json.encode(root, value) if basis is None else annotated.to_json(root, value, basis)
        return orjson.dumps({"ietf-restconf:data": members})
    content = xml.encode(root, value) if basis is None else annotated.to_xml(root, value, basis)
    return _element("data", RESTCONF_NS, content)


def encode_instance(path: InstancePath, value: Value, encoding: Encoding, basis: Basis | None = None) -> bytes:
    """One data resource; with a last step without key also a whole list, in XML only when it has one entry.

    Args:
        basis: of the root; annotates.

    Raises:
        RpcError: invalid-value (RFC 8040 section 4.3): XML cannot hold several instances.
    """
    node, key = path[-1]
    if encoding == "json":
        content: Any
        if basis is not None:
            found = [((node, key), value)] if key is not None else tree.members(node, value)
            name = f"{node.module}:{node.name}"
            return orjson.dumps(annotated.member_json(name, node, found, basis.at(path[:-1])))
        if key is None:
            content = json.encode_value(node, value)
        elif node.kind == "list":
            content = [json.encode_entry(node, value)]
        else:
            content = json.encode_value(node, (value,))
        return orjson.dumps({f"{node.module}:{node.name}": content})
    if key is None and node.kind in ("list", "leaf-list"):
        key, value = _only_instance(node, value)
    if basis is not None:
        text = annotated.element_xml(node, value, basis.at((*path[:-1], (node, key))))
    else:
        text = xml.encode_instance(((node, key),), value)
    start = f"<{node.name}".encode()
    if text.startswith(start + b' xmlns="'):
        return text
    return start + f' xmlns="{xml.escape(node.namespace)}"'.encode() + text[len(start) :]


def _element(name: str, namespace: str, content: bytes) -> bytes:
    return f'<{name} xmlns="{xml.escape(namespace)}">'.encode() + content + f"</{name}>".encode()


def _only_instance(node: Node, value: Value) -> tuple[Key, Value]:
    found = list(entries.items(value)) if node.kind == "list" else [(item, item) for item in value]
    if len(found) != 1:
        message = f"XML cannot hold the {len(found)} instances of {node.name}; ask for JSON or for one of them"
        raise RpcError("invalid-value", message, type="protocol", path=node.path)
    return found[0]


def _single(node: Node, value: Value | None, parent: InstancePath) -> Instance:
    if node.kind == "list":
        found = list(entries.items(value)) if value is not None else []
    elif node.kind == "leaf-list":
        found = [(item, item) for item in value or ()]
    elif node.kind == "container" and value is None:
        return Instance(node, None, node.blank)
    else:
        return Instance(node, None, value)
    if len(found) != 1:
        path = format_path((*parent, (node, None)))
        message = f"the body must hold one instance of {node.name}, not {len(found)}"
        raise RpcError("invalid-value", message, type="protocol", path=path)
    return Instance(node, *found[0])


def only_member(document: Any) -> tuple[str, Any]:
    """The one member of a JSON object, whose name must be qualified; metadata beside it is none (RFC 7952)."""
    if isinstance(document, dict) and len(document) > 1:
        document = {name: member for name, member in document.items() if not name.startswith("@")}
    if not isinstance(document, dict) or len(document) != 1:
        raise _malformed("the body must be a JSON object with one member")
    ((name, member),) = document.items()
    if ":" not in name:
        raise _malformed(f"the member {name!r} needs its module's name and ':' (RFC 7951 section 4)")
    return name, member


def _below(base: InstancePath, node: Node, element: etree._Element) -> Value:
    """`xml.decode`, with error paths that start at the datastore."""
    try:
        return xml.decode(node, element)
    except RpcError as error:
        if error.path and base:
            error.path = format_path(base) + error.path
        raise


def expect(name: str, wanted: str) -> None:
    """Is a body what was `wanted`?"""
    if name != wanted:
        raise _malformed(f"the body must be {wanted}, not {name}")


def _bound(parts: int) -> None:
    if parts > MAX_PARTS:
        raise RpcError("too-big", f"a body has at most {MAX_PARTS} tags or members: send it in parts", type="protocol")


def read_json(body: bytes) -> Any:
    """The JSON document of a body (RFC 7493).

    Raises:
        RpcError: malformed-message, also for an object that has a member twice; too-big.
    """
    _bound(body.count(b",") + body.count(b"[") + body.count(b"{"))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _malformed(f"the body is no JSON: {error}") from None
    # orjson keeps the last of several members with one name; where writing the document again gives the body, there
    # were none, which is found out in a twentieth of the time that the other parser needs
    try:
        if orjson.dumps(document) != body:
            _DISTINCT.decode(body.decode())
    except (orjson.JSONEncodeError, RecursionError):  # nor could it be sent back
        raise _malformed("the body is nested too deeply") from None
    return document


def _distinct(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) != len(members):
        ((twice, _),) = Counter(name for name, _ in members).most_common(1)
        raise _malformed(f"an object of the body has the member {twice!r} twice (RFC 7493 section 2.3)")


_DISTINCT: Final = json_text.JSONDecoder(object_pairs_hook=_distinct, parse_int=str, parse_float=str)


def read_xml(body: bytes) -> etree._Element:
    """The root element of a body, inside a wrapper: there XML has no place for a document type declaration.

    Raises:
        RpcError: malformed-message, too-big.
    """
    _bound(body.count(b"<"))
    declaration = _DECLARATION.match(body)
    if declaration is not None and (declaration[1] or b"utf-8").lower() != b"utf-8":
        raise _malformed("the body must be UTF-8 (RFC 8040 section 5.2)")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        parser.feed(b"<body>")
        parser.feed(body[declaration.end() :] if declaration is not None else body)
        parser.feed(b"</body>")
        wrapper = parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(f"the body is no well-formed XML (or has a document type): {error}") from None
    if len(wrapper) != 1:
        raise _malformed(f"the body must have one root element, not {len(wrapper)}")
    return wrapper[0]


def _malformed(message: str) -> RpcError:
    return RpcError("malformed-message", message, type="protocol")
