"""A whole run: every server at every size, one after the other, so that what stands side by side was measured so.

Ours is started afresh for each size: its memory is that size's own.  A peer runs already and is emptied instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.channel import Lost
from tests.bench.measures import MEMORY_AFTER_RESTART, RESTART, measure
from tests.bench.meter import Effort, Figure, Meter
from tests.bench.results import OURS, OURS_UNSYNCED, Results
from tests.bench.server import Server
from tests.bench.subject import Subject

Say = Callable[[str], None]

#: Our server, and whether it waits for its disk.
SERVERS: Final = {OURS: True, OURS_UNSYNCED: False}


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server, and the sizes it is measured at."""

    name: str
    subject: Subject
    sizes: Sequence[int]


def run(results: Results, sizes: Sequence[int], effort: Effort, peer: Peer | None, folder: Path, say: Say) -> None:
    """Measure into `results`.

    Args:
        folder: on the disk that the journal is to be measured on.
        say: gets a line for each figure.

    Raises:
        Lost: our server failed.  A peer that fails is told of, and goes without the rest of its figures.
    """
    for size in sizes:
        for name, sync in SERVERS.items():
            _take(results, name, size, _ours(size, effort, folder, sync=sync), say)
        if peer is not None and size in peer.sizes:
            meter = Meter(effort, peer.subject.processes)
            try:
                _take(results, peer.name, size, measure(peer.subject, size, meter), say)
            except Lost as error:
                say(f"{peer.name} at {size:,}: {error}")


def _take(results: Results, name: str, size: int, figures: Iterable[tuple[str, Figure]], say: Say) -> None:
    """Keep each figure as soon as it is there."""
    for row, figure in figures:
        results.add(name, size, {row: figure})
        say(f"{name} at {size:,}: {row}: {figure.value:.4g} {figure.unit}")


def _ours(size: int, effort: Effort, folder: Path, *, sync: bool) -> Iterator[tuple[str, Figure]]:
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        server = Server(Path(place), sync=sync)
        stack.callback(server.stop)
        server.start()
        yield from measure(server.subject(), size, Meter(effort, server.processes), writes=not sync)
        if sync:
            server.stop()
            yield RESTART, Figure(server.start(), "s")
            yield MEMORY_AFTER_RESTART, Figure(server.processes.memory(), "MB")
