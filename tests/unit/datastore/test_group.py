"""Transactions that share one write to the journal: one after another for writers, all at once for everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from nms.datastore.commit import commit, group
from nms.datastore.journal import Image, Record
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.store import Store, open_store
from nms.datastore.transaction import Author, Transaction
from nms.errors import RpcError
from nms.model import json
from nms.model.diff import Change, diff
from nms.model.load import load
from nms.operations.request import Commit, EditConfig, Get, Lock, PathFilter, Precondition, Reply, Request
from tests.unit.operations.shop_server import Server, at, edit_config, path


class Recorder(MemoryJournal):
    """Writes down the txids of each write; `before` runs when one is about to be made, and may raise."""

    def __init__(self) -> None:
        self.writes: list[list[int]] = []
        self.before: Callable[[], object] = lambda: None

    def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
        self.before()
        self.writes.append([record.txid for record in records])


def full() -> None:
    raise RpcError("resource-denied", "the disk is full")


@pytest.fixture
def journal() -> Recorder:
    return Recorder()


@pytest.fixture
def server(journal: Recorder) -> Server:
    server = Server(journal)
    for name in "wx":
        server.edit(at("/shop:shop/name", name))
    server.told()
    journal.writes.clear()
    return server


def item(key: str, price: int = 1) -> EditConfig:
    return edit_config(at(f"/shop:shop/item[id='{key}']/price", price))


def together(server: Server, *requests: Request) -> list[str]:
    """What became of requests that came at the same time: ok, or the error-tag."""
    return verdicts(server.core.dispatch_all([(server.admin, request) for request in requests]))


def verdicts(outcomes: Sequence[Reply | BaseException]) -> list[str]:
    """ok or the error-tag of each."""
    return ["ok" if isinstance(outcome, Reply) else getattr(outcome, "tag", repr(outcome)) for outcome in outcomes]


def tag(server: Server, text: str) -> str:
    return server.do(Get("running", PathFilter(path(text)))).etag


def test_edits_that_come_together_are_written_together(server: Server, journal: Recorder) -> None:
    txid = server.core.store.txid
    assert together(server, item("a"), item("b"), item("c")) == ["ok"] * 3
    assert journal.writes == [[txid + 1, txid + 2, txid + 3]]
    assert [entry["id"] for entry in server.shop()["item"]] == ["a", "b", "c"]
    assert server.shop("operational") == server.shop()


def test_threads_that_wait_for_the_disk_share_the_next_write(server: Server, journal: Recorder) -> None:
    writing, go = threading.Event(), threading.Event()

    def slow() -> None:
        writing.set()
        assert go.wait(10)

    journal.before = slow
    threads = [threading.Thread(target=server.edit, args=item(key).edits) for key in "abcd"]
    threads[0].start()
    assert writing.wait(10)
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + 10
    while server.core.writer.waiting < 3:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join()
    assert [len(write) for write in journal.writes] == [1, 3]
    assert sorted(entry["id"] for entry in server.shop()["item"]) == ["a", "b", "c", "d"]


def test_each_starts_from_the_one_before_it(server: Server, journal: Recorder) -> None:
    create = edit_config(at("/shop:shop/item[id='a']", ("a", 1, None, None), "create"))
    gone = edit_config(at("/shop:shop/item[id='a']", op="delete"))
    assert together(server, create, create, gone, gone, create) == ["ok", "data-exists", "ok", "data-missing", "ok"]
    assert [len(write) for write in journal.writes] == [3]
    assert server.shop()["item"] == [{"id": "a", "price": 1}]


def test_the_state_of_an_entry_that_was_deleted_in_between_is_gone(server: Server) -> None:
    server.edit(at("/shop:shop/item[id='a']/price", 1))
    server.core.store.publish([at("/shop:shop/item[id='a']/sold", 4)])
    together(server, edit_config(at("/shop:shop/item[id='a']", op="delete")), item("a", 2))
    assert server.shop("operational")["item"] == [{"id": "a", "price": 2}]


def test_a_failed_write_refuses_all_and_leaves_everything(server: Server, journal: Recorder) -> None:
    server.edit(at("/shop:shop/name", "planned"), target="candidate")
    store = server.core.store
    names = ("running", "operational", "candidate", "kept", "txid", "known")
    before = [getattr(store, name) for name in names], store.known.indexes, tag(server, "/shop:shop")
    assert store.known.indexes is not None
    journal.before = full
    nothing = edit_config(at("/shop:shop/item[id='a']/price", 1))  # what the first has done already
    assert together(server, item("a"), item("b"), nothing) == ["resource-denied"] * 3
    assert ([getattr(store, name) for name in names], store.known.indexes, tag(server, "/shop:shop")) == before
    assert (store.head, server.told()) == (store.running, [])
    assert server.admin.out_rpc_errors == 3
    journal.before = lambda: None
    assert together(server, item("c")) == ["ok"]
    assert [entry["id"] for entry in server.shop()["item"]] == ["c"]


def test_nobody_sees_any_of_it_before_it_is_written(server: Server, journal: Recorder) -> None:
    seen: list[object] = []
    journal.before = lambda: seen.extend((server.shop(), server.shop("operational"), server.told()))
    before = server.shop()
    together(server, item("a"), item("b"))
    assert seen == [before, before, []]


def test_everybody_is_told_in_order(server: Server) -> None:
    heard: list[Transaction] = []
    server.core.store.listeners.append(heard.append)
    together(server, item("a"), item("b"), item("a", 2))
    assert [tx.txid for tx in heard] == sorted(tx.txid for tx in heard)
    assert all(one.new is two.old for one, two in pairwise(heard))
    targets = [(content["edit"][0]["target"], content["edit"][0]["operation"]) for _, content in server.told()]
    price = "/shop:shop/shop:item[shop:id='a']/shop:price"
    assert targets == [
        ("/shop:shop/shop:item[shop:id='a']", "create"),
        ("/shop:shop/shop:item[shop:id='b']", "create"),
        (price, "replace"),
    ]


def test_an_entity_tag_is_that_of_the_own_edit(server: Server) -> None:
    requests = [item("a", 1), item("a", 2), item("a", 2), item("b"), item("a", 3)]
    replies = server.core.dispatch_all([(server.admin, request) for request in requests])
    tags = [reply.etag for reply in replies if isinstance(reply, Reply)]
    first, second, unchanged, other, last = tags
    assert len({first, second, other, last}) == 4
    assert unchanged == second  # and not the tag of what came later in the group
    assert (tag(server, "/shop:shop/item[id='a']/price"), tag(server, "/shop:shop/item[id='b']")) == (last, other)
    assert [reply.created for reply in replies if isinstance(reply, Reply)] == [True, False, False, True, False]


class Watcher:
    """A provider of `hours` that remembers what was in force when it was asked."""

    paths = ("/shop:shop/hours",)

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: list[int] = []

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        self.seen.append(len(self.server.shop().get("item", [])))

    def abort(self, tx: Transaction) -> None:
        """Nothing was reserved."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        self.seen.append(len(self.server.shop().get("item", [])))


