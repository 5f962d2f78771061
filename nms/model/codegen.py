"""Codecs generated for the nodes that have many instances: the entries of lists and the containers in them.

Source written for one schema node knows its children's names, places and types beforehand and runs several times
faster than code that asks the schema.  It only knows data as it should be: at the first surprise it raises `Unexpected`
(or `InvalidValue`), and the interpreting decoders of `nms.model.xml` and `nms.model.json` find out what it was, whether
it is an error, and what to say about it.  `Codec.source` is there to be read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from nms.model import codegen_json, codegen_xml
from nms.model.schema import Node
from nms.model.values import Value
from nms.model.xml_text import end, start


class Codec:
    """The functions of one list entry or container, each generated when it is first asked for."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @cached_property
    def decode_xml(self) -> Callable[[Any], Value]:
        """Element -> instance; raises `Unexpected` or `InvalidValue`."""
        return codegen_xml.decoder(self._node, of).function()

    @cached_property
    def xml_tags(self) -> tuple[bytes, bytes]:
        """The start tag and the end tag of an instance."""
        return start(self._node).encode(), end(self._node).encode()

    @cached_property
    def write_xml(self) -> Callable[[Value, Callable[[str], None]], None]:
        """(instance, write): calls `write` with the pieces of the instance's element."""
        return codegen_xml.writer(self._node, of).function()

    @cached_property
    def decode_json(self) -> Callable[[Any], Value]:
        """RFC 7951 object -> instance; raises `Unexpected` or `InvalidValue`."""
        return codegen_json.decoder(self._node, of).function()

    @cached_property
    def encode_json(self) -> Callable[[Value], dict[str, Any]]:
        """Instance -> RFC 7951 object, ready for `orjson.dumps`."""
        return codegen_json.encoder(self._node, of).function()

    @property
    def source(self) -> str:
        """All of it, to be read."""
        makers = (codegen_xml.decoder, codegen_xml.writer, codegen_json.decoder, codegen_json.encoder)
        return "\n\n".join(make(self._node, of).text for make in makers)


def of(node: Node) -> Codec:
    """The codec of a list's entries or of a container."""
    if node.codec is None:
        node.codec = Codec(node)
    found: Codec = node.codec
    return found
