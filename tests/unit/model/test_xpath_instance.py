"""Expressions that are the way to an instance: recognised or not, they select what the XPath engine selects."""

from __future__ import annotations

import pytest

from nms.model import select, xpath_instance
from tests.unit.operations.shop_server import plain, schema, tree

NAMES = {"s": "urn:example:shop", "n": "urn:none"}
ROOT = tree(
    {
        "name": "corner",
        "tag": ["new"],
        "item": [{"id": "a", "price": 1, "shelf": {"row": 2}}, {"id": "b'"}],
        "queue": [{"who": "z"}, {"who": "y"}],
        "slot": [{"side": "left", "number": "1", "text": "x"}, {"side": 0, "number": "-1"}],
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "/s:shop",
        "/shop",
        " / s:shop / s:item [ s:id = 'a' ] / s:price ",
        "/s:shop/s:item[s:id='a']",
        '/s:shop/s:item[s:id="b\'"]',
        "/s:shop/item[id='a']/shelf/row",
        "/s:shop/s:item[s:id='none']",
        "/s:shop/s:item",
        "/s:shop/s:tag",
        "/s:shop/s:open",
        "/s:shop/s:hours",
        "/s:shop/s:queue[s:who='y']",
        "/s:shop/s:slot[s:number='1'][s:side='left']/s:text",
        "/s:shop/s:slot[s:side='0'][s:number='-1']",
    ],
)
def test_a_way_to_an_instance(text: str) -> None:
    found = xpath_instance.path(schema(), text, NAMES)
    assert found is not None
    assert plain(select.path(schema(), ROOT, found)) == plain(select.xpath(schema(), ROOT, text, NAMES))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "//s:item",
        "s:shop",
        "/s:shop/*",
        "/s:shop/..",
        "/s:shop/child::s:name",
        "/s:shop/s:name/text()",
        "/s:shop | /s:private",
        "/n:shop",
        "/t:shop",
        "/s:shop/s:item/s:price",
        "/s:shop/s:item[1]",
        "/s:shop/s:item[s:price='1']",
        "/s:shop/s:item[s:id='a' and s:id='b']",
        "/s:shop/s:item[s:id='a'][s:id='a']",
        "/s:shop/s:item[s:id='a'][s:price=1]",
        "/s:shop/s:slot[s:side='left']",
        "/s:shop/s:slot[s:side='left'][s:number='01']",
        "/s:shop/s:name[.='corner']",
        "/s:shop/s:tag[.='new']",
        "/s:shop[s:name='corner']",
        "/s:shop/s:item[s:id='a'",
        "/s:shop/s:item[s:id='a']x",
        "/s:shop" * 4000,
    ],
)
def test_everything_else_is_left_to_the_xpath_engine(text: str) -> None:
    assert xpath_instance.path(schema(), text, NAMES) is None
