"""What is measured, in which order: one table, a row for each figure.

A row says what it is called, what the server has to offer for it, whether it writes (those rows are measured again on a
server that does not wait for its disk) and how it is done.
A server without what a row needs goes without its figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from tests.bench import netconf, restconf
from tests.bench.channel import Connection, Request
from tests.bench.inventory import pick
from tests.bench.meter import Figure, Meter
from tests.bench.subject import Subject

#: Sessions or connections of the rates "together".
MANY: Final = 8
#: Entries of the larger edit.
SOME: Final = 100


class Bench:
    """One server at one size: its meter, and connections that are opened when they are first asked for."""

    def __init__(self, subject: Subject, size: int, meter: Meter, stack: ExitStack) -> None:
        self.subject = subject
        self.size = size
        self.meter = meter
        self._stack = stack
        self._generations = itertools.count(1)
        session = subject.over_ssh()
        stack.callback(session.close)
        self._open: dict[str, list[Connection]] = {"netconf": [session], "restconf": []}
        self.offers = session.capabilities | {
            name for name in ("tls", "restconf") if getattr(subject, name) is not None
        }
        #: Where a load goes: to running at once where that can be written, else through the candidate.
        self.target = "running" if "writable-running" in self.offers else "candidate"
        self.end_of_load = [netconf.COMMIT] if self.target == "candidate" else []

    def connections(self, protocol: str, count: int) -> list[Connection]:
        """That many connections of "netconf" (over SSH) or "restconf"."""
        opened = self._open[protocol]
        while len(opened) < count:
            opened.append(self.subject.over_ssh() if protocol == "netconf" else self.subject.over_https())
            self._stack.callback(opened[-1].close)
        return opened[:count]

    def clear(self) -> None:
        """Empty the inventory, whatever an earlier size has left there."""
        session = self.connections("netconf", 1)[0]
        for request in [netconf.clear(self.target), *self.end_of_load]:
            session.check(request, session.call(request))

    def generation(self) -> int:
        """A number that no entry has been written with."""
        return next(self._generations)


# ---------------------------------------------------------------- the requests of a turn

Make = Callable[[Bench, int], Request]


def get_one(bench: Bench, turn: int) -> Request:
    return netconf.get_one(pick(turn, bench.size))


def get_one_xpath(bench: Bench, turn: int) -> Request:
    return netconf.get_one_xpath(pick(turn, bench.size))


def get_all(bench: Bench, turn: int) -> Request:
    return netconf.get_all(bench.size)


def edit_one(bench: Bench, turn: int) -> Request:
    return netconf.edit("running", [pick(turn, bench.size)], bench.generation())


def edit_some(bench: Bench, turn: int) -> Request:
    first, count = turn * SOME, min(SOME, bench.size)
    return netconf.edit("running", [pick(first + n, bench.size) for n in range(count)], bench.generation())


def edit_candidate(bench: Bench, turn: int) -> Request:
    return netconf.edit("candidate", [pick(turn, bench.size)], bench.generation())


def commit(bench: Bench, turn: int) -> Request:
    return netconf.COMMIT


def rest_get_one(bench: Bench, turn: int) -> Request:
    return restconf.get_one(pick(turn, bench.size))


def rest_get_all(bench: Bench, turn: int) -> Request:
    return restconf.get_all(bench.size)


def rest_patch_one(bench: Bench, turn: int) -> Request:
    return restconf.patch_one(pick(turn, bench.size), bench.generation())


# ---------------------------------------------------------------- the ways to measure

Run = Callable[[Bench], Figure | None]


def timed(protocol: str, *makes: Make) -> Run:
    """Milliseconds of a turn's requests, one after the other on one connection."""
    return lambda bench: bench.meter.latency(
        bench.connections(protocol, 1)[0], lambda turn: [make(bench, turn) for make in makes]
    )


def first(protocol: str, make: Make) -> Run:
    """Milliseconds of the first request of its kind since the load."""
    return lambda bench: bench.meter.once(bench.connections(protocol, 1)[0], [make(bench, 0)]).in_ms()


def rate(protocol: str, count: int, make: Make) -> Run:
    """Replies a second on so many connections together."""
    return lambda bench: bench.meter.rate(bench.connections(protocol, count), lambda turn: make(bench, turn))


def set_up(open_one: Callable[[Subject], Connection]) -> Run:
    """Milliseconds until both hellos are there."""
    return lambda bench: bench.meter.repeated(lambda _: open_one(bench.subject), lambda _, opened: opened.close())


