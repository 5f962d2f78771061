"""XPath filters of subscriptions as they come in XML: prefixes become module names (RFC 8639, stream-xpath-filter).

An XPath filter may use the prefixes in scope at its element.  Its value is a string that is kept, shown and sent on in
other places and encodings; module names are declared everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lxml import etree

SUBSCRIPTIONS: Final = frozenset(("ietf-subscribed-notifications", "ietf-yang-push"))

_FILTERS: Final = tuple(
    f"{{urn:ietf:params:xml:ns:yang:{module}}}{name}"
    for module, name in (
        ("ietf-subscribed-notifications", "stream-xpath-filter"),
        ("ietf-yang-push", "datastore-xpath-filter"),
    )
)
#: A literal, or a prefix; the name of an axis has two colons.
_TOKEN: Final = re.compile(r"'[^']*'|\"[^\"]*\"|([A-Za-z_][\w.-]*):(?!:)")


def qualify_filters(operation: etree._Element, modules: Mapping[str, str]) -> None:
    """Rewrite the XPath filters of `operation`; `modules` are module names by namespace."""
    for tag in _FILTERS:
        for element in operation.iter(tag):
            element.text = qualified(element.text or "", element.nsmap, modules)


def qualified(expression: str, namespaces: Mapping[str | None, str], modules: Mapping[str, str]) -> str:
    """`expression` with module names for the prefixes that `namespaces` declares; other prefixes stay."""

    def replace(match: re.Match[str]) -> str:
        module = modules.get(namespaces.get(match[1], "")) if match[1] else None
        return match[0] if module is None else f"{module}:"

    return _TOKEN.sub(replace, expression)
