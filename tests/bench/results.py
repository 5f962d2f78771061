"""The figures of a run, and the JSON file that keeps them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.meter import Figure

#: How our own server is called, as it is and when it does not wait for its disk.
OURS: Final = "mec-nms"
OURS_UNSYNCED: Final = "mec-nms, no fsync"


@dataclass(slots=True)
class Results:
    """What was found.

    Attributes:
        about: machine, date and so on: words by heading.
        figures: server → entries in its datastore → row → figure.
    """

    about: dict[str, str]
    figures: dict[str, dict[int, dict[str, Figure]]] = field(default_factory=dict)

    def add(self, server: str, size: int, found: dict[str, Figure]) -> None:
        """Take in what was measured of a server at a size."""
        self.figures.setdefault(server, {}).setdefault(size, {}).update(found)

    def sizes(self) -> list[int]:
        """Every size, smallest first."""
        return sorted({size for by_size in self.figures.values() for size in by_size})

    def get(self, server: str, size: int, row: str) -> Figure | None:
        """A figure; None if that was not measured."""
        return self.figures.get(server, {}).get(size, {}).get(row)

    def save(self, file: Path) -> None:
        """Write the file."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(file: Path) -> Results:
    """What `Results.save` has written.

    Raises:
        OSError, ValueError: there is no such file, or it holds something else.
    """
    try:
        kept = json.loads(file.read_text())
        results = Results(kept["about"])
        for server, by_size in kept["figures"].items():
            for size, rows in by_size.items():
                results.add(server, int(size), {row: Figure(**figure) for row, figure in rows.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not figures of make bench: {error}") from None
    return results
