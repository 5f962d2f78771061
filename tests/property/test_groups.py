"""A group changes nothing but the number of writes: every edit has the outcome that it has alone, so has the store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nms.datastore.journal_sqlite import SqliteJournal
from nms.model.edit import Edit, Insert
from nms.operations.request import EditConfig, Reply
from tests.unit.operations.shop_server import Server, at, edit_config

ITEMS = [f"/shop:shop/item[id='{key}']" for key in "abc"]
EDITS: list[Edit] = [
    *(at(f"{item}/price", price) for item in ITEMS for price in (1, 2)),
    *(at(item, ("a", 7, None, None), "create") for item in ITEMS[:1]),
    *(at(item, op=op) for item in ITEMS for op in ("delete", "remove")),  # type: ignore[arg-type]
    *(at(f"/shop:shop/queue[who='{who}']/note", who, insert=Insert("first")) for who in "xy"),
    at("/shop:shop/queue[who='x']", op="remove"),
    at("/shop:shop/status", ()),  # state: refused
    at("/shop:shop/hours", (None, None)),
    at("/shop:shop", op="remove"),
]
REQUESTS = st.builds(
    lambda edits, option: edit_config(*edits, error_option=option),
    st.lists(st.sampled_from(EDITS), min_size=1, max_size=3),
    st.sampled_from(["rollback-on-error", "continue-on-error"]),
)


def outcome(found: Reply | BaseException) -> object:
    """What a client can see of it; entity-tags differ from server to server in their first half only."""
    return (found.etag.split("-")[1], found.created) if isinstance(found, Reply) else str(found)


@given(st.lists(st.lists(REQUESTS, max_size=5), max_size=4))
def test_together_is_one_after_the_other(groups: list[list[EditConfig]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        alone, together = Server(), Server(SqliteJournal(Path(folder) / "store.db", sync=False))
        for server in (alone, together):
            server.edit(at(f"{ITEMS[0]}/price", 1))
            server.core.store.publish([at(f"{ITEMS[0]}/sold", 5)])
            server.told()
        for group in groups:
            each = [found for request in group for found in alone.core.dispatch_all([(alone.admin, request)])]
            shared = together.core.dispatch_all([(together.admin, request) for request in group])
            assert list(map(outcome, shared)) == list(map(outcome, each))
            assert together.told() == alone.told()
        for where in ("running", "operational"):
            assert together.shop(where) == alone.shop(where)  # type: ignore[arg-type]
        assert together.core.store.txid == alone.core.store.txid
        together.core.close()
        again = Server(SqliteJournal(Path(folder) / "store.db"))
        assert again.shop() == alone.shop()
        assert again.shop("operational") == alone.shop("operational")
        again.core.close()
