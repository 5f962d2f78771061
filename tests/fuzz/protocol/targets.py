"""What is fuzzed: each target is a case, drawn from a `Random`, that raises `Broken` where the law does not hold.

A case is a few dozen messages to a subject of its own, so that it can be had again from the seed alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import orjson
from lxml import etree

from nms.errors import RpcError
from nms.model import subtree, xpath
from nms.model import xml as xml_codec
from nms.netconf.connection import Connection, Event, Hello, Message, ProtocolFailure
from nms.netconf.framing import END_OF_CHUNKS, END_OF_MESSAGE
from nms.netconf.messages import NETCONF, hello, read_hello
from tests.conformance.netconf.test_netconf_conformance import rpcs
from tests.conformance.restconf.test_cases import CASES
from tests.fuzz.protocol import mutation
from tests.fuzz.protocol.subjects import Broken, Netconf, Restconf

#: Messages of one case.
MESSAGES: Final = 25
PROBE: Final = f'<rpc xmlns="{NETCONF}" message-id="p"><get-config><source><running/></source></get-config></rpc>'

CAPABILITIES: Final = ["urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"]


# ---------------------------------------------------------------- framing


def _events(hellos: bytes, parts: Sequence[bytes]) -> list[Event]:
    connection = Connection("server", hello(CAPABILITIES, 1), CAPABILITIES, read_hello, max_message=4096)
    found = connection.receive(hellos)
    for part in parts:
        found += connection.receive(part)
    # what says why the session ends depends on how much had come
    return [ProtocolFailure("") if isinstance(event, ProtocolFailure) else event for event in found]


def framing(chance: Random) -> None:
    """Bytes mean the same however they are cut; messages that were whole before the damage are read."""
    chunked = chance.random() < 0.7
    hellos = hello(CAPABILITIES if chunked else CAPABILITIES[:1]) + END_OF_MESSAGE
    for _ in range(MESSAGES):
        stream = b""
        for _ in range(chance.randint(1, 3)):
            text = etree.tostring(chance.choice(rpcs()))[: chance.choice((1, 60, 5000))]
            if not chunked:
                stream += text + END_OF_MESSAGE
                continue
            for part in filter(None, mutation.pieces(chance, text)):
                stream += b"\n#%d\n%b" % (len(part), part)
            stream += END_OF_CHUNKS
        if chance.random() < 0.9:
            stream = mutation.bytes_of(chance, stream)
        try:
            whole = _events(hellos, [stream])
            cut = _events(hellos, mutation.pieces(chance, stream))
            single = _events(hellos, [stream[i : i + 1] for i in range(len(stream))])
        except Exception as error:
            raise Broken(f"{error!r}", stream) from error
        if not isinstance(whole[0], Hello) or not whole == cut == single:
            raise Broken(f"whole: {whole}\ncut: {cut}\nsingle: {single}", stream)
        if any(isinstance(event, Message) and len(event.data) > 4096 for event in whole):
            raise Broken("a message that is too large", stream)


# ---------------------------------------------------------------- NETCONF


def _probed(subject: Netconf, sent: Callable[[], bytes]) -> None:
    for _ in range(MESSAGES):
        subject.answer(sent())
    if b"<data" not in subject.answer(PROBE.encode()):
        raise Broken("the session does not answer any more", None)


def xml(chance: Random) -> None:
    """Rpcs damaged as trees and as bytes."""

    def sent() -> bytes:
        text = etree.tostring(mutation.element(chance, chance.choice(rpcs()), rpcs()))
        return mutation.bytes_of(chance, text) if chance.random() < 0.3 else text

    _probed(Netconf(), sent)


_SUBTREE: Final = (
    '<network xmlns="urn:example:network"><name/><node><id>a</id><port><number>1</number></port></node>'
    "<link><from>a</from><cost/></link><server>192.0.2.53</server></network>"
)


def subtree_filter(chance: Random) -> None:
    """Filters of <get-config> and <get>; to select from what was selected changes nothing."""
    subject = Netconf()
    schema = subject.server.core.schema
    root = subject.server.core.store.root("running")
    base = [etree.fromstring(f"<filter>{_SUBTREE}</filter>"), *rpcs()]

    def sent() -> bytes:
        wanted = mutation.element(chance, base[0], base)
        wanted.tag = f"{{{NETCONF}}}filter"
        try:
            chosen = subtree.compile(schema.root, wanted).of(root)
            again = subtree.compile(schema.root, wanted).of(chosen)
        except Exception as error:
            raise Broken(f"{error!r}", etree.tostring(wanted)) from error
        if xml_codec.encode(schema.root, again) != xml_codec.encode(schema.root, chosen):
            raise Broken("selecting again gives something else", etree.tostring(wanted))
        rpc = etree.fromstring(PROBE)
        rpc[0].append(wanted)
        if chance.random() < 0.5:
            rpc[0].tag = f"{{{NETCONF}}}get"
            rpc[0].remove(rpc[0][0])
        return etree.tostring(rpc)

    _probed(subject, sent)


_EXPRESSIONS: Final = (
    "/n:network/n:node[n:id='a']/n:port[n:number=1] | //n:link[n:from = ../n:node/n:id]",
    "//n:node[position() = last() - 1]/n:port[count(../n:port) > 1]/n:alias/text()",
    "/n:network/n:node[re-match(n:id, '[a-z]+') and not(contains(n:id, 'b'))]",
    "//*[local-name() = 'node' or name(..) = 'x'][string-length(.) < 5 + 2 * 3 div 1 mod 7]",
    "/n:network/n:link[deref(n:from)/../n:enabled = 'false']/following-sibling::*[1]",
    "//n:node[derived-from-or-self(n:kind, 'n:radio')]/ancestor-or-self::node()",
    "id('a') | //@*/.. | /*/namespace::* | (//n:id)[2] | /n:network/preceding::n:node",
    "sum(//n:cost) = number(translate(substring-before('1,2', ','), '1', '3')) or lang('en')",
    "bit-is-set(//n:id, 'x') or enum-value(//n:id) > floor(-1.5) or boolean(//n:id)",
)
_TOKEN: Final = re.compile(r"'[^']*'|[\w.-]+|::|//|\.\.|[!<>]=|\s+|.")
_WORDS: Final = (
    *(
        "/",
        "//",
        "[",
        "]",
        "(",
        ")",
        "::",
        "..",
        ".",
        "*",
        "@",
        "|",
        "+",
        "-",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        ",",
        " ",
        "'",
    ),
    *(
        "n:",
        "x:",
        "and",
        "or",
        "div",
        "mod",
        "ancestor",
        "descendant",
        "following",
        "node()",
        "text()",
        "comment()",
        "1",
        "-1",
    ),
    *(
        "0.5",
        "1" * 400,
        "$v",
        "'(a+)+b'",
        "'[z-a]'",
        "'n:radio'",
        "''",
        "current()",
        "last()",
        "position()",
        "true()",
        "not(",
    ),
    *(
        "concat(",
        "string(",
        "count(",
        "re-match(",
        "deref(",
        "substring(",
        "translate(",
        "n:network",
        "n:node",
        "n:id",
        "é",
        "\t",
    ),
)


_TIMES: Final = (3, 40, 4000)


def expression(chance: Random) -> str:
    """A damaged XPath expression."""
    if chance.random() < 0.1:
        return chance.choice(("[", "(", "-", "//*", "/..", "1+", "not(", "*[", "n:node/", "a|")) * chance.choice(
            (3, 40, 4000)
        )
    return "".join(mutation.tokens(chance, _TOKEN.findall(chance.choice(_EXPRESSIONS)), _WORDS))


def xpath_filter(chance: Random) -> None:
    """Filters, evaluated twice within the same budget with the same outcome, and sent."""
    subject = Netconf()
    schema = subject.server.core.schema
    root = subject.server.core.store.root("running")
    names = {"n": "urn:example:network", "x": "urn:nobody"}

    def outcome(text: str) -> Any:
        try:
            return xpath.compile_text(schema, text, names).nodeset(root, 20_000)
        except RpcError as error:
            return str(error)
        except Exception as error:
            raise Broken(f"{error!r}", text) from error

    def sent() -> bytes:
        text = expression(chance)
        if outcome(text) != outcome(text):
            raise Broken("the outcome is another one", text)
        wanted = quoteattr(re.sub("[^\t\n -\ud7ff]", "", text))
        filtered = f'<filter type="xpath" xmlns:n="urn:example:network" xmlns:x="urn:nobody" select={wanted}/>'
        return PROBE.replace("</source>", f"</source>{filtered}").encode()

    _probed(subject, sent)


# ---------------------------------------------------------------- RESTCONF


@cache
def requests() -> Sequence[Sequence[tuple[str, bytes, list[tuple[bytes, bytes]], bytes]]]:
    """The requests of each conformance case: method, target, headers, body."""
    found = []
    for folder in CASES:
        case = []
        for file in sorted(folder.glob("*.request")):
            head, _, body = file.read_bytes().partition(b"\n\n")
            line, *lines = head.splitlines()
            method, target = line.split(b" ")
            headers = [(name, text) for name, _, text in (each.partition(b": ") for each in lines)]
            case.append((method.decode(), target, headers, body.rstrip(b"\n")))
        found.append(case)
    return found


def _restconf(chance: Random, damage: Callable[..., Any], wanted: Callable[..., bool]) -> None:
    """A case of the conformance tests, each of its requests followed by damaged ones."""
    everything = [request for case in requests() for request in case if wanted(*request)]
    subject = Restconf()
    try:
        for request in chance.choice(requests())[:MESSAGES]:
            subject.answer(*request)
            subject.answer(*damage(*chance.choice(everything)))
            subject.answer(*damage(*request))
        if subject.answer("GET", b"/restconf/data", [], b"").status != "200 OK":
            raise Broken("the server does not answer any more", None)
    finally:
        subject.close()


@cache
def _documents() -> Sequence[Any]:
    found = []
    for case in requests():
        for *_, body in case:
            try:
                found.append(orjson.loads(body))
            except orjson.JSONDecodeError:
                continue
    return found


def json(chance: Random) -> None:
    """Bodies damaged as JSON values and as bytes, XML bodies too."""

    def damage(method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
        try:
            text = orjson.dumps(mutation.value(chance, orjson.loads(body), _documents()))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # XML, or deeper than can be written
            text = mutation.bytes_of(chance, body)
        if chance.random() < 0.3:
            text = mutation.bytes_of(chance, text)
        return method, target, headers, text

    _restconf(chance, damage, lambda method, target, headers, body: bool(body))


_PARTS: Final = re.compile(r"%..|[\w.-]+|.")
_PIECES: Final = (
    *mutation.TEXTS[:40],
    *(
        "/restconf",
        "/data",
        "/operations",
        "/ds",
        "ietf-datastores:operational",
        "ietf-datastores:running",
        "/streams/NETCONF",
    ),
    *(
        "?depth=1",
        "?fields=",
        "?content=config",
        "?insert=first",
        "?point=",
        "?filter=",
        "?limit=1",
        "?offset=-1",
        "?with-defaults=",
    ),
    *(
        "&depth=unbounded",
        "a(b;c/d)",
        "(" * 400,
        "?start-time=",
        "example-jukebox:jukebox",
        "/library/artist=",
        "/album=",
        "/../",
    ),
    *(
        "//",
        "/.",
        "=,",
        "=%2C",
        "%C3%28",
        "é",
        "#",
        "?depth=999999999999999999999",
        "conformance-shelf:shelf/book=",
        "/subscriptions/1",
    ),
)
_METHODS: Final = ("GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH")
_HEADERS: Final = (
    *((b"Accept", b"application/yang-data+xml"), (b"Accept", b"*/*;q=x"), (b"Accept", b"text/event-stream")),
    *(
        (b"Content-Type", b"application/yang-patch+json"),
        (b"Content-Type", b"\xff"),
        (b"If-Match", b'"'),
        (b"If-Match", b"*"),
    ),
    *(
        (b"If-Modified-Since", b"never"),
        (b"If-None-Match", b"\x00"),
        (b"Authorization", b"Basic \xff"),
        (b"Host", b"a b"),
    ),
)


def uri(chance: Random) -> None:
    """Targets, methods and headers damaged."""

    def damage(method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
        words = mutation.tokens(chance, _PARTS.findall(target.decode()), _PIECES)
        changed = "".join(words).encode("utf-8", "surrogatepass").replace(b"\n", b"").replace(b" ", b"")
        if chance.random() < 0.2:
            changed = mutation.bytes_of(chance, changed)
        if chance.random() < 0.2:
            method = chance.choice(_METHODS)
        if chance.random() < 0.3:
            headers = [*headers, chance.choice(_HEADERS)]
        return method, changed, headers, body

    _restconf(chance, damage, lambda *request: True)


TARGETS: Final[dict[str, Callable[[Random], None]]] = {
    "framing": framing,
    "xml": xml,
    "json": json,
    "uri": uri,
    "xpath": xpath_filter,
    "subtree": subtree_filter,
}
