"""The content of anydata and anyxml nodes, kept in the encoding it came in and translated when the other is asked for.

Without a schema the translation follows RFC 7951 section 5.5 as far as names go: elements become members qualified by
their module where it changes, repeated elements arrays, text strings.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import orjson
from lxml import etree

from nms.model.fault import Fault
from nms.model.schema import Names
from nms.model.values import AnyData

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def from_xml(element: etree._Element) -> AnyData:
    """Content of `element`: its text and children, namespaces declared."""
    text = escape(element.text or "")
    return AnyData(xml=text + "".join(etree.tostring(child, encoding="unicode") for child in element))


def from_json(value: Any) -> AnyData:
    """Content from a JSON value.

    Raises:
        Fault: invalid-value; it is nested more deeply than can be written again.
    """
    try:
        return AnyData(json=orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())
    except orjson.JSONEncodeError:
        raise Fault("invalid-value", "the content is nested too deeply") from None


def to_xml(data: AnyData, names: Names) -> str:
    """Content as XML text."""
    text = data.xml
    if text is not None:
        return text
    return _xml(orjson.loads(data.json or "null"), names)


def to_json(data: AnyData, names: Names) -> Any:
    """Content as a JSON value."""
    text = data.json
    if text is not None:
        return orjson.loads(text)
    root = etree.fromstring(f"<data>{data.xml or ''}</data>", _PARSER)
    return _json(root, names, "")


def _xml(value: Any, names: Names) -> str:
    if isinstance(value, dict):
        return "".join(_xml_member(name, item, names) for name, item in value.items())
    if value is None:
        return ""
    return escape({True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value))


def _xml_member(name: str, value: Any, names: Names) -> str:
    module, _, local = name.rpartition(":")
    xmlns = f' xmlns="{escape(names.namespaces[module])}"' if module in names.namespaces else ""
    items = value if isinstance(value, list) and value != [None] else [None if value == [None] else value]
    return "".join(f"<{local}{xmlns}>{_xml(item, names)}</{local}>" for item in items)


def _json(element: etree._Element, names: Names, module: str) -> Any:
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return element.text or ""
    members: dict[str, Any] = {}
    for child in children:
        name = etree.QName(child)
        own = names.modules.get(name.namespace or "", module)
        key = name.localname if own == module else f"{own}:{name.localname}"
        value = _json(child, names, own)
        if key in members:
            held = members[key]
            members[key] = [*held, value] if isinstance(held, list) else [held, value]
        else:
            members[key] = value
    return members
