"""Model-defined rpcs and actions (RFC 7950 sections 7.14, 7.15)."""

from __future__ import annotations

import pytest

from nms.errors import RpcError
from nms.operations.request import Invoke
from tests.unit.operations.shop_server import Server, at, path, schema


def test_an_rpc_reaches_its_handler_and_answers() -> None:
    server = Server()
    node = schema().rpcs["shop", "greet"]
    with pytest.raises(RpcError, match="operation-not-supported"):
        server.do(Invoke(node, ("you",)))
    server.core.register(
        "shop", "greet", lambda session, invoke: (f"{session.principal.name} greets {invoke.input[0]}",)
    )
    reply = server.do(Invoke(node, ("you",)))
    assert reply.node is not None
    assert (reply.node.kind, reply.data) == ("output", ("admin greets you",))


def test_input_is_validated_before_anybody_sees_it() -> None:
    server = Server()
    server.core.register("shop", "greet", lambda session, call: pytest.fail("called"))
    with pytest.raises(RpcError, match="missing-element"):
        server.do(Invoke(schema().rpcs["shop", "greet"], (None,)))


def test_an_action_belongs_to_an_instance() -> None:
    server = Server()
    server.edit(at("/shop:shop/item[id='a']/price", 1))
    node = schema().find("/shop:shop/item/reset")
    seen: list[Invoke] = []
    server.core.register("shop", "/shop:shop/item/reset", lambda session, invoke: seen.append(invoke))
    assert server.do(Invoke(node, (None,), path("/shop:shop/item[id='a']"))).node is None
    assert [invoke.path for invoke in seen] == [path("/shop:shop/item[id='a']")]
    with pytest.raises(RpcError) as caught:
        server.do(Invoke(node, (None,), path("/shop:shop/item[id='b']")))
    assert caught.value.status == 404


def test_what_is_not_in_the_schema_cannot_be_registered() -> None:
    with pytest.raises(KeyError):
        Server().core.register("shop", "none", lambda session, invoke: None)
