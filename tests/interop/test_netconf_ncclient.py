"""ncclient against a real listener: what an operator's scripts do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import TransportError
from ncclient.xml_ import to_ele

from tests.interop.netconf_server import PASSWORD, USER, Server, running

NS = "urn:example:network"
N = {"n": NS}


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[], Any]]:
    with ExitStack() as sessions:

        def open_session() -> Any:
            session = manager.connect(
                host=server.host,
                port=server.port,
                username=USER,
                password=PASSWORD,
                hostkey_verify=False,
                look_for_keys=False,
                allow_agent=False,
                timeout=20,
            )
            sessions.callback(lambda: session.connected and session.close_session())
            return session

        yield open_session


def config(content: str) -> str:
    return (
        f'<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"><network xmlns="{NS}">{content}</network></config>'
    )


def read(session: Any, source: str = "running", **options: Any) -> str:
    """The network in `source`, canonical, without its own tag."""
    found = session.get_config(source, **options).data_ele.find("n:network", N)
    if found is None:
        return ""
    texts = (etree.tostring(child, method="c14n", exclusive=True).decode() for child in found)
    return "".join(text.replace(f' xmlns="{NS}"', "") for text in texts)


def until(condition: Callable[[], object]) -> None:
    """Wait for `condition`, which asks a server."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def test_edit_operations(connect: Callable[[], Any]) -> None:
    session = connect()
    session.edit_config(
        config("<name>ä</name><node><id>a</id></node><node><id>b</id><enabled>false</enabled></node>"), target="running"
    )
    assert read(session) == "<name>ä</name><node><id>a</id></node><node><id>b</id><enabled>false</enabled></node>"
    with pytest.raises(RPCError) as caught:
        session.edit_config(config('<node nc:operation="create"><id>a</id></node>'), target="running")
    assert caught.value.tag == "data-exists"
    assert "node" in caught.value.path
    with pytest.raises(RPCError) as caught:
        session.edit_config(config('<node nc:operation="delete"><id>c</id></node>'), target="running")
    assert caught.value.tag == "data-missing"
    session.edit_config(
        config(
            '<name nc:operation="remove"/><node nc:operation="remove"><id>c</id></node>'
            '<node nc:operation="replace"><id>b</id></node><node nc:operation="delete"><id>a</id></node>'
        ),
        target="running",
    )
    assert read(session) == "<node><id>b</id></node>"
    session.edit_config(config("<mtu>1400</mtu>"), target="running", default_operation="replace")
    assert read(session) == "<mtu>1400</mtu>"


def test_filters(connect: Callable[[], Any]) -> None:
    session = connect()
    session.edit_config(
        config("<node><id>a</id><port><number>1</number></port></node><node><id>b</id></node>"), target="running"
    )
    subtree = f'<network xmlns="{NS}"><node><id>b</id></node></network>'
    assert read(session, filter=("subtree", subtree)) == "<node><id>b</id></node>"
    xpath = (N, "/n:network/n:node[n:port]/n:id")
    assert read(session, filter=("xpath", xpath)) == "<node><id>a</id></node>"
    data = session.get(filter=("subtree", subtree)).data_ele
    assert data.findtext("n:network/n:node/n:id", namespaces=N) == "b"
    sessions = "/m:netconf-state/m:sessions/m:session/m:transport"
    monitoring = {"m": "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"}
    data = session.get(filter=("xpath", (monitoring, sessions))).data_ele
    assert data.findtext("m:netconf-state/m:sessions/m:session/m:transport", namespaces=monitoring) is not None
    with pytest.raises(RPCError) as caught:
        read(session, filter=("xpath", (N, "/n:network[")))
    assert caught.value.tag in ("invalid-value", "bad-attribute", "operation-failed")


def test_locks_of_two_sessions(connect: Callable[[], Any]) -> None:
    one, two = connect(), connect()
    with one.locked("running"):
        with pytest.raises(RPCError) as caught:
            two.lock("running")
        assert caught.value.tag == "lock-denied"
        assert f">{one.session_id}<" in caught.value.info
        with pytest.raises(RPCError) as caught:
            two.edit_config(config("<mtu>1400</mtu>"), target="running")
        assert caught.value.tag == "in-use"
    with two.locked("running"):
        two.edit_config(config("<mtu>1400</mtu>"), target="running")


def test_locks_go_with_their_session(connect: Callable[[], Any], server: Server) -> None:
    one, two = connect(), connect()
    one.lock("running")
    two.kill_session(one.session_id)
    until(lambda: not one.connected)
    two.lock("running")
    with pytest.raises(RPCError) as caught:
        two.kill_session(two.session_id)
    assert caught.value.tag == "invalid-value"
    assert list(server.core.context.sessions) == [int(two.session_id)]
    with pytest.raises(TransportError):
        one.get()


def test_candidate(connect: Callable[[], Any]) -> None:
    session = connect()
    session.edit_config(config("<mtu>1400</mtu>"), target="candidate")
    assert (read(session), read(session, "candidate")) == ("", "<mtu>1400</mtu>")
    session.discard_changes()
    assert read(session, "candidate") == ""
    session.edit_config(config("<node><id>x</id></node><link><from>x</from><to>y</to></link>"), target="candidate")
    with pytest.raises(RPCError) as caught:
        session.validate("candidate")
    assert caught.value.tag == "data-missing"
    with pytest.raises(RPCError):
        session.commit()
    assert read(session) == ""
    session.edit_config(config("<node><id>y</id></node>"), target="candidate")
    session.validate("candidate")
    session.commit()
    assert "<link>" in read(session)


