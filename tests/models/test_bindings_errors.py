"""What the bindings refuse, and where they say it is."""

from __future__ import annotations

import base64
import json

import pytest

import bindings


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
