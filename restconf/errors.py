"""The one place where an `RpcError` becomes an HTTP answer: ietf-restconf:errors (RFC 8040 section 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from flask import Response
from lxml import etree

from nms.errors import YANG_INFO, ErrorData, RpcError
from restconf.media import MEDIA_TYPE, Encoding
from restconf.wsgi import Environ


class Whole(Response):
    """An answer that is whole when it is made: nothing is left to be found out about its headers or its body."""

    def get_wsgi_response(self, environ: Environ) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Body, status and headers as they are."""
        body = () if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()
        return body, self.status, self.headers.to_wsgi_list()


class NoContent(Whole):
    """An answer without a body, and so without a media type."""

    default_mimetype = None


NAMESPACE: Final = "urn:ietf:params:xml:ns:yang:ietf-restconf"
_NETCONF: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
_YANG: Final = "urn:ietf:params:xml:ns:yang:1"
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_PREFIX: Final = re.compile(r"([A-Za-z_][\w.-]*):[A-Za-z_]")


class NotAllowed(RpcError):
    """405: the resource is there, the method is not for it; `allow` lists those that are (RFC 9110 section 15.5.6)."""

    def __init__(self, message: str, allow: str) -> None:
        super().__init__("operation-not-supported", message, type="protocol", status=405)
        self.allow = allow


def render(
    errors: Sequence[RpcError],
    encoding: Encoding,
    namespaces: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The answer that says `errors`; its status is the first one's unless given.

    Args:
        namespaces: module name -> namespace, to declare the prefixes of error-path in XML.
    """
    if encoding == "xml":
        body = etree.tostring(as_xml(errors, namespaces))
    else:
        body = orjson.dumps({"ietf-restconf:errors": as_json(errors)})
    response = Response(body, status or errors[0].status, content_type=MEDIA_TYPE[encoding])
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def as_json(errors: Sequence[RpcError]) -> dict[str, Any]:
    """The grouping ``errors`` of ietf-restconf as RFC 7951 members."""
    items = []
    for error in errors:
        item: dict[str, Any] = {"error-type": error.type, "error-tag": error.tag}
        if error.app_tag:
            item["error-app-tag"] = error.app_tag
        if error.path:
            item["error-path"] = error.path
        if error.message:
            item["error-message"] = error.message
        info: dict[str, Any] = {f"ietf-netconf:{name}": text for name, text in error.info.items()}
        if error.data:
            info[f"{error.data.module}:{error.data.name}"] = dict(error.data.leafs)
        if info:
            item["error-info"] = info
        items.append(item)
    # a message may quote what a client sent, lone surrogates included, which no UTF-8 can hold
    cleaned: dict[str, Any] = _clean({"error": items})
    return cleaned


def as_xml(errors: Sequence[RpcError], namespaces: Mapping[str, str], own: str = NAMESPACE) -> etree._Element:
    """The grouping ``errors`` in XML, in the namespace `own` of the module that uses it."""
    root = etree.Element(f"{{{own}}}errors", nsmap={None: own})
    for error in errors:
        item = etree.SubElement(root, f"{{{own}}}error")
        _leaf(item, "error-type", error.type)
        _leaf(item, "error-tag", error.tag)
        if error.app_tag:
            _leaf(item, "error-app-tag", error.app_tag)
        if error.path:
            used = set(_PREFIX.findall(_QUOTED.sub("", error.path)))
            declared: dict[str | None, str] = {name: namespaces[name] for name in sorted(used) if name in namespaces}
            path = etree.SubElement(item, f"{{{own}}}error-path", nsmap=declared)
            path.text = printable(error.path)
        if error.message:
            _leaf(item, "error-message", error.message)
        if error.info or error.data:
            info = etree.SubElement(item, f"{{{own}}}error-info")
            if error.data:
                _data(info, error.data, namespaces)
            for name, texts in error.info.items():
                namespace = _YANG if name in YANG_INFO else _NETCONF
                for text in texts.split("\n"):
                    child = etree.SubElement(info, f"{{{namespace}}}{name}", nsmap={None: namespace})
                    child.text = printable(text)
    return root


def _data(info: etree._Element, data: ErrorData, namespaces: Mapping[str, str]) -> None:
    own = namespaces[data.module]
    container = etree.SubElement(info, f"{{{own}}}{data.name}", nsmap={None: own})
    for name, value in data.leafs.items():
        prefixes: dict[str | None, str] = {m: namespaces[m] for m in _PREFIX.findall(str(value)) if m in namespaces}
        etree.SubElement(container, f"{{{own}}}{name}", nsmap=prefixes).text = printable(str(value))


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}").text = printable(text)


def printable(text: str) -> str:
    """`text` without the characters that XML 1.0 cannot carry."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in text
    )


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
