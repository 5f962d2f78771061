"""Content negotiation (RFC 9110 section 12, RFC 8040 section 5.2): the encodings of bodies.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from nms.errors import RpcError

Encoding: TypeAlias = Literal["json", "xml"]

MEDIA_TYPE: Final[Mapping[Encoding, str]] = {
    "json": "application/yang-data+json",
    "xml": "application/yang-data+xml",
}
_ENCODING: Final[Mapping[str, Encoding]] = {
    **{media: encoding for encoding, media in MEDIA_TYPE.items()},
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
}
#: YANG Patch (RFC 8072 section 3).
_YANG_PATCH: Final[Mapping[str, Encoding]] = {
    "application/yang-patch+json": "json",
    "application/yang-patch+xml": "xml",
}
#: Bodies that PATCH takes (Accept-Patch, RFC 5789): plain patch and YANG Patch.
ACCEPT_PATCH: Final = ", ".join((*MEDIA_TYPE.values(), *_YANG_PATCH))


def accepted(header: str | None, default: Encoding = "json") -> Encoding:
    """The encoding of the answer to a request with Accept `header`; `default` where the client has no preference.

    Raises:
        RpcError: invalid-value, 406.
    """
    if not header or header == "*/*":
        return default
    exact = _ENCODING.get(header)
    if exact is not None:
        return exact
    best: tuple[float, int, Encoding] | None = None
    wanted = _ranges(header)
    for encoding in (default, "xml" if default == "json" else "json"):
        quality, specificity = _quality(wanted, encoding)
        if quality > 0 and (best is None or (quality, specificity) > best[:2]):
            best = (quality, specificity, encoding)
    if best is None:
        offered = " and ".join(MEDIA_TYPE.values())
        raise RpcError("invalid-value", f"Accept {header!r} excludes {offered}", type="protocol", status=406)
    return best[2]


def sent(header: str | None) -> Encoding:
    """The encoding of a body with Content-Type `header`.

    Raises:
        RpcError: invalid-value, 415.
    """
    media = (header or "").partition(";")[0].strip().lower()
    encoding = _ENCODING.get(media)
    if encoding is None:
        known = " or ".join(MEDIA_TYPE.values())
        what = f"Content-Type {media!r} is not supported" if media else "the body has no Content-Type"
        raise RpcError("invalid-value", f"{what}; send {known}", type="protocol", status=415)
    return encoding


def yang_patch(header: str | None) -> Encoding | None:
    """The encoding of a YANG Patch with Content-Type `header`; None for any other body."""
    return _YANG_PATCH.get((header or "").partition(";")[0].strip().lower())


def prefers(header: str | None, media: str) -> bool:
    """Does Accept `header` allow `media`?"""
    if not header:
        return True
    return any(quality > 0 and _matches(pattern, media) for pattern, quality in _ranges(header))


def _ranges(header: str) -> list[tuple[str, float]]:
    result = []
    for item in header.split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    quality = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    quality = 0.0
        if media:
            result.append((media.lower(), quality))
    return result


def _quality(ranges: list[tuple[str, float]], encoding: Encoding) -> tuple[float, int]:
    """(q, specificity) of the most specific range that covers `encoding` (RFC 9110 section 12.5.1)."""
    best = (-1, 0.0)
    for media, known in _ENCODING.items():
        if known != encoding:
            continue
        for pattern, quality in ranges:
            if _matches(pattern, media):
                specificity = 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
                best = max(best, (specificity, quality))
    return best[1], best[0]


def _matches(pattern: str, media: str) -> bool:
    return pattern in ("*/*", media) or (pattern.endswith("/*") and media.startswith(pattern[:-1]))
