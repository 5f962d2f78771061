# ruff: noqa: E501, ISC004 - a table of messages reads best with one row a line
"""Each operation's element becomes its request; each mistake is the error of RFC 6241 appendix A that names it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nms.errors import RpcError
from nms.model.path import format_path
from nms.model.schema import Schema
from nms.netconf.messages import NETCONF, operation_of, parse
from nms.netconf.operation_table import Context
from nms.netconf.requests import translate
from nms.operations.request import (
    CancelCommit,
    CloseSession,
    Commit,
    CopyConfig,
    CreateSubscription,
    DeleteConfig,
    DiscardChanges,
    EditConfig,
    Get,
    GetSchema,
    Invoke,
    KillSession,
    Lock,
    Request,
    SubtreeFilter,
    Unlock,
    Validate,
    XPathFilter,
)
from tests.unit.netconf.recording_core import example_schema

WITH_DEFAULTS = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"'
NMDA = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"'
MONITORING = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"'
NOTIFICATION = 'xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"'
NETWORK = '<network xmlns="urn:example:network">'
ACTION = '<action xmlns="urn:ietf:params:xml:ns:yang:1">'


@pytest.fixture(scope="module")
def schema() -> Schema:
    return example_schema()


def sink(_: object) -> None:
    raise AssertionError("no notification is sent here")


def ask(schema: Schema, operation: str) -> Request:
    rpc = parse(f'<rpc xmlns="{NETCONF}" message-id="1">{operation}</rpc>'.encode())
    return translate(Context(schema, sink), operation_of(rpc))


GET_CONFIG = ("ietf-netconf", "get-config")
GET_DATA = ("ietf-netconf-nmda", "get-data")


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("<get/>", Get()),
        (f"<get><with-defaults {WITH_DEFAULTS}>trim</with-defaults></get>", Get(with_defaults="trim")),
        ("<get-config><source><running/></source></get-config>", Get("running", content="config", rpc=GET_CONFIG)),
        ("<get-config><source> <candidate/> </source></get-config>", Get("candidate", content="config", rpc=GET_CONFIG)),
        (
            '<get><filter type="xpath" select="/n:network" xmlns:n="urn:example:network"/></get>',
            Get(filter=XPathFilter("/n:network", {"n": "urn:example:network"})),
        ),
        (
            '<p:get xmlns:p="urn:ietf:params:xml:ns:netconf:base:1.0"><p:filter p:type="xpath" p:select="/*"/></p:get>',
            Get(filter=XPathFilter("/*", {"p": NETCONF})),
        ),
        ("<lock><target><running/></target></lock>", Lock("running")),
        (
            f"<lock><target><datastore {NMDA}>ds:candidate</datastore></target></lock>",
            Lock("candidate"),
        ),
        ("<unlock><target><candidate/></target></unlock>", Unlock("candidate")),
        ("<delete-config><target><startup/></target></delete-config>", DeleteConfig("startup")),
        (
            "<copy-config><target><startup/></target><source><running/></source></copy-config>",
            CopyConfig("running", "startup"),
        ),
        ("<validate><source><candidate/></source></validate>", Validate("candidate")),
        ("<commit/>", Commit()),
        (
            "<commit><confirmed/><confirm-timeout> 20 </confirm-timeout><persist>abc</persist></commit>",
            Commit(True, 20, "abc"),
        ),
        ("<commit><persist-id>abc</persist-id></commit>", Commit(persist_id="abc")),
        ("<cancel-commit/>", CancelCommit()),
        ("<cancel-commit><persist-id>x</persist-id></cancel-commit>", CancelCommit("x")),
        ("<discard-changes/>", DiscardChanges()),
        ("<close-session/>", CloseSession()),
        ("<kill-session><session-id>4</session-id></kill-session>", KillSession(4)),
        (f"<get-schema {MONITORING}><identifier>a</identifier></get-schema>", GetSchema("a")),
        (
            f"<get-schema {MONITORING}><identifier>a</identifier><version>2026-01-01</version>"
            "<format>yang</format></get-schema>",
            GetSchema("a", "2026-01-01", "yang"),
        ),
        (f"<create-subscription {NOTIFICATION}/>", CreateSubscription(sink)),
        (
            f"<create-subscription {NOTIFICATION}><stream>S</stream><startTime>2026-01-01T00:00:00Z</startTime>"
            "<stopTime>2026-01-02T00:00:00Z</stopTime></create-subscription>",
            CreateSubscription(
                sink, "S", None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
            ),
        ),
        (
            f"<get-data {NMDA}><datastore>ds:operational</datastore><config-filter>false</config-filter>"
            "<max-depth>3</max-depth><with-defaults>explicit</with-defaults></get-data>",
            Get("operational", None, "nonconfig", 4, "explicit", GET_DATA),
        ),
        (
            f"<get-data {NMDA}><datastore>ds:intended</datastore><max-depth>unbounded</max-depth></get-data>",
            Get("intended", rpc=GET_DATA),
        ),
    ],
)  # fmt: skip
def test_operations(schema: Schema, operation: str, request_: Request) -> None:
    assert ask(schema, operation) == request_


def test_subtree_filter_keeps_its_element(schema: Schema) -> None:
    request = ask(schema, f"<get><filter>{NETWORK}</network></filter></get>")
    assert isinstance(request, Get)
    assert isinstance(request.filter, SubtreeFilter)
    assert [child.tag for child in request.filter.element] == ["{urn:example:network}network"]


def test_edit_config_has_its_options_and_edits(schema: Schema) -> None:
    request = ask(
        schema,
        "<edit-config><target><candidate/></target><default-operation>none</default-operation>"
        "<test-option>set</test-option><error-option>rollback-on-error</error-option>"
        f"<config>{NETWORK}<mtu operation='remove' xmlns:nc='{NETCONF}' nc:operation='create'>1400</mtu>"
        "</network></config></edit-config>".replace(" operation='remove'", ""),
    )
    assert isinstance(request, EditConfig)
    assert (request.target, request.test_option, request.error_option) == ("candidate", "set", "rollback-on-error")
    (network,) = request.edits
    assert network.op == "none"
    assert network.children is not None
    assert [(edit.node.name, edit.op, edit.value) for edit in network.children] == [("mtu", "create", 1400)]


def test_default_operation_is_merge_and_edit_data_edits_too(schema: Schema) -> None:
    config = f"<config>{NETWORK}<mtu>1400</mtu></network></config>"
    plain = ask(schema, f"<edit-config><target><running/></target>{config}</edit-config>")
    modern = ask(schema, f"<edit-data {NMDA}><datastore>ds:running</datastore>{config}</edit-data>")
    assert isinstance(plain, EditConfig)
    assert isinstance(modern, EditConfig)
    assert (plain.edits, plain.target) == (modern.edits, modern.target)
    assert modern.rpc == ("ietf-netconf-nmda", "edit-data")
    assert plain.edits[0].op == "merge"


def test_inline_configuration_to_validate(schema: Schema) -> None:
    request = ask(schema, f"<validate><source><config>{NETWORK}<name>a</name></network></config></source></validate>")
    assert isinstance(request, Validate)
    assert not isinstance(request.source, str)
    assert [edit.node.name for edit in request.source] == ["network"]


def test_rpc_of_a_model(schema: Schema) -> None:
    request = ask(schema, '<ping xmlns="urn:example:network"><count>3</count><node>a</node></ping>')
    assert isinstance(request, Invoke)
    assert request.node is schema.rpcs["example-network", "ping"]
    assert request.input == ("a", 3)
    assert request.path == ()


def test_action_of_a_list_entry(schema: Schema) -> None:
    request = ask(
        schema, f"{ACTION}{NETWORK}<node><id>a'b</id><restart><delay>5</delay></restart></node></network></action>"
    )
    assert isinstance(request, Invoke)
    assert request.node.path == "/example-network:network/example-network:node/example-network:restart"
    assert format_path(request.path) == '/example-network:network/example-network:node[example-network:id="a\'b"]'
    assert request.input == (5,)


Info = dict[str, str]


@pytest.mark.parametrize(
    ("operation", "tag", "info"),
    [
        ("<fetch/>", "unknown-element", {"bad-element": "fetch"}),
        ('<get xmlns=""/>', "unknown-element", {"bad-element": "get"}),
        ('<get xmlns="urn:x"/>', "unknown-namespace", {"bad-element": "get", "bad-namespace": "urn:x"}),
        ('<pong xmlns="urn:example:network"/>', "unknown-element", {"bad-element": "pong"}),
        ("<get><source/></get>", "unknown-element", {"bad-element": "source"}),
        ('<get><f xmlns="urn:x"/></get>', "unknown-namespace", {"bad-element": "f", "bad-namespace": "urn:x"}),
        ("<get><filter/><filter/></get>", "bad-element", {"bad-element": "filter"}),
        ("<get a='1'/>", "unknown-attribute", {"bad-attribute": "a", "bad-element": "get"}),
        ("<get><filter kind='subtree'/></get>", "unknown-attribute", {"bad-attribute": "kind", "bad-element": "filter"}),
        ("<get><filter type='regex'/></get>", "bad-attribute", {"bad-attribute": "type", "bad-element": "filter"}),
        ("<get><filter type='xpath'/></get>", "missing-attribute", {"bad-attribute": "select", "bad-element": "filter"}),
        (f"<get><with-defaults {WITH_DEFAULTS}>all</with-defaults></get>", "invalid-value", {"bad-element": "with-defaults"}),
        ("<get-config/>", "missing-element", {"bad-element": "source"}),
        ("<get-config><source/></get-config>", "missing-element", {"bad-element": "source"}),
        ("<get-config><source><running/><running/></source></get-config>", "bad-element", {"bad-element": "source"}),
        ("<get-config><source><url>ftp://a</url></source></get-config>", "unknown-element", {"bad-element": "url"}),
        ("<get-config><source><x xmlns='urn:x'/></source></get-config>", "unknown-namespace", {"bad-element": "x", "bad-namespace": "urn:x"}),
        (f"<lock><target><datastore {NMDA}>running</datastore></target></lock>", "invalid-value", {"bad-element": "datastore"}),
        ("<edit-config><target><running/></target></edit-config>", "missing-element", {"bad-element": "config"}),
        (
            "<edit-config><target><running/></target><default-operation>create</default-operation><config/></edit-config>",
            "invalid-value", {"bad-element": "default-operation"},
        ),
        (
            "<edit-config><target><running/></target><error-option>ignore-error</error-option><config/></edit-config>",
            "invalid-value", {"bad-element": "error-option"},
        ),
        (
            "<edit-config><target><running/></target><test-option>guess</test-option><config/></edit-config>",
            "invalid-value", {"bad-element": "test-option"},
        ),
        (f"<edit-data {NMDA}><datastore>ds:operational</datastore><config/></edit-data>", "invalid-value", {"bad-element": "datastore"}),
        (f"<get-data {NMDA}><datastore>ds:running</datastore><max-depth>0</max-depth></get-data>", "invalid-value", {"bad-element": "max-depth"}),
        (
            f"<get-data {NMDA}><datastore>ds:running</datastore><subtree-filter/><xpath-filter>/</xpath-filter></get-data>",
            "bad-element", {"bad-element": "xpath-filter"},
        ),
        ("<commit><confirmed>yes</confirmed></commit>", "invalid-value", {"bad-element": "confirmed"}),
        ("<commit><confirmed/><confirm-timeout>0</confirm-timeout></commit>", "invalid-value", {"bad-element": "confirm-timeout"}),
        ("<commit><confirmed/><confirm-timeout>²</confirm-timeout></commit>", "invalid-value", {"bad-element": "confirm-timeout"}),
        ("<commit><persist><a/></persist></commit>", "unknown-element", {"bad-element": "a"}),
        ("<kill-session/>", "missing-element", {"bad-element": "session-id"}),
        ("<kill-session><session-id>-1</session-id></kill-session>", "invalid-value", {"bad-element": "session-id"}),
        (f"<create-subscription {NOTIFICATION}><startTime>2026-01-01T00:00:00</startTime></create-subscription>", "invalid-value", {"bad-element": "startTime"}),
        (f"<create-subscription {NOTIFICATION}><startTime>2026-13-01T00:00:00Z</startTime></create-subscription>", "invalid-value", {"bad-element": "startTime"}),
        (f"{ACTION}</action>", "missing-element", {"bad-element": "action"}),
        (f"{ACTION}{NETWORK}</network></action>", "missing-element", {"bad-element": "network"}),
        (f"{ACTION}{NETWORK}<name>a</name></network></action>", "unknown-element", {"bad-element": "name"}),
        (f"{ACTION}{NETWORK}<node><restart/></node></network></action>", "missing-element", {"bad-element": "id"}),
        (f"{ACTION}{NETWORK}<node><id>a</id></node></network></action>", "missing-element", {"bad-element": "node"}),
        (
            f"{ACTION}{NETWORK}<node><id>a</id><restart/><restart/></node></network></action>",
            "bad-element", {"bad-element": "restart"},
        ),
    ],
)  # fmt: skip
def test_mistakes(schema: Schema, operation: str, tag: str, info: Info) -> None:
    with pytest.raises(RpcError) as caught:
        ask(schema, operation)
    assert (caught.value.tag, caught.value.info) == (tag, info)
