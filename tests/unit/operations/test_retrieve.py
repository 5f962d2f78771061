"""Reading: filters, content, depth, defaults and computed state (RFC 6241 section 7.7, RFC 8040 section 4.8)."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from nms.errors import RpcError
from nms.model import xpath_instance
from nms.operations.request import Get, PathFilter, SubtreeFilter, XPathFilter
from tests.unit.operations.shop_server import Server, at, path, plain, schema


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit(at("/shop:shop/name", "corner"), at("/shop:shop/open", True))
    server.edit(at("/shop:shop/item[id='a']", ("a", 1, None, (2, None))), at("/shop:shop/item[id='b']/price", 2))
    server.core.store.publish([at("/shop:shop/item[id='a']/sold", 5), at("/shop:shop/status/visitors", 8)])
    return server


def get(server: Server, **more: Any) -> dict[str, Any]:
    return plain(server.do(Get(**more)).data)


def subtree(text: str) -> SubtreeFilter:
    return SubtreeFilter(etree.fromstring(f"<filter>{text}</filter>"))


def test_subtree(server: Server) -> None:
    wanted = subtree('<shop xmlns="urn:example:shop"><item><id>a</id><sold/></item></shop>')
    assert get(server, filter=wanted) == {"shop:shop": {"item": [{"id": "a", "sold": 5}]}}


def test_a_path_gives_the_instance_with_its_keys(server: Server) -> None:
    wanted = PathFilter(path("/shop:shop/item[id='a']/shelf/row"))
    assert get(server, filter=wanted) == {"shop:shop": {"item": [{"id": "a", "shelf": {"row": 2}}]}}


def test_fields(server: Server) -> None:
    wanted = PathFilter(path("/shop:shop"), "name;item(price)")
    items = [{"id": "a", "price": 1}, {"id": "b", "price": 2}]
    assert get(server, filter=wanted) == {"shop:shop": {"name": "corner", "item": items}}


@pytest.mark.parametrize("missing", ["/shop:shop/item[id='none']", "/shop:shop/licence", "/shop:shop/hours"])
def test_a_path_to_nothing(server: Server, missing: str) -> None:
    with pytest.raises(RpcError) as caught:
        server.do(Get(filter=PathFilter(path(missing))))
    assert (caught.value.tag, caught.value.status) == ("invalid-value", 404)
    assert caught.value.path.startswith("/shop:")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (1, {"item": [{"id": "a"}]}),
        (2, {"item": [{"id": "a", "price": 1, "sold": 5, "shelf": {}}]}),
        (3, {"item": [{"id": "a", "price": 1, "sold": 5, "shelf": {"row": 2}}]}),
    ],
)
def test_depth_counts_from_the_resource(server: Server, levels: int, expected: dict[str, Any]) -> None:
    found = get(server, filter=PathFilter(path("/shop:shop/item[id='a']")), depth=levels)
    assert found == {"shop:shop": expected}


def test_content(server: Server) -> None:
    where = PathFilter(path("/shop:shop"))
    nonconfig = {"item": [{"id": "a", "sold": 5}], "status": {"visitors": 8}}
    assert get(server, filter=where, content="nonconfig") == {"shop:shop": nonconfig}
    assert get(server, filter=where, content="config") == get(server, datastore="running", filter=where)


@pytest.mark.parametrize(("mode", "is_open"), [("report-all", True), ("trim", None), ("explicit", True), (None, True)])
def test_defaults(server: Server, mode: Any, is_open: bool | None) -> None:
    where = PathFilter(path("/shop:shop"))
    assert get(server, filter=where, with_defaults=mode)["shop:shop"].get("open") is is_open
    server.edit(at("/shop:shop/open", op="delete"))
    wanted = True if mode == "report-all" else None
    assert get(server, filter=where, with_defaults=mode)["shop:shop"].get("open") is wanted


def test_defaults_reveal_nothing_that_is_hidden(server: Server) -> None:
    reply = server.do(Get("running", with_defaults="report-all"), server.open("ann"))
    assert "ietf-netconf-acm:nacm" not in plain(reply.data)
    assert "ietf-netconf-acm:nacm" in get(server, datastore="running", with_defaults="report-all")


def test_xpath(server: Server) -> None:
    names = {"s": "urn:example:shop"}
    found = get(server, filter=XPathFilter("/s:shop/s:item[s:price > 1] | //s:visitors", names))
    assert found == {"shop:shop": {"item": [{"id": "b", "price": 2}], "status": {"visitors": 8}}}
    for wrong in ("/s:shop[", "count(/s:shop)", "/t:shop"):
        with pytest.raises(RpcError, match="invalid-value"):
            get(server, filter=XPathFilter(wrong, names))


def test_no_filter_tells_what_is_hidden(server: Server) -> None:
    server.edit(at("/shop:shop/till", "123"))
    wanted = XPathFilter("/s:shop[s:till='123']/s:name", {"s": "urn:example:shop"})
    ann = server.open("ann")
    assert plain(server.do(Get(filter=wanted)).data) == {"shop:shop": {"name": "corner"}}
    assert plain(server.do(Get(filter=wanted), ann).data) == {}


def test_xpath_to_a_hidden_leaf_does_not_tell_whether_it_exists(server: Server) -> None:
    nacm = "/ietf-netconf-acm:nacm"
    rule = f"{nacm}/rule-list[name='all']/rule[name='price']"
    server.edit(
        at(f"{nacm}/groups/group[name='staff']/user-name", ("ann",)),
        at(f"{nacm}/rule-list[name='all']/group", ("*",)),
        at(f"{rule}/path", "/shop:shop/shop:item/shop:price"),
        at(f"{rule}/action", "deny"),
    )
    names = {"s": "urn:example:shop"}
    ann = server.open("ann")
    for text, expected in (
        ("/s:shop/s:item[s:id='a']/s:price", {}),
        ("/s:shop/s:item[s:id='b']", {"shop:shop": {"item": [{"id": "b"}]}}),
    ):
        wanted = XPathFilter(text, names, xpath_instance.path(schema(), text, names))
        assert wanted.path is not None
        assert plain(server.do(Get(filter=wanted), ann).data) == expected
    wanted_tree = subtree('<shop xmlns="urn:example:shop"><item><id>b</id></item></shop>')
    assert plain(server.do(Get(filter=wanted_tree), ann).data) == {"shop:shop": {"item": [{"id": "b"}]}}
