"""What every test may use.  Few examples in the ordinary run; `HYPOTHESIS_PROFILE=long` looks further."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("short", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("short"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for more time than all others begins first: no worker is left alone with it in the end."""
    items.sort(key=_asked, reverse=True)


def _asked(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return 0.0 if mark is None else float(mark.args[0])


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again, and seldom at the models."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 100)


@pytest.fixture(scope="session")
def need() -> Callable[[str, str], str]:
    """Path of a program that a test drives, called with its name and the Debian package that brings it.

    Where it is missing the test is skipped, except where MEC_NMS_REQUIRE=1 says that nothing may be missing.
    """

    def path(program: str, package: str) -> str:
        found = shutil.which(program)
        if found is not None:
            return found
        message = f"{program} is not installed; on Debian: apt-get install {package}"
        if os.environ.get("MEC_NMS_REQUIRE") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return path
