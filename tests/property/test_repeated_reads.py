"""What a session is told does not depend on what it has asked before: to the byte it is what a new session is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nms.model.schema import Node
from nms.netconf.messages import DATASTORES, NETCONF, NMDA, WITH_DEFAULTS
from tests.unit.netconf.reader import Reader, core

#: Keys and values that are there, in several writings, and some that are not.
PLAIN = ["a", "b", "a b", "x:y", "1", "01", "7", "true", "red", "s:red", "/s:top/s:text", "explicit", "nothing"]
HOSTILE = [
    *(
        "",
        " ",
        " a",
        "a ",
        "\n a\n",
        "a\r\n",
        "\ta",
        "é",
        "a\u00a0",
        "\u2028",
        "\x7f",
        "\x01",
        "\ufffe",
        "0" * 300,
        "-1",
    ),
    *("&amp;", "&#97;", "&a;", "&", "<", ">", "a>b", "]]>", "'", '"', "\\", "--", "?>", "%b", "%s", "\0", "message-id"),
    *("<![CDATA[a]]>", "a<!-- c -->", "<!-- c -->a", "a<?p?>", "<a/>", "a<a/>", "<a/>b", "</a>", "a</name><name>b"),
    *('1" x="2', "1' x='2", 'message-id="2"', '<s:name nc:operation="x">a</s:name>'),
]
TEXTS = st.one_of(st.sampled_from(PLAIN), st.sampled_from(HOSTILE), st.text(max_size=4))

#: Of all that there is.
WANTED = ("text", "number", "hue", "where", "either", "tag", "here", "inside", "item", "name", "part", "kind", "id")
WANTED += ("note", "size", "step", "mixed", "k", "v")

#: Stands in a template where a text is.
SLOT = "@"
MESSAGE_IDS = (
    *(' message-id="@"', ' message-id="@" note="x"', " message-id='@'", ' message-id = "@"', ' message-id="&#49;"', ""),
    *(' note="message-id=" message-id="@"', """ a=' message-id="1"' message-id="@\"""", """ a=' message-id="@"'"""),
    *(' s:message-id="@"', ' s:message-id="@" message-id="1"', ' xmlns="" message-id="@"'),
)
STARTS = ("", '<?xml version="1.0" encoding="UTF-8"?>', "\ufeff", " \ufeff", "\n", "<!-- c -->", "<?p <a>a</a> ?>")

#: One of several ways to write something, the first of which is the usual one.
Ways = Callable[..., Any]


def elements(ways: Ways, parent: Node, depth: int = 0) -> str:
    """Elements of a subtree filter below an instance of `parent`."""
    found = ""
    for _ in range(ways(1, 0, 2, 3)):
        node = ways(*(child for child in parent.children if child.name in WANTED), free=True)
        name = ways(f"s:{node.name}", node.name, "s:nothing")
        attributes = ways("", ' xmlns="urn:shapes"', ' xmlns=""', ' xmlns:s="urn:other"', ' a=">"', ' nc:a="x"')
        space, mixed = ways("", "\n  "), ways("", "", SLOT)
        if node.children and depth < 3:
            keys = [f"<s:{key.name}>{SLOT}</s:{key.name}>" for key in node.keys if ways(True, False)]
            content = space.join([*keys, elements(ways, node, depth + 1)])
        else:
            content = ways(SLOT, "", "a", "<!-- c -->", free=True)
        found += f"<{name}{attributes}>{content}{space}</{name}>{mixed}"
    return found


def drawn(draw: st.DrawFn) -> Ways:
    """Wherever there are several ways to write something, mostly the usual one; `free`: any of them."""

    def ways(*several: Any, free: bool = False) -> Any:
        return draw(st.sampled_from(several)) if free or draw(st.integers(0, 9)) == 9 else several[0]

    return ways


def top_node() -> Node:
    """The container that all data is in."""
    (top,) = (node for node in core().schema.root.children if node.name == "top")
    return top


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A read with places for its texts."""
    ways = drawn(draw)
    inner = elements(ways, top_node())
    top = ways(f"<s:top>{inner}</s:top>", f'<top xmlns="urn:shapes">{inner}</top>', f"<top>{inner}</top>{inner}", "")
    by_path = '<filter type="xpath" select="/s:top/s:item[s:name=\'a\']"/>'
    sought = ways(f'<filter type="subtree">{top}</filter>', f"<filter>{top}</filter>", by_path, "<filter>@</filter>")
    mode = ways("", f'<with-defaults xmlns="{WITH_DEFAULTS}">{ways("report-all", SLOT)}</with-defaults>')
    depth = ways("", f"<max-depth>{ways('2', SLOT)}</max-depth>")
    source = f"<datastore>ds:{ways('running', 'operational', SLOT, free=True)}</datastore>"
    data = f"{source}<subtree-filter>{top}</subtree-filter>{depth}"
    operation = ways(
        f"<get-config><source><running/></source>{sought}{mode}</get-config>",
        f"<get>{mode}{sought}</get>",
        f'<get-data xmlns="{NMDA}" xmlns:ds="{DATASTORES}">{data}</get-data>',
        free=True,
    )
    attributes = f' xmlns="{NETCONF}" xmlns:nc="{NETCONF}" xmlns:s="urn:shapes"{ways(*MESSAGE_IDS)}'
    return f"{ways(*STARTS)}<rpc{attributes}>{operation * ways(1, 1, 2)}</rpc>"


def filled(template: str, texts: list[str]) -> bytes:
    pieces = template.split(SLOT)
    return "".join(a + b for a, b in zip(pieces, [*texts, ""], strict=True)).encode(errors="surrogatepass")


def plain(template: str) -> st.SearchStrategy[list[str]]:
    """Plain texts for the places of a template."""
    places = template.count(SLOT)
    return st.lists(st.sampled_from(PLAIN), min_size=places, max_size=places)


def with_another(draw: st.DrawFn, texts: list[str]) -> list[str]:
    """`texts`, one of which is any."""
    if texts:
        texts[draw(st.integers(0, len(texts) - 1))] = draw(TEXTS)
    return texts


@st.composite
def sequences(draw: st.DrawFn) -> list[bytes]:
    """Reads of one or two shapes: at first with plain texts, then one of them is another, or the message is broken."""
    messages: list[bytes] = []
    for template in draw(st.lists(templates(), min_size=1, max_size=2)):
        texts = plain(template)
        messages += [filled(template, draw(texts)), filled(template, draw(texts)), filled(template, draw(texts))]
        for _ in range(draw(st.integers(0, 3))):
            messages.append(filled(template, with_another(draw, draw(texts))))
        if draw(st.booleans()):
            at = draw(st.integers(0, len(messages[-1])))
            messages.append(messages[-1][:at] + draw(TEXTS).encode(errors="surrogatepass") + messages[-1][at:])
    return messages


@given(sequences())
def test_a_reply_does_not_depend_on_what_was_asked_before(messages: list[bytes]) -> None:
    with Reader() as reader:
        for message in messages:
            with Reader() as fresh:
                assert reader.ask(message) == fresh.ask(message)
