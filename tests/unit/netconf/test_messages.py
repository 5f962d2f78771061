"""Hardened parsing, the hello, and the envelope that returns an rpc's own attributes."""

from __future__ import annotations

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.netconf import messages
from nms.netconf.connection import Hello, HelloError
from nms.netconf.messages import NETCONF, envelope, hello, operation_of, parse, read_hello

BOMB = b"""<!DOCTYPE b [<!ENTITY a "xxxxxxxxxx"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]><b>&c;</b>"""


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"<",
        b"<a>",
        b"<a/><b/>",
        b"<a>\xff</a>",
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
        "<a/>".encode("utf-16"),
        b"<a>&x;</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        BOMB,
        b"<a>" * 300 + b"</a>" * 300,
        b"<a>\x00</a>",
    ],
)
def test_what_is_not_plain_xml_is_a_malformed_message(message: bytes) -> None:
    with pytest.raises(RpcError) as caught:
        parse(message)
    assert caught.value.tag == "malformed-message"


def test_comments_and_instructions_vanish() -> None:
    root = parse(b"\n<?xml version='1.0'?><!-- x --><a>1<!-- y -->2<?p?><b/></a>")
    assert etree.tostring(root) == b"<a>12<b/></a>"


def test_large_messages_are_read() -> None:
    root = parse(b"<a>" + b"<b>0123456789</b>" * 1_000_000 + b"</a>")
    assert len(root) == 1_000_000


def test_hello_is_read_back() -> None:
    assert read_hello(hello(["urn:a?b=c&d=e", "urn:f"], 5)) == Hello(frozenset(["urn:a?b=c&d=e", "urn:f"]), 5)
    assert read_hello(hello([])) == Hello(frozenset())


@pytest.mark.parametrize(
    "message",
    [
        b"<hello/>",
        b"not xml",
        f'<rpc xmlns="{NETCONF}" message-id="1"/>'.encode(),
        f'<hello xmlns="{NETCONF}"><session-id>x</session-id></hello>'.encode(),
        f'<hello xmlns="{NETCONF}"><session-id>{"9" * 5000}</session-id></hello>'.encode(),
    ],
)
def test_no_hello(message: bytes) -> None:
    with pytest.raises(HelloError):
        read_hello(message)


@pytest.mark.parametrize(
    "rpc",
    [
        f'<rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>',
        f' \ufeff<!-- x --><?p?><rpc xmlns="{NETCONF}" message-id="1"><get/></rpc>',
        f'<n:rpc xmlns:n="{NETCONF}" message-id="&lt;&quot;&amp;" user="ü"><n:get/></n:rpc>',
        f'<n:rpc xmlns:n="{NETCONF}" xmlns="urn:x" xmlns:e="urn:e" message-id="1" e:a="2" xml:lang="en"><n:a/></n:rpc>',
    ],
)
def test_every_attribute_comes_back(rpc: str) -> None:
    sent = parse(rpc.encode())
    outside = envelope(rpc.encode(), sent)
    reply = etree.fromstring(outside.start + outside.end)
    assert reply.tag == f"{{{NETCONF}}}rpc-reply"
    assert dict(reply.attrib) == dict(sent.attrib)
    assert reply.nsmap == sent.nsmap
    assert outside.default is (sent.nsmap.get(None) == NETCONF)


@pytest.mark.parametrize(
    ("rpc", "tag", "info"),
    [
        (f'<x xmlns="{NETCONF}"/>', "malformed-message", {}),
        ('<rpc message-id="1"><get/></rpc>', "malformed-message", {}),
        (f'<rpc xmlns="{NETCONF}"/>', "missing-attribute", {"bad-attribute": "message-id", "bad-element": "rpc"}),
        (f'<rpc xmlns="{NETCONF}" message-id="1"/>', "missing-element", {"bad-element": "rpc"}),
        (f'<rpc xmlns="{NETCONF}" message-id="1"><get/><lock/></rpc>', "bad-element", {"bad-element": "lock"}),
    ],
)
def test_wrong_envelopes(rpc: str, tag: str, info: dict[str, str]) -> None:
    with pytest.raises(RpcError) as caught:
        operation_of(parse(rpc.encode()))
    assert (caught.value.tag, caught.value.info) == (tag, info)


def test_more_elements_than_memory_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_TAGS", 10)
    assert len(messages.parse(b"<r>" + b"<a/>" * 8 + b"</r>")) == 8
    with pytest.raises(RpcError, match="too-big"):
        messages.parse(b"<r>" + b"<a/>" * 9 + b"</r>")
