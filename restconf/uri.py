"""Resource identifiers (RFC 8040 section 3.5.3): the path below ``{+restconf}/data`` to an instance path, and back.

The grammar, on the still percent-encoded text, so that a ``/`` or ``,`` inside a key value cannot be taken for a
separator::

    api-path  = [ segment *( "/" segment ) ]
    segment   = api-identifier [ "=" key-value *( "," key-value ) ]
    api-identifier = [ module-name ":" ] identifier

Errors say the offset in the text as it was sent and what was expected there.  Pure; knows the schema, no HTTP.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from nms.errors import RpcError
from nms.model.path import InstancePath, Step
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, module_resolver
from nms.model.values import Key, Scalar

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


def parse_path(schema: Schema, text: str) -> InstancePath:
    """The instance path of `text`, the part of a target below ``{+restconf}/data``; empty is the datastore itself.

    A list or leaf-list without a value is the whole list and stands last.  The last node may be an action.

    Raises:
        RpcError: invalid-value, 400 for wrong syntax or key values, 404 for a name the schema does not have.
    """
    steps: list[Step] = []
    parent = schema.root
    offset = 0
    if text.startswith("/"):
        offset, text_left = 1, text[1:]
    else:
        text_left = text
    text_left = text_left.removesuffix("/")
    if not text_left:
        return ()
    for segment in text_left.split("/"):
        if steps and steps[-1][1] is None and steps[-1][0].kind == "list":
            raise _syntax(offset - 1, f"'=' and the key of list {parent.name!r} before its child")
        if parent.kind not in ("root", "container", "list"):
            raise _syntax(offset - 1, f"the end of the path: {parent.kind} {parent.name!r} has no children")
        name, equals, values = segment.partition("=")
        node = _resolve(schema, parent, name, offset)
        key = _parse_key(node, values, offset + len(name) + 1) if equals else None
        steps.append((node, key))
        parent = node
        offset += len(segment) + 1
    return tuple(steps)


def parse_operation(schema: Schema, text: str) -> Node:
    """The rpc node of `text`, the part of a target below ``{+restconf}/operations/``.

    Raises:
        RpcError: invalid-value, 400 for wrong syntax, 404 for an unknown rpc.
    """
    module, name = _split_name(text, 0)
    if not module:
        raise _syntax(0, "the module name and ':' before the rpc's name")
    node = schema.rpcs.get((module, name))
    if node is None:
        raise _unknown(0, f"module {module!r} has no rpc {name!r}")
    return node


@lru_cache(1024)
def _resolve(schema: Schema, parent: Node, text: str, offset: int) -> Node:
    """The child that a name means; clients ask for few names, at few places."""
    module, name = _split_name(text, offset)
    if not module and parent.kind == "root":
        raise _syntax(offset, "the module name and ':' before the first name")
    if module and module not in schema.modules:
        raise _unknown(offset, f"module {module!r} is not known here")
    module = module or parent.module
    node = parent.child(name, module)
    if node is None:
        node = next((action for action in parent.actions if (action.name, action.module) == (name, module)), None)
    if node is None:
        where = "the top level" if parent.kind == "root" else f"{parent.kind} {parent.name!r}"
        raise _unknown(offset, f"module {module!r} defines no {name!r} in {where}")
    return node


def _split_name(text: str, offset: int) -> tuple[str, str]:
    module, colon, name = _decode(text, offset).rpartition(":")
    if colon and not _IDENTIFIER.match(module):
        raise _syntax(offset, "a module name before ':'")
    if not _IDENTIFIER.match(name):
        raise _syntax(offset + len(module) + len(colon), "a name (letter or '_', then letters, digits, '_', '-', '.')")
    return module, name


def _parse_key(node: Node, text: str, offset: int) -> Key:
    if node.kind == "leaf-list":
        return _parse_value(node, text, offset)
    if node.kind != "list":
        raise _syntax(offset - 1, f"'/' or the end of the path: {node.kind} {node.name!r} has no key")
    if not node.keys:
        raise _syntax(offset - 1, f"the end of the path: list {node.name!r} has no key to name an entry by")
    texts = text.split(",")
    if len(texts) != len(node.keys):
        names = ", ".join(leaf.name for leaf in node.keys)
        raise _syntax(offset, f"{len(node.keys)} key value(s) ({names}) for list {node.name!r}, not {len(texts)}")
    values = []
    for leaf, part in zip(node.keys, texts, strict=True):
        values.append(_parse_value(leaf, part, offset))
        offset += len(part) + 1
    return node.make_key(values)


def _parse_value(leaf: Node, text: str, offset: int) -> Scalar:
    assert leaf.type is not None
    try:
        return leaf.type.parse(_decode(text, offset), module_resolver(leaf.module))
    except InvalidValue as error:
        raise _syntax(offset, f"a value of {leaf.name!r}: {error}") from None


def _decode(text: str, offset: int) -> str:
    bad = _ESCAPE.search(text) or _UNSAFE.search(text)
    if bad:
        raise _syntax(offset + bad.start(), "a percent-encoded byte ('%' and two hexadecimal digits)")
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise _syntax(offset, "percent-encoded UTF-8") from None


def _syntax(offset: int, expected: str) -> RpcError:
    return RpcError("invalid-value", f"in the resource path, offset {offset}: expected {expected}", type="protocol")


def _unknown(offset: int, message: str) -> RpcError:
    return RpcError("invalid-value", f"in the resource path, offset {offset}: {message}", type="protocol", status=404)
