"""Whose view of a block something happens in, and what a commit asks of the block there.

The same model stands in the domain's own tree and, for each agreement, under the partner's entry (Table 3 of the
paper).  A `Scope` is one of those places; an `Intent` is one changed list entry in it.  `IntentProvider` turns the
differences of a commit into intents, so that a block says what it checks and does once, for whoever asks.  It must not
know any block.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from nms.datastore.transaction import Transaction
from nms.mec.session import Members, members_at
from nms.model import tree
from nms.model.diff import Change
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node, Schema
from nms.model.values import Value

#: Inner identifiers of what partners ask for are made of theirs by this name space (RFC 4122, version 5).
_INNER = uuid.UUID("5b3b0a52-6d1c-5e9a-9a55-2f1d3c1f7f2e")


@dataclass(frozen=True, slots=True)
class Scope:
    """One place where a block's model stands.

    Attributes:
        base: instance-identifier of the subtree, every name with its module.
        partner, agreement: whose it is; "" for the domain's own.
    """

    base: str
    partner: str = ""
    agreement: str = ""

    @property
    def own(self) -> bool:
        """Whether it is the domain's own view."""
        return not self.partner

    @property
    def agreement_path(self) -> str:
        """The agreement's entry."""
        return agreement_path(self.partner, self.agreement)

    def inner(self, *names: str) -> str:
        """An identifier for the inside, the same each time and unlike any other scope's; tells nothing of `names`."""
        return str(uuid.uuid5(_INNER, "/".join((self.base, *names))))


def agreement_path(partner: str, agreement: str) -> str:
    """Instance-identifier of an agreement."""
    return f"/mec-federation:federation/partner[id='{partner}']/agreement[id='{agreement}']"


def scope_of(base: InstancePath) -> Scope:
    """The scope whose subtree `base` is."""
    keys = {node.name: str(key) for node, key in base if node.module == "mec-federation" and key is not None}
    return Scope(format_path(base), keys.get("partner", ""), keys.get("agreement", ""))


@dataclass(frozen=True, slots=True)
class Intent:
    """One list entry that a commit changes.

    Attributes:
        list: name of the list.
        id: key of the entry; several are joined by "/".
        old, new: its configuration before and after; None where it did not or does not exist.
        held: the entry with its state, before the commit; None where it did not exist.
    """

    scope: Scope
    list: str
    id: str
    old: Members | None
    new: Members | None
    held: Members | None
    keys: tuple[str, ...] = ("id",)

    @property
    def path(self) -> str:
        """Of the entry, below the scope's base."""
        values = self.id.split("/") if len(self.keys) > 1 else [self.id]
        return f"/{self.list}" + "".join(f"[{key}='{value}']" for key, value in zip(self.keys, values, strict=True))


Check: TypeAlias = Callable[[Sequence[Intent], Transaction], None]
Act: TypeAlias = Callable[[Intent], None]


class Operational(Protocol):
    """What is read of the store."""

    @property
    def operational(self) -> Value: ...


@dataclass(frozen=True, slots=True)
class Duty:
    """What a block does about one list: `check` refuses (raise `RpcError`), quickly; `act` starts the work."""

    check: Check
    act: Act


class IntentProvider:
    """A provider (`nms.datastore.provider`) of lists that hold intents.

    Args:
        duties: by the list's schema path, in the order in which they act on what comes; on what goes it is the reverse.
        concerns: whether an intent in that scope is this block's (one entry of a list of managers is).
    """

    def __init__(
        self,
        schema: Schema,
        store: Operational,
        duties: Mapping[str, Duty],
        concerns: Callable[[Scope], bool] = lambda scope: True,
    ) -> None:
        self.paths = tuple(duties)
        self._store = store
        self._lists = [(schema.find(path), duty) for path, duty in duties.items()]
        self._concerns = concerns
        self._prepared: list[tuple[Duty, Sequence[Intent]]] = []  # written and read under the writer lock only

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Let the block refuse."""
        operational = self._store.operational
        self._prepared = [
            (duty, [each for each in intents(node, changes, tx, operational) if self._concerns(each.scope)])
            for node, duty in self._lists
        ]
        for duty, wanted in self._prepared:
            if wanted:
                duty.check(wanted, tx)

    def abort(self, tx: Transaction) -> None:
        """Checks have reserved nothing: the configuration itself is the reservation."""
        self._prepared = []

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Start the work: first what goes, what uses others before them."""
        prepared, self._prepared = self._prepared, []
        for duty, wanted in reversed(prepared):
            for intent in wanted:
                if intent.new is None:
                    duty.act(intent)
        for duty, wanted in prepared:
            for intent in wanted:
                if intent.new is not None:
                    duty.act(intent)


def intents(node: Node, changes: Sequence[Change], tx: Transaction, operational: Value) -> Iterator[Intent]:
    """The entries of list `node` that `changes` touch, each once."""
    seen: dict[InstancePath, None] = {}
    for change in changes:
        for path in _entries(node, change, tx):
            seen.setdefault(path)
    for path in seen:
        old, new = members_at(tx.old, path), members_at(tx.new, path)
        if old != new:
            values = "/".join(map(str, node.key_values(path[-1][1])))
            keys = tuple(leaf.name for leaf in node.keys)
            yield Intent(scope_of(path[:-1]), node.name, values, old, new, members_at(operational, path), keys)


def _entries(node: Node, change: Change, tx: Transaction) -> Iterator[InstancePath]:
    for depth, (step, key) in enumerate(change.path):
        if step is node:
            if key is not None:
                yield change.path[: depth + 1]
            return
    route = tree.route(node)
    if change.node not in route:
        return
    below = route[route.index(change.node) + 1 :]
    for value in (change.old, change.new):
        for rest, _ in tree.instances(change.node, value, below):
            yield (*change.path, *rest)
