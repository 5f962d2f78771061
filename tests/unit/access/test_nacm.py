"""NACM through the front door: what sessions read, write, execute and receive (RFC 8341)."""

from __future__ import annotations

from typing import Any

import pytest

from nms.errors import RpcError
from nms.model import json
from nms.notify.streams import Notification
from nms.operations.request import (
    CopyConfig,
    EditConfig,
    Get,
    Invoke,
    KillSession,
    Lock,
    PathFilter,
    Precondition,
    Request,
    Session,
)
from tests.unit.operations.shop_server import Server, at, path, schema, tree

STOCK = {
    "shop:shop": {
        "name": "corner",
        "till": "123",
        "item": [{"id": "a", "price": 1, "shelf": {"row": 1}}, {"id": "b", "price": 2}, {"id": "c", "price": 3}],
        "queue": [{"who": "y"}, {"who": "x"}],
    },
    "shop:private": {"note": "secret"},
}


def server(*rules: dict[str, Any], **settings: Any) -> Server:
    """A server whose group `guests` (user ann) has `rules`; a rule's path may use the prefix s."""
    listed = [{"name": str(i), "action": "permit"} | rule for i, rule in enumerate(rules)]
    nacm = {
        "groups": {"group": [{"name": "guests", "user-name": ["ann"]}]},
        "rule-list": [{"name": "guests", "group": ["guests"], "rule": listed}] if listed else [],
    }
    return Server(initial=tree(STOCK | {"ietf-netconf-acm:nacm": nacm | settings}))


def shop_of(server: Server, session: Session) -> dict[str, Any]:
    return server.shop(session=session)


def test_without_rules_reads_are_open_writes_closed_and_the_sensitive_hidden() -> None:
    bench = server()
    ann = bench.open("ann")
    read = bench.get(session=ann)
    assert read["shop:private"] == {"note": "secret"}
    assert "till" not in read["shop:shop"]
    assert bench.do(Get("running"), ann).data[schema().root.child("nacm", "ietf-netconf-acm").index] is None  # type: ignore[union-attr]
    with pytest.raises(RpcError) as caught:
        bench.edit(at("/shop:shop/name", "mine"), session=ann)
    assert (caught.value.tag, caught.value.path) == ("access-denied", "/shop:shop/shop:name")
    assert bench.shop()["name"] == "corner"


def test_the_recovery_session_is_not_bound() -> None:
    bench = server({"action": "deny"}, **{"read-default": "deny"})
    assert bench.shop()["till"] == "123"
    bench.edit(at("/shop:shop/till", "456"))


def test_what_is_wholly_permitted_is_the_very_same_tree() -> None:
    bench = server({"module-name": "*"})
    assert bench.do(Get("running"), bench.open("ann")).data is bench.core.store.running


def test_a_denied_subtree_is_silently_left_out() -> None:
    bench = server({"action": "deny", "path": "/s:shop/s:item[s:id='b']"}, {"action": "deny", "path": "/s:private"})
    read = bench.get(session=bench.open("ann"))
    assert [item["id"] for item in read["shop:shop"]["item"]] == ["a", "c"]
    assert "shop:private" not in read
    with pytest.raises(RpcError) as caught:
        bench.do(Get("running", PathFilter(path("/shop:shop/item[id='b']"))), bench.open("ann"))
    assert caught.value.status == 404


def test_a_permitted_island_shows_its_way_and_nothing_beside_it() -> None:
    bench = server({"path": "/shop:shop/item[id='b']"}, **{"read-default": "deny"})
    assert bench.get(session=bench.open("ann")) == {"shop:shop": {"item": [{"id": "b", "price": 2}]}}
    inner = server({"path": "/shop:shop/item[id='a']/shelf"}, **{"read-default": "deny"})
    assert inner.get(session=inner.open("ann")) == {"shop:shop": {"item": [{"id": "a", "shelf": {"row": 1}}]}}


def test_the_first_matching_rule_wins() -> None:
    deny = {"action": "deny", "path": "/shop:shop/item"}
    permit = {"path": "/shop:shop/item[id='a']"}
    bench = server(permit, deny)
    assert [item["id"] for item in shop_of(bench, bench.open("ann"))["item"]] == ["a"]
    bench = server(deny, permit)
    assert "item" not in shop_of(bench, bench.open("ann"))


def test_user_ordered_lists_keep_their_order() -> None:
    bench = server(
        {"action": "deny", "path": "/shop:shop/queue[who='none']"}, {"action": "deny", "path": "/shop:shop/item"}
    )
    assert shop_of(bench, bench.open("ann"))["queue"] == [{"who": "y"}, {"who": "x"}]


