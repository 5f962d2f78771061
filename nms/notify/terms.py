"""What a subscriber asked for: the parameters of establish- and modify-subscription (RFC 8639 section 2.4, RFC 8641
section 4.4), read from their positional values and put back into others.  Pure.

Names of these parameters are unique over both modules, so plain names stand for nodes here: the same parameters occur
in the input of two rpcs, in a notification and in the list of subscriptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nms.errors import RpcError
from nms.model import entries
from nms.model.schema import Node
from nms.model.values import AnyData, Identity, Value
from nms.notify.refusal import NOTIFICATIONS, Operation, refusal

#: Parameters of which a subscription has at most one: its filter.
FILTERS: Final = (
    "stream-filter-name",
    "stream-subtree-filter",
    "stream-xpath-filter",
    "selection-filter-ref",
    "datastore-subtree-filter",
    "datastore-xpath-filter",
)
#: The shortest period and, other than none, dampening-period, in centiseconds.
SHORTEST: Final = 10

ENCODINGS: Final = {f"{NOTIFICATIONS}:encode-xml": "xml", f"{NOTIFICATIONS}:encode-json": "json"}


def read(node: Node, value: Value | None) -> dict[str, Any]:
    """The members of an instance of `node` by name, of containers in it too; absent ones are left out."""
    if value is None:
        return {}
    return {
        child.name: read(child, held) if child.kind == "container" else held
        for child, held in zip(node.children, value, strict=True)
        if held is not None
    }


def build(node: Node, members: Mapping[str, Any]) -> Value:
    """The positional value of `node` from members by name; those it does not have are passed over."""
    slots: list[Value | None] = []
    for child in node.children:
        held = members.get(child.name)
        if isinstance(held, Mapping):
            held = build(child, held)
        elif child.kind == "list" and isinstance(held, Sequence):
            built = [build(child, item) for item in held]
            pairs = [(child.key_of(entry), entry) for entry in built]
            held = entries.from_values(pairs, ordered=child.user_ordered) if pairs else None
        slots.append(held)
    return tuple(slots)


def moment(text: str, name: str) -> datetime:
    """The time that a date-and-time says.

    Raises:
        RpcError: invalid-value; there is no such time (a leap second, the 30th of February).
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"{name}: {text} cannot be used as a time"
        raise RpcError("invalid-value", message, info={"bad-element": name}) from None


def text_of_moment(time: datetime) -> str:
    """The date-and-time of an aware time; reverse of `moment`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Terms:
    """The parameters of one subscription; `members` are those of RFC 8639's subscription-policy, by name."""

    members: Mapping[str, Any]

    @property
    def stream(self) -> str | None:
        """The event stream; None for a subscription to a datastore."""
        return self.members.get("stream")

    @property
    def datastore(self) -> str | None:
        """The datastore's name, without ``ietf-datastores:``."""
        found = self.members.get("datastore")
        return None if found is None else str(found).rpartition(":")[2]

    @property
    def filter(self) -> tuple[str, str | AnyData] | None:
        """Which of `FILTERS`, and its value."""
        return next(((name, self.members[name]) for name in FILTERS if name in self.members), None)

    @property
    def period(self) -> timedelta | None:
        """Of a periodic subscription."""
        periodic = self.members.get("periodic")
        return None if periodic is None else timedelta(milliseconds=10 * periodic["period"])

    @property
    def anchor(self) -> datetime | None:
        """Where the periods are counted from."""
        text = self.members.get("periodic", {}).get("anchor-time")
        return None if text is None else moment(text, "anchor-time")

    @property
    def on_change(self) -> bool:
        """Whether changes are pushed."""
        return "on-change" in self.members

    @property
    def dampening(self) -> timedelta:
        """The time between two updates of an on-change subscription."""
        return timedelta(milliseconds=10 * self.members.get("on-change", {}).get("dampening-period", 0))

    @property
    def sync_on_start(self) -> bool:
        """Whether an on-change subscription may push all of the selection."""
        found: bool = self.members.get("on-change", {}).get("sync-on-start", True)
        return found

    @property
    def excluded(self) -> frozenset[str]:
        """Kinds of changes that are not pushed."""
        return frozenset(self.members.get("on-change", {}).get("excluded-change", ()))

    @property
    def stop_time(self) -> datetime | None:
        """When it ends."""
        text = self.members.get("stop-time")
        return None if text is None else moment(text, "stop-time")

    @property
    def replay_start(self) -> datetime | None:
        """From when on events are replayed."""
        text = self.members.get("replay-start-time")
        return None if text is None else moment(text, "replay-start-time")

    def modified(self, given: Mapping[str, Any]) -> Terms:
        """These terms with what modify-subscription gives; what it does not give stays (RFC 8639 section 2.4.3).

        Raises:
            RpcError: invalid-value; stream, datastore and kind of update trigger are no terms to modify.
        """
        for name in ("stream", "datastore"):
            if name in given and given[name] != self.members.get(name):
                raise RpcError("invalid-value", f"the {name} cannot be modified", info={"bad-element": name})
        for name in ("periodic", "on-change"):
            if name in given and name not in self.members:
                message = "the kind of update trigger cannot be modified: establish another subscription"
                raise RpcError("invalid-value", message, info={"bad-element": name})
        stream = self.stream is not None
        for name in FILTERS:
            if name in given and name.startswith("stream") is not stream:
                message = f"{name} is not for this subscription"
                raise RpcError("invalid-value", message, info={"bad-element": name})
        merged = dict(self.members)
        if any(name in given for name in FILTERS):
            merged = {name: held for name, held in merged.items() if name not in FILTERS}
        for name, held in given.items():
            if name != "id":
                merged[name] = merged.get(name, {}) | held if isinstance(held, dict) else held
        return Terms(merged)

    def check(self, operation: Operation, now: datetime) -> None:
        """Refuse times and periods that make no sense.

        Raises:
            RpcError: invalid-value, period-unsupported with the shortest period as a hint, missing-element.
        """
        start, stop = self.replay_start, self.stop_time
        if start is not None and start >= now:
            raise _bad("replay-start-time", "it is not in the past")
        if stop is not None and stop <= (start if start is not None else now):
            raise _bad("stop-time", "it is not later than the start")
        if self.datastore is not None and self.period is None and not self.on_change:
            message = "a datastore subscription is periodic or on-change"
            raise RpcError("missing-element", message, info={"bad-element": "periodic"})
        if self.stream is not None and (self.period is not None or self.on_change):
            name = "periodic" if self.period is not None else "on-change"
            raise RpcError("bad-element", f"{name} is not for event streams", info={"bad-element": name})
        shortest = timedelta(milliseconds=10 * SHORTEST)
        asked = self.period if self.period is not None else self.dampening or shortest
        if asked < shortest:
            message = f"the shortest period is {SHORTEST} centiseconds"
            raise refusal(operation, "period-unsupported", message, period_hint=SHORTEST)
        _ = self.anchor


def _bad(name: str, why: str) -> RpcError:
    return RpcError("invalid-value", f"{name}: {why}", info={"bad-element": name})


def encoding(members: Mapping[str, Any], transport: str) -> Identity:
    """The encoding asked for, else that of the request itself."""
    asked = members.get("encoding")
    return Identity(f"{NOTIFICATIONS}:encode-{transport}") if asked is None else Identity(asked)
