"""Conditional requests (RFC 9110 section 13, RFC 8040 section 3.4.1): headers to `Precondition`, and 304.  Pure.

The core has one entity-tag for a resource; the two encodings of it are two representations and must not share a strong
entity-tag, so the encoding is added on the way out and taken off on the way in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

from nms.operations.request import Precondition, Reply
from restconf.media import Encoding

_TAG: Final = re.compile(r'\s*(?:(\*)|(W/)?"([^"]*)")\s*(?:,|$)')
_SUFFIX: Final = re.compile(r"\+(?:json|xml)$")


def precondition(environ: dict[str, Any]) -> Precondition | None:
    """The conditions of a write, None without any."""
    match = environ.get("HTTP_IF_MATCH")
    none_match = environ.get("HTTP_IF_NONE_MATCH")
    since = environ.get("HTTP_IF_UNMODIFIED_SINCE")
    if match is None and none_match is None and since is None:
        return None
    return Precondition(
        if_match=_tags(match, strong=True) or ("",) if match is not None else (),  # a tag that matches nothing
        if_none_match=_tags(none_match, strong=False) if none_match is not None else (),
        if_unmodified_since=_date(since) if since is not None and match is None else None,
    )


def existing(wanted: Precondition | None) -> Precondition:
    """`wanted`, and the resource must exist."""
    return replace(wanted or Precondition(), exists=True)


def unchanged(environ: dict[str, Any], reply: Reply) -> bool:
    """Does the client have this representation already (304)?"""
    none_match = environ.get("HTTP_IF_NONE_MATCH")
    if none_match is not None:
        tags = _tags(none_match, strong=False)
        return "*" in tags or (bool(reply.etag) and reply.etag in tags)
    since = _date(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
    return since is not None and reply.last_modified is not None and reply.last_modified.replace(microsecond=0) <= since


def headers(reply: Reply, encoding: Encoding) -> dict[str, str]:
    """ETag and Last-Modified of what was read or written."""
    result = {}
    if reply.etag:
        result["ETag"] = f'"{reply.etag}+{encoding}"'
    if reply.last_modified is not None:
        result["Last-Modified"] = _http_date(reply.last_modified)
    return result


@lru_cache(256)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _tags(header: str, *, strong: bool) -> tuple[str, ...]:
    found = []
    for star, weak, tag in _TAG.findall(header):
        if star:
            found.append("*")
        elif not (weak and strong):
            found.append(_SUFFIX.sub("", tag))
    return tuple(found)


def _date(text: str) -> datetime | None:
    """None for what is no HTTP date: such a header is ignored (RFC 9110 section 13.1.4)."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