def test_a_rule_may_name_its_user() -> None:
    bench = server({"path": "/shop:shop/item[id=$USER]"}, **{"read-default": "deny"})
    bench.edit(at("/shop:shop/item[id='ann']/price", 9))
    assert shop_of(bench, bench.open("ann")) == {"item": [{"id": "ann", "price": 9}]}


def test_groups_of_the_transport_count_where_they_may() -> None:
    rules = {"path": "/shop:private", "action": "deny"}
    bench = server(rules)
    assert "shop:private" not in bench.get(session=bench.open("bob", "guests"))
    bench = server(rules, **{"enable-external-groups": False})
    assert "shop:private" in bench.get(session=bench.open("bob", "guests"))


@pytest.mark.parametrize(
    ("operations", "allowed"),
    [("create", {"create"}), ("update", {"update"}), ("delete", {"delete"}), ("create delete", {"create", "delete"})],
)
def test_each_kind_of_write_has_its_own_right(operations: str, allowed: set[str]) -> None:
    bench = server({"access-operations": operations, "path": "/shop:shop"})
    ann = bench.open("ann")
    attempts = {
        "create": at("/shop:shop/item[id='new']/price", 1),
        "update": at("/shop:shop/item[id='a']/price", 7),
        "delete": at("/shop:shop/item[id='b']", op="delete"),
    }
    for operation, attempt in attempts.items():
        if operation in allowed:
            bench.edit(attempt, session=ann)
        else:
            with pytest.raises(RpcError, match="access-denied"):
                bench.edit(attempt, session=ann)
    ids = {item["id"] for item in bench.shop()["item"]}
    assert ("new" in ids, "b" not in ids) == ("create" in allowed, "delete" in allowed)


def test_every_node_of_a_created_or_deleted_subtree_is_judged() -> None:
    bench = server({"action": "deny", "path": "/shop:shop/item/shelf"}, {"path": "/shop:shop"})
    ann = bench.open("ann")
    with pytest.raises(RpcError) as caught:
        bench.edit(at("/shop:shop/item[id='n']", ("n", 1, None, (1, None)), "create"), session=ann)
    assert caught.value.path == "/shop:shop/shop:item[shop:id='n']/shop:shelf"
    with pytest.raises(RpcError, match="access-denied"):
        bench.edit(at("/shop:shop/item[id='a']", op="delete"), session=ann)
    bench.edit(at("/shop:shop/item[id='b']", op="delete"), session=ann)


def test_default_deny_write_needs_a_rule() -> None:
    bench = server({"path": "/shop:shop/name"}, **{"write-default": "permit"})
    ann = bench.open("ann")
    bench.edit(at("/shop:shop/name", "new"), session=ann)
    with pytest.raises(RpcError, match="access-denied"):
        bench.edit(at("/shop:shop/licence", "mine"), session=ann)


def test_commit_judges_the_difference_again() -> None:
    bench = server({"path": "/shop:shop/name"})
    bench.edit(at("/shop:shop/tag[.='x']", "x"), target="candidate")
    with pytest.raises(RpcError, match="access-denied"):
        bench.commit(bench.open("ann"))
    assert "tag" not in bench.shop()


def test_copying_does_not_carry_what_cannot_be_read() -> None:
    bench = server({"action": "deny", "access-operations": "read", "path": "/shop:private"}, {"module-name": "*"})
    bench.do(CopyConfig("running", "candidate"), bench.open("ann"))
    assert "shop:private" not in bench.get("candidate")


def test_saving_running_to_startup_needs_no_right_to_the_data() -> None:
    bench = server({"action": "deny", "path": "/s:private"})
    bench.do(CopyConfig("running", "startup"), bench.open("ann"))
    assert bench.get("startup") == bench.get("running")
    with pytest.raises(RpcError, match="access-denied"):
        bench.do(CopyConfig("running", "candidate"), bench.open("ann"))


HIDDEN_ITEMS = ({"action": "deny", "path": "/s:shop/s:item"}, {"module-name": "*"})


@pytest.mark.parametrize("item", ["a", "none"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda where: at(where, op="delete"),
        lambda where: at(where, ("x", 1, None, None), "create"),
        lambda where: at(f"{where}/price", op="delete"),
    ],
)
def test_a_refused_edit_does_not_tell_whether_there_is_a_hidden_entry(item: str, edit: Any) -> None:
    bench = server(*HIDDEN_ITEMS)
    with pytest.raises(RpcError) as caught:
        bench.edit(edit(f"/shop:shop/item[id='{item}']"), session=bench.open("ann"))
    assert (caught.value.tag, caught.value.path) == ("access-denied", "/shop:shop")


def test_a_refused_edit_does_not_name_the_hidden_entries_that_it_touches() -> None:
    bench = server(*HIDDEN_ITEMS)
    with pytest.raises(RpcError) as caught:
        bench.edit(at("/shop:shop", op="delete"), session=bench.open("ann"))
    assert (caught.value.tag, caught.value.path) == ("access-denied", "/shop:shop")


