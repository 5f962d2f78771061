"""One control plane for all tests here, and a VIM on it for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nms.drivers.openstack import OpenstackVim
from tests.drivers.vim_contract import Bench
from tests.openstack import control_plane
from tests.openstack.control_plane import ControlPlane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A control plane takes its time to start, and a cloud its time for everything."""
    for item in items:
        if "tests/openstack" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(240))
            # openstacksdk warns of its own ways: of what it does itself that a coming release of it will not do.
            item.add_marker(pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The cloud; where its packages lack the tests are skipped, and fail in CI."""
    if lacking := control_plane.missing():
        message = f"not installed; on Debian: apt-get install {' '.join(lacking)}"
        if "true" in (os.environ.get("CI"), os.environ.get("MEC_NMS_REQUIRE", "").replace("1", "true")):
            pytest.fail(message)
        pytest.skip(message)
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with ControlPlane(tmp_path_factory.mktemp("cloud")).running() as started:
        print(f"\ncloud ready, seconds since its start: {started.laps}", flush=True)
        yield started


@pytest.fixture
def make(plane: ControlPlane, tmp_path: Path) -> Callable[..., OpenstackVim]:
    """A driver on the state folder of the test, its configuration changed as the arguments say."""

    def made(**changes: object) -> OpenstackVim:
        config = {
            "clouds": str(plane.clouds),
            "cloud": "test",
            "addresses": plane.pool,
            "poll": 1,
            "start-timeout": 60,
            "stop-timeout": 2,
            **changes,
        }
        return OpenstackVim(config, tmp_path / "state")

    return made


@pytest.fixture
def bench(make: Callable[..., OpenstackVim], tmp_path: Path) -> Bench:
    return Bench(tmp_path, make, isolates=True)
