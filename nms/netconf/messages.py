"""The outermost XML of NETCONF: hardened parsing, <hello>, and the <rpc> envelope (RFC 6241 sections 3, 4.1 and 8.1).

What is inside an <rpc> is `nms.netconf.requests`' business, what goes back `nms.netconf.replies`'.  No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from lxml import etree

from nms.errors import RpcError
from nms.netconf.connection import Hello, HelloError

NETCONF: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
WITH_DEFAULTS: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
NMDA: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES: Final = "urn:ietf:params:xml:ns:yang:ietf-datastores"
YANG: Final = "urn:ietf:params:xml:ns:yang:1"

_RPC: Final = f"{{{NETCONF}}}rpc"

#: Tags of one message.  An element takes some hundred bytes of memory, however few it has in the message.
MAX_TAGS: Final = 2_500_000

#: The name and the attributes of the root element's start tag in a message that is well-formed without a DTD.
_START_TAG: Final = re.compile(
    rb"""\s*(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->)*+<([^\s:/>]+:)?[^\s:/>]+((?:[^"'/>]++|"[^"]*"|'[^']*')*+)""",
    re.DOTALL,
)


def new_parser() -> etree.XMLParser:
    """A hardened parser.  Who reads many messages keeps one: to make it costs as much as a small message.

    Entities, external documents and other encodings than UTF-8 are refused; libxml2's own limits without "huge" hold
    (256 levels, 10 MB a text node).  Comments and processing instructions mean nothing in NETCONF and are dropped.
    """
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def parse(message: bytes, parser: etree.XMLParser | None = None) -> etree._Element:
    """The root element of a message.

    Args:
        parser: one of `new_parser` that no other thread uses meanwhile; a new one if None.

    Raises:
        RpcError: malformed-message (RFC 6241 section 3), too-big.
    """
    if too_large(message):
        raise RpcError("too-big", f"a message has at most {MAX_TAGS} tags: send it in parts", type="rpc")
    try:
        # Whitespace before an XML declaration comes from people who paste messages into `ssh -s host netconf`.
        root = etree.fromstring(message.lstrip() if message[:1].isspace() else message, parser or new_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RpcError("malformed-message", f"not well-formed XML in UTF-8: {error}", type="rpc") from None
    if b"<!DOCTYPE" in message and root.getroottree().docinfo.internalDTD is not None:
        raise RpcError("malformed-message", "a document type declaration is not allowed", type="rpc")
    return root


def too_large(message: bytes) -> bool:
    """Does a message have more tags than one may have?"""
    return message.count(b"<") > MAX_TAGS


def hello(capabilities: Iterable[str], session_id: int | None = None) -> bytes:
    """A <hello> message; only a server's holds a session-id."""
    names = "".join(f"<capability>{escape(name)}</capability>" for name in capabilities)
    number = "" if session_id is None else f"<session-id>{session_id}</session-id>"
    return f'<hello xmlns="{NETCONF}"><capabilities>{names}</capabilities>{number}</hello>'.encode()


def read_hello(message: bytes) -> Hello:
    """What a <hello> says.

    Raises:
        HelloError: the message is none.
    """
    try:
        root = parse(message)
    except RpcError as error:
        raise HelloError(error.message) from None
    if root.tag != f"{{{NETCONF}}}hello":
        raise HelloError(f"the first message is <{etree.QName(root).localname}>, not <hello>")
    capabilities = root.findall(f"{{{NETCONF}}}capabilities/{{{NETCONF}}}capability")
    number = root.findtext(f"{{{NETCONF}}}session-id")
    if number is not None and re.fullmatch(r"\s*[0-9]{1,20}\s*", number) is None:
        raise HelloError("session-id is not a number")
    return Hello(
        frozenset((capability.text or "").strip() for capability in capabilities),
        None if number is None else int(number),
    )


class Envelope(NamedTuple):
    """How the reply to an <rpc> starts and ends: its prefix, attributes and namespaces come back as they were sent.

    Attributes:
        start, end: the tags of <rpc-reply>.
        default: NETCONF is the default namespace inside, so that NETCONF's own elements need no xmlns.
    """

    start: bytes
    end: bytes
    default: bool


#: For a message that could not be read as an <rpc> at all.
NO_ENVELOPE: Final = Envelope(b'<rpc-reply xmlns="%b">' % NETCONF.encode(), b"</rpc-reply>", True)


def envelope(message: bytes, rpc: etree._Element) -> Envelope:
    """The envelope of the reply (RFC 6241 section 4.2: every attribute is returned unmodified, xmlns too).

    Args:
        message: the bytes that `rpc` was parsed from.
    """
    tag = _START_TAG.match(message)
    assert tag is not None  # it was parsed
    prefix = tag[1] or b""
    return Envelope(b"<%brpc-reply%b>" % (prefix, tag[2]), b"</%brpc-reply>" % prefix, rpc.nsmap.get(None) == NETCONF)


def operation_of(rpc: etree._Element) -> etree._Element:
    """The one operation that an <rpc> holds.

    Raises:
        RpcError: malformed-message for another root than <rpc>, missing-attribute for a missing message-id,
            missing-element or bad-element for no operation or several.
    """
    if rpc.tag != _RPC:
        found = etree.QName(rpc)
        where = f"of namespace {found.namespace}" if found.namespace else "without namespace"
        raise RpcError("malformed-message", f"<{found.localname}> {where} is not NETCONF's <rpc>", type="rpc")
    if rpc.get("message-id") is None:
        raise RpcError(
            "missing-attribute",
            "an <rpc> needs a message-id",
            type="rpc",
            info={"bad-attribute": "message-id", "bad-element": "rpc"},
        )
    if len(rpc) == 1:
        return rpc[0]
    if not len(rpc):
        raise RpcError("missing-element", "an <rpc> holds one operation", type="rpc", info={"bad-element": "rpc"})
    name = etree.QName(rpc[1]).localname
    raise RpcError("bad-element", "an <rpc> holds one operation only", type="rpc", info={"bad-element": name})
