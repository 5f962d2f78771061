"""The pytest plug-in: ``-p tools.coverage.plugin --yang-coverage FILE`` records, and merges what xdist's workers saw.

Without the option nothing is wrapped and nothing is written.  Daemons that tests start as
processes of their own are not seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tools.coverage.record import Record, watch

_RECORD = pytest.StashKey[Record]()
_END = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--yang-coverage", type=Path, metavar="FILE", help="write which schema nodes the tests touch")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    if config.getoption("--yang-coverage") is not None:
        config.stash[_RECORD] = Record()
        config.stash[_END] = watch(config.stash[_RECORD])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker has ended: take in what it saw."""
    seen = getattr(node, "workeroutput", {}).get("yang-coverage")
    if seen is not None:
        node.config.stash[_RECORD].add(orjson.loads(seen))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it saw."""
    config = session.config
    if _RECORD in config.stash and hasattr(config, "workeroutput"):
        config.workeroutput["yang-coverage"] = orjson.dumps(config.stash[_RECORD].plain()).decode()


def pytest_unconfigure(config: pytest.Config) -> None:
    """All have ended: write the file."""
    if _RECORD in config.stash:
        config.stash[_END]()
        if not hasattr(config, "workeroutput"):
            file: Path = config.getoption("--yang-coverage")
            file.write_bytes(orjson.dumps(config.stash[_RECORD].plain()))
