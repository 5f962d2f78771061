"""Replies and notifications as a client reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.model import xml
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.netconf.messages import MONITORING, NETCONF, NMDA, NOTIFICATION, Envelope, envelope, parse
from nms.netconf.replies import error_reply, notification, reply
from nms.operations.request import Reply
from tests.unit.netconf.recording_core import example_schema


def _envelope(message: bytes) -> Envelope:
    return envelope(message, parse(message))


PLAIN = _envelope(f'<rpc xmlns="{NETCONF}" message-id="1"/>'.encode())
PREFIXED = _envelope(f'<n:rpc xmlns:n="{NETCONF}" message-id="1"/>'.encode())
NC = {"n": NETCONF, "e": "urn:example:network"}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return example_schema()


def network(schema: Schema) -> Reply:
    root = etree.fromstring('<config><network xmlns="urn:example:network"><name>a&amp;b</name></network></config>')
    return Reply(schema.root, xml.decode(schema.root, root))


def test_ok() -> None:
    assert reply(PLAIN, "x", Reply()) == f'<rpc-reply xmlns="{NETCONF}" message-id="1"><ok/></rpc-reply>'.encode()
    assert etree.fromstring(reply(PREFIXED, "x", Reply()))[0].tag == f"{{{NETCONF}}}ok"


@pytest.mark.parametrize("outside", [PLAIN, PREFIXED])
@pytest.mark.parametrize(("namespace", "name"), [(NETCONF, "get"), (NETCONF, "get-config"), (NMDA, "get-data")])
def test_data_is_in_the_operations_namespace(schema: Schema, outside: Envelope, namespace: str, name: str) -> None:
    root = etree.fromstring(reply(outside, f"{{{namespace}}}{name}", network(schema)))
    assert root[0].tag == f"{{{namespace}}}data"
    assert root.findtext("*/e:network/e:name", namespaces=NC) == "a&b"


def test_empty_data(schema: Schema) -> None:
    root = etree.fromstring(reply(PLAIN, f"{{{NETCONF}}}get", Reply(schema.root, schema.root.blank)))
    assert etree.tostring(root[0], method="c14n") == f'<data xmlns="{NETCONF}"></data>'.encode()


def test_schema_text() -> None:
    root = etree.fromstring(reply(PLAIN, f"{{{MONITORING}}}get-schema", Reply(text="a < b \x01")))
    assert root.findtext(f"{{{MONITORING}}}data") == "a < b \ufffd"


def test_output_has_its_modules_namespace(schema: Schema) -> None:
    output = schema.rpcs["example-network", "ping"].children[1]
    content = '<output xmlns="urn:example:network"><answered>1</answered><try><number>1</number></try></output>'
    value = xml.decode(output, etree.fromstring(content))
    root = etree.fromstring(reply(PLAIN, "{urn:example:network}ping", Reply(output, value)))
    assert [child.tag for child in root] == ["{urn:example:network}answered", "{urn:example:network}try"]
    assert root.findtext("e:try/e:number", namespaces=NC) == "1"


def test_output_without_nodes_is_ok(schema: Schema) -> None:
    output = schema.rpcs["example-network", "ping"].children[1]
    assert b"<ok/>" in reply(PLAIN, "{urn:example:network}ping", Reply(output, output.blank))


@pytest.mark.parametrize("outside", [PLAIN, PREFIXED])
def test_error_with_every_field(schema: Schema, outside: Envelope) -> None:
    error = RpcError(
        "data-missing",
        "5 < 6 \x00",
        type="rpc",
        path="/example-network:network/example-network:node[example-network:id='urn:x']",
        app_tag="missing-choice",
        info={"bad-element": "node", "missing-choice": "address"},
    )
    root = etree.fromstring(error_reply(outside, [error, RpcError("in-use")], schema.modules))
    full, short = root
    assert [child.tag for child in full] == [
        f"{{{NETCONF}}}error-{name}" for name in ("type", "tag", "severity", "app-tag", "path", "message", "info")
    ]
    assert [child.text for child in full][:6] == [
        "rpc", "data-missing", "error", "missing-choice", error.path, "5 < 6 \ufffd",
    ]  # fmt: skip
    assert full[4].nsmap["example-network"] == "urn:example:network"
    assert "urn" not in full[4].nsmap
    assert [(child.tag, child.text) for child in full[6]] == [
        (f"{{{NETCONF}}}bad-element", "node"),
        ("{urn:ietf:params:xml:ns:yang:1}missing-choice", "address"),
    ]
    assert [child.text for child in short] == ["application", "in-use", "error"]


def test_top_level_notification(schema: Schema) -> None:
    node = schema.notifications["example-network", "link-down"]
    content = '<link-down xmlns="urn:example:network"><from>a</from></link-down>'
    value = xml.decode(node, etree.fromstring(content))
    message = notification(node, (), value, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (
        message
        == (
            f'<notification xmlns="{NOTIFICATION}"><eventTime>2026-01-02T03:04:05Z</eventTime>{content}</notification>'
        ).encode()
    )


def test_notification_of_a_list_entry_shows_its_ancestors_and_keys(schema: Schema) -> None:
    node = schema.find("/example-network:network/node/down")
    path = parse_path(schema, "/example-network:network/example-network:node[example-network:id='a']")
    root = etree.fromstring(notification(node, path, ("late",), datetime(2026, 1, 1, tzinfo=UTC)))
    assert root.findtext("e:network/e:node/e:id", namespaces=NC) == "a"
    assert root.findtext("e:network/e:node/e:down/e:reason", namespaces=NC) == "late"
