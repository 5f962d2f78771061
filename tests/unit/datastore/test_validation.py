"""What a commit validates: what it changes where running is known to be valid, else everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nms.datastore.commit import commit
from nms.datastore.journal_memory import MemoryJournal
from nms.datastore.store import Store, open_store
from nms.datastore.transaction import Author
from nms.errors import RpcError
from nms.model import json
from nms.model.diff import diff
from nms.model.load import load

MODEL = """module m {
  yang-version 1.1;
  namespace "urn:m";
  prefix m;
  leaf wanted { type string; mandatory true; }
  leaf other { type string; }
  list zone { key name; leaf name { type string; } }
  list app {
    key name;
    must "count(/m:app) < 4";
    leaf name { type string; }
    leaf zone { type leafref { path "/m:zone/m:name"; } }
  }
}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "m.yang").write_text(MODEL, encoding="utf-8")
    return open_store(load([tmp_path], ["m"]), MemoryJournal(), lambda: datetime(2026, 1, 1, tzinfo=UTC))


def make(store: Store, *, zones: str = "", apps: dict[str, str] | None = None, **leafs: str) -> None:
    """Commit a configuration of zones named by one letter each, and apps with the zone of each."""
    members: dict[str, Any] = {f"m:{name}": value for name, value in leafs.items()}
    members["m:zone"] = [{"name": name} for name in zones]
    members["m:app"] = [{"name": name, "zone": zone} for name, zone in (apps or {}).items()]
    members = {name: value for name, value in members.items() if value}
    new = json.decode(store.schema.root, members)
    commit(store, new, diff(store.schema.root, store.running, new), Author("", "test"), pending=None)


def test_what_a_new_server_holds_is_not_taken_for_valid(store: Store) -> None:
    with pytest.raises(RpcError, match="wanted is mandatory"):
        make(store, other="x")
    make(store, wanted="x")


def test_references_are_followed_from_commit_to_commit(store: Store) -> None:
    make(store, wanted="x", zones="ab", apps={"1": "a"})
    with pytest.raises(RpcError, match="refers to nothing"):
        make(store, wanted="x", zones="b", apps={"1": "a"})
    make(store, wanted="x", zones="ab", apps={"1": "b"})
    make(store, wanted="x", zones="b", apps={"1": "b"})
    with pytest.raises(RpcError, match="refers to nothing"):
        make(store, wanted="x", apps={"1": "b"})
    make(store, wanted="x")


def test_slow_constraints_are_counted_by_name(store: Store) -> None:
    make(store, wanted="x", zones="a", apps={"1": "a"})
    make(store, wanted="x", zones="ab", apps={"1": "a"})
    assert not store.known.fallbacks
    make(store, wanted="x", zones="ab", apps={"1": "a", "2": "a"})
    assert dict(store.known.fallbacks) == {"/m:app: must count(/m:app) < 4.0": 1}
