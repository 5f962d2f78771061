"""Placing orders by an idempotency key (rpc place-order; TM Forum TMF641, externalId).

Whoever asks for the same thing twice, since the first answer was lost or because two of its programs ask at once, has
one order and is answered the same.  The key is the customer's; the order's identifier is made of it, so that nothing
has to be remembered beside the order itself, and who may place orders is judged as for any other edit.
"""

from __future__ import annotations

import hashlib

from nms.errors import RpcError
from nms.mec.oss import ORDERS
from nms.mec.publisher import Publisher
from nms.mec.session import Core, DataEdit, Members, to_edit
from nms.model import json
from nms.model.values import Value
from nms.operations.request import EditConfig, Invoke, Session


class Ordering:
    """The rpc."""

    def __init__(self, core: Core, publisher: Publisher) -> None:
        self._core = core
        self._publisher = publisher

    def place(self, session: Session, request: Invoke) -> Value:
        """Place the order that the input describes, or find it.

        Raises:
            RpcError: operation-failed (app-tag "idempotency-key-reused", status 422); the key is that of another order.
                Or what placing it meets.
        """
        wanted, output = request.node.children
        wish: Members = json.plain(wanted, request.input)
        key = wish.pop("idempotency-key")
        entry = {**wish, "external-id": key}
        name = _order_id(entry["customer"], key)
        path = f"/order[id='{name}']"
        edit = to_edit(self._core.schema, ORDERS.base, DataEdit(path, "create", entry))
        repeated = False
        try:
            self._core.dispatch(session, EditConfig("running", [edit]))
        except RpcError as error:
            held = self._publisher.read(ORDERS.base + path, config=True)
            if error.tag != "data-exists" or held is None:
                raise
            if _asked(held) != _asked(entry):
                raise RpcError(
                    "operation-failed",
                    f"the key {key} is that of order {name}, which asks for something else; take another key",
                    app_tag="idempotency-key-reused",
                    status=422,
                ) from None
            repeated = True
        return json.decode(output, {"order": name, "repeated": repeated})


def _order_id(customer: str, key: str) -> str:
    return "k-" + hashlib.sha256(f"{len(customer)}/{customer}/{key}".encode()).hexdigest()[:20]


def _asked(order: Members) -> Members:
    """What of an order is what was asked for: its customer may have cancelled it meanwhile."""
    items = sorted(order["item"], key=lambda item: str(item["id"]))
    return {"customer": order["customer"], "external-id": order["external-id"], "item": items}
