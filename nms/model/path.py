"""Paths to instances, and their text: the instance-identifiers of RFC 7951 section 6.11.

We write every name with its module (``/m:list[m:key='v']/m:leaf``): valid JSON form, one form per instance, and the
prefixes need only declarations to make it XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote as percent_encoded

from nms.errors import RpcError
from nms.model.schema import Node, Schema
from nms.model.types import InvalidValue, module_resolver, text_of
from nms.model.values import Key, Scalar

#: (schema node, key): the key of a list entry, the value of a leaf-list entry, else None.
Step: TypeAlias = tuple[Node, Key | None]
InstancePath: TypeAlias = tuple[Step, ...]


def format_path(path: InstancePath) -> str:
    """The instance-identifier of `path`; "/" for the root."""
    return "".join(map(_format_step, path)) or "/"


def _format_step(step: Step) -> str:
    node, key = step
    name = f"/{node.module}:{node.name}"
    if key is None:
        return name
    if node.kind == "leaf-list":
        return f"{name}[.={quote(key)}]"
    if not node.keys:
        return f"{name}[{key + 1}]"
    return name + "".join(
        f"[{leaf.module}:{leaf.name}={quote(value)}]"
        for leaf, value in zip(node.keys, node.key_values(key), strict=True)
    )


def resource_path(path: Sequence[Step]) -> str:
    """`path` as a data resource identifier (RFC 8040 section 3.5.3): ``/m:list=key/leaf``."""
    parts = []
    module = ""
    for node, key in path:
        part = node.name if node.module == module else f"{node.module}:{node.name}"
        if key is not None:
            values: Sequence[Scalar] = node.key_values(key) if node.kind == "list" else (key,)
            part += "=" + ",".join(percent_encoded(text_of(value), safe="") for value in values)
        parts.append("/" + part)
        module = node.module
    return "".join(parts)


def quote(value: Scalar) -> str:
    """A string of XPath 1.0: a literal, or where a value has both kinds of quote, which no literal can, a concat()."""
    text = text_of(value)
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    parts = ", ".join(f'"{part}"' if "'" in part else f"'{part}'" for part in _ONE_KIND.findall(text))
    return f"concat({parts})"


def unquote(text: str) -> str:
    """The value of what `quote` gives."""
    return "".join(single or double for single, double in _LITERAL.findall(text))


_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_ONE_KIND = re.compile(r"[^']+|[^\"]+")  # the longest runs with one kind of quote only
_STRING = r"(?:'[^']*'|\"[^\"]*\")"
_STEP = re.compile(r"/(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)")
_PREDICATE = re.compile(
    r"\[\s*(?:(\.)|(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*))\s*=\s*"
    rf"({_STRING}|concat\(\s*{_STRING}(?:\s*,\s*{_STRING})+\s*\))\s*\]"
)
_POSITION = re.compile(r"\[\s*([1-9]\d{0,18})\s*\]")


#: Instance-identifiers that are remembered when they have been parsed: so many, of so many characters at most.
_REMEMBERED: Final = 4096
_LONG: Final = 400


def parse_path(schema: Schema, text: str) -> InstancePath:
    """The path an instance-identifier names.

    Raises:
        RpcError: invalid-value; it is malformed, or names nodes or keys the schema does not have.
    """
    found = schema.parsed_paths.get(text)
    if found is None:
        found = _parse(schema, text)
        if len(text) <= _LONG:
            if len(schema.parsed_paths) >= _REMEMBERED:
                schema.parsed_paths.clear()
            schema.parsed_paths[text] = found
    return found


def _parse(schema: Schema, text: str) -> InstancePath:
    steps: list[Step] = []
    parent = schema.root
    module = ""
    at = 0
    if text == "/":
        return ()
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise _bad(text, at, "expected '/' and a name")
        module = match[1] or module
        node = parent.child(match[2], module)
        if node is None:
            raise _bad(text, at, f"no data node {module}:{match[2]}")
        at = match.end()
        key, at = _parse_key(node, text, at)
        steps.append((node, key))
        parent = node
    return tuple(steps)


def _parse_key(node: Node, text: str, at: int) -> tuple[Key | None, int]:
    given: dict[str, str] = {}
    if node.kind == "list" and not node.keys and (match := _POSITION.match(text, at)):
        return int(match[1]) - 1, match.end()
    while match := _PREDICATE.match(text, at):
        if match[2] not in (None, node.module):
            raise _bad(text, at, f"{match[2]}:{match[3]} is no key of {node.name}")
        given["." if match[1] else match[3]] = unquote(match[4])
        at = match.end()
    if at < len(text) and text[at] == "[":
        raise _bad(text, at, "expected [key='value']")
    if not given:
        return None, at
    leafs = (node,) if node.kind == "leaf-list" else node.keys
    names = ["."] if node.kind == "leaf-list" else [leaf.name for leaf in leafs]
    if set(given) != set(names):
        raise _bad(text, at, f"{node.name} has the keys {', '.join(names) or 'none'}")
    return parse_key(node, [given[name] for name in names], text), at


def parse_key(node: Node, texts: list[str], where: str = "") -> Key:
    """The key of a list (or value of a leaf-list) from canonical texts, one per key leaf; names take module prefixes.

    Raises:
        RpcError: invalid-value.
    """
    leafs = (node,) if node.kind == "leaf-list" else node.keys
    values: list[Scalar] = []
    for leaf, text in zip(leafs, texts, strict=True):
        assert leaf.type is not None
        try:
            values.append(leaf.type.parse(text, module_resolver(leaf.module)))
        except InvalidValue as error:
            raise RpcError(
                "invalid-value", f"key {leaf.name} of {where or node.path}: {error}", path=node.path
            ) from None
    return values[0] if node.kind == "leaf-list" else node.make_key(values)


def _bad(text: str, at: int, why: str) -> RpcError:
    return RpcError("invalid-value", f"{text!r} at offset {at}: {why}")


def prefixes(path: InstancePath) -> Iterator[tuple[str, str]]:
    """(module, namespace) of the names in `path`, once each."""
    seen: set[str] = set()
    for node, _ in path:
        for named in (node, *node.keys):
            if named.module not in seen:
                seen.add(named.module)
                yield named.module, named.namespace
