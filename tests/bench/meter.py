"""Takes the time: of something done once, of something done again and again, of many sessions at once.

Beside the wall time stands the CPU time of the server for one operation, because wall time on a shared machine is
noisy.  Replies are checked between measurements, never within one.  Knows no protocol.
"""

from __future__ import annotations

import selectors
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tests.bench.channel import PATIENCE, Connection, Lost, Request
from tests.bench.processes import Processes

T = TypeVar("T")

#: Runs of a slow operation, whatever its share of time.
_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    Attributes:
        value: median of the runs in `unit`: "ms", "s", "/s" or "MB".
        cpu_ms: milliseconds of the server's CPU for one operation; None where the processes are not known.
        runs: how often it was done.
    """

    value: float
    unit: str
    cpu_ms: float | None = None
    runs: int = 1

    def in_ms(self) -> Figure:
        """The same, told in milliseconds instead of seconds."""
        return replace(self, value=1000 * self.value, unit="ms")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for one figure: runs of an operation, and seconds at most; rates last half of them."""

    runs: int
    seconds: float


class Meter:
    """Measures one server.

    Args:
        processes: the server's, None if it runs elsewhere.
    """

    def __init__(self, effort: Effort, processes: Processes | None) -> None:
        self.effort = effort
        self.processes = processes

    def _cpu(self) -> float:
        return self.processes.cpu() if self.processes else 0.0

    def _figure(self, value: float, unit: str, cpu: float, runs: int) -> Figure:
        return Figure(value, unit, 1000 * cpu / runs if self.processes else None, runs)

    def once(self, connection: Connection, requests: Iterable[Request]) -> Figure:
        """Seconds that the requests take together, without their rendering."""
        total, cpu = 0.0, self._cpu()
        for request in requests:
            began = time.perf_counter()
            reply = connection.call(request)
            total += time.perf_counter() - began
            connection.check(request, reply)
        return self._figure(total, "s", self._cpu() - cpu, 1)

    def repeated(self, act: Callable[[int], T], settle: Callable[[int, T], None]) -> Figure:
        """Milliseconds of `act`; `settle` gets what it returned outside of the time (not of the CPU time)."""
        settle(0, act(0))  # what is done for the first time is no measure of it
        times: list[float] = []
        cpu, end = self._cpu(), time.perf_counter() + self.effort.seconds
        while len(times) < self.effort.runs and (len(times) < _LEAST or time.perf_counter() < end):
            turn = len(times) + 1
            began = time.perf_counter()
            got = act(turn)
            times.append(time.perf_counter() - began)
            settle(turn, got)
        return self._figure(1000 * statistics.median(times), "ms", self._cpu() - cpu, len(times))

    def latency(self, connection: Connection, make: Callable[[int], Sequence[Request]]) -> Figure:
        """Milliseconds of the requests that `make` renders for a turn, one after the other."""
        rendered = [make(turn) for turn in range(self.effort.runs + 1)]

        def act(turn: int) -> list[bytes]:
            return [connection.call(request) for request in rendered[turn]]

        def settle(turn: int, replies: list[bytes]) -> None:
            for request, reply in zip(rendered[turn], replies, strict=True):
                connection.check(request, reply)

        return self.repeated(act, settle)

    def rate(self, connections: Sequence[Connection], make: Callable[[int], Request]) -> Figure:
        """Replies a second on all connections together, each of which has one request under way."""
        for turn, connection in enumerate(connections):
            request = make(turn)
            connection.check(request, connection.call(request))
        with selectors.DefaultSelector() as selector:
            for connection in connections:
                selector.register(connection, selectors.EVENT_READ)
            cpu, began = self._cpu(), time.perf_counter()
            end = began + self.effort.seconds / 2
            under_way: dict[Connection, Request] = {}
            turn = len(connections)
            for connection in connections:
                under_way[connection] = make(turn)
                connection.send(under_way[connection])
                turn += 1
            while under_way:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise Lost(f"no answer in {PATIENCE:.0f} s")
                for key, _ in ready:
                    connection = key.fileobj  # type: ignore[assignment]
                    reply = connection.poll()
                    if reply is None:
                        continue
                    connection.check(under_way.pop(connection), reply)
                    if time.perf_counter() < end:
                        under_way[connection] = make(turn)
                        connection.send(under_way[connection])
                        turn += 1
            took = time.perf_counter() - began
        done = turn - len(connections)
        return self._figure(done / took, "/s", self._cpu() - cpu, done)

    def memory(self) -> Figure | None:
        """Megabytes that the server holds."""
        return Figure(self.processes.memory(), "MB") if self.processes else None
