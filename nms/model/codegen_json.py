"""The source of JSON codecs of one list entry or container in one (RFC 7951)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from nms.model import anydata, entries
from nms.model.codegen_source import Codec, Known, Source, collect, is_sole_key, unpack, variable, without_blank
from nms.model.schema import Node
from nms.model.types import module_resolver
from nms.model.values import Scalar

#: How values of built-in types come in JSON where that is one Python type.  It is looked at before a value is looked
#: up: to a dictionary 1, 1.0 and true are the same.
_COMES_AS: Final = {
    **dict.fromkeys(["string", "enumeration", "bits", "binary", "decimal64", "int64", "uint64", "identityref"], "str"),
    **dict.fromkeys(["int8", "int16", "int32", "uint8", "uint16", "uint32"], "int"),
    "boolean": "bool",
}
#: Built-in types whose values are their own JSON form.
_SAME: Final = frozenset(
    {"string", "enumeration", "bits", "binary", "boolean", "int8", "int16", "int32", "uint8", "uint16", "uint32"}
)


def member_name(node: Node) -> str:
    """Name of a member, qualified where its module is not its parent's (RFC 7951 section 4)."""
    parent = node.parent
    if parent is None or parent.module != node.module:
        return f"{node.module}:{node.name}"
    return node.name


# ---------------------------------------------------------------- decoding


def decoder(node: Node, codec_of: Callable[[Node], Codec]) -> Source:
    """Object -> instance; raises `Unexpected` or `InvalidValue`."""
    source = Source("def decode_json(members):", node.path)
    source.add("if type(members) is not dict:")
    source.add("raise Unexpected", depth=2)
    source.add("found = 0")
    for child in node.children:
        name = variable(child)
        source.add(f"{name} = members.get({member_name(child)!r})", f"if {name} is not None:")
        source.add("found += 1", *_DECODERS[child.kind](source, child, codec_of), depth=2)
    for key in node.keys:
        source.add(f"if {variable(key)} is None:")
        source.add("raise Unexpected", depth=2)
    source.add("if found != len(members):")
    source.add("raise Unexpected", depth=2)
    source.add(f"return {unpack(node)}")
    return source


def _scalar(source: Source, node: Node, name: str) -> tuple[list[str], str]:
    """Lines that check how the value in variable `name` comes, and the expression that parses it."""
    assert node.type is not None
    from_json, resolve = node.type.from_json, module_resolver(node.module)

    def parse(raw: Any) -> Scalar:
        return from_json(raw, resolve)

    comes_as = _COMES_AS.get(node.type.base)
    if comes_as is None or is_sole_key(node):
        return [], f"{source.bind(f'parse_{node.index}', parse)}({name})"
    check = [f"if type({name}) is not {comes_as}:", "    raise Unexpected"]
    return check, f"{source.bind(f'known_{node.index}', Known(parse))}[{name}]"


def _decode_leaf(source: Source, node: Node, _: object) -> list[str]:
    name = variable(node)
    check, value = _scalar(source, node, name)
    return [*check, f"{name} = {value}"]


def _decode_leaf_list(source: Source, node: Node, _: object) -> list[str]:
    name = variable(node)
    check, value = _scalar(source, node, "item")
    return [
        f"if type({name}) is not list:",
        "    raise Unexpected",
        "values = []",
        f"for item in {name}:",
        *("    " + line for line in check),
        f"    values.append({value})",
        f"{name} = tuple(values) or None",
    ]


def _decode_container(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    name = variable(node)
    codec = source.bind(f"codec_{node.index}", codec_of(node))
    return [f"{name} = {codec}.decode_json({name})", *without_blank(source, node)]


def _decode_list(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    name = variable(node)
    source.bind("collect", collect)
    codec = source.bind(f"codec_{node.index}", codec_of(node))
    held = source.bind(f"list_{node.index}", node)
    return [
        f"if type({name}) is not list:",
        "    raise Unexpected",
        f"{name} = collect({held}, [{codec}.decode_json(item) for item in {name}])",
    ]


def _decode_any(source: Source, node: Node, _: object) -> list[str]:
    source.bind("from_json", anydata.from_json)
    return [f"{variable(node)} = from_json({variable(node)})"]


_DECODERS: Final = {
    "leaf": _decode_leaf,
    "leaf-list": _decode_leaf_list,
    "container": _decode_container,
    "list": _decode_list,
    "anydata": _decode_any,
    "anyxml": _decode_any,
}

# ---------------------------------------------------------------- encoding


def encoder(node: Node, codec_of: Callable[[Node], Codec]) -> Source:
    """Instance -> object for `orjson.dumps`."""
    source = Source("def encode_json(value):", node.path)
    if node.children:
        source.add(f"{unpack(node)} = value")
    source.add("members = {}")
    for child in node.children:
        source.add(f"if {variable(child)} is not None:")
        value = _ENCODERS[child.kind](source, child, codec_of)
        source.add(f"members[{member_name(child)!r}] = {value}", depth=2)
    source.add("return members")
    return source


def _to_json(source: Source, node: Node, name: str) -> str:
    assert node.type is not None
    if node.type.base in _SAME:
        return name
    return f"{source.bind(f'to_json_{node.index}', node.type.to_json)}({name})"


def _encode_leaf(source: Source, node: Node, _: object) -> str:
    return _to_json(source, node, variable(node))


def _encode_leaf_list(source: Source, node: Node, _: object) -> str:
    return f"[{_to_json(source, node, 'item')} for item in {variable(node)}]"


def _encode_container(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> str:
    return f"{source.bind(f'codec_{node.index}', codec_of(node))}.encode_json({variable(node)})"


def _encode_list(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> str:
    source.bind("encode_entries", encode_entries)
    return f"encode_entries({source.bind(f'codec_{node.index}', codec_of(node))}, {variable(node)})"


def _encode_any(source: Source, node: Node, _: object) -> str:
    source.bind("to_json", anydata.to_json)
    return f"to_json({variable(node)}, {source.bind('names', node.names)})"


_ENCODERS: Final = {
    "leaf": _encode_leaf,
    "leaf-list": _encode_leaf_list,
    "container": _encode_container,
    "list": _encode_list,
    "anydata": _encode_any,
    "anyxml": _encode_any,
}


def encode_entries(codec: Codec, held: entries.Entries) -> Any:
    """A list inside an entry: remembered only where it is long, or the outer list would remember it once more."""
    if isinstance(held, entries.Inner):
        return remembered(codec, held)
    return [codec.encode_json(entry) for entry in entries.values(held)]


def remembered(codec: Codec, held: entries.Tree) -> orjson.Fragment:
    """The array of a list's entries; each leaf of its tree is encoded once."""
    parts: list[bytes] = []
    for leaf in entries.leaves(held):
        if leaf.json is None:
            leaf.json = orjson.dumps(list(map(codec.encode_json, leaf.values)))[1:-1]
        if leaf.json:
            parts.append(leaf.json)
    return orjson.Fragment(b"[" + b",".join(parts) + b"]")
