"""Query parameters (RFC 8040 section 4.8), by a table: where each may stand and what its value may be.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

from nms.errors import RpcError
from nms.operations.request import Content, Page, WithDefaults

Resource: TypeAlias = Literal["api", "data", "stream", "other"]
Insert: TypeAlias = Literal["first", "last", "before", "after"]


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one request; `depth` None is unbounded, `point` the still encoded path of an entry."""

    content: Content = "all"
    depth: int | None = None
    fields: str = ""
    filter: str = ""
    limit: int | None = None
    offset: int = 0
    direction: Literal["forwards", "backwards"] = "forwards"
    insert: Insert | None = None
    point: str = ""
    start_time: datetime | None = None
    stop_time: datetime | None = None
    with_defaults: WithDefaults | None = None
    with_origin: bool = False

    @property
    def page(self) -> Page | None:
        """Which of a list's entries; None: all."""
        wanted = Page(self.limit, self.offset, self.direction == "backwards")
        return wanted if wanted != Page() else None


def parse_query(text: str, method: str, resource: Resource) -> Query:
    """The query of a request; `text` is what follows ``?``, as it was sent.

    Raises:
        RpcError: invalid-value (400) for a parameter that is unknown, repeated, out of place or has a wrong value.
    """
    if not text:
        return _NONE
    values: dict[str, Any] = {}
    for part in text.split("&"):
        encoded, _, raw = part.partition("=")
        name = unquote_to_bytes(encoded).decode(errors="replace")
        parameter = _PARAMETERS.get(name)
        if parameter is None:
            known = ", ".join(sorted(n for n, p in _PARAMETERS.items() if resource in p.resources))
            raise _error(name, f"is not known here; known: {known or 'none'}")
        if resource not in parameter.resources or method not in parameter.methods:
            where = f"{' and '.join(sorted(parameter.methods - {'HEAD'}))} of a {parameter.resources[-1]} resource"
            raise _error(name, f"is for {where} only")
        attribute = name.replace("-", "_")
        if attribute in values:
            raise _error(name, "must not be given twice")
        try:
            # a path encodes its key values itself; a client that encoded the whole of it once more sent no "/"
            as_sent = name == "point" and raw.startswith("/")
            values[attribute] = parameter.parse(raw if as_sent else unquote_to_bytes(raw).decode())
        except ValueError as error:
            raise _error(name, f"is wrong: {error}") from None
    query = Query(**values)
    if (query.insert in ("before", "after")) != bool(query.point):
        raise _error("point", "is needed with insert=before and insert=after, and with nothing else")
    if query.stop_time is not None and query.start_time is None:
        raise _error("stop-time", "needs start-time")
    if query.stop_time is not None and query.start_time is not None and query.stop_time <= query.start_time:
        raise _error("stop-time", "must be later than start-time")
    return query


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parse


def _depth(text: str) -> int | None:
    if text == "unbounded":
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is neither 'unbounded' nor a number from 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def _limit(text: str) -> int | None:
    """draft-ietf-netconf-list-pagination section 3.1.7."""
    if text == "unbounded":
        return None
    if _count(text) == 0:
        raise ValueError("0 entries are none")
    return int(text)


def _time(text: str) -> datetime:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        raise ValueError(f"{text!r} is no date-and-time such as 2026-01-31T23:59:59Z")
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _nothing(text: str) -> bool:
    if text:
        raise ValueError("it takes no value")
    return True


def _some(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return text


@dataclass(frozen=True, slots=True)
class _Parameter:
    resources: tuple[Resource, ...]
    methods: frozenset[str]
    parse: Callable[[str], Any]


_READ: Final = frozenset({"GET", "HEAD"})
_INSERT: Final = frozenset({"POST", "PUT"})
_DATA: Final[tuple[Resource, ...]] = ("data",)
_STREAM: Final[tuple[Resource, ...]] = ("stream",)
#: Section 4.8: depth and fields are for the API resource too.
_API: Final[tuple[Resource, ...]] = ("api", "data")
_PARAMETERS: Final[Mapping[str, _Parameter]] = {
    "content": _Parameter(_DATA, _READ, _one_of("all", "config", "nonconfig")),
    "depth": _Parameter(_API, _READ, _depth),
    "fields": _Parameter(_API, _READ, _some),
    "with-defaults": _Parameter(_DATA, _READ, _one_of("report-all", "report-all-tagged", "trim", "explicit")),
    "with-origin": _Parameter(_DATA, _READ, _nothing),
    "limit": _Parameter(_DATA, _READ, _limit),
    "offset": _Parameter(_DATA, _READ, _count),
    "direction": _Parameter(_DATA, _READ, _one_of("forwards", "backwards")),
    "insert": _Parameter(_DATA, _INSERT, _one_of("first", "last", "before", "after")),
    "point": _Parameter(_DATA, _INSERT, _some),
    "filter": _Parameter(_STREAM, _READ, _some),
    "start-time": _Parameter(_STREAM, _READ, _time),
    "stop-time": _Parameter(_STREAM, _READ, _time),
}
_NONE: Final = Query()


def _error(name: str, what: str) -> RpcError:
    return RpcError("invalid-value", f"query parameter {name!r} {what}", type="protocol")
