"""Whom a block listens to, one watch for each, and the work that follows from what it hears.

Who is to be listened to comes and goes with agreements and their sessions.  It must not know what is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable, Mapping
from typing import Any

from nms.mec.reference_points import ReferencePoint
from nms.mec.session import Sink, Watch


class Attention:
    """Of one block; used in the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watches: dict[Hashable, tuple[ReferencePoint, Watch]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, key: Hashable, point: ReferencePoint | None, told: Sink) -> bool:
        """Have `told` called with what `point` tells, and nobody else at `key`; None: nobody is there.

        Returns:
            Whether somebody else was there before, or nobody is now: what was known may be old.
        """
        held = self._watches.get(key)
        if point is not None and held is not None and held[0] is point:
            return False
        if held is not None:
            held[1].close()
            del self._watches[key]
        if point is not None:
            self._watches[key] = (point, point.watch(told))
        return True

    def listen_only(self, points: Mapping[Hashable, ReferencePoint], told: Sink) -> None:
        """Listen to these, and to nobody else any more."""
        for key in self._watches.keys() - points.keys():
            self.listen(key, None, told)
        for key, point in points.items():
            self.listen(key, point, told)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that ends with this at the latest."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Listen no more."""
        for _, watch in self._watches.values():
            watch.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
