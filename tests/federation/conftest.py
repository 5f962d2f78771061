"""Fixtures of the federation's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.federation.two_domains import Domain, domains, schema

Scenario = Callable[[Domain, Domain], Awaitable[None]]


@pytest.fixture(scope="session")
def models() -> Any:
    """All models, compiled."""
    return schema()


@pytest.fixture
def play(tmp_path: Path, models: Any) -> Callable[..., None]:
    """Run a scenario with two domains."""

    def run(scenario: Scenario, **options: Any) -> None:
        async def all_of_it() -> None:
            async with domains(tmp_path, models, **options) as (a, b):
                await scenario(a, b)

        asyncio.run(all_of_it())

    return run
