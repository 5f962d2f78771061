"""Requests to the cloud in threads of their own: the SDK blocks, and a slow cloud must not hold up others' threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nms.drivers.api import ConfigError, RpcError
from nms.drivers.openstack.cloud import TEMPORARY, refusal

#: Requests at a time.
THREADS = 8
#: Seconds to wait before each further try of a request that failed for a reason that may pass.
PAUSES = (0.2, 1.0)
T = TypeVar("T")


class Requests:
    """The threads; they begin with the first request after `close`, too."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, function: Callable[[], T]) -> T:
        """What the function gives.  Cancelled, this waits for it: what cleans up must not race with it.

        Raises `RpcError` for whatever the SDK raises.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "openstack")
        work = asyncio.get_running_loop().run_in_executor(self._threads, _translated, function)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def close(self) -> None:
        """Wait for those that are under way."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)


def _translated(function: Callable[[], T]) -> T:
    """Try again what may pass by itself: whatever is made is looked for first, so that it is not made twice."""
    for pause in PAUSES:
        try:
            return _once(function)
        except RpcError as error:
            if error.app_tag != TEMPORARY:
                raise
        time.sleep(pause)
    return _once(function)


def _once(function: Callable[[], T]) -> T:
    try:
        return function()
    except (RpcError, ConfigError):
        raise
    except Exception as error:  # openstacksdk's, keystoneauth's and those of requests share no other ancestor
        raise refusal(error) from error
