"""The short cut for long lists reads a message as the long way does, to the letter of each error."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nms.errors import RpcError, RpcErrors
from nms.model import edit, xml, xml_runs
from nms.netconf import exchange
from nms.operations.request import EditConfig, Get
from tests.property.strategies import instance, shapes
from tests.property.test_tree_laws import same

SCHEMA = shapes()
ROOTS = instance(SCHEMA.root, config_only=True)
READER = exchange.Exchange(cast(Any, SimpleNamespace(schema=SCHEMA)), cast(Any, None), lambda event: None)
NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"


def message(config: str, default: str = "merge") -> str:
    return (
        f'<rpc xmlns="{NETCONF}" xmlns:nc="{NETCONF}" xmlns:s="urn:shapes" message-id="7" note="x"><edit-config>'
        f"<target><running/></target><default-operation>{default}</default-operation>"
        f"<config>{config}</config></edit-config></rpc>"
    )


def entries_of(count: int, *, prefix: str = "", extra: str = "") -> str:
    """A configuration that is one long list."""
    p = prefix
    rows = "".join(
        f"<{p}item><{p}name>n{i}</{p}name><{p}size>{i % 50}</{p}size>"
        f"<{p}part><{p}kind>k</{p}kind><{p}id>{i % 9}</{p}id></{p}part></{p}item>\n"
        for i in range(count)
    )
    top = f"{p}top" if p else 'top xmlns="urn:shapes"'
    return f"<{top}>{extra}{rows}</{p}top>"


def read(text: bytes, *, short: bool) -> exchange.Call:
    with mock.patch.object(exchange, "LARGE_MESSAGE", 0 if short else 1 << 30):
        return READER.read(text)


def outcome(request: Any, root: Any) -> Any:
    """What an edit makes of `root`, or all that the error says."""
    try:
        if isinstance(request, Exception):
            raise request
        return edit.apply(SCHEMA.root, root, request.edits)
    except RpcError as error:
        return error.tag, error.type, error.message, error.path, error.app_tag, error.info
    except RpcErrors as several:
        return [str(error) for error in several.errors]


def alike(text: bytes, root: Any) -> bool:
    one, other = read(text, short=True), read(text, short=False)
    assert (one.envelope, one.operation) == (other.envelope, other.operation)
    return same(outcome(one.request, root), outcome(other.request, root))


DAMAGE = st.sampled_from(
    [
        *("<", ">", "&", "&amp;", "]]>", "\r", "\x00", "\x01", "é", "\ufffe", "\udcff", " ", "x"),
        *("<!-- -->", "<?p?>", "<item/>", "</item>", "<item>", "<item><name>n</name></item>", "<name>n1</name>"),
        *("<![CDATA[<item>]]>", '<item a="b">', '<item nc:operation="delete"><name>n2</name></item>'),
        *("<step><id>4</id></step>", "<step><id>x</id></step>"),
    ]
)
STARTS = st.sampled_from(["<item> ", "\n <item>", '<item nc:operation="create">'])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Edits, mostly of lists, most of them damaged somewhere."""
    if draw(st.booleans()):
        config = xml.encode(SCHEMA.root, draw(ROOTS)).decode()
    else:
        config = entries_of(draw(st.integers(1, 8)), prefix=draw(st.sampled_from(["", "s:"])))
    if draw(st.booleans()):
        config = config.replace(
            "<item>", draw(st.sampled_from(["<item> ", "\n <item>", '<item nc:operation="create">']))
        )
    text = message(config, draw(st.sampled_from(["merge", "replace", "none"])))
    for _ in range(draw(st.integers(0, 2))):
        tags = [match.start() for match in re.finditer("[<>]", text)]
        at = draw(st.sampled_from(tags)) + draw(st.integers(0, 2))
        text = text[:at] + draw(DAMAGE) + text[at + draw(st.integers(0, 3)) :]
    return text.encode(errors="surrogateescape")


@given(messages(), ROOTS)
def test_any_message_is_read_alike(text: bytes, root: Any) -> None:
    assert alike(text, root)


@pytest.mark.parametrize("prefix", ["", "s:"])
@pytest.mark.parametrize("default", ["merge", "replace", "none"])
def test_a_long_list_takes_the_short_cut(prefix: str, default: str) -> None:
    text = message(entries_of(3000, prefix=prefix), default).encode()
    cut = xml_runs.cut(SCHEMA, text)
    assert cut is not None
    assert len(cut.rest) < 600
    assert sum(map(len, cut.runs)) == 3000
    assert alike(text, SCHEMA.root.blank)


def test_what_stands_between_entries_keeps_its_place() -> None:
    odd = '<item><size>1</size><name>odd</name></item><item nc:operation="remove"><name>n5</name></item>'
    text = message(entries_of(900).replace("<item><name>n500<", f"{odd}<item><name>n500<"))
    assert alike(text.encode(), SCHEMA.root.blank)


@pytest.mark.parametrize(
    "wrong",
    [
        "<item><name>n7</name></item>",  # twice
        "<item><name>x</name><size>70000</size></item>",
        "<item><name>x</name><none/></item>",
        "<item><size>1</size></item>",
        "<item/>",
        "text",
        "<item><name>x</item>",
        "<item><name>\x01</name></item>",
        "<item><name>]]></name></item>",
        "<!-- <item><name>x</name></item> -->",
        "<item><name><![CDATA[<item>]]></name></item>",
        "<item><name>a&amp;b</name></item>",
        "<item><name>a&lt;b</name></item>",
        "<item><name>é中</name></item>",
        "<item><name>line\r\nend</name></item>",
    ],
)
def test_one_odd_entry_among_many_is_judged_as_on_the_long_way(wrong: str) -> None:
    config = entries_of(2000)
    at = config.index("<item><name>n1200<")
    assert alike(message(config[:at] + wrong + config[at:]).encode(), SCHEMA.root.blank)
    assert alike(message(config[:at] + wrong + config[at:], "none").encode(), SCHEMA.root.blank)


def test_broken_utf_8_is_found() -> None:
    text = message(entries_of(2000)).encode().replace(b"n1500<", b"n\xff<")
    assert isinstance(read(text, short=True).request, RpcError)
    assert alike(text, SCHEMA.root.blank)


@pytest.mark.parametrize("odd", ["<item>", "<item><name>a</name>", "<item><name>a</name><part></item>"])
def test_what_is_no_list_of_plain_entries_is_soon_left_to_the_parser(odd: str) -> None:
    config = f"{odd * 5000}{entries_of(500)}{odd * 5000}"
    assert xml_runs.cut(SCHEMA, message(config).encode()) is None


def test_a_filter_of_many_entries_still_selects_each() -> None:
    text = (
        f'<rpc xmlns="{NETCONF}" message-id="1"><get-config><source><running/></source><filter>{entries_of(2000)}'
        "</filter></get-config></rpc>"
    ).encode()
    assert xml_runs.cut(SCHEMA, text) is not None
    request = read(text, short=True).request
    assert isinstance(request, Get)
    assert len(request.filter.element[0]) == 2000  # type: ignore[union-attr]


def test_an_edit_that_was_cut_is_an_edit() -> None:
    request = read(message(entries_of(2000)).encode(), short=True).request
    assert isinstance(request, EditConfig)
    assert request.target == "running"
