"""Changing datastores: the reply, the datastore and the notification (RFC 6241 sections 7.2 to 7.4)."""

from __future__ import annotations

from typing import Any

import pytest

from nms.errors import RpcError, RpcErrors
from nms.model.edit import Edit
from nms.operations.request import CopyConfig, DeleteConfig, EditConfig, Get, PathFilter, Precondition, Reply
from tests.unit.operations.shop_server import Server, at, path


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit(at("/shop:shop/name", "corner"), at("/shop:shop/item[id='a']/price", 3))
    server.told()
    return server


def test_running_changes_at_once_and_says_so(server: Server) -> None:
    reply = server.edit(at("/shop:shop/item[id='b']/price", 4), at("/shop:shop/name", op="delete"))
    assert not reply.created
    assert server.shop() == {"item": [{"id": "a", "price": 3}, {"id": "b", "price": 4}]}
    assert server.shop("operational") == server.shop()
    [(name, event)] = server.told()
    assert name == "netconf-config-change"
    assert event["changed-by"] == {"username": "admin", "session-id": 1, "source-host": "192.0.2.1"}
    assert event["edit"] == [
        {"target": "/shop:shop/shop:name", "operation": "delete"},
        {"target": "/shop:shop/shop:item[shop:id='b']", "operation": "create"},
    ]


def test_an_edit_that_changes_nothing_is_no_transaction(server: Server) -> None:
    before = server.do(Get("running")).etag
    server.edit(at("/shop:shop/name", "corner"))
    assert server.do(Get("running")).etag == before
    assert server.told() == []


def test_created_tells_a_new_target_from_a_replaced_one(server: Server) -> None:
    assert server.edit(at("/shop:shop/item[id='b']", ("b", 1, None, None), "replace")).created
    assert not server.edit(at("/shop:shop/item[id='b']", ("b", 2, None, None), "replace")).created


def test_a_failing_edit_does_nothing_at_all(server: Server) -> None:
    before = server.get()
    with pytest.raises(RpcError) as caught:
        server.edit(at("/shop:shop/name", "new"), at("/shop:shop/item[id='none']", op="delete"))
    assert caught.value.tag == "data-missing"
    assert caught.value.path == "/shop:shop/shop:item[shop:id='none']"
    assert server.get() == before
    assert server.told() == []


def test_continue_on_error_does_what_can_be_done_and_reports_the_rest(server: Server) -> None:
    bad: list[Edit] = [at(f"/shop:shop/item[id='{name}']", op="delete") for name in ("x", "y")]
    with pytest.raises(RpcErrors) as caught:
        server.edit(bad[0], at("/shop:shop/name", "new"), bad[1], error_option="continue-on-error")
    assert [error.tag for error in caught.value.errors] == ["data-missing", "data-missing"]
    assert server.shop()["name"] == "new"


@pytest.mark.parametrize("option", [{"test_option": "test-only"}, {"dry_run": True}])
def test_a_test_changes_nothing(server: Server, option: dict[str, object]) -> None:
    before = server.get()
    server.edit(at("/shop:shop/name", "new"), **option)
    assert server.get() == before
    with pytest.raises(RpcError, match="data-exists"):
        server.edit(at("/shop:shop/name", "new", "create"), **option)


def test_operational_cannot_be_edited(server: Server) -> None:
    with pytest.raises(RpcError) as caught:
        server.edit(at("/shop:shop/name", "x"), target="operational")
    assert caught.value.tag == "invalid-value"


@pytest.mark.parametrize(
    "attempt",
    [
        at("/shop:shop/item[id='a']/sold", 3),
        at("/shop:shop/item[id='n']", ("n", 1, 3, None)),
        at("/shop:shop/item[id='n']", ("n", 1, None, (1, 5))),
        at("/shop:shop/status/visitors", 1),
    ],
)
@pytest.mark.parametrize("target", ["running", "candidate"])
def test_state_cannot_be_configured(server: Server, attempt: Edit, target: Any) -> None:
    with pytest.raises(RpcError) as caught:
        server.edit(attempt, target=target)
    assert caught.value.tag == "invalid-value"
    assert caught.value.path.endswith(("sold", "weight", "status", "visitors"))
    assert server.shop(target) == {"name": "corner", "item": [{"id": "a", "price": 3}]}


def test_entity_tags_follow_the_resource_and_not_its_neighbours(server: Server) -> None:
    def tag(text: str) -> str:
        return server.do(Get("running", PathFilter(path(text)))).etag

    server.edit(at("/shop:shop/item[id='b']/price", 4))
    a, b, shop = tag("/shop:shop/item[id='a']"), tag("/shop:shop/item[id='b']/price"), tag("/shop:shop")
    reply = server.edit(at("/shop:shop/item[id='b']/price", 5))
    assert tag("/shop:shop/item[id='a']") == a
    assert tag("/shop:shop/item[id='b']/price") == reply.etag != b
    assert tag("/shop:shop") != shop
    server.edit(at("/shop:shop/item[id='b']", op="delete"))
    server.edit(at("/shop:shop/item[id='b']/price", 5))
    assert tag("/shop:shop/item[id='b']/price") != reply.etag


def test_without_a_resource_the_reply_tells_of_none(server: Server) -> None:
    assert server.do(EditConfig("running", [at("/shop:shop/name", "new")])) == Reply()
    assert server.shop()["name"] == "new"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (lambda tag, now: Precondition(if_match=(f'"{tag}"',)), True),
        (lambda tag, now: Precondition(if_match=('"other"',)), False),
        (lambda tag, now: Precondition(if_none_match=("*",)), False),
        (lambda tag, now: Precondition(if_none_match=('"other"',)), True),
        (lambda tag, now: Precondition(if_unmodified_since=now), True),
        (lambda tag, now: Precondition(if_unmodified_since=now.replace(year=2020)), False),
    ],
)
def test_preconditions(server: Server, condition: object, holds: bool) -> None:
    tag = server.do(Get("running", PathFilter(path("/shop:shop/name")))).etag
    wanted = condition(tag, server.now)  # type: ignore[operator]
    if holds:
        server.edit(at("/shop:shop/name", "new"), precondition=wanted)
        assert server.shop()["name"] == "new"
    else:
        with pytest.raises(RpcError) as caught:
            server.edit(at("/shop:shop/name", "new"), precondition=wanted)
        assert caught.value.status == 412
        assert server.shop()["name"] == "corner"


def test_copy_config_replaces_a_whole_datastore(server: Server) -> None:
    server.do(CopyConfig("running", "startup"))
    server.do(CopyConfig([at("/shop:shop/name", "other")], "running"))
    assert server.shop() == {"name": "other"}
    server.do(CopyConfig("startup", "candidate"))
    assert server.shop("candidate") == {"name": "corner", "item": [{"id": "a", "price": 3}]}
    server.do(DeleteConfig("startup"))
    assert server.shop("startup") == {}


@pytest.mark.parametrize("target", ["running", "candidate"])
def test_only_startup_can_be_deleted(server: Server, target: str) -> None:
    with pytest.raises(RpcError, match="invalid-value"):
        server.do(DeleteConfig(target))  # type: ignore[arg-type]
