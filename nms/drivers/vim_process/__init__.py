"""The embedded VIM: each instance is a process on a loopback address of its own, without root (Mm6, Mm7).

Isolation is none but the address, and resources are accounted for, not enforced.  `nms.drivers.process` is the life of
the instances, `addresses` their ground.  macOS has 127.0.0.1 alone until others are added to lo0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from nms.drivers.api import OCI, PROCESS_ARCHIVE, InstanceSpec, setting, strict
from nms.drivers.process import image, proc
from nms.drivers.process.record import Record
from nms.drivers.process.vim import KEYS, ProcessDriver
from nms.drivers.vim_process.addresses import Addresses

__all__ = ["ProcessVim"]

ME = "vim process"


class ProcessVim(ProcessDriver):
    """The driver.

    Configuration: that of `ProcessDriver`, and ``addresses`` (loopback block of the instances, default
    ``127.81.0.0/16``; two domains on one machine need two).
    """

    def __init__(self, config: Mapping[str, object], state: Path) -> None:
        strict(ME, config, (*KEYS, "addresses"))
        super().__init__(ME, config, state, _Loopback(setting(ME, config, "addresses", str, "127.81.0.0/16")))


class _Loopback:
    """A `Ground` that takes an address and nothing else."""

    def __init__(self, block: str) -> None:
        self._addresses = Addresses(ME, block)

    async def open(self) -> None:
        """The loopback interface is there."""

    async def close(self) -> None:
        """Nothing to let go."""

    async def dismantle(self) -> None:
        """Nothing was made."""

    def address(self, spec: InstanceSpec, placed: Collection[Record]) -> str:
        """The next one on which the port is free."""
        return self._addresses.free({record.address for record in placed}, spec.port)

    def formats(self) -> Mapping[str, str]:
        """Archives of files."""
        return {PROCESS_ARCHIVE: "", OCI: "the embedded driver isolates nothing; the driver netns runs it"}

    def unpack(self, spec: InstanceSpec, folder: Path) -> None:
        """As it is."""
        image.unpack(spec.image, folder / "work", spec.resources.storage << 20)

    async def prepare(self, record: Record, folder: Path) -> None:
        """Nothing to make."""

    def launch(
        self, record: Record, folder: Path, environment: Mapping[str, str]
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The instance's own command: nothing has privileges here."""
        return record.spec.command, environment

    def environment(self, record: Record, folder: Path) -> dict[str, str]:
        """The folder where it was unpacked, and the daemon's programs, this Python first."""
        path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))
        return {"HOME": str(folder / "work"), "PATH": path}

    def farewell(self, record: Record, folder: Path) -> signal.Signals:
        """The usual one."""
        return signal.SIGTERM

    def processes(self, record: Record) -> Collection[int]:
        """Those of its session."""
        return proc.session(record.pid)

    async def kill(self, record: Record) -> None:
        """Nothing tells them but their mark."""

    async def clear(self, record: Record) -> None:
        """Nothing was made."""
