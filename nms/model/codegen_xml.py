"""The source of XML codecs of one list entry or container in one (RFC 7950 section 7, "XML encoding rules")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lxml import etree

from nms.model import anydata, entries
from nms.model.codegen_source import Codec, Source, collect, parsed, unpack, variable, without_blank
from nms.model.schema import Node
from nms.model.types import Resolver, no_prefix, text_of
from nms.model.values import Scalar
from nms.model.xml_text import end, escape, leaf, start

#: Built-in types whose values may be qualified names: what they mean depends on the element they stand in.
_QUALIFIED: Final = frozenset({"identityref", "instance-identifier", "union"})


def resolver(node: Node, element: etree._Element) -> Resolver:
    """Prefixes as `element` declares them."""

    def resolve(prefix: str) -> str | None:
        uri = element.nsmap.get(prefix or None)
        return node.names.modules.get(uri) if uri is not None else None

    return resolve


# ---------------------------------------------------------------- decoding


def decoder(node: Node, codec_of: Callable[[Node], Codec]) -> Source:
    """Element -> instance; raises `Unexpected` or `InvalidValue`."""
    source = Source("def decode_xml(element):", node.path)
    for child in node.children:
        many = child.kind in ("list", "leaf-list")
        source.add(f"{variable(child)} = {'[]' if many else None}")
    source.add("if element.text is not None and not element.text.isspace():")
    source.add("raise Unexpected", depth=2)
    source.add("for child in element:")
    source.add("tag = child.tag", "if child.tail is not None and not child.tail.isspace():", depth=2)
    source.add("raise Unexpected", depth=3)
    word = "if"
    for child in node.children:
        source.add(f"{word} tag == {child.tag!r}:", depth=2)
        source.add(*_DECODERS[child.kind](source, child, codec_of), depth=3)
        word = "elif"
    source.add("else:" if node.children else "if True:", depth=2)
    source.add("raise Unexpected", depth=3)
    for key in node.keys:
        source.add(f"if {variable(key)} is None:")
        source.add("raise Unexpected", depth=2)
    for child in node.children:
        name = variable(child)
        if child.kind == "leaf-list":
            source.add(f"{name} = tuple({name}) or None")
        elif child.kind == "list":
            source.bind("collect", collect)
            source.add(f"{name} = collect({source.bind(f'list_{child.index}', child)}, {name})")
    source.add(f"return {unpack(node)}")
    return source


def _scalar(source: Source, node: Node) -> str:
    """The expression of the value that `child` holds."""
    assert node.type is not None
    parse = node.type.parse
    if node.type.base in _QUALIFIED:

        def qualified(element: etree._Element) -> Scalar:
            return parse(element.text or "", resolver(node, element))

        return f"{source.bind(f'parse_{node.index}', qualified)}(child)"

    def unqualified(text: str | None) -> Scalar:
        return parse(text or "", no_prefix)

    return parsed(source, node, unqualified, "child.text")


def _decode_leaf(source: Source, node: Node, _: object) -> list[str]:
    name = variable(node)
    return [f"if {name} is not None or len(child):", "    raise Unexpected", f"{name} = {_scalar(source, node)}"]


def _decode_leaf_list(source: Source, node: Node, _: object) -> list[str]:
    return ["if len(child):", "    raise Unexpected", f"{variable(node)}.append({_scalar(source, node)})"]


def _decode_container(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    name = variable(node)
    codec = source.bind(f"codec_{node.index}", codec_of(node))
    decode = [f"if {name} is not None:", "    raise Unexpected", f"{name} = {codec}.decode_xml(child)"]
    return [*decode, *without_blank(source, node)]


def _decode_list(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    codec = source.bind(f"codec_{node.index}", codec_of(node))
    return [f"{variable(node)}.append({codec}.decode_xml(child))"]


def _decode_any(source: Source, node: Node, _: object) -> list[str]:
    source.bind("from_xml", anydata.from_xml)
    return [f"if {variable(node)} is not None:", "    raise Unexpected", f"{variable(node)} = from_xml(child)"]


_DECODERS: Final = {
    "leaf": _decode_leaf,
    "leaf-list": _decode_leaf_list,
    "container": _decode_container,
    "list": _decode_list,
    "anydata": _decode_any,
    "anyxml": _decode_any,
}

# ---------------------------------------------------------------- encoding


def writer(node: Node, codec_of: Callable[[Node], Codec]) -> Source:
    """(instance, write) -> None: calls `write` with the pieces of the instance's element."""
    source = Source("def write_xml(value, write):", node.path)
    if node.children:
        source.add(f"{unpack(node)} = value")
    keys = "".join(_element(source, key, variable(key)) for key in node.keys)
    source.add(f"write({_formatted(_plain(start(node)) + keys)})")
    for child in node.children:
        if child not in node.keys:
            source.add(f"if {variable(child)} is not None:")
            source.add(*_WRITERS[child.kind](source, child, codec_of), depth=2)
    source.add(f"write({end(node)!r})")
    return source


