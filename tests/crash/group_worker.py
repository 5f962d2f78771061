"""A server whose groups of edits are cut short: run by test_kill_within_a_group, never a test itself.

Arguments: the store's file, the step, how many groups pass that step before it kills.  It prints what it has answered.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from nms.operations.request import EditConfig, Reply
from tests.crash.commit_worker import Fuse, FusedConnection, FusedJournal
from tests.unit.operations.shop_server import Server, at

STEPS = ("before append", "first row", "inside append", "after append", "listener", "answered")
SIZE = 5


class RowConnection(FusedConnection):
    """Comes to "first row" when one of the group's rows is in SQLite's transaction."""

    def executemany(self, sql, rows):  # type: ignore[no-untyped-def, override]
        first, *others = rows
        super().executemany(sql, [first])
        self.fuse.at("first row")
        return super().executemany(sql, others)


def main(file: str, step: str, passes: str) -> None:
    """Edit items 0 to 4 together, then 5 to 9, ... and print those that were answered, until the fuse blows."""
    fuse = FusedConnection.fuse = Fuse(step, int(passes))
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=RowConnection)  # type: ignore[assignment]
    server = Server(FusedJournal(Path(file), fuse, 1_000_000))
    server.core.store.listeners.append(lambda tx: fuse.at("listener"))
    fuse.lit = True
    for start in range(0, 100, SIZE):
        numbers = range(start, start + SIZE)
        print("trying", *numbers, flush=True)
        edits = [EditConfig("running", (at(f"/shop:shop/item[id='{n:02}']/price", n),)) for n in numbers]
        outcomes = server.core.dispatch_all([(server.admin, request) for request in edits])
        assert all(isinstance(outcome, Reply) for outcome in outcomes), outcomes
        print("answered", *numbers, flush=True)
        fuse.at("answered")


if __name__ == "__main__":
    main(*sys.argv[1:])
