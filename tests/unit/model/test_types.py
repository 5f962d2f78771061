"""Lexical forms in, canonical forms out (RFC 7950 section 9, RFC 7951 section 6), one table row a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.model import json, load, xml
from nms.model.path import parse_key

SCHEMA = load.load([Path(__file__).parent / "modules"], ["shapes"])
S = 'xmlns:s="urn:shapes"'


def read(leaf: str, text: str) -> Any:
    element = etree.fromstring(f'<data><top xmlns="urn:shapes" {S}><{leaf}>{text}</{leaf}></top></data>')
    return json.plain(SCHEMA.root, xml.decode(SCHEMA.root, element))["shapes:top"][leaf]


@pytest.mark.parametrize(
    ("leaf", "text", "expected"),
    [
        ("text", "", ""),
        ("text", " kept ", " kept "),
        ("number", " +007 ", 7),
        ("number", "-0x1F", -31),
        ("big", "18446744073709551615", "18446744073709551615"),
        ("share", "1.500", "1.5"),
        ("share", "-0.25", "-0.25"),
        ("share", "3", "3.0"),
        ("flag", "false", False),
        ("mark", "", [None]),
        ("data", "AAE=", "AAE="),
        ("data", "AA E=\n", "AAE="),
        ("day", "monday", "monday"),
        ("rights", "exec  read", "read exec"),
        ("rights", "", ""),
        ("hue", "s:red", "shapes:red"),
        ("hue", "red", "shapes:red"),
        ("where", "/s:top/s:item[s:name='a']", "/shapes:top/shapes:item[shapes:name='a']"),
        ("either", "200", 200),
        ("either", "300", "300"),
        ("either", "true", True),
        ("either", "s:blue", "shapes:blue"),
        ("either", "anything", "anything"),
    ],
)
def test_a_value_has_one_canonical_form(leaf: str, text: str, expected: Any) -> None:
    assert read(leaf, text) == expected


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("text", "x" * 41),
        ("number", "2147483648"),
        ("number", "1.0"),
        ("number", "ten"),
        ("big", "-1"),
        ("share", "1.2345"),
        ("share", "9999999999999999"),
        ("share", "1e3"),
        ("flag", "yes"),
        ("mark", "x"),
        ("data", "A"),
        ("day", "Monday"),
        ("rights", "read read"),
        ("rights", "fly"),
        ("hue", "s:colour"),
        ("hue", "z:red"),
        ("hue", "s:green"),
        ("where", "s:top"),
        ("number", "9" * 5000),
        ("big", "0x" + "f" * 9000),
        ("share", "1" + "0" * 9000),
        ("where", "/z:top"),
        ("where", "/s:top[s:a=b]"),
    ],
)
def test_a_value_outside_its_type_is_refused_with_its_place(leaf: str, text: str) -> None:
    with pytest.raises(RpcError) as caught:
        read(leaf, text)
    assert (caught.value.tag, caught.value.path) == ("invalid-value", f"/shapes:top/shapes:{leaf}")


@pytest.mark.parametrize(
    ("leaf", "value"),
    [("number", "1"), ("number", True), ("big", 1), ("share", 1.5), ("flag", "true"), ("mark", None), ("text", 5),
     ("hue", 1), ("tag", "no array"), ("item", {}), ("plain", [])],
)  # fmt: skip
def test_json_types_are_strict(leaf: str, value: Any) -> None:
    with pytest.raises(RpcError) as caught:
        json.decode(SCHEMA.root, {"shapes:top": {leaf: value}})
    assert caught.value.tag == "invalid-value"
    assert caught.value.path.startswith(f"/shapes:top/shapes:{leaf}")


@pytest.mark.parametrize("text", ["\x00", "a\x1bb", "\ud800", "\ufffe", "\uffff"])
def test_what_yang_excludes_from_strings_is_refused_in_json_and_in_keys(text: str) -> None:
    with pytest.raises(RpcError) as caught:
        json.decode(SCHEMA.root, {"shapes:top": {"text": text}})
    assert caught.value.tag == "invalid-value"
    with pytest.raises(RpcError):
        parse_key(SCHEMA.find("/shapes:top/item"), [text])


def test_other_characters_are_welcome() -> None:
    text = "\t\r\n\x7f é 中 \U0001f600"
    value = json.decode(SCHEMA.root, {"shapes:top": {"text": text}})
    assert json.plain(SCHEMA.root, value)["shapes:top"]["text"] == text
