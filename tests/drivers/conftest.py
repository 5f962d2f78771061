"""Fixtures of several driver tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nms.drivers.netns import missing, system
from tests.drivers import process_site
from tests.drivers.netns_site import Site


@pytest.fixture
def isolated(tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[Site]:
    for program, package in system.PROGRAMS.items():
        need(program, package)
    if lacking := missing():
        pytest.skip(f"netns: {lacking}")
    made = Site(tmp_path)
    yield made
    left = [name for name in made.namespaces() if name != made.fabric]
    made.remove()
    assert not left, "namespaces left behind"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[process_site.Site]:
    made = process_site.Site(tmp_path.resolve())
    yield made
    left = made.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes left behind"
