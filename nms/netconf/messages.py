"""The outermost XML of NETCONF: hardened parsing, <hello>, and the <rpc> envelope (RFC 6241 sections 3, 4.1 and 8.1).

What is inside an <rpc> is `nms.netconf.requests`' business, what goes back `nms.netconf.replies`'.  No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

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

#: Tags of one message.  An element takes some hundred bytes of memory, however few it has in the message.
MAX_TAGS: Final = 2_500_000

_XML: Final = "http://www.w3.org/XML/1998/namespace"


def parse(message: bytes) -> etree._Element:
    """The root element of a message.

    Entities, external documents and other encodings than UTF-8 are refused; libxml2's own limits without "huge" hold
    (256 levels, 10 MB a text node).  Comments and processing instructions mean nothing in NETCONF and are dropped.

    Raises:
        RpcError: malformed-message (RFC 6241 section 3), too-big.
    """
    if too_large(message):
        raise RpcError("too-big", f"a message has at most {MAX_TAGS} tags: send it in parts", type="rpc")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        # Whitespace before an XML declaration comes from people who paste messages into `ssh -s host netconf`.
        root = etree.fromstring(message.lstrip() if message[:1].isspace() else message, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RpcError("malformed-message", f"not well-formed XML in UTF-8: {error}", type="rpc") from None
    if root.getroottree().docinfo.internalDTD is not None:
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
    if number is not None and not (number.strip().isascii() and number.strip().isdecimal()):
        raise HelloError("session-id is not a number")
    return Hello(
        frozenset((capability.text or "").strip() for capability in capabilities),
        None if number is None else int(number),
    )


@dataclass(frozen=True, slots=True)
class Envelope:
    """How the reply to an <rpc> starts and ends: its name, attributes and namespaces come back as they were sent.

    Attributes:
        start, end: the tags of <rpc-reply>.
        default: NETCONF is the default namespace inside, so that NETCONF's own elements need no xmlns.
    """

    start: str
    end: str
    default: bool


#: For a message that could not be read as an <rpc> at all.
NO_ENVELOPE: Final = Envelope(f'<rpc-reply xmlns="{NETCONF}">', "</rpc-reply>", True)


def envelope(rpc: etree._Element) -> Envelope:
    """The envelope of the reply to `rpc` (RFC 6241 section 4.2: every attribute is returned unmodified, xmlns too)."""
    prefix = f"{rpc.prefix}:" if rpc.prefix else ""
    attributes = _declarations(rpc.nsmap) + "".join(_attribute(rpc, str(name), value) for name, value in rpc.items())
    return Envelope(f"<{prefix}rpc-reply{attributes}>", f"</{prefix}rpc-reply>", rpc.nsmap.get(None) == NETCONF)


def _declarations(namespaces: Mapping[str | None, str]) -> str:
    return "".join(f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in namespaces.items())


def _attribute(element: etree._Element, name: str, value: str) -> str:
    qualified = etree.QName(name)
    prefix = ""
    if qualified.namespace == _XML:
        prefix = "xml:"
    elif qualified.namespace:
        prefix = next(f"{key}:" for key, uri in element.nsmap.items() if key and uri == qualified.namespace)
    return f" {prefix}{qualified.localname}={quoteattr(value)}"


def operation_of(rpc: etree._Element) -> etree._Element:
    """The one operation that an <rpc> holds.

    Raises:
        RpcError: malformed-message for another root than <rpc>, missing-attribute for a missing message-id,
            missing-element or bad-element for no operation or several.
    """
    if rpc.tag != f"{{{NETCONF}}}rpc":
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