def load(bench: Bench) -> Figure:
    """Seconds of the load, in pieces."""
    pieces = netconf.load(bench.target, bench.size)
    return bench.meter.once(bench.connections("netconf", 1)[0], itertools.chain(pieces, bench.end_of_load))


def memory(bench: Bench) -> Figure | None:
    """Megabytes of the server."""
    return bench.meter.memory()


# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Measure:
    """A row.

    Attributes:
        needs: capabilities of NETCONF (RFC 6241 section 8), "tls" or "restconf", with blanks between.
        curve: whether it is a line of the plot.
    """

    group: str
    name: str
    run: Run
    needs: str = ""
    writes: bool = False
    curve: bool = False


ONE: Final = "NETCONF over SSH, one session"
RATES: Final = "NETCONF over SSH, replies a second"
REST: Final = "RESTCONF over HTTPS, one connection"
REST_RATES: Final = "RESTCONF over HTTPS, replies a second"
PROCESS: Final = "The server's processes"

MEASURES: Final = (
    Measure(ONE, "load", load, writes=True),
    Measure(PROCESS, "memory after the load", memory),
    Measure(ONE, "get all, the first time", first("netconf", get_all)),
    Measure(ONE, "get one by subtree", timed("netconf", get_one), curve=True),
    Measure(ONE, "get one by XPath", timed("netconf", get_one_xpath), "xpath", curve=True),
    Measure(ONE, "get all", timed("netconf", get_all), curve=True),
    Measure(ONE, "edit one", timed("netconf", edit_one), "writable-running", writes=True, curve=True),
    Measure(ONE, f"edit {SOME} at once", timed("netconf", edit_some), "writable-running", writes=True, curve=True),
    Measure(
        ONE, "candidate and commit", timed("netconf", edit_candidate, commit), "candidate", writes=True, curve=True
    ),
    Measure(ONE, "set up a session, SSH", set_up(Subject.over_ssh)),
    Measure(ONE, "set up a session, TLS", set_up(Subject.over_tls), "tls"),
    Measure(RATES, "get one, 1 session", rate("netconf", 1, get_one)),
    Measure(RATES, f"get one, {MANY} sessions", rate("netconf", MANY, get_one)),
    Measure(RATES, "edit one, 1 session", rate("netconf", 1, edit_one), "writable-running", writes=True),
    Measure(RATES, f"edit one, {MANY} sessions", rate("netconf", MANY, edit_one), "writable-running", writes=True),
    Measure(REST, "GET all, the first time", first("restconf", rest_get_all), "restconf"),
    Measure(REST, "GET one", timed("restconf", rest_get_one), "restconf", curve=True),
    Measure(REST, "GET all", timed("restconf", rest_get_all), "restconf", curve=True),
    Measure(REST, "PATCH one", timed("restconf", rest_patch_one), "restconf", writes=True, curve=True),
    Measure(REST_RATES, "GET one, 1 connection", rate("restconf", 1, rest_get_one), "restconf"),
    Measure(REST_RATES, f"GET one, {MANY} connections", rate("restconf", MANY, rest_get_one), "restconf"),
    Measure(REST_RATES, "PATCH one, 1 connection", rate("restconf", 1, rest_patch_one), "restconf", writes=True),
    Measure(
        REST_RATES, f"PATCH one, {MANY} connections", rate("restconf", MANY, rest_patch_one), "restconf", writes=True
    ),
)

#: Rows that only a server has that we start and stop; `run.py` measures them.
RESTART: Final = "restart"
MEMORY_AFTER_RESTART: Final = "memory after the restart"

#: The rows of the report, by group.
ROWS: Final = {
    group: [measure.name for measure in MEASURES if measure.group == group]
    for group in (ONE, RATES, REST, REST_RATES, PROCESS)
}
ROWS[PROCESS] += [RESTART, MEMORY_AFTER_RESTART]

#: The lines of the plot, and how they are called there.
CURVES: Final = {
    measure.name: f"{measure.name}, RESTCONF" if measure.group == REST else measure.name
    for measure in MEASURES
    if measure.curve
}


def measure(subject: Subject, size: int, meter: Meter, *, writes: bool = False) -> Iterator[tuple[str, Figure]]:
    """The figures of a server at a size, row by row; with `writes`, of the rows that write only.

    Raises:
        Lost: the server refuses what it said it can do, or is gone.
    """
    with ExitStack() as stack:
        bench = Bench(subject, size, meter, stack)
        bench.clear()
        for row in MEASURES:
            if set(row.needs.split()) <= bench.offers and (row.writes or not writes):
                figure = row.run(bench)
                if figure is not None:
                    yield row.name, figure
