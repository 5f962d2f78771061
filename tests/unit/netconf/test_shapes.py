"""Which requests are recognised by their shape, and that the others take the long way."""

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
from tests.unit.netconf.reader import CONFIGURATION, MODULES, Reader, new_core


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
    # no request that is recognised, or no small one
    (rpc("<unlock><target><candidate/></target></unlock>", 'message-id="@"'), "1", "1"),
    (rpc("<get-schema><identifier>@</identifier></get-schema>"), "shapes", "shapes"),
    (rpc(get_config(item("@") + " " * MAX_MESSAGE)), "a", "a"),
]


def edit(config: str, target: str = "running", more: str = "") -> str:
    return f"<edit-config><target><{target}/></target>{more}<config><s:top>{config}</s:top></config></edit-config>"


def nc(operation: str) -> str:
    return f'xmlns:nc="{NETCONF}" nc:operation="{operation}"'


DATA = (
    f'<edit-data xmlns="{NMDA}" xmlns:d="{DATASTORES}"><datastore>d:running</datastore><config>@</config></edit-data>'
)
TEXT = rpc(edit("<s:text>@</s:text>"))
ENTRY = rpc(edit(item("@", "<s:size>5</s:size>") + "<s:flag>false</s:flag>"))

#: Changes, as above.
CHANGES = [
    *((TEXT, "x", now) for now in ("y", "a", "a b ", "'", "--")),
    *((ENTRY, "new", now) for now in ("newer", "a", "x:y")),
    *((rpc(edit("<s:number>@</s:number>")), "1", now) for now in ("2", "+03", "7")),
    *((rpc(edit("<s:hue>@</s:hue>")), "s:red", now) for now in ("s:blue", "s:red ")),
    *((rpc(edit("<s:either>@</s:either>")), "1", now) for now in ("7", "true", "s:blue", "x")),
    *((rpc(edit("<s:tag>@</s:tag>")), "x", now) for now in ("y", "a")),
    (rpc(edit("<s:where>@</s:where>")), "/s:top/s:text", "/s:top/s:item[s:name='a']/s:size"),
    (rpc(edit(item("new", "<s:part><s:kind>@</s:kind><s:id>1</s:id></s:part>"))), "x", "y"),
    (rpc(edit(f"<s:item {nc('remove')}><s:name>@</s:name></s:item>")), "a", "b"),
    (rpc(edit(f"<s:step {nc('replace')}><s:id>7</s:id><s:note>@</s:note></s:step>")), "x", "y"),
    (rpc(edit(f"<s:text {nc('delete')}/>" + "<s:number>@</s:number>")), "1", "2"),  # the second time it is gone
    (rpc(edit("<s:state><s:seen>@</s:seen></s:state>")), "1", "2"),  # whoever is asked for it refuses it
    (rpc(edit("<s:blob><b>@</b></s:blob>")), "x", "y"),
    # one entry, and nothing else
    (rpc(edit(item("@", "<s:size>5</s:size>"))), "new", "newer"),
    (rpc(edit("<s:step><s:id>@</s:id></s:step>")), "7", "1"),  # the user's order
    (rpc(edit("<s:mixed><s:k>@</s:k><s:v>x</s:v></s:mixed>")), "1", "x"),
    (rpc(edit(item("a", "<s:size>@</s:size>"), more="<default-operation>replace</default-operation>")), "5", "6"),
    (rpc(edit(item("@"), more="<default-operation>none</default-operation>")), "a", "missing"),
    (rpc(edit("<s:tag>x</s:tag>", more="<default-operation>replace</default-operation>"), 'message-id="@"'), "1", "2"),
    (rpc(edit("<s:text>@</s:text>", more="<test-option>test-only</test-option>")), "x", "y"),
    (rpc(edit("<s:text>@</s:text>", more="<error-option>continue-on-error</error-option>")), "x", "y"),
    (rpc(edit("<s:text>@</s:text>", "candidate")), "x", "y"),
    (rpc(DATA.replace("@", "<s:top><s:text>@</s:text></s:top>")), "x", "y"),
    *((rpc(f"<{name}/>", 'message-id="@"'), "1", "2") for name in ("commit", "discard-changes")),
]

#: The same, where the long way has to be taken.
OTHER_CHANGES = [
    # texts that are refused, or that the long way has to say something about
    *((rpc(edit("<s:number>@</s:number>")), "1", now) for now in ("many", "99999999999", "")),
    *((rpc(edit("<s:hue>@</s:hue>")), "s:red", now) for now in ("t:red", "green")),
    (rpc(edit("<s:where>@</s:where>")), "/s:top/s:text", "/t:top/s:text"),
    (rpc(edit(item("@") + item("new"))), "newer", "new"),
    (rpc(edit(item("a", "<s:size>@</s:size>"))), "5", "99999"),
    (rpc(edit("<s:step><s:id>@</s:id></s:step>")), "7", "x"),
    (TEXT, "x", "x" * 41),
    *((TEXT, "x", now) for now in ("", " ", " x", "é", "&amp;", "<![CDATA[x]]>", "x<!-- -->", "<b/>")),
    # texts outside of the configuration
    (rpc(edit("<s:tag>x</s:tag>", more="<default-operation>@</default-operation>")), "merge", "replace"),
    (rpc(edit("<s:tag>x</s:tag>", more="<test-option>@</test-option>")), "set", "test-only"),
    (rpc(DATA.replace("@", "<s:top/>").replace("running", "@")), "running", "candidate"),
    (rpc("<commit><confirmed/><confirm-timeout>@</confirm-timeout></commit>"), "100", "200"),
    # another markup
    (ENTRY.replace("<s:size>", "<s:size @>").replace("@</s:name>", "new</s:name>"), "", nc("remove")),
    (TEXT.replace("running", "@").replace("@</s:text>", "x</s:text>"), "running", "candidate"),
    (rpc(edit("<s:text>x</s:text>@")), "", "<s:flag>false</s:flag>"),
    # what the long way refuses is not remembered
    (rpc(edit("<s:state/>"), 'message-id="@"'), "1", "2"),
    (rpc(edit(item("@", "<s:nothing/>"))), "x", "y"),
    (rpc(edit('<s:text operation="delete"/><s:number>@</s:number>')), "1", "2"),
    (rpc(edit("<s:text>@</s:text>" + " " * MAX_MESSAGE)), "x", "y"),
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


@pytest.mark.parametrize(
    ("message", "before", "now", "known"),
    [(*case, True) for case in CHANGES] + [(*case, False) for case in OTHER_CHANGES],
)
def test_a_change_is_the_same_as_in_a_new_session(
    message: str, before: str, now: str, known: bool, parsed: mock.Mock
) -> None:
    one, other = new_core(), new_core()
    with Reader(one) as reader:
        for text in (before, before, now):
            asked = message.replace("@", text).encode()
            with Reader(other) as fresh:
                expected = fresh.ask(asked)
            parsed.reset_mock()
            assert reader.ask(asked) == expected
            was_parsed = parsed.called
            for store in ("running", "candidate"):
                with Reader(one) as reads, Reader(other) as compared:
                    all_of = rpc(f"<get-config><source><{store}/></source></get-config>").encode()
                    assert reads.ask(all_of) == compared.ask(all_of)
    assert was_parsed is not known


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
