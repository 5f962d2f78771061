"""The journal of a store that lives as long as its process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nms.datastore.journal import Image, Record
from nms.model.schema import Schema


class MemoryJournal:
    """Keeps nothing."""

    def load(self, schema: Schema) -> Image | None:
        """Always a new store."""
        return None

    def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
        """Nothing outlives the process."""

    @property
    def compacts_soon(self) -> bool:
        """There is nothing to compact."""
        return False

    def close(self) -> None:
        """Nothing is held."""
