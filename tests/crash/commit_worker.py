"""A server that is killed at one step of its commits: run by test_kill_at_each_step, never a test itself.

Arguments: the store's file, the step, and how many commits pass that step before it kills.  It prints what it has
confirmed, a line each, before it goes on; SIGKILL leaves no chance to tidy up.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nms.datastore.journal import Image, Record
from nms.datastore.journal_sqlite import SqliteJournal
from nms.datastore.transaction import Transaction
from nms.model.diff import Change
from tests.unit.operations.shop_server import Server, at

STEPS = ("prepare", "before append", "inside append", "after append", "apply", "listener", "replied")


class Fuse:
    """Kills the process at `step`, the `left` + 1st time it comes there."""

    def __init__(self, step: str, left: int) -> None:
        self.step, self.left, self.lit = step, left, False

    def at(self, step: str) -> None:
        """The process is at `step`."""
        if self.lit and step == self.step:
            if self.left == 0:
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1


class FusedConnection(sqlite3.Connection):
    """Comes to "inside append" between the statements of a transaction and its end."""

    fuse: Fuse

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:  # type: ignore[override]
        if sql == "COMMIT":
            self.fuse.at("inside append")
        return super().execute(sql, *arguments)


class FusedJournal(SqliteJournal):
    """A journal that passes the fuse before and after each record."""

    def __init__(self, path: Path, fuse: Fuse, least: int) -> None:
        super().__init__(path, least=least)
        self.fuse = fuse

    def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
        self.fuse.at("before append")
        super().append(records, image)
        self.fuse.at("after append")


class FusedProvider:
    """A provider that passes the fuse."""

    paths = ("/shop:shop",)

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        self.fuse.at("prepare")

    def abort(self, tx: Transaction) -> None:
        """Nothing was reserved."""

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        self.fuse.at("apply")


def main(file: str, step: str, passes: str, least: str) -> None:
    """Commit items 0, 1, 2, ... and print each one that is confirmed, until the fuse blows."""
    fuse = FusedConnection.fuse = Fuse(step, int(passes))
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=FusedConnection)  # type: ignore[assignment]
    server = Server(FusedJournal(Path(file), fuse, int(least)))
    server.core.store.add_provider(FusedProvider(fuse))
    server.core.store.listeners.append(lambda tx: fuse.at("listener"))
    fuse.lit = True
    for number in range(100):
        print("trying", number, flush=True)
        server.edit(at(f"/shop:shop/item[id='{number}']/price", number))
        print("confirmed", number, flush=True)
        fuse.at("replied")


if __name__ == "__main__":
    main(*sys.argv[1:])
