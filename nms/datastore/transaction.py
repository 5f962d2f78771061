"""What one confirmed change of `running` is; providers, the journal and notifications all consume it.

It knows nothing of how it is made (`nms.datastore.commit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nms.model.diff import Change
from nms.model.values import Value


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes, and by what.

    Attributes:
        principal: user name; "" for the system itself.
        source: the operation, for instance "edit-config", "commit", "rollback".
        session_id: 0 for the system itself.
        host: source host of the session.
    """

    principal: str
    source: str
    session_id: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The change of `running` from root `old` to root `new`.

    Attributes:
        changes: their difference, `nms.model.diff.diff`.
        txid: grows with every transaction of a store.
        time: aware; when the commit began.
    """

    txid: int
    time: datetime
    old: Value
    new: Value
    changes: Sequence[Change]
    author: Author
