"""Requests to the cloud in threads of their own: the SDK blocks, and a slow cloud must not hold up others' threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nms.drivers.api import ConfigError, RpcError
from nms.drivers.openstack.cloud import refusal

#: Requests at a time.
THREADS = 8
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
    try:
        return function()
    except (RpcError, ConfigError):
        raise
    except Exception as error:  # openstacksdk's, keystoneauth's and those of requests share no other ancestor
        raise refusal(error) from error
