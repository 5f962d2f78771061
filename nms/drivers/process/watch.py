"""Starting one process, and watching it until it ends through its pidfd: alike for our child and an adopted one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from nms.drivers.api import RpcError


def spawn(folder: Path, command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Start an instance's process as leader of a session; its pid.

    Args:
        folder: the instance's: it starts in ``work``, and what it says goes to ``log``.

    Raises:
        RpcError: operation-failed.
    """
    try:
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=folder / "work", env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise RpcError("operation-failed", f"command {command[0]!r} cannot be run: {error.strerror}") from error
    # The pidfd watch reaps it; without a return code Popen would warn of a process left running, which is the point.
    process.returncode = 0
    return process.pid


class Watch:
    """Calls `ended` in the event loop once process `pid`, leader of its own session, has ended.

    Attributes:
        pid: the process.
        exit: set when it has ended and, if it was our child, has been reaped.
        code: exit status, negative for a signal; None while it runs, and for a process that was not our child.
    """

    def __init__(self, pid: int, ended: Callable[[], None]) -> None:
        self.pid = pid
        self.exit = asyncio.Event()
        self.code: int | None = None
        self._ended = ended
        self._descriptor = -1
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # an adopted one, gone since it was looked at
            asyncio.get_running_loop().call_soon(self._end)
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._end)

    def close(self) -> None:
        """Stop watching; the process is left as it is."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _end(self) -> None:
        self.close()
        with suppress(ChildProcessError):
            # Our child stays a zombie until waited for, and until then its number names its group and no other:
            # the moment to end whoever is left in it.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            self.signal(signal.SIGKILL)
            reaped, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if reaped else None
        self.exit.set()
        self._ended()

    def how(self) -> str:
        """How it ended, to follow "it ended"; empty when that is not known."""
        if self.code is None:
            return ""
        return f" by {signal.Signals(-self.code).name}" if self.code < 0 else f" with status {self.code}"
