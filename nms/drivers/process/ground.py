"""The ground that instances stand on: what a driver of processes adds to their life cycle."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from nms.drivers.api import InstanceSpec
from nms.drivers.process.record import Record


class Ground(Protocol):
    """Gives an instance its address and its surroundings.  Errors are `RpcError`."""

    async def open(self) -> None:
        """Make what all instances stand on.  Raises `ConfigError` or `RpcError`."""

    async def close(self) -> None:
        """Let go; instances run on."""

    async def dismantle(self) -> None:
        """Remove what `open` made, on which nobody stands any more.  Raises `RpcError`."""

    def address(self, spec: InstanceSpec, placed: Collection[Record]) -> str:
        """An address for a new instance, given those that are there; without delay.

        Raises `RpcError`: resource-denied.
        """

    def formats(self) -> Mapping[str, str]:
        """As `nms.drivers.api.Vim.formats`."""

    def unpack(self, spec: InstanceSpec, folder: Path) -> None:
        """Make ``folder/work`` of the image, all or nothing; in any thread.

        Raises `RpcError`: data-missing, invalid-value, too-big, operation-failed.
        """

    async def prepare(self, record: Record, folder: Path) -> None:
        """Make what the instance needs before it starts; what is left of an earlier start is replaced.

        Its unpacked image is in ``folder/work``.
        """

    def launch(
        self, record: Record, folder: Path, environment: Mapping[str, str]
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """What to run, and with which environment, so that the instance's command runs with the one given.

        The way there is by `exec` only, so that the process stays the same.  The environment is partly the
        application's wish: nothing that runs with privileges may be given it.  Raises `RpcError`.
        """

    def farewell(self, record: Record, folder: Path) -> signal.Signals:
        """The signal by which the process group of a running instance is asked to end."""

    def processes(self, record: Record) -> Collection[int]:
        """The processes of a running instance; in any thread."""

    def environment(self, record: Record, folder: Path) -> dict[str, str]:
        """HOME, the unpacked image as the instance sees it, and PATH, where it finds programs."""

    async def kill(self, record: Record) -> None:
        """End every process that this ground by itself tells to be the instance's; there may be none.

        Raises `RpcError`: operation-failed.
        """

    async def clear(self, record: Record) -> None:
        """End what is left of the instance and remove what `prepare` made; where nothing is left this is no error."""