def _plain(text: str) -> str:
    """Text as a part of a format string."""
    return text.replace("{", "{{").replace("}", "}}")


def _formatted(text: str) -> str:
    """The literal of a format string, or of a plain one where nothing is to be filled in."""
    return "f" + repr(text) if "{" in text else repr(text)


def _element(source: Source, node: Node, name: str) -> str:
    """Part of a format string: the element of a leaf whose value is in the variable `name`."""
    assert node.type is not None
    base = node.type.base
    if base in _QUALIFIED:
        source.bind("leaf", leaf)
        return f"{{leaf({source.bind(f'leaf_{node.index}', node)}, {name})}}"
    return f"{_plain(start(node))}{_content(source, base, name)}{end(node)}"


def _content(source: Source, base: str, name: str) -> str:
    if base == "empty":
        return ""
    if "int" in base:
        return f"{{{name}}}"
    if base in ("string", "enumeration"):
        source.bind("escape", escape)
        return f"{{escape({name})}}"
    source.bind("text_of", text_of)
    return f"{{text_of({name})}}"


def _write_leaf(source: Source, node: Node, _: object) -> list[str]:
    return [f"write({_formatted(_element(source, node, variable(node)))})"]


def _write_leaf_list(source: Source, node: Node, _: object) -> list[str]:
    return [f"for item in {variable(node)}:", f"    write({_formatted(_element(source, node, 'item'))})"]


def _write_container(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    return [f"{source.bind(f'codec_{node.index}', codec_of(node))}.write_xml({variable(node)}, write)"]


def _write_list(source: Source, node: Node, codec_of: Callable[[Node], Codec]) -> list[str]:
    source.bind("write_entries", write_entries)
    return [f"write_entries({source.bind(f'codec_{node.index}', codec_of(node))}, {variable(node)}, write)"]


def _write_any(source: Source, node: Node, _: object) -> list[str]:
    source.bind("to_xml", anydata.to_xml)
    names = source.bind("names", node.names)
    return [f"write({start(node)!r} + to_xml({variable(node)}, {names}) + {end(node)!r})"]


_WRITERS: Final = {
    "leaf": _write_leaf,
    "leaf-list": _write_leaf_list,
    "container": _write_container,
    "list": _write_list,
    "anydata": _write_any,
    "anyxml": _write_any,
}


def write_entries(codec: Codec, held: entries.Entries, write: Callable[[str], None]) -> None:
    """A list inside an entry: remembered only where it is long, or the outer list would remember it once more."""
    if isinstance(held, entries.Inner):
        for part in entries.leaves(held):
            write(remembered(codec, part).decode())
    else:
        for entry in entries.values(held):
            codec.write_xml(entry, write)


def remembered(codec: Codec, part: entries.Leaf) -> bytes:
    """The entries of one leaf of a list's tree, encoded once."""
    if part.xml is None:
        out: list[str] = []
        for entry in part.values:
            codec.write_xml(entry, out.append)
        part.xml = "".join(out).encode()
    return part.xml