def test_what_a_provider_watches_is_settled_alone(server: Server, journal: Recorder) -> None:
    watcher = Watcher(server)
    server.core.store.add_provider(watcher)
    hours = edit_config(at("/shop:shop/hours/from", "8"))
    assert together(server, item("a"), item("b"), hours, item("c"), item("d")) == ["ok"] * 5
    assert [len(write) for write in journal.writes] == [2, 1, 2]
    assert watcher.seen == [2, 2]


def test_what_builds_on_a_group_that_failed_is_refused_with_it(server: Server, journal: Recorder) -> None:
    server.core.store.add_provider(Watcher(server))
    journal.before = full
    assert together(server, item("a"), edit_config(at("/shop:shop/hours/from", "8"))) == ["resource-denied"] * 2
    journal.before = lambda: None
    assert server.shop() == {"name": "x"}
    assert together(server, edit_config(at("/shop:shop/hours/from", "8"))) == ["ok"]


def test_a_pending_confirmed_commit_keeps_edits_apart(server: Server, journal: Recorder) -> None:
    server.edit(at("/shop:shop/name", "tried"), target="candidate")
    server.commit(confirmed=True, timeout=60)
    journal.writes.clear()
    together(server, item("a"), item("b"))
    assert [len(write) for write in journal.writes] == [1, 1]
    server.wait(61)
    assert server.shop() == {"name": "x"}


