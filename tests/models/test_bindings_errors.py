"""What the bindings refuse, and where they say it is."""

from __future__ import annotations

import base64
import json

import pytest

import bindings
from bindings.checking import Refused


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"id": "a b"}, "/orders/order: 'a b'"),
        ({"id": "a", "customer": "c", "item": [{"id": "i", "requirement": {"max-latency": "soon"}}]},
         "/orders/order/item/requirement/max-latency: 'soon'"),
        ({"id": "a", "cancelled": "perhaps"}, "/orders/order/cancelled: 'perhaps'"),
        ({"id": "a", "nothing": 1}, "nothing"),
    ],
)  # fmt: skip
def test_a_value_outside_its_type_is_refused_with_its_path(members: object, said: str) -> None:
    with pytest.raises(bindings.BindingError, match=said.replace("[", r"\[")):
        bindings.from_json("mec-order", json.dumps({"mec-order:orders": {"order": [members]}}))


def test_binary_comes_back_as_it_went_in() -> None:
    text = base64.b64encode(bytes(range(256))).decode()
    partner = {"id": "b", "client-certificate": [text]}
    found = bindings.from_json("mec-federation", json.dumps({"mec-federation:federation": {"partner": [partner]}}))
    assert json.loads(bindings.to_json(found))["mec-federation:federation"]["partner"] == [partner]


def refused(payload: object, **options: bool) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        bindings.check(payload, **options)
    return [(fault.path.rpartition(":")[2], fault.tag) for fault in caught.value.faults]


def test_rules_that_pyangbind_does_not_know_are_told_with_their_leafs() -> None:
    orders = bindings.build("mec-order")
    order = orders.orders.order.add("o1")
    order.item.add("i1")
    assert refused(orders) == [("customer", "data-missing"), ("package", "data-missing")]
    with pytest.raises(bindings.BindingError, match=r"order\[mec-order:id='o1'\]/mec-order:customer: customer is mand"):
        bindings.body(orders)
    order.customer = "acme"
    order.item["i1"].package = "hello"
    bindings.check(orders)
    order.requested_start, order.requested_end = "2026-02-02T00:00:00Z", "2026-01-01T00:00:00Z"
    assert refused(orders) == [("requested-end", "operation-failed")]
    with pytest.raises(bindings.BindingError, match="requested-end"):
        bindings.edit_config(orders)


def test_what_only_the_server_can_know_is_asked_for_on_demand() -> None:
    orders = bindings.build("mec-order")
    order = orders.orders.order.add("o1")
    order.customer = "acme"
    order.item.add("i1").package = "hello"
    order.link.add(source="i1", destination="elsewhere")
    bindings.check(orders)
    assert refused(orders, whole=True) == [("destination", "data-missing")]


def test_a_node_is_no_payload() -> None:
    with pytest.raises(bindings.BindingError, match="a whole module"):
        bindings.check(bindings.build("mec-order").orders)