def test_confirmed_commit(connect: Callable[[], Any]) -> None:
    session = connect()
    session.edit_config(config("<mtu>1400</mtu>"), target="candidate")
    session.commit(confirmed=True, timeout="1")
    assert read(session) == "<mtu>1400</mtu>"
    until(lambda: read(session) == "")

    session.edit_config(config("<mtu>1401</mtu>"), target="candidate")
    session.commit(confirmed=True, timeout="60")
    session.cancel_commit()
    assert read(session) == ""

    session.edit_config(config("<mtu>1402</mtu>"), target="candidate")
    session.commit(confirmed=True, timeout="60", persist="token")
    other = connect()
    with pytest.raises(RPCError):
        other.commit()
    other.commit(persist_id="token")
    assert read(session) == "<mtu>1402</mtu>"


def test_notifications_of_changes(connect: Callable[[], Any]) -> None:
    watcher, session = connect(), connect()
    watcher.create_subscription()
    session.edit_config(config("<mtu>1400</mtu>"), target="running")
    change = {"c": "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"}
    targets = []
    while not targets:
        notification = watcher.take_notification(timeout=20)
        assert notification is not None
        targets = notification.notification_ele.findall("c:netconf-config-change/c:edit/c:target", change)
    assert [target.text for target in targets] == ["/example-network:network"] or targets[0].text.endswith("mtu")
    watcher.get_config("running")  # rpcs go on between notifications


def test_pushed_changes(connect: Callable[[], Any]) -> None:
    """RFC 8640 and RFC 8641, of which ncclient knows nothing: rpcs and notifications go through as they are."""
    push = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
    watcher, writer = connect(), connect()
    reply = watcher.dispatch(
        to_ele(
            f"""<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
                    xmlns:yp="{push}" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">
                <yp:datastore>ds:running</yp:datastore>
                <yp:datastore-xpath-filter xmlns:net="{NS}">/net:network/net:name</yp:datastore-xpath-filter>
                <yp:on-change/>
            </establish-subscription>"""
        )
    )
    number = to_ele(str(reply)).findtext("{*}id")
    synchronised = watcher.take_notification(timeout=20).notification_ele
    assert synchronised.findtext("yp:push-update/yp:id", namespaces={"yp": push}) == number
    writer.edit_config(config("<name>pushed</name>"), target="running")
    changed = watcher.take_notification(timeout=20).notification_ele
    edit = changed.find("yp:push-change-update/yp:datastore-changes/yp:yang-patch/yp:edit", {"yp": push})
    assert [child.text for child in edit][1:3] == ["create", "/example-network:network/name"]
    assert edit.findtext("yp:value/n:name", namespaces={"yp": push} | N) == "pushed"
    with pytest.raises(RPCError) as caught:
        watcher.dispatch(to_ele(f'<resync-subscription xmlns="{push}"><id>99</id></resync-subscription>'))
    assert (caught.value.tag, caught.value.app_tag) == ("invalid-value", "ietf-yang-push:no-such-subscription-resync")


def test_a_period(connect: Callable[[], Any]) -> None:
    watcher = connect()
    watcher.dispatch(
        to_ele(
            """<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
                    xmlns:yp="urn:ietf:params:xml:ns:yang:ietf-yang-push">
                <yp:datastore xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">ds:operational</yp:datastore>
                <yp:periodic><yp:period>10</yp:period></yp:periodic>
            </establish-subscription>"""
        )
    )
    for _ in range(3):
        assert "push-update" in watcher.take_notification(timeout=20).notification_xml


def test_schema_is_the_modules_file(connect: Callable[[], Any]) -> None:
    session = connect()
    assert session.get_schema("example-network").data.startswith("module example-network {")
    with pytest.raises(RPCError) as caught:
        session.get_schema("no-such-module")
    assert caught.value.tag == "invalid-value"


def test_rpc_and_action_of_a_model(connect: Callable[[], Any], server: Server) -> None:
    session = connect()
    with pytest.raises(RPCError) as caught:
        session.dispatch(to_ele(f'<reset xmlns="{NS}"/>'))
    assert caught.value.tag == "operation-not-supported"
    server.core.register("example-network", "ping", lambda _, invoke: (invoke.input[1], None))
    node = server.core.schema.find("/example-network:network/node/restart")
    server.core.register("example-network", node.path, lambda _, invoke: (f"{invoke.path[-1][1]} {invoke.input[0]}",))
    reply = session.dispatch(to_ele(f'<ping xmlns="{NS}"><node>a</node><count>3</count></ping>'))
    assert f'<answered xmlns="{NS}">3</answered>' in reply.xml
    session.edit_config(config("<node><id>a</id></node>"), target="running")
    action = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><network xmlns="{NS}"><node><id>a</id>'
        "<restart><delay>5</delay></restart></node></network></action>"
    )
    assert f'<finished-at xmlns="{NS}">a 5</finished-at>' in session.dispatch(to_ele(action)).xml


def test_large_configuration_there_and_back(connect: Callable[[], Any]) -> None:
    session = connect()
    nodes = "".join(f"<node><id>é{i:05}</id></node>" for i in range(20_000))
    session.edit_config(config(nodes), target="running")
    found = session.get_config("running").data_ele.findall("n:network/n:node/n:id", N)
    assert [node.text for node in found] == [f"é{i:05}" for i in range(20_000)]
