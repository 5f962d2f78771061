"""The contract of VIM drivers, on the drivers of this machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.drivers.api import OCI, InstanceSpec
from nms.drivers.netns import NetnsVim, containers
from nms.drivers.vim_process import ProcessVim
from tests.drivers import oci_images
from tests.drivers.netns_site import CONSOLE, Site
from tests.drivers.vim_contract import HOSTS, SMALL, Bench, VimContract


class OciBench(Bench):
    """The same applications, each in a container."""

    def spec(self, name: str, script: str = CONSOLE, **changes: Any) -> InstanceSpec:
        image = self.folder / "console.oci.tar"
        image.write_bytes(oci_images.console())
        spec = replace(InstanceSpec(name, image, ("python3", "-c", script), SMALL, port=8080, format=OCI), **changes)
        return replace(spec, resources=replace(spec.resources, storage=oci_images.STORAGE))


@pytest.fixture(params=["embedded", "netns", "netns, OCI"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, need: Callable[[str, str], str]) -> Bench:
    options = {"hosts": HOSTS, "start-timeout": 10}
    if request.param != "embedded":
        site: Site = request.getfixturevalue("isolated")
        place = {"addresses": site.addresses}
        kind = Bench
        if request.param == "netns, OCI":
            need(containers.PROGRAM, containers.PACKAGE)
            kind = OciBench
        return kind(tmp_path, lambda: NetnsVim({**options, **place}, tmp_path / "state"), isolates=True)
    some = random.SystemRandom()
    place = {"addresses": f"127.{some.randrange(82, 255)}.{some.randrange(256)}.0/24"}
    return Bench(tmp_path, lambda: ProcessVim({**options, **place}, tmp_path / "state"), isolates=False)


class TestContract(VimContract):
    """Every driver that needs no cloud."""
