"""The durable journal: SQLite in WAL mode, synchronous=FULL: records are on stable storage when `append` returns.

A snapshot of each tree and the records since; when the records outgrow the snapshot both become one new snapshot, in
one SQLite transaction.  The file is the daemon's alone (0600, exclusively locked while it runs).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from nms.datastore import changes as changeset
from nms.datastore import rebase
from nms.datastore.journal import Image, Record
from nms.errors import ConfigError, RpcError
from nms.model.schema import Schema
from nms.model.values import Value

_FORMAT: Final = 1
#: Records are folded into the snapshot when they are larger than it, and than this many bytes.
_LEAST: Final = 1 << 20
#: Bytes of records that come in a moment.
_NEAR: Final = 1 << 16
#: Pages in the write-ahead log until they are moved to the database, and the bytes that so many take.
_LOG_PAGES: Final = 256
_LOG_SIZE: Final = _LOG_PAGES * (4096 + 24) + 32
#: About the least bytes of one change in a record.
_CHANGE: Final = 64
_TABLES: Final = """
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), image BLOB NOT NULL);
    CREATE TABLE record (txid INTEGER PRIMARY KEY, record BLOB NOT NULL);
"""


class SqliteJournal:
    """The journal in the file `path`, made when it does not exist.

    Args:
        least: bytes of records that are kept in any case before they are folded into the snapshot.
        sync: False: records are only handed to the operating system, whose crash loses the last ones; what is left is
            whole.
    """

    def __init__(self, path: Path, *, least: int = _LEAST, sync: bool = True) -> None:
        self._path = path
        self._least = least
        self._sync = sync
        self._snapshot_size = 0
        self._records_size = 0
        self._schema: Schema | None = None
        self._db: sqlite3.Connection | None = None

    def load(self, schema: Schema) -> Image | None:
        """What was confirmed before, None for a new store; the file is ours from now on.

        Raises:
            ConfigError: it cannot be opened, is in use, is no store of ours, or does not fit `schema`.
        """
        self._schema = schema
        try:
            self._db = self._open()
            row = self._db.execute("SELECT image FROM snapshot").fetchone()
            records = self._db.execute("SELECT record FROM record ORDER BY txid").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ConfigError(f"the store {self._path} is in use by another daemon: stop that one first") from None
            raise ConfigError(f"the store {self._path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            raise self._corrupt(str(error)) from None
        except OSError as error:
            raise ConfigError(f"the store {self._path} cannot be opened: {error.strerror}") from None
        if row is None:
            return None
        try:
            stored = orjson.loads(row[0])
            replayed = [orjson.loads(record) for (record,) in records]
            content_id = stored["content-id"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise self._corrupt(str(error)) from None
        try:
            image = _replay(schema, stored, replayed)
        except (RpcError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            if content_id == schema.content_id:
                raise self._corrupt(str(error)) from None
            raise ConfigError(
                f"the store {self._path} holds data that the present YANG modules do not know: {error}: "
                "serve the former modules, or start from an empty store"
            ) from None
        self._snapshot_size = len(row[0])
        self._records_size = sum(len(record) for (record,) in records)
        if content_id != schema.content_id:
            self._snapshot_size = 0  # the first append folds, which stores the present content-id
            return replace(image, models_changed=True)
        return image

    def _corrupt(self, why: str) -> ConfigError:
        return ConfigError(f"the store {self._path} is corrupt: {why}: restore it from a backup or remove it")

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        # EXCLUSIVE before the first access: the lock is held until the process ends, without a shared memory file.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if self._sync else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={_FORMAT}")
        db.execute("COMMIT")
        if version not in (0, _FORMAT):
            raise ConfigError(f"the store {self._path} has format {version}, this version reads {_FORMAT}")
        db.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        if self._sync:
            self._lengthen_log()
        return db

    def _lengthen_log(self) -> None:
        """Make the write-ahead log as long as it gets: a file that grows has its new length stored at each fsync too.

        SQLite overwrites it from the start after each checkpoint, and ignores what is there beyond its last frame.
        """
        with open(f"{self._path}-wal", "r+b") as log:
            log.write(bytes(max(0, _LOG_SIZE - log.seek(0, os.SEEK_END))))
            log.flush()
            os.fsync(log.fileno())

    def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
        """Make `records` durable, all or none.

        Raises:
            RpcError: resource-denied; the disk is full or fails.
        """
        room = self._room
        # A snapshot is written without records that it would replace at once.
        fold = not self._snapshot_size or _CHANGE * sum(map(_changes, records)) > room
        rows = [] if fold else [(record.txid, _text(record)) for record in records]
        size = sum(len(data) for _, data in rows)
        try:
            if fold or size > room:
                self._fold(image)
            else:
                self._insert(rows)
                self._records_size += size
        except sqlite3.Error as error:
            raise RpcError("resource-denied", f"the change cannot be stored: {error}") from error

    @property
    def _room(self) -> int:
        """Bytes of records until they are folded into the snapshot."""
        return max(self._snapshot_size, self._least) - self._records_size

    @property
    def compacts_soon(self) -> bool:
        """Will one of the next appends fold, which takes the time that the size of the snapshot takes?"""
        return self._snapshot_size > self._least and self._room < _NEAR

    def _insert(self, rows: Sequence[tuple[int, bytes]]) -> None:
        db = self._connection()
        if len(rows) == 1:  # one statement is a transaction of its own
            db.execute("INSERT INTO record VALUES (?, ?)", rows[0])
            return
        with _transaction(db):
            db.executemany("INSERT INTO record VALUES (?, ?)", rows)

    def _fold(self, image: Callable[[], Image]) -> None:
        """Replace snapshot and records by one snapshot: atomic, as it is one SQLite transaction."""
        assert self._schema is not None
        data = _dump(self._schema, image())
        db = self._connection()
        with _transaction(db):
            db.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?)", (data,))
            db.execute("DELETE FROM record")
        self._snapshot_size, self._records_size = len(data), 0

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise RpcError("operation-failed", "the store is closed")
        return self._db

    def close(self) -> None:
        """Release the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _changes(record: Record) -> int:
    return sum(map(len, record.changes.values()))


def _text(record: Record) -> bytes:
    changes = {part: changeset.to_json(changes) for part, changes in record.changes.items()}
    return orjson.dumps({"txid": record.txid, "time": record.time, "changes": changes})


def _dump(schema: Schema, image: Image) -> bytes:
    return orjson.dumps(
        {
            "content-id": schema.content_id,
            "txid": image.txid,
            "time": image.time,
            "running": changeset.stored(schema.root, image.running),
            "startup": changeset.stored(schema.root, image.startup),
            "state": changeset.stored(schema.root, image.state),
            "undo": changeset.to_json(image.undo),
        }
    )


def _replay(schema: Schema, stored: Mapping[str, Any], records: list[Any]) -> Image:
    root = schema.root
    trees: dict[str, Value] = {part: changeset.restored(root, stored[part]) for part in ("running", "startup", "state")}
    txid, time = stored["txid"], stored["time"]
    undo = changeset.from_json(root, stored["undo"])
    for record in records:
        txid, time = record["txid"], record["time"]
        for part, items in record["changes"].items():
            changes = changeset.from_json(root, items)
            if part == "undo":
                undo = changes
                continue
            trees[part] = changeset.apply(root, trees[part], changes)
            if part == "running":
                trees["state"] = rebase.forget(root, trees["state"], changes)
    return Image(
        txid=txid,
        time=datetime.fromisoformat(time),
        running=trees["running"],
        startup=trees["startup"],
        state=trees["state"],
        undo=undo,
    )
