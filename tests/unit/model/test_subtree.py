"""Subtree filters (RFC 6241 section 6): what is selected, and that narrowing first changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from nms.model import subtree
from tests.unit.operations.shop_server import plain, schema, tree

ITEMS = [{"id": "a", "price": 1, "sold": 5, "shelf": {"row": 2}}, {"id": "b", "price": 2}]
SLOTS = [{"side": "left", "number": "1", "text": "x"}, {"side": 0, "number": "1", "text": "y"}]
SHOP = {"name": "corner", "tag": ["new", "old"], "item": ITEMS, "queue": [{"who": "z"}, {"who": "y"}], "slot": SLOTS}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("<name/>", {"name": "corner"}),
    ("<name>corner</name>", SHOP),
    ("<name>other</name><item/>", {}),
    ("<name>corner</name><queue/>", {"name": "corner", "queue": SHOP["queue"]}),
    ("<tag>old</tag><name/>", {"name": "corner", "tag": ["new", "old"]}),
    ("<item><id>a</id></item>", {"item": ITEMS[:1]}),
    ("<item><id>none</id></item>", {}),
    ("<item><id> a </id><sold/></item>", {"item": [{"id": "a", "sold": 5}]}),
    ("<item><id>a</id><bogus/></item>", {"item": [{"id": "a"}]}),
    ("<name>corner</name><bogus/>", {"name": "corner"}),
    ("<name>corner</name><item><id>none</id></item>", {"name": "corner"}),
    ("<item><id>a</id><id>b</id></item>", {}),
    ("<item><id>a</id><sold/></item><item><id>b</id></item>", {"item": [{"id": "a", "sold": 5}, ITEMS[1]]}),
    ("<item><price>2</price></item>", {"item": ITEMS[1:]}),
    ("<item><price>two</price></item>", {}),
    ("<item><price/></item>", {"item": [{"id": "a", "price": 1}, {"id": "b", "price": 2}]}),
    ("<item><id>a</id><shelf><row>2</row></shelf></item>", {"item": [{"id": "a", "shelf": {"row": 2}}]}),
    ("<queue><who>z</who></queue><queue><who>y</who></queue>", {"queue": SHOP["queue"]}),
    ("<slot><side>0</side><number>1</number></slot>", {"slot": SLOTS[1:]}),
    ("<slot><number>1</number><text/></slot>", {"slot": SLOTS}),
    ('<x xmlns="urn:other"/>', {}),
    ('<name xmlns=""/>', {"name": "corner"}),
    ("<!-- nothing --><item><!-- key --><id>b</id></item>", {"item": ITEMS[1:]}),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_selected(text: str, expected: dict[str, Any]) -> None:
    root = tree(SHOP)
    inner = f"<shop>{text}</shop>" if text else ""
    element = etree.fromstring(f'<filter xmlns="urn:example:shop">{inner}</filter>')
    selection = subtree.compile(schema().root, element)
    found = selection.of(root)
    assert plain(found) == plain(tree(expected) if expected else schema().root.blank)
    assert plain(selection.of(selection.narrow(root))) == plain(found)


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_values_may_come_later(text: str, expected: dict[str, Any]) -> None:
    root = tree(SHOP)
    inner = f"<shop>{text}</shop>" if text else ""
    element = etree.fromstring(f'<filter xmlns="urn:example:shop">{inner}</filter>')
    leafs = [found for found in element.iter("*") if not len(found) and (found.text or "").strip()]
    texts = [str(leaf.text) for leaf in leafs]
    for leaf in leafs:
        leaf.text = "before"
    template = subtree.compile(schema().root, element, parameters={leaf: i for i, leaf in enumerate(leafs)})
    template.filled(["other"] * len(texts))  # which leaves the template as it is
    selection = template.filled(texts)
    found = selection.of(root)
    assert plain(found) == plain(tree(expected) if expected else schema().root.blank)
    assert plain(selection.of(selection.narrow(root))) == plain(found)
