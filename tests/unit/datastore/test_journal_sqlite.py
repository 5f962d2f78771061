"""The durable journal: what was confirmed comes back, and every bad file is one clear line."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from nms.datastore import journal_sqlite
from nms.datastore.journal_sqlite import SqliteJournal
from nms.errors import ConfigError
from nms.model.diff import diff
from nms.model.edit import Insert
from nms.model.load import load
from nms.model.schema import Schema
from nms.model.values import AnyData
from nms.operations.dispatch import PROTOCOL_MODULES, Core
from nms.operations.request import CopyConfig
from tests.unit.operations.shop_server import MODULES, Server, at, schema, tree


def reopen(server: Server, file: Path, least: int = 1 << 20) -> Server:
    server.core.close()
    return Server(SqliteJournal(file, least=least))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def records(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        found: int = db.execute("SELECT count(*) FROM record").fetchone()[0]
    return found


def test_many_entries_come_back_and_leave_no_record_that_a_snapshot_replaces(file: Path) -> None:
    server = Server(SqliteJournal(file, least=4096))
    queue = [at(f"/shop:shop/queue[who='{n}']", (str(n), "é", AnyData(json="[1]"), None)) for n in range(700, 0, -1)]
    server.edit(*[at(f"/shop:shop/item[id='{n}']/price", n) for n in range(700)], *queue)
    server.edit(at("/shop:shop/name", "one more"))
    expected = server.core.store.running
    server.core.close()
    assert records(file) == 1
    again = Server(SqliteJournal(file, least=4096))
    assert diff(schema().root, expected, again.core.store.running) == []


def test_a_snapshot_that_takes_long_is_announced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_sqlite, "_NEAR", 256)  # more than one of the edits below takes
    journal = SqliteJournal(file, least=1024)
    server = Server(journal)
    server.edit(*[at(f"/shop:shop/item[id='{n}']/price", n) for n in range(100)])
    announced: list[bool] = []
    with mock.patch.object(journal, "_fold", wraps=journal._fold) as fold:
        fold.side_effect = lambda image: announced.append(soon) or mock.DEFAULT
        seen = []
        for n in range(200):
            soon = journal.compacts_soon
            seen.append(soon)
            server.edit(at("/shop:shop/name", str(n)))
    assert len(announced) > 1
    assert all(announced)
    assert sum(seen) < 100


@pytest.mark.parametrize("least", [1 << 20, 0], ids=["records", "snapshots"])
def test_everything_durable_comes_back(file: Path, least: int) -> None:
    server = Server(SqliteJournal(file, least=least))
    server.edit(at("/shop:shop/name", """both ' and " quotes"""))
    server.edit(*[at(f"/shop:shop/queue[who='{who}']/note", who) for who in "abc"])
    server.edit(at("/shop:shop/queue[who='c']/note", "first", insert=Insert("first")))
    server.edit(
        at("/shop:shop/queue[who='c']", ("c", "first", AnyData(json='{"x:y":[1]}'), None), insert=Insert("first"))
    )
    server.edit(
        at("/shop:shop/slot[side='left'][number='-9']/text", "x"), at("/shop:shop/slot[side='7'][number='1']/text", "y")
    )
    server.edit(at("/shop:shop/tag[.='b']", "b"), at("/shop:shop/tag[.='a']", "a"))
    server.edit(at("/shop:shop/extra", AnyData(xml='<b xmlns="urn:b" c="d">text</b>')))
    server.edit(at("/shop:shop/hours", (None, None)))
    server.edit(at("/shop:shop/item[id='a']/price", 1), at("/shop:shop/item[id='b']/price", 1))
    server.core.store.publish([at("/shop:shop/item[id='a']/sold", 4), at("/shop:shop/item[id='b']/sold", 4)])
    server.core.store.publish([at("/shop:shop/status/visitors", 9)], durable=False)
    server.edit(at("/shop:shop/item[id='b']", op="delete"))
    server.do(CopyConfig("running", "startup"))
    server.edit(at("/shop:shop/open", False))
    expected = [server.core.store.root(name) for name in ("running", "startup")]
    operational = server.shop("operational")
    assert operational.pop("status") == {"visitors": 9}
    again = reopen(server, file, least)
    for name, root in zip(("running", "startup"), expected, strict=True):
        assert diff(schema().root, root, again.core.store.root(name)) == []
    assert [entry["who"] for entry in again.shop()["queue"]] == ["c", "a", "b"]
    assert again.shop("operational") == operational
    assert reopen(again, file, least).shop("operational") == operational


