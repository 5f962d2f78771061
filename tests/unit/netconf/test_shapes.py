"""Which reads are recognised by their shape, and that the others take the long way."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from nms.model.load import load
from nms.netconf import exchange
from nms.netconf.messages import DATASTORES, NETCONF, NMDA, WITH_DEFAULTS
from nms.netconf.shapes import MAX_MESSAGE, MAX_SHAPES
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import Principal
from tests.unit.netconf.reader import CONFIGURATION, MODULES, Reader


def rpc(operation: str, attributes: str = 'message-id="1"', prefix: str = "") -> str:
    declared = f'xmlns{":" + prefix[:-1] if prefix else ""}="{NETCONF}"'
    return f'<{prefix}rpc {declared} xmlns:s="urn:shapes" {attributes}>{operation}</{prefix}rpc>'


def get_config(sought: str, after: str = "", prefix: str = "") -> str:
    """A <get-config>, with `sought` below <top> of the subtree filter."""
    p = prefix
    source, wanted = f"<{p}source><{p}running/></{p}source>", f"<{p}filter><s:top>{sought}</s:top></{p}filter>"
    return f"<{p}get-config>{source}{wanted}{after}</{p}get-config>"


def get_data(sought: str, datastore: str = "running", more: str = "") -> str:
    wanted = f"<subtree-filter><s:top>{sought}</s:top></subtree-filter>{more}"
    return f'<get-data xmlns="{NMDA}" xmlns:d="{DATASTORES}"><datastore>d:{datastore}</datastore>{wanted}</get-data>'


def mode(text: str) -> str:
    return f'<with-defaults xmlns="{WITH_DEFAULTS}">{text}</with-defaults>'


def item(name: str, more: str = "") -> str:
    return f"<s:item><s:name>{name}</s:name>{more}</s:item>"


ITEM = rpc(get_config(item("@")))
NUMBERED = rpc(get_config(item("a")), 'message-id="@"')
XPATH = """<get><filter type="xpath" select="/s:top/s:item[s:name='@']"/></get>"""
ONE_PART = "<s:part><s:id>@</s:id></s:part>"

#: A message, and in the place of @ what was asked before and what is asked now: all that is needed is known.
KNOWN = [
    *((ITEM, "a", now) for now in ("b", "b ", "a b", "x:y", "nothing", "'", "%", "--", 'message-id="2"')),
    *((NUMBERED, "1", now) for now in ("", "2", "urn:uuid:7", "x y", "--")),
    (rpc(get_config(item("@")), 'n="" message-id="1" m="1"'), "a", "b"),
    (rpc(get_config(item("@"), prefix="nc:"), prefix="nc:"), "a", "b"),
    ('<?xml version="1.0" encoding="UTF-8"?>\n' + ITEM, "a", "b"),
    *((rpc(get_config("<s:number>@</s:number>")), "7", now) for now in ("+07", "8", "many")),
    *((rpc(get_config("<s:hue>@</s:hue>")), "s:red", now) for now in ("s:blue", "t:red", "red")),
    *((rpc(get_config(f"<s:{name}>@</s:{name}>")), "a", "b") for name in ("tag", "bogus", "here", "item", "blob")),
    (rpc(get_config(item("a", "<s:name>@</s:name>"))), "a", "b"),
    (rpc(get_config(item("@", ONE_PART))), "1", "a"),
    (rpc(get_data(item("@"), "operational", "<max-depth>2</max-depth>")), "a", "b"),
    (rpc(get_config(item("@") + "<s:shoes/>", mode("report-all"))), "a", "b"),
    (rpc(get_data("", more="<max-depth>2</max-depth>"), 'message-id="@"'), "1", "2"),
    (rpc(XPATH.replace("@", "a"), 'message-id="@"'), "1", "2"),
    (rpc("<get-config><source><running/></source></get-config>", 'message-id="@"'), "1", "2"),
]

#: The same, where the long way has to be taken.
UNKNOWN = [
    # texts that have to be looked at
    *(
        (ITEM, "a", now)
        for now in (" a", "\na", "a\r\n", "", "é", "\x01", "\ufffe", "\x7f", "&amp;", "&no;", "]]>", "<", "a>b")
    ),
    *((ITEM, "a", now) for now in ("<![CDATA[a]]>", "<!-- -->a", "a<!-- -->", "a<?p?>", "<a/>", "a</s:name><s:name>a")),
    *(
        (NUMBERED, "1", now)
        for now in ("&#49;", "&no;", "<", ">", "é", "\n", "\x01", "'", '1" message-id="1', '1" n="')
    ),
    *((rpc(get_config(item("a")), "message-id='@'"), "1", now) for now in ("1", "2")),
    (rpc(get_config(item("a")), 'message-id = "@"'), "1", "2"),
    (rpc(get_config(item("a")), 'n=\'message-id="@"\' message-id="1"'), "1", "2"),
    # texts that are not what they seem
    (rpc(get_config(item("&#97;") + "@")), "a", "b"),
    (rpc(get_config(item("<![CDATA[a]]>") + "@")), "a", "b"),
    (rpc(get_config("<!--<x>@</x>-->" + item("a<!---->"))), "a", "b"),
    (rpc(get_config("<?p <x>@</x>?>" + item("a<?p?>"))), "a", "b"),
    (rpc(get_config(item("a>@"))), "a", "b"),
    (rpc(get_config(item("a") + "@")), "a", "b"),
    ('<?xml version="1.0" encoding="UTF-7"?>' + ITEM, "a", "+AGE-"),
    # texts that are no values of a filter
    (rpc(get_data(item("a"), "@")), "running", "operational"),
    (rpc(get_data(item("a"), more="<max-depth>@</max-depth>")), "2", "1"),
    *((rpc(get_config(item("a"), mode("@"))), "report-all", now) for now in ("explicit", "bogus")),
    # another markup
    *((rpc(get_config(item("a")), 'message-id="1"@'), "", now) for now in (' n="1"', " n='1'", " n", ' n="1" n="1"')),
    (ITEM.replace("urn:shapes", "@"), "urn:shapes", "urn:others"),
    (ITEM.replace("running", "@"), "running", "candidate"),
    (ITEM.replace("<s:item>", "<s:item@>"), "", " bad='1'"),
    (ITEM.replace("</s:item>", "</s:item>@"), "", " "),
    (ITEM + "@", "", "<x/>"),
    (rpc(XPATH), "a", "b"),
    # no read, or no small one
    (rpc("<discard-changes/>", 'message-id="@"'), "1", "1"),
    (rpc("<get-schema><identifier>@</identifier></get-schema>"), "shapes", "shapes"),
    (rpc(get_config(item("@") + " " * MAX_MESSAGE)), "a", "a"),
]


@pytest.fixture
def parsed() -> Iterator[mock.Mock]:
    with mock.patch.object(exchange, "parse", wraps=exchange.parse) as parse:
        yield parse


@pytest.mark.parametrize(
    ("message", "before", "now", "known"), [(*case, True) for case in KNOWN] + [(*case, False) for case in UNKNOWN]
)
def test_a_reply_is_the_same_as_in_a_new_session(
    message: str, before: str, now: str, known: bool, parsed: mock.Mock
) -> None:
    with Reader() as reader, Reader() as fresh:
        asked = message.replace("@", now).encode()
        expected = fresh.ask(asked)
        for _ in range(2):
            reader.ask(message.replace("@", before).encode())
        parsed.reset_mock()
        assert reader.ask(asked) == expected
        assert parsed.called is not known


def test_the_shape_that_was_used_longest_ago_is_forgotten_first(parsed: mock.Mock) -> None:
    def parses(number: int) -> bool:
        parsed.reset_mock()
        reader.ask(rpc(get_config(item("a")), f'message-id="1" n="{number}"').encode())
        return bool(parsed.called)

    with Reader() as reader:
        assert [parses(0) for _ in range(3)] == [True, True, False]
        for number in range(1, 4 * MAX_SHAPES):
            assert parses(number)
            assert not parses(0)
        assert parses(1)
        for number in range(5 * MAX_SHAPES, 6 * MAX_SHAPES):
            parses(number)
        assert parses(0)


def test_access_control_judges_each_read(parsed: mock.Mock) -> None:
    server = Core.create(load([MODULES], ["shapes", *PROTOCOL_MODULES]))
    nacm = '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><read-default>{}</read-default></nacm>'

    def edit(config: str) -> None:
        with Reader(server) as admin:
            change = f"<edit-config><target><running/></target><config>{config}</config></edit-config>"
            assert b"<ok/>" in admin.ask(rpc(change).encode())[0]

    edit(CONFIGURATION)
    asked = ITEM.replace("@", "a").encode()
    with Reader(server, Principal("bob")) as reader:
        seen = [reader.ask(asked)[0].count(b"<name>a</name>") for _ in range(3)]
        edit(nacm.format("deny"))
        parsed.reset_mock()
        seen.append(reader.ask(asked)[0].count(b"<name>a</name>"))
        assert not parsed.called
        edit(nacm.format("permit"))
        seen.append(reader.ask(asked)[0].count(b"<name>a</name>"))
    assert seen == [1, 1, 1, 0, 1]
