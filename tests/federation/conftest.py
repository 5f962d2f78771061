"""Fixtures of the federation's tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.federation.two_domains import domains, schema

Scenario = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def models() -> Any:
    """All models, compiled."""
    loaded = schema()
    gc.freeze()
    return loaded


@pytest.fixture
def protocol(request: pytest.FixtureRequest) -> str:
    """Of the sessions between domains: the default, or what a test is parametrised with."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def play(tmp_path: Path, models: Any, protocol: str) -> Callable[..., None]:
    """Run a scenario with two domains, or with those that `names` says."""

    def run(scenario: Scenario, **options: Any) -> None:
        async def all_of_it() -> None:
            async with domains(tmp_path, models, **{"protocol": protocol, **options}) as playing:
                await scenario(*playing)

        asyncio.run(all_of_it())

    return run
