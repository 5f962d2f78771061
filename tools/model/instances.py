"""Instance data in files: read as XML or JSON, decoded and validated by the engine (RFC 7950 section 8).

No daemon takes part.  A place in a file is found again by the path that an error names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from lxml import etree

from nms.errors import ConfigError, RpcError
from nms.model import json as instance_json
from nms.model import xml as instance_xml
from nms.model.constraints import validate, validate_value
from nms.model.schema import Node, Schema
from nms.model.values import Value

DataType = Literal["data", "config", "rpc", "notification"]
NETCONF: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
_STEP: Final = re.compile(r"/(?:[\w.-]+:)?([\w.-]+)((?:\[[^\]]*\])*)")
_KEY: Final = re.compile(r"=\s*(?:'([^']*)'|\"([^\"]*)\")")


class Fault(NamedTuple):
    """What is wrong with a file: the line as far as it can be told, `kind` one of "read", "shape", "constraint"."""

    line: int
    kind: Literal["read", "shape", "constraint"]
    error: RpcError

    @property
    def message(self) -> str:
        """One sentence with the path."""
        where = f" at {self.error.path}" if self.error.path else ""
        return f"{self.error.message}{where}"


def check_file(schema: Schema, file: Path, kind: DataType = "data") -> list[Fault]:
    """All that is wrong with the instance data of a file.

    Raises:
        ConfigError: the file cannot be opened.
    """
    return read(schema, file, kind)[1]


def read(schema: Schema, file: Path, kind: DataType = "data") -> tuple[Value | None, list[Fault]]:
    """The value in a file (of the schema's root for data and config), and what is wrong with it.

    Raises:
        ConfigError: the file cannot be opened.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    reader = _Xml if text.lstrip()[:1] == b"<" else _Json
    try:
        document = reader.parse(text)
    except _Unreadable as error:
        return None, [Fault(error.line, "read", RpcError("malformed-message", error.message))]
    try:
        node, value = reader.decode(schema, document, kind)
    except RpcError as error:
        return None, [Fault(_line(reader, text, error), "shape", error)]
    if node is schema.root:
        errors = validate(schema, value, config=kind == "config")
        if kind == "config" and (state := state_in(node, value)):
            errors = [RpcError("unknown-element", f"{state.name} is state, not configuration", path=state.path)]
    else:
        errors = validate_value(schema, node, value)
    return value, [Fault(_line(reader, text, error), "constraint", error) for error in errors]


def place(root: etree._Element, error: RpcError) -> int:
    """The line of the element below `root` that an error concerns, as far as its path tells."""
    return _Xml.below(root, *_steps(error))


def _steps(error: RpcError) -> tuple[list[tuple[str, list[str]]], str]:
    steps = [(name, [a or b for a, b in _KEY.findall(keys)]) for name, keys in _STEP.findall(error.path)]
    return steps, (error.info or {}).get("bad-element", "")


def _line(reader: type[_Json] | type[_Xml], text: bytes, error: RpcError) -> int:
    return reader.line(text, *_steps(error))


def state_in(node: Node, value: Value) -> Node | None:
    """A state node that is set at the top of a configuration or in its containers."""
    for child, held in zip(node.children, value, strict=True):
        if held is not None and not child.config:
            return child
        if held is not None and child.kind == "container" and (inner := state_in(child, held)):
            return inner
    return None


def operation(schema: Schema, name: str, module: str | None, kind: DataType) -> Node:
    """The rpc's input or the notification that a document's top element names.

    Raises:
        RpcError: unknown-element.
    """
    known: Mapping[tuple[str, str], Node] = schema.rpcs if kind == "rpc" else schema.notifications
    found = [node for (owner, local), node in known.items() if local == name and module in (None, owner)]
    if not found:
        raise RpcError("unknown-element", f"there is no {kind} {name!r}", info={"bad-element": name})
    return found[0].children[0] if kind == "rpc" else found[0]


class _Unreadable(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Json:
    """RFC 7951."""

    @staticmethod
    def parse(text: bytes) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise _Unreadable(error.lineno, f"not JSON: {error.msg} (column {error.colno})") from None
        except (UnicodeDecodeError, RecursionError):
            raise _Unreadable(1, "not JSON: the text is not UTF-8, or nested too deeply") from None

    @staticmethod
    def decode(schema: Schema, document: Any, kind: DataType) -> tuple[Node, Value]:
        if kind in ("data", "config"):
            return schema.root, instance_json.decode(schema.root, document)
        if not isinstance(document, dict) or len(document) != 1:
            raise RpcError("invalid-value", f'one member is wanted, the {kind}, as in {{"module:name": ...}}')
        ((name, members),) = document.items()
        module, _, local = name.rpartition(":")
        if local == "input":
            raise RpcError(
                "invalid-value", 'the name of the rpc is wanted in place of input, as in {"module:name": ...}'
            )
        node = operation(schema, local, module or None, kind)
        return node, instance_json.decode(node, members or {})

    @staticmethod
    def line(text: bytes, steps: list[tuple[str, list[str]]], bad: str) -> int:
        at = 0
        content = text.decode("utf-8", "replace")
        for name, keys in [*steps, *([(bad, [])] if bad else [])]:
            for pattern in (rf'"(?:[\w.-]+:)?{re.escape(name)}"\s*:', *(rf'"?{re.escape(key)}"?' for key in keys)):
                match = re.compile(pattern).search(content, at)
                if match is None:
                    break
                # A key is looked for behind its list's name, and its entry's members behind the key.
                at = match.end()
        return content.count("\n", 0, at) + 1


class _Xml:
    """RFC 7950; the top element may be ``data``, ``config`` or ``rpc`` of NETCONF, or any one without a namespace."""

    @staticmethod
    def parse(text: bytes) -> Any:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        try:
            return etree.fromstring(text, parser)
        except etree.XMLSyntaxError as error:
            return _Xml._several(text, parser, error)

    @staticmethod
    def _several(text: bytes, parser: Any, error: etree.XMLSyntaxError) -> Any:
        """Several top-level nodes side by side, as an example of two containers has them."""
        try:
            body = text[text.index(b"?>") + 2 :] if text.lstrip().startswith(b"<?") else text
            return etree.fromstring(b"<data>" + body + b"</data>", parser)
        except (etree.XMLSyntaxError, ValueError):
            raise _Unreadable(error.lineno or 1, f"not XML: {error.msg}") from None

    @staticmethod
    def decode(schema: Schema, document: Any, kind: DataType) -> tuple[Node, Value]:
        name = etree.QName(document)
        if kind in ("data", "config"):
            wrapped = name.namespace in (None, NETCONF) or name.localname in ("data", "config")
            top = document
            if not wrapped:
                top = etree.Element("data")
                top.append(document)
            return schema.root, instance_xml.decode(schema.root, top)
        content = [child for child in document if etree.QName(child).localname != "eventTime"]
        if name.namespace in (None, NETCONF, NOTIFICATION) and content:
            document = content[0]
            name = etree.QName(document)
        node = operation(schema, name.localname, schema.module_of_namespace.get(name.namespace or ""), kind)
        return node, instance_xml.decode(node, document)

    @staticmethod
    def line(text: bytes, steps: list[tuple[str, list[str]]], bad: str) -> int:
        return _Xml.below(_Xml.parse(text), steps, bad)

    @staticmethod
    def below(root: etree._Element, steps: list[tuple[str, list[str]]], bad: str) -> int:
        here = [root]
        at = root
        for name, keys in steps:
            children = [
                *([root] if at is root and etree.QName(root).localname == name else []),
                *(child for parent in here for child in parent if etree.QName(child).localname == name),
            ]
            here = [
                child for child in children if set(keys) <= {child.text, *(leaf.text for leaf in child)}
            ] or children
            if not here:
                break
            at = here[0]
        wrong = [child for child in at if bad and etree.QName(child).localname == bad]
        return int((wrong or [at])[0].sourceline or 1)
