"""Prefixes of XPath filters in XML become module names, and nothing else does."""

from __future__ import annotations

import pytest

from nms.notify.prefixes import qualified

NAMESPACES: dict[str | None, str] = {"s": "urn:example:shop", "x": "urn:unknown", None: "urn:example:shop"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("/s:shop/s:item[s:id='s:a']", "/shop:shop/shop:item[shop:id='s:a']"),
        ('child::s:shop["s:b" = s:name]', 'child::shop:shop["s:b" = shop:name]'),
        ("/x:shop | /y:shop | /shop", "/x:shop | /y:shop | /shop"),
        ("/s:*", "/shop:*"),
        ("self::s:s[s]", "self::shop:s[s]"),
    ],
)
def test_prefixes(expression: str, expected: str) -> None:
    assert qualified(expression, NAMESPACES, {"urn:example:shop": "shop"}) == expected
