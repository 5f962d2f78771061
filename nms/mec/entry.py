"""Entries that one domain has in another's datastore: the list below the agreement, and the entry's identifier there.

Pure.  Where a list has several keys their values are joined by "/", as in `nms.mec.scope.Intent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

#: (list below the agreement, "mec-system:system/deployment"; identifier at the other side).
Entry: TypeAlias = tuple[str, str]

RULE: Final = "mec-resource:resources/data-plane-rule"
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {RULE: ("instance", "id")}


def entry_of(kind: str, members: Mapping[str, Any]) -> Entry:
    """The entry with these members in list `kind`."""
    return kind, "/".join(str(members[key]) for key in _keys(kind))


def path_of(entry: Entry) -> str:
    """Where it is, as `nms.mec.session.DataEdit.path` below the agreement."""
    kind = entry[0]
    return f"/{kind}" + "".join(f"[{key}='{value}']" for key, value in zip(_keys(kind), _values(entry), strict=True))


def uri_of(entry: Entry) -> str:
    """Where it is, as a RESTCONF resource below the agreement (RFC 8040 section 3.5.3)."""
    return f"/{entry[0]}=" + ",".join(quote(value, safe="") for value in _values(entry))


def from_uri(uri: str) -> Entry:
    """The reverse of `uri_of`."""
    kind, _, values = uri.removeprefix("/").rpartition("=")
    return kind, "/".join(unquote(value) for value in values.split(","))


def _keys(kind: str) -> tuple[str, ...]:
    return _KEYS.get(kind, ("id",))


def _values(entry: Entry) -> list[str]:
    kind, subject = entry
    # Only the last key of a list with several may hold a "/" of its own.
    return subject.split("/", len(_keys(kind)) - 1)
