"""What a store asks of its journal, and the records it is given (see `journal_memory`, `journal_sqlite`).

Records are on stable storage when `append` returns; a crash before that leaves no trace of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from nms.model.diff import Change
from nms.model.schema import Schema
from nms.model.values import Value

#: What is durable.  "state" is the published durable state without configuration; "undo" is no tree of its own: the
#: changes that lead from running back to what it was before a pending confirmed commit (empty: none is pending).
Part = Literal["running", "startup", "state", "undo"]


class Record(NamedTuple):
    """Changes of one transaction, by the tree they belong to; a part that is absent is untouched."""

    txid: int
    time: datetime
    changes: Mapping[Part, Sequence[Change]]


@dataclass(frozen=True, slots=True)
class Image:
    """All that is durable, at one moment.

    Attributes:
        undo: as in `Part`.
        models_changed: it was written when other YANG modules were served, so it may break their constraints.
    """

    txid: int
    time: datetime
    running: Value
    startup: Value
    state: Value
    undo: Sequence[Change]
    models_changed: bool = False


class Journal(Protocol):
    """Durable records.  Only called under the store's writer lock."""

    def load(self, schema: Schema) -> Image | None:
        """What was confirmed before, None for a new store.

        Raises:
            ConfigError: the journal is corrupt, in use, or does not fit `schema`.
        """

    def append(self, records: Sequence[Record], image: Callable[[], Image]) -> None:
        """Make `records` durable, all or none; `image` gives the state after them, for when the journal is compacted.

        Raises:
            RpcError: operation-failed or resource-denied; nothing was written.
        """

    @property
    def compacts_soon(self) -> bool:
        """Will one of the next appends take the time that the size of the store takes?"""

    def close(self) -> None:
        """Release the storage."""
