"""Providers, published state and computed state (the commit order of docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nms.datastore.journal import Image, Record
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.model.diff import Change
from nms.model.path import format_path
from tests.unit.operations.shop_server import Server, at, path


class Recorder:
    """A provider that writes down what it is asked; `on` maps a step to what it does."""

    def __init__(self, log: list[str], name: str, paths: tuple[str, ...] = ("/shop:shop",)) -> None:
        self.log, self.name, self.paths = log, name, paths
        self.on: dict[str, Callable[[], object]] = {}
        self.changes: list[str] = []

    def _do(self, step: str) -> None:
        self.log.append(f"{self.name} {step}")
        self.on.get(step, lambda: None)()

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        self.changes = [format_path(change.path) for change in changes]
        self._do("prepare")

    def abort(self, tx: Transaction) -> None:
        self._do("abort")

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        self._do("apply")


def refuse() -> None:
    raise RpcError("resource-denied", "no room")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def server() -> Server:
    return Server()


def test_all_prepare_before_any_applies(server: Server, log: list[str]) -> None:
    for name in "ab":
        server.core.store.add_provider(Recorder(log, name))
    server.edit(at("/shop:shop/name", "x"))
    assert log == ["a prepare", "b prepare", "a apply", "b apply"]


def test_providers_hear_only_of_their_own(server: Server, log: list[str]) -> None:
    item = Recorder(log, "item", ("/shop:shop/item/price",))
    server.core.store.add_provider(item)
    server.edit(at("/shop:shop/name", "x"))
    assert log == []
    server.edit(at("/shop:shop/item[id='a']", ("a", 1, None, None)), at("/shop:shop/tag[.='x']", "x"))
    assert item.changes == ["/shop:shop/shop:item[shop:id='a']"]


def test_a_refusal_aborts_in_reverse_and_changes_nothing(server: Server, log: list[str]) -> None:
    providers = [Recorder(log, name) for name in "abc"]
    for provider in providers:
        server.core.store.add_provider(provider)
    providers[2].on["prepare"] = refuse
    providers[1].on["abort"] = lambda: 1 / 0
    with pytest.raises(RpcError, match="resource-denied"):
        server.edit(at("/shop:shop/name", "x"))
    assert log == ["a prepare", "b prepare", "c prepare", "b abort", "a abort"]
    assert server.get() == {}
    assert server.told() == [] or all(name != "netconf-config-change" for name, _ in server.told())


def test_a_journal_that_fails_aborts(log: list[str]) -> None:
    class Full(MemoryJournal):
        full = False

        def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
            if self.full:
                raise RpcError("resource-denied", "the disk is full")

    journal = Full()
    server = Server(journal)
    server.core.store.add_provider(Recorder(log, "a"))
    journal.full = True
    with pytest.raises(RpcError, match="resource-denied"):
        server.edit(at("/shop:shop/name", "x"))
    assert log == ["a prepare", "a abort"]
    assert server.get() == server.get("operational") == {}


def test_a_failed_apply_is_reported_and_stays(server: Server, log: list[str]) -> None:
    first, second = Recorder(log, "a"), Recorder(log, "b")
    first.on["apply"] = lambda: 1 / 0
    stumbles: list[object] = []
    server.core.store.add_provider(first)
    server.core.store.add_provider(second)
    server.core.store.stumbles.append(lambda provider, tx, error: stumbles.append((provider, type(error))))
    server.edit(at("/shop:shop/name", "x"))
    assert server.shop() == {"name": "x"}
    assert log[-1] == "b apply"
    assert stumbles == [(first, ZeroDivisionError)]


def test_providers_never_configure_from_inside(server: Server, log: list[str]) -> None:
    provider = Recorder(log, "a")
    provider.on["prepare"] = lambda: server.edit(at("/shop:shop/tag[.='x']", "x"))
    server.core.store.add_provider(provider)
    with pytest.raises(RpcError, match="inside prepare or apply"):
        server.edit(at("/shop:shop/name", "x"))
    assert server.get() == {}


def test_a_rollback_cannot_be_refused(server: Server, log: list[str]) -> None:
    provider = Recorder(log, "a")
    server.core.store.add_provider(provider)
    server.edit(at("/shop:shop/name", "x"), target="candidate")
    server.commit(confirmed=True, timeout=1)
    provider.on["prepare"] = refuse
    server.wait(1)
    assert server.get() == {}
    assert log[-1] == "a apply"


def test_state_is_published_beside_configuration(server: Server, log: list[str]) -> None:
    provider = Recorder(log, "a")
    provider.on["apply"] = lambda: server.core.store.publish([at("/shop:shop/item[id='a']/sold", 3)])
    server.core.store.add_provider(provider)
    server.edit(at("/shop:shop/item[id='a']/price", 1))
    assert server.shop("operational") == {"item": [{"id": "a", "price": 1, "sold": 3}]}
    assert server.shop() == {"item": [{"id": "a", "price": 1}]}
    assert server.shop("operational", content="nonconfig") == {"item": [{"id": "a", "sold": 3}]}
    provider.on.clear()
    server.edit(at("/shop:shop/item[id='a']", op="delete"))
    server.edit(at("/shop:shop/item[id='a']/price", 2))
    assert server.shop("operational") == {"item": [{"id": "a", "price": 2}]}


def test_published_state_never_touches_configuration(server: Server) -> None:
    server.edit(at("/shop:shop/name", "x"), at("/shop:shop/item[id='a']/price", 1))
    for attempt in (at("/shop:shop/name", "y"), at("/shop:shop/item[id='a']", op="delete")):
        with pytest.raises(RpcError, match="invalid-value"):
            server.core.store.publish([attempt])
    assert server.shop("operational") == server.shop()


def test_computed_state_is_asked_for_only_when_it_is_read(server: Server) -> None:
    asked: list[int] = []

    def visitors() -> int:
        asked.append(1)
        return len(asked)

    server.core.store.add_source("/shop:shop/status/visitors", visitors)
    server.read("/ietf-yang-library:yang-library/content-id")
    server.get("running")
    assert asked == []
    assert server.read("/shop:shop/status") == {"shop:shop": {"status": {"visitors": 1}}}
    assert server.shop("operational")["status"] == {"visitors": 2}
    with pytest.raises(ValueError, match="list"):
        server.core.store.add_source("/shop:shop/item/sold", visitors)


def test_tags_of_state_follow_the_state(server: Server) -> None:
    server.edit(at("/shop:shop/item[id='a']/price", 1))
    where = path("/shop:shop/item[id='a']")
    before = server.core.guard.version("operational", where), server.core.guard.version("running", where)
    server.core.store.publish([at("/shop:shop/item[id='a']/sold", 1)], durable=False)
    after = server.core.guard.version("operational", where), server.core.guard.version("running", where)
    assert after[0] != before[0]
    assert after[1] == before[1]
