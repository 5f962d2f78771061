"""What one change of `running` is; providers, the journal and notifications all consume it.

It knows nothing of how it is made (`nms.datastore.commit`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nms.datastore.confirm import Pending
from nms.model.constraints import Indexes
from nms.model.diff import Change
from nms.model.values import Value

if TYPE_CHECKING:
    from nms.datastore.provider import Provider

Told: TypeAlias = Sequence[tuple["Provider", Sequence[Change]]]
#: Called under the writer lock: with None when all that it waits for is in force, else with what refused that.
Then: TypeAlias = Callable[[BaseException | None], None]


class Author(NamedTuple):
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


class Transaction(NamedTuple):
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


@dataclass(slots=True, eq=False)
class Accepted:
    """A transaction that comes into force unless the journal fails.

    Attributes:
        pending: the confirmed commit that is pending afterwards.
        told: the providers that have prepared it.
        indexes: those of the root before it.
        then: who waits for it; each is called before a later transaction of the group is seen.
    """

    tx: Transaction
    pending: Pending | None
    told: Told
    indexes: Indexes | None
    then: list[Then] = field(default_factory=list)
