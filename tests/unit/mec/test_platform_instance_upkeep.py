"""The upkeep of a platform's instance ends when it is told to, whatever happens at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nms.mec.platform_instance import _Instance


def test_it_ends_though_something_changes_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Any) -> None:
        """There is nothing to be done."""

    monkeypatch.setattr(_Instance, "_align", nothing)
    monkeypatch.setattr(_Instance, "_listen", lambda self, point: None)

    async def story() -> None:
        unused: Any = None
        instance = _Instance(unused, unused, unused, unused, unused, unused)
        upkeep = asyncio.create_task(instance.keep())
        await asyncio.sleep(0.01)
        instance.wake.set()
        await asyncio.sleep(0)  # what waits is about to go on
        upkeep.cancel()
        ended, _ = await asyncio.wait([upkeep], timeout=10)
        assert ended
        assert upkeep.cancelled()

    asyncio.run(story())
