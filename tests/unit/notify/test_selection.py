"""Which changes concern a filter, and what is left of a root for it to look at."""

from __future__ import annotations

import pytest
from lxml import etree

from nms.model.diff import diff
from nms.notify import selection
from nms.notify.selection import Selection, narrowed
from tests.unit.operations.shop_server import plain, schema, tree

NAMESPACES = {"shop": "urn:example:shop"}


def by_subtree(content: str) -> Selection:
    return selection.subtree(schema(), etree.fromstring(f'<filter xmlns="urn:example:shop">{content}</filter>'))


def by_xpath(text: str) -> Selection:
    return selection.by_xpath(schema(), text, NAMESPACES)


CASES = [
    (by_subtree, "<shop><item/></shop>", {"a", "b"}),
    (by_subtree, "<shop><item><id>a</id></item></shop>", {"a"}),
    (by_subtree, "<shop><item><id>a</id><price/></item></shop>", {"a"}),
    (by_subtree, "<shop><item><id>a</id></item></shop><shop><item><id>b</id></item></shop>", {"a", "b"}),
    (by_subtree, "<shop><item><id>a</id></item></shop><shop/>", {"a", "b"}),
    (by_subtree, "<shop><item><id>a</id></item><item><price>1</price></item></shop>", {"a", "b"}),
    (by_subtree, "<shop><name/></shop>", set()),
    (by_xpath, "/shop:shop/shop:item", {"a", "b"}),
    (by_xpath, "/shop:shop/shop:item[shop:id='a']/shop:price", {"a"}),
    (by_xpath, "/shop/item[id = 'a'] | /shop/item[id=\"b\"]", {"a", "b"}),
    (by_xpath, "/shop/item[id='a'] | /shop", {"a", "b"}),
    (by_xpath, "/shop/item[id='a'][price > 3]", {"a"}),
    (by_xpath, "/shop/item[id != 'a']", {"a", "b"}),
    (by_xpath, "//price", {"a", "b"}),
    (by_xpath, "/shop/name", set()),
]


@pytest.mark.parametrize(("language", "text", "concerned"), CASES)
def test_changes_that_concern_a_filter(language: object, text: str, concerned: set[str]) -> None:
    chosen = language(text)  # type: ignore[operator]
    old = tree({"item": [{"id": "a", "price": 1}, {"id": "b", "price": 1}]})
    new = tree({"item": [{"id": "a", "price": 2}, {"id": "b", "price": 2}]})
    found = diff(schema().root, old, new)
    assert len(found) == 2
    hit = {change.path[1][1] for change in found if chosen.concerns(change.node) and not chosen.passes_by(change)}
    assert hit == concerned


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("/shop/item[price > 3]/shelf/row", True),
        ("/shop/item[price]", False),
        ("/shop/item[shelf = 3]", False),
        ("/shop/item[1]", False),
        ("/shop/item[not(price = 1)]", False),
        ("/shop/item/../name", False),
        ("/shop/child::item", False),
    ],
)
def test_only_plain_paths_look_at_a_part(text: str, local: bool) -> None:
    assert by_xpath(text).local is local


def test_a_part_holds_what_changed_and_the_leafs_above() -> None:
    old = tree({"name": "x", "item": [{"id": "a", "price": 1, "shelf": {"row": 1}}, {"id": "b", "price": 1}]})
    new = tree({"name": "x", "item": [{"id": "a", "price": 1, "shelf": {"row": 2}}, {"id": "b", "price": 1}]})
    part = narrowed(schema(), new, by_xpath("/shop/item"), diff(schema().root, old, new))
    assert plain(part) == {"shop:shop": {"name": "x", "item": [{"id": "a", "price": 1, "shelf": {"row": 2}}]}}


def test_where_a_criterion_changed_all_of_the_entry_is_looked_at() -> None:
    old = tree({"item": [{"id": "a", "price": 1, "shelf": {"row": 1}}]})
    new = tree({"item": [{"id": "a", "price": 2, "shelf": {"row": 1}}]})
    chosen = by_xpath("/shop/item[price = 2]/shelf")
    assert plain(narrowed(schema(), new, chosen, diff(schema().root, old, new))) == plain(new)