def test_other_requests_stand_between_groups(server: Server, journal: Recorder) -> None:
    other = server.open("other", recovery=True)
    stale = EditConfig("running", item("d").edits, precondition=Precondition(if_match=('"old"',)))
    wanted = [
        (server.admin, item("a")),
        (other, item("b")),
        (server.admin, stale),
        (server.admin, EditConfig("candidate", item("e").edits)),
        (server.admin, Commit()),
        (other, Lock("running")),
        (server.admin, item("f")),
        (other, item("g")),
    ]
    assert verdicts(server.core.dispatch_all(wanted)) == [
        "ok",
        "ok",
        "operation-failed",
        "ok",
        "ok",
        "ok",
        "in-use",
        "ok",
    ]
    assert [len(write) for write in journal.writes] == [2, 1, 1]
    assert [entry["id"] for entry in server.shop()["item"]] == ["a", "b", "e", "g"]
    assert (server.admin.out_rpc_errors, other.out_rpc_errors) == (2, 0)


def test_a_fault_of_ours_spoils_its_own_request_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = item("a"), item("b")
    monkeypatch.setattr(
        "nms.operations.edit.without_false", lambda s, old, new, edits: new if edits is not bad.edits else 1 / 0
    )
    outcomes = server.core.dispatch_all([(server.admin, request) for request in (good, bad, good)])
    assert [type(outcome) for outcome in outcomes] == [Reply, ZeroDivisionError, Reply]


def test_a_listener_cannot_change_configuration(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.core.store.listeners.append(lambda tx: server.edit(at("/shop:shop/name", "mine")))
    together(server, item("a"), item("b"))
    assert server.shop()["name"] == "x"
    assert "nor by a listener" in caplog.text


MODEL = """module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  list zone { key name; leaf name { type string; } }
  list app { key name; leaf name { type string; } leaf zone { type leafref { path "/m:zone/m:name"; } } }
}"""


def test_references_hold_from_one_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "m.yang").write_text(MODEL)
    journal = Recorder()
    store: Store = open_store(load([tmp_path], ["m"]), journal, lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def make(zones: str, **apps: str) -> bool:
        members = {
            "m:zone": [{"name": name} for name in zones],
            "m:app": [{"name": name, "zone": zone} for name, zone in apps.items()],
        }
        new = json.decode(store.schema.root, {name: value for name, value in members.items() if value})
        try:
            commit(store, new, diff(store.schema.root, store.head, new), Author("", "test"), pending=None)
        except RpcError:
            return False
        return True

    assert make("ab", x="a")
    assert not make("b", x="a")  # builds the index of who refers to a zone
    indexes, journal.before = store.known.indexes, full
    with pytest.raises(RpcError, match="disk is full"), group(store):
        assert [make("abc", x="c"), make("bc", x="c"), make("ab", x="c")] == [True, True, False]
    assert store.known.indexes is indexes
    assert not make("b", x="a")
    journal.before = lambda: None
    with group(store):
        assert [make("abc", x="c"), make("bc", x="c"), make("ab", x="c")] == [True, True, False]
    assert [make("b", x="c"), make("c", x="c")] == [False, True]
