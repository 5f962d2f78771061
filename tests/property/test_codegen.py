"""Generated codecs do what the interpreting ones do, on good data and on damaged data, to the letter of each error."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import orjson
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nms.errors import RpcError
from nms.model import codegen, entries, json, xml
from nms.model.codegen_source import Unexpected
from tests.property.strategies import instance, shapes
from tests.property.test_tree_laws import same

SCHEMA = shapes()
ROOTS = instance(SCHEMA.root)
LISTS = [node for node in SCHEMA.root.walk() if node.kind == "list"]


class Refusing:
    """A codec that knows no data: everything is interpreted."""

    @staticmethod
    def _refuse(data: Any) -> Any:
        raise Unexpected

    decode_xml = decode_json = _refuse


@contextmanager
def interpreted() -> Iterator[None]:
    with mock.patch.object(codegen, "of", return_value=Refusing):
        yield


def outcome(decode: Callable[[], Any]) -> Any:
    """What decoding gives: (value, None) or (None, all that the error says)."""
    try:
        return decode(), None
    except RpcError as error:
        return None, (error.tag, error.type, error.message, error.path, error.app_tag, error.info)


def agree(decode: Callable[[], Any]) -> bool:
    value, error = outcome(decode)
    with interpreted():
        wanted, fault = outcome(decode)
    return error == fault and same(value, wanted)


def rows(node: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """All list entries in an instance, each with its list."""
    for child, held in zip(node.children, value, strict=True):
        if held is None or child.kind not in ("container", "list"):
            continue
        for inner in entries.values(held) if child.kind == "list" else [held]:
            if child.kind == "list":
                yield child, inner
            yield from rows(child, inner)


def in_namespace(parts: list[str]) -> etree._Element:
    """The element written as `parts`, where its parent's namespace holds."""
    return etree.fromstring(f'<parent xmlns="urn:shapes">{"".join(parts)}</parent>')[0]


@given(ROOTS)
def test_good_entries_are_not_left_to_the_interpreter(root: Any) -> None:
    for node, entry in rows(SCHEMA.root, root):
        codec, out = codegen.of(node), list[str]()
        codec.write_xml(entry, out.append)
        assert same(codec.decode_xml(in_namespace(out)), entry)
        members = orjson.loads(orjson.dumps(codec.encode_json(entry)))
        assert same(codec.decode_json(members), entry)


@given(ROOTS)
def test_entries_are_written_as_their_instances_are(root: Any) -> None:
    for node, entry in rows(SCHEMA.root, root):
        out: list[str] = []
        codegen.of(node).write_xml(entry, out.append)
        assert "".join(out).encode() == xml.encode_instance(((node, node.key_of(entry)),), entry)
        assert orjson.dumps(codegen.of(node).encode_json(entry)) == orjson.dumps(json.encode(node, entry))


TEXTS = st.sampled_from(["", " ", "1", " 7", "300", "-1", "true", "x", "s:red", "shapes:blue", "/shapes:top", "<"])


@st.composite
def damaged_xml(draw: st.DrawFn) -> etree._Element:
    root = etree.fromstring(xml.fragment(xml.encode(SCHEMA.root, draw(ROOTS))))
    for _ in range(draw(st.integers(1, 3))):
        elements = [e for e in root.iter(etree.Element) if e is not root]
        if not elements:
            break
        victim, other = draw(st.sampled_from(elements)), draw(st.sampled_from(elements))
        parent = victim.getparent()
        match draw(st.sampled_from(["text", "tail", "drop", "double", "move", "comment", "rename", "foreign", "turn"])):
            case "text":
                victim.text = draw(TEXTS)
            case "tail":
                victim.tail = draw(st.sampled_from(["\n  ", "x"]))
            case "drop":
                parent.remove(victim)
            case "double":
                parent.append(copy.deepcopy(victim))
            case "move":
                victim.append(copy.deepcopy(other))
            case "comment":
                victim.insert(0, etree.Comment("here"))
            case "rename":
                victim.tag = draw(st.sampled_from(["{urn:shapes}name", "{urn:shapes}note", "{urn:shapes}none"]))
            case "foreign":
                victim.tag = "{urn:other}name"
            case "turn":
                parent[:] = list(reversed(parent))
    return root


@given(damaged_xml())
def test_damaged_xml_is_judged_alike(root: etree._Element) -> None:
    assert agree(lambda: xml.decode(SCHEMA.root, root))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All (object or array, member name or index) of a JSON value."""
    for at, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, at
        if isinstance(inner, dict | list):
            yield from places(inner)


@st.composite
def damaged_json(draw: st.DrawFn) -> Any:
    document = orjson.loads(json.dumps(SCHEMA.root, draw(ROOTS)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document))
        if not found:
            break
        holder, at = draw(st.sampled_from(found))
        match draw(st.sampled_from(["value", "drop", "double", "qualify", "annotate"])):
            case "value":
                junk: list[Any] = [
                    None,
                    1,
                    1.0,
                    7,
                    300,
                    -1,
                    True,
                    "1",
                    "",
                    "x",
                    "\x01",
                    "red",
                    "shapes:red",
                    [],
                    [None],
                    {},
                ]
                holder[at] = draw(st.sampled_from(junk))
            case "drop":
                del holder[at]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[at]))
            case "qualify" if isinstance(holder, dict):
                holder[f"shapes:{at}" if ":" not in at else at[7:]] = holder.pop(at)
            case "annotate" if isinstance(holder, dict):
                holder[f"@{at}"] = {}
    return document


@given(damaged_json())
def test_damaged_json_is_judged_alike(document: Any) -> None:
    assert agree(lambda: json.decode(SCHEMA.root, document))


def test_the_source_of_every_list_can_be_read() -> None:
    for node in LISTS:
        compile(codegen.of(node).source, node.path, "exec")
        assert node.path in codegen.of(node).source
