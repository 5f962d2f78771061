"""The contract of VIM drivers, on the drivers of this machine."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nms.drivers.netns import NetnsVim
from nms.drivers.vim_process import ProcessVim
from tests.drivers.netns_site import Site
from tests.drivers.vim_contract import HOSTS, Bench, VimContract


@pytest.fixture(params=["embedded", "netns"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    options = {"hosts": HOSTS, "start-timeout": 10}
    if request.param == "netns":
        site: Site = request.getfixturevalue("isolated")
        place = {"addresses": site.addresses}
        return Bench(tmp_path, lambda: NetnsVim({**options, **place}, tmp_path / "state"), isolates=True)
    some = random.SystemRandom()
    place = {"addresses": f"127.{some.randrange(82, 255)}.{some.randrange(256)}.0/24"}
    return Bench(tmp_path, lambda: ProcessVim({**options, **place}, tmp_path / "state"), isolates=False)


class TestContract(VimContract):
    """Every driver that needs no cloud."""
