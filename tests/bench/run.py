"""A whole run: every server at every size, one after the other, so that what stands side by side was measured so.

Ours is started afresh for each size: its memory is that size's own.  A peer runs already and is emptied instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from nms.config import Store
from tests.bench.channel import Lost
from tests.bench.measures import MEMORY_AFTER_RESTART, RESTART, measure
from tests.bench.meter import Effort, Figure, Meter
from tests.bench.results import OURS, OURS_UNSYNCED, Results
from tests.bench.server import Server
from tests.bench.subject import Subject

Say = Callable[[str], None]

#: Our server, and whether it waits for its disk.
SERVERS: Final = {OURS: True}
if any(key.name == "sync" for key in fields(Store)):
    SERVERS[OURS_UNSYNCED] = False


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
            results.add(name, size, _ours(size, effort, folder, _teller(name, size, say), sync=sync))
        if peer is not None and size in peer.sizes:
            tell = _teller(peer.name, size, say)
            try:
                results.add(peer.name, size, measure(peer.subject, size, Meter(effort, peer.subject.processes), tell))
            except Lost as error:
                say(f"{peer.name} at {size:,}: {error}")


def _teller(name: str, size: int, say: Say) -> Callable[[str, Figure], None]:
    return lambda row, figure: say(f"{name} at {size:,}: {row}: {figure.value:.4g} {figure.unit}")


def _ours(
    size: int, effort: Effort, folder: Path, tell: Callable[[str, Figure], None], *, sync: bool
) -> dict[str, Figure]:
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        server = Server(Path(place), sync=sync)
        stack.callback(server.stop)
        server.start()
        subject = server.subject()
        found = measure(subject, size, Meter(effort, subject.processes), tell, writes=not sync)
        if sync:
            server.stop()
            found[RESTART] = Figure(server.start(), "s")
            processes = server.subject().processes
            assert processes is not None
            found[MEMORY_AFTER_RESTART] = Figure(processes.memory(), "MB")
            for row in (RESTART, MEMORY_AFTER_RESTART):
                tell(row, found[row])
        return found
