"""What the server says about itself (RFC 6022, RFC 8525, RFC 8040 section 9, RFC 6470)."""

from __future__ import annotations

from typing import Any

import pytest

from nms.errors import RpcError
from nms.operations.request import CloseSession, GetSchema, KillSession, Lock
from tests.unit.operations.shop_server import MODULES, Server, at, schema


@pytest.fixture
def server() -> Server:
    return Server()


def state(server: Server, name: str) -> Any:
    found = server.read(f"/ietf-netconf-monitoring:netconf-state/{name}")
    return found["ietf-netconf-monitoring:netconf-state"][name]


def test_sessions_and_counters(server: Server) -> None:
    ann = server.open("ann", recovery=True)
    with pytest.raises(RpcError):
        server.edit(at("/shop:shop/name", op="delete"), session=ann)
    sessions = {session["username"]: session for session in state(server, "sessions")["session"]}
    assert set(sessions) == {"admin", "ann"}  # a RESTCONF client has no NETCONF session
    assert sessions["ann"]["transport"] == "ietf-netconf-monitoring:netconf-ssh"
    assert sessions["ann"]["source-host"] == "192.0.2.1"
    assert (sessions["ann"]["in-rpcs"], sessions["ann"]["out-rpc-errors"]) == (1, 1)
    statistics = state(server, "statistics")
    assert (statistics["in-sessions"], statistics["out-rpc-errors"]) == (2, 1)
    assert statistics["netconf-start-time"] == "2026-01-01T00:00:00+00:00"


def test_locks_are_shown(server: Server) -> None:
    server.do(Lock("running"))
    datastores = {store["name"]: store for store in state(server, "datastores")["datastore"]}
    assert datastores["running"]["locks"]["global-lock"]["locked-by-session"] == server.admin.id
    assert "locks" not in datastores["candidate"]


def test_every_schema_that_is_listed_can_be_fetched(server: Server) -> None:
    listed = state(server, "schemas")["schema"]
    assert {"shop", "ietf-inet-types", "ietf-netconf"} <= {entry["identifier"] for entry in listed}
    for entry in listed:
        text = server.do(GetSchema(entry["identifier"], entry["version"])).text
        assert text is not None
        assert entry["identifier"] in text
    assert server.do(GetSchema("shop")).text == (MODULES / "shop.yang").read_text()


@pytest.mark.parametrize(
    "wanted", [GetSchema("none"), GetSchema("shop", "1999-01-01"), GetSchema("shop", format="yin")]
)
def test_a_schema_that_is_not_there(server: Server, wanted: GetSchema) -> None:
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(wanted)


def test_the_yang_library_names_what_is_served(server: Server) -> None:
    library = server.read("/ietf-yang-library:yang-library")["ietf-yang-library:yang-library"]
    [modules] = library["module-set"]
    by_name = {module["name"]: module for module in modules["module"]}
    assert by_name["shop"] == {
        "name": "shop",
        "revision": "2026-01-01",
        "namespace": "urn:example:shop",
        "location": ["/restconf/schema/shop/2026-01-01"],
    }
    assert "candidate" in by_name["ietf-netconf"]["feature"]
    assert "startup" not in by_name["ietf-netconf"]["feature"]
    stores = {store["name"].removeprefix("ietf-datastores:") for store in library["datastore"]}
    assert {"running", "operational"} <= stores
    old = server.read("/ietf-yang-library:modules-state")["ietf-yang-library:modules-state"]
    assert old["module-set-id"] == library["content-id"]
    assert {module["name"] for module in old["module"]} == set(schema().modules)


def test_hello_and_restconf_capabilities(server: Server) -> None:
    hello = server.core.hello_capabilities()
    assert hello[:2] == ["urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"]
    assert not any(":startup" in uri or ":url" in uri for uri in hello)
    assert any(uri.endswith(f"content-id={schema().content_id}") for uri in hello)
    assert state(server, "capabilities")["capability"] == hello
    modules = {uri.partition("module=")[2].partition("&")[0] for uri in hello if "?module=" in uri}
    assert "ietf-netconf-monitoring" in modules
    assert not modules & {"shop", "ietf-yang-library", "ietf-interfaces"}  # YANG 1.1, or not served
    shown = server.read("/ietf-restconf-monitoring:restconf-state")["ietf-restconf-monitoring:restconf-state"]
    assert "urn:ietf:params:restconf:capability:depth:1.0" in shown["capabilities"]["capability"]
    assert [stream["name"] for stream in shown["streams"]["stream"]] == ["NETCONF"]


def test_sessions_come_and_go_with_notifications(server: Server) -> None:
    server.told()
    ann, bob = server.open("ann"), server.open("bob")
    server.do(KillSession(bob.id))
    server.core.close_session(bob)
    server.do(CloseSession(), ann)
    server.core.close_session(ann)
    cut = server.open("cut")
    server.core.close_session(cut)
    told = server.told()
    assert [name for name, _ in told].count("netconf-session-start") == 3
    ends = [event for name, event in told if name == "netconf-session-end"]
    assert [(event["username"], event["termination-reason"], event.get("killed-by")) for event in ends] == [
        ("bob", "killed", server.admin.id),
        ("ann", "closed", None),
        ("cut", "dropped", None),
    ]
    assert server.killed == [f"killed by session {server.admin.id}"]
    assert state(server, "statistics")["dropped-sessions"] == 1


@pytest.mark.parametrize("number", [1, 4711])
def test_no_session_kills_itself_nor_a_ghost(server: Server, number: int) -> None:
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(KillSession(number))