def test_a_precondition_does_not_tell_whether_there_is_a_hidden_entry() -> None:
    bench = server(*HIDDEN_ITEMS)
    for item in ("a", "none"):
        with pytest.raises(RpcError) as caught:
            bench.edit(
                at(f"/shop:shop/item[id='{item}']/price", 7),
                session=bench.open("ann"),
                precondition=Precondition(if_match=("*",)),
            )
        assert caught.value.status == 412


@pytest.mark.parametrize(
    ("where", "shown"), [("/shop:shop/open", {"shop:shop": {"open": True}}), ("/shop:shop/status", {})]
)
def test_what_is_in_use_without_being_written_is_hidden_too(where: str, shown: dict[str, Any]) -> None:
    open_to_all = server()
    assert open_to_all.read(where, open_to_all.open("ann")) == shown
    bench = server({"action": "deny", "path": where})
    with pytest.raises(RpcError) as caught:
        bench.read(where, bench.open("ann"))
    assert caught.value.status == 404


def test_operations_and_their_rules() -> None:
    bench = server({"action": "deny", "module-name": "ietf-netconf", "rpc-name": "lock"})
    ann = bench.open("ann")
    bench.core.register("shop", "melt-down", lambda session, invoke: None)
    for request in (Lock("running"), KillSession(1), Invoke(schema().rpcs["shop", "melt-down"], ())):
        with pytest.raises(RpcError) as caught:
            bench.do(request, ann)
        assert caught.value.tag == "access-denied"
    assert bench.read("/ietf-netconf-acm:nacm/denied-operations") == {"ietf-netconf-acm:nacm": {"denied-operations": 3}}


def test_get_config_and_get_are_rpcs_of_their_own_on_netconf_and_none_on_restconf() -> None:
    bench = server({"action": "deny", "module-name": "ietf-netconf", "rpc-name": "get-config"})
    ann = bench.open("ann")
    get_config = Get("running", rpc=("ietf-netconf", "get-config"))
    bench.do(Get("operational"), ann)
    with pytest.raises(RpcError, match="access-denied"):
        bench.do(get_config, ann)
    bench.do(get_config, bench.open("ann", protocol="restconf"))


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("get-data", Get("running", rpc=("ietf-netconf-nmda", "get-data"))),
        ("edit-data", EditConfig("candidate", [], rpc=("ietf-netconf-nmda", "edit-data"))),
    ],
)
def test_the_operations_of_nmda_are_judged_under_their_own_names(rpc: str, request_: Request) -> None:
    bench = server({"action": "deny", "module-name": "ietf-netconf-nmda", "rpc-name": rpc}, {"module-name": "*"})
    bench.do(Get("running"), bench.open("ann"))
    with pytest.raises(RpcError, match=rf"access-denied.*{rpc}"):
        bench.do(request_, bench.open("ann"))


def test_a_client_of_restconf_is_no_session_to_kill() -> None:
    bench = server()
    other = bench.open("ann", protocol="restconf")
    with pytest.raises(RpcError, match="no session"):
        bench.do(KillSession(other.id))


def test_notifications_are_filtered() -> None:
    bench = server({"action": "deny", "module-name": "shop", "notification-name": "rang"})
    ann: list[Any] = []
    everybody: list[Any] = []
    bench.do(bench.subscription(ann), bench.open("ann"))
    bench.do(bench.subscription(everybody), bench.open("zoe"))
    for name, members in (("rang", {"who": "x"}), ("alarm", {"what": "fire"})):
        node = schema().notifications["shop", name]
        bench.core.streams.publish(Notification(node, (), json.decode(node, members), bench.now))
    assert [event.node.name for event in ann] == ["netconf-session-start"]
    assert [event.node.name for event in everybody] == ["rang"]


def test_new_rules_bind_at_once_and_senseless_ones_are_refused() -> None:
    bench = server({"action": "deny", "path": "/shop:private"})
    ann = bench.open("ann")
    rule = "/ietf-netconf-acm:nacm/rule-list[name='guests']/rule[name='0']"
    with pytest.raises(RpcError) as caught:
        bench.edit(at(f"{rule}/path", "/shop:nothing"))
    assert caught.value.tag == "invalid-value"
    assert caught.value.path.endswith("ietf-netconf-acm:path")
    assert "shop:private" not in bench.get(session=ann)
    bench.edit(at(f"{rule}/action", "permit"))
    assert "shop:private" in bench.get(session=ann)
    bench.edit(at("/ietf-netconf-acm:nacm/enable-nacm", False))
    bench.edit(at("/shop:shop/till", "9"), session=ann)