def test_what_is_not_confirmed_does_not_come_back(file: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "old"))
    server.edit(at("/shop:shop/name", "new"), target="candidate")
    server.commit(confirmed=True, timeout=3600, persist="token")
    server.edit(at("/shop:shop/open", False))
    server.edit(at("/shop:shop/name", "newest"), target="candidate")
    server.core.store.close()  # the process ends without ending its sessions
    again = Server(SqliteJournal(file))
    assert again.shop() == {"name": "old"}
    assert again.shop("candidate") == {"name": "old"}
    assert reopen(again, file).shop() == {"name": "old"}


def test_only_a_new_store_starts_from_the_initial_configuration(file: Path) -> None:
    first = tree({"name": "first", "item": [{"id": "a", "sold": 3}]})
    server = Server(SqliteJournal(file), initial=first)
    assert server.shop() == server.shop("operational") == {"name": "first", "item": [{"id": "a"}]}
    server.edit(at("/shop:shop/name", "second"))
    server.core.close()
    assert Server(SqliteJournal(file), initial=first).shop()["name"] == "second"


def test_entity_tags_differ_after_a_restart(file: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "x"))
    tags = [server.core.guard.version("running")[0]]
    server = reopen(server, file)
    tags.append(server.core.guard.version("running")[0])
    server.edit(at("/shop:shop/name", "y"))
    tags.append(server.core.guard.version("running")[0])
    assert len(set(tags)) == 3


def test_the_file_is_private_and_held_by_one(file: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "x"))
    for made in file.parent.iterdir():
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="in use by another daemon"):
        Server(SqliteJournal(file))
    assert server.shop() == {"name": "x"}


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_corrupt_file_is_one_clear_line(file: Path, damage: bytes | None) -> None:
    if damage is None:
        server = Server(SqliteJournal(file))
        server.edit(at("/shop:shop/name", "x"))
        server.core.close()
        with sqlite3.connect(file) as db:
            db.execute("UPDATE record SET record = '{'")
        db.close()
    else:
        file.write_bytes(damage)
    with pytest.raises(ConfigError) as caught:
        Server(SqliteJournal(file))
    assert "is corrupt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Server(SqliteJournal(tmp_path / "none" / "store.db"))


def changed_models(folder: Path, old: str, new: str) -> Schema:
    text = (MODULES / "shop.yang").read_text()
    assert old in text
    (folder / "shop.yang").write_text(text.replace(old, new).replace("2026-01-01", "2026-02-02"))
    return load([folder], ["shop", *PROTOCOL_MODULES])


def test_other_models_take_what_still_fits(file: Path, tmp_path: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "x"))
    server.core.close()
    more = changed_models(tmp_path, "leaf licence", "leaf size { type uint8; } leaf licence")
    for _ in range(2):
        core = Core.create(more, SqliteJournal(file))
        index = more.find("/shop:shop/name").index
        assert core.store.running[more.find("/shop:shop").index][index] == "x"
        core.close()


def test_other_models_refuse_what_they_do_not_know(file: Path, tmp_path: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "x"))
    server.core.close()
    fewer = changed_models(tmp_path, "leaf name { type string; }", "leaf title { type string; }")
    with pytest.raises(ConfigError, match="present YANG modules") as caught:
        Core.create(fewer, SqliteJournal(file))
    assert "\n" not in str(caught.value)


def test_the_digest_alone_does_not_matter_when_all_fits(file: Path) -> None:
    server = Server(SqliteJournal(file))
    server.edit(at("/shop:shop/name", "x"))
    server.core.close()
    core = Core.create(replace(schema(), content_id="other"), SqliteJournal(file))
    assert core.store.running == tree({"name": "x"})
    core.close()


def test_the_log_has_its_length_from_the_start_and_at_each_start(file: Path) -> None:
    log = file.with_name(f"{file.name}-wal")
    server = Server(SqliteJournal(file))
    first = log.stat().st_size
    for number in range(20):
        server.edit(at("/shop:shop/name", str(number)))
    assert log.stat().st_size == first
    again = reopen(server, file)
    assert log.stat().st_size == first
    assert again.core.store.running == server.core.store.running
