"""Query parameters (RFC 8040 section 4.8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from nms.errors import RpcError
from restconf.query import Query, Resource, parse_query


def test_reads() -> None:
    query = parse_query("content=config&depth=3&fields=a%2Fb(c;d)&with-defaults=trim", "GET", "data")
    assert query == Query(content="config", depth=3, fields="a/b(c;d)", with_defaults="trim")
    assert parse_query("depth=unbounded", "HEAD", "data").depth is None
    assert parse_query("", "DELETE", "data") == Query()


def test_inserts() -> None:
    assert parse_query("insert=first", "POST", "data").insert == "first"
    query = parse_query("insert=before&point=/a:b=%2F", "PUT", "data")
    assert (query.insert, query.point) == ("before", "/a:b=%2F")  # the path's own encoding stays for its grammar


def test_times_keep_their_plus() -> None:
    query = parse_query("start-time=2026-01-02T03:04:05.5+02:00&stop-time=2026-01-02T03:04:05Z", "GET", "stream")
    assert query.start_time == datetime(2026, 1, 2, 3, 4, 5, 500000, timezone(timedelta(hours=2)))
    assert query.stop_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "method", "resource", "said"),
    [
        ("nothing=1", "GET", "data", "'nothing' is not known here; known: content, depth"),
        ("depth=1&depth=1", "GET", "data", "'depth' must not be given twice"),
        ("depth=0", "GET", "data", "from 1 to 65535"),
        ("depth=65536", "GET", "data", "from 1 to 65535"),
        ("depth=-1", "GET", "data", "from 1 to 65535"),
        ("depth=%D9%A1", "GET", "data", "from 1 to 65535"),
        ("depth", "GET", "data", "from 1 to 65535"),
        ("content=some", "GET", "data", "none of all, config, nonconfig"),
        ("with-defaults=tagged", "GET", "data", "none of report-all, report-all-tagged, trim, explicit"),
        ("with-origin=yes", "GET", "data", "it takes no value"),
        ("limit=0", "GET", "data", "0 entries are none"),
        ("limit=-1", "GET", "data", "is no number"),
        ("offset=x", "GET", "data", "is no number"),
        ("direction=up", "GET", "data", "none of forwards, backwards"),
        ("limit=1", "PUT", "data", "is for GET of a data resource only"),
        ("fields=", "GET", "data", "it is empty"),
        ("fields=%FF", "GET", "data", "is wrong"),
        ("content=all", "PUT", "data", "is for GET of a data resource only"),
        ("insert=first", "GET", "data", "is for POST and PUT of a data resource only"),
        ("insert=first", "PATCH", "data", "is for POST and PUT of a data resource only"),
        ("filter=/a", "GET", "data", "is for GET of a stream resource only"),
        ("depth=1", "GET", "other", "is for GET of a data resource only"),
        ("insert=before", "POST", "data", "'point' is needed"),
        ("point=/a:b=1", "POST", "data", "'point' is needed"),
        ("insert=first&point=/a:b=1", "POST", "data", "'point' is needed"),
        ("start-time=2026-01-01", "GET", "stream", "no date-and-time"),
        ("start-time=2026-13-01T00:00:00Z", "GET", "stream", "is wrong"),
        ("stop-time=2026-01-01T00:00:00Z", "GET", "stream", "needs start-time"),
        ("start-time=2026-01-01T00:00:00Z&stop-time=2026-01-01T00:00:00Z", "GET", "stream", "later than"),
    ],
)
def test_refusals(text: str, method: str, resource: Resource, said: str) -> None:
    with pytest.raises(RpcError) as caught:
        parse_query(text, method, resource)
    assert (caught.value.tag, caught.value.status) == ("invalid-value", 400)
    assert said in caught.value.message
