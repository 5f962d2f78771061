"""What the blocks tell of themselves: state, alarms (RFC 8632) and notifications, as RFC 7951 members.

The one place where numbers are given to what a partner is sent: each agreement has its own sequence, so that a loss is
seen.  What is told about a subtree goes to that subtree and to its partner only.  It must not know any block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from nms.errors import RpcError
from nms.mec.scope import Scope, agreement_path, scope_of
from nms.mec.session import Members, members_at, value_at
from nms.model import edit as edits_of
from nms.model import json, tree
from nms.model.diff import Change
from nms.model.edit import Edit
from nms.model.path import parse_path
from nms.model.schema import Schema
from nms.model.values import Value
from nms.notify.streams import Notification

ALARM = "mec-federation:alarm-notification"
KPIS = "mec-federation:kpi-report"
#: In one list.
MOST_ALARMS = 1000


class Store(Protocol):
    """What is asked of the datastores."""

    @property
    def schema(self) -> Schema: ...
    @property
    def operational(self) -> Value: ...
    @property
    def running(self) -> Value: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    def publish(self, edits: Sequence[Edit], durable: bool = True) -> list[Change]: ...


class Streams(Protocol):
    """What is asked of the event streams."""

    def publish(self, notification: Notification) -> None: ...


def timestamp(time: datetime) -> str:
    """mec-types:timestamp; with microseconds, so that what happened in order sorts in order."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Publisher:
    """Writes state and notifications of one domain; any thread."""

    def __init__(self, store: Store, streams: Streams) -> None:
        self.store = store
        self.schema = store.schema
        self._streams = streams
        self._sequences: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def now(self) -> str:
        """The time, as mec-types:timestamp."""
        return timestamp(self.store.clock())

    def read(self, path: str, *, config: bool = False) -> Members | None:
        """The members at `path` in operational (or running), as `nms.mec.session.ManagementSession.get` gives them."""
        return members_at(self.store.running if config else self.store.operational, parse_path(self.schema, path))

    def entries(self, path: str) -> Sequence[Members]:
        """The entries of the list at `path`."""
        found = self.read(path)
        return () if found is None else next(iter(found.values()))

    def scopes(self, path: str) -> Iterator[Scope]:
        """Every instance of the container or list at the schema path `path`."""
        route = tree.route(self.schema.find(path))
        for found, _ in tree.instances(self.schema.root, self.store.operational, route):
            yield scope_of(found)

    def scope(self, path: str) -> Scope:
        """The scope whose subtree is at `path`."""
        return scope_of(parse_path(self.schema, path))

    def state(self, path: str, members: Any, *, durable: bool = True) -> bool:
        """Put state in place of what is at `path` (None: remove it); False if the entry it belongs to is gone."""
        where = parse_path(self.schema, path)
        if members is None:
            edit = edits_of.at(where, "remove")
        else:
            edit = edits_of.at(where, "replace", value_at(where, members))
        try:
            self.store.publish([edit], durable)
        except RpcError as error:
            if error.tag == "data-missing":
                return False
            raise
        return True

    def notify(self, scope: Scope, name: str, members: Mapping[str, Any]) -> None:
        """Send notification `name` ("module:name") about `scope`, to the domain itself or to the partner."""
        node = self.schema.notifications[name.partition(":")[0], name.partition(":")[2]]
        # Numbered and handed over under one lock, so that the numbers arrive in order.
        with self._lock:
            told = dict(members)
            if not scope.own:
                key = (scope.partner, scope.agreement)
                self._sequences[key] = number = self._sequences.get(key, 0) + 1
                told |= {"partner": scope.partner, "agreement": scope.agreement, "sequence": str(number)}
            value = json.decode(node, told)
            self._streams.publish(Notification(node, (), value, self.store.clock(), audience=self._audience(scope)))

    def sequence(self, partner: str, agreement: str) -> int:
        """Number of the last notification that was sent under an agreement."""
        with self._lock:
            return self._sequences.get((partner, agreement), 0)

    def alarm(self, scope: Scope, resource: str, type: str, severity: str, text: str, *, cleared: bool = False) -> None:
        """Raise, change or clear an alarm; clearing one that was never raised, or saying the same again, is nothing.

        Args:
            type: identity of mec-types derived from mec-alarm, without the module.
            severity: of RFC 8632 section 4.4: indeterminate, warning, minor, major or critical.
        """
        about = {"resource": resource, "alarm-type-id": f"mec-types:{type}", "alarm-type-qualifier": ""}
        where = f"{scope.base}/alarm{_alarm_key(about)}"
        held = self.read(where)
        if cleared and (held is None or held["is-cleared"]):
            return
        if held is not None and _said(held) == (severity, cleared, text):
            return
        if held is None:
            self._make_room(scope)
        now = self.now()
        alarm = about | {
            "perceived-severity": severity,
            "is-cleared": cleared,
            "time-created": now if held is None else held["time-created"],
            "last-changed": now,
            "alarm-text": text,
        }
        if self.state(where, alarm) and self.shares(scope, "share-faults"):
            self.notify(scope, ALARM, alarm)

    def _make_room(self, scope: Scope) -> None:
        """For one more alarm: of too many the first to go are those that are over, and have been so for longest."""
        listed = self.entries(f"{scope.base}/alarm")
        if len(listed) >= MOST_ALARMS:
            oldest = min(listed, key=lambda each: (not each["is-cleared"], each["last-changed"]))
            self.state(f"{scope.base}/alarm{_alarm_key(oldest)}", None)

    def measured(self, scope: Scope, rows: Sequence[Members], subjects: Collection[str]) -> None:
        """Show the latest indicators, and tell of them; those of what does not exist any more go.

        Args:
            rows: entries of the list kpi, one for each metric and subject.
            subjects: all that exist.
        """
        for old in self.entries(f"{scope.base}/kpi"):
            if old["subject"] not in subjects:
                self.state(f"{scope.base}/kpi{_indicator(old)}", None, durable=False)
        for row in rows:
            self.state(f"{scope.base}/kpi{_indicator(row)}", row, durable=False)
        if rows:
            self.notify(scope, KPIS, {"kpi": rows})

    def shares(self, scope: Scope, what: str) -> bool:
        """Whether an agreement passes faults ("share-faults") or indicators ("share-kpis") on; one's own are."""
        if scope.own:
            return True
        agreed = self.read(agreement_path(scope.partner, scope.agreement) + "/sharing", config=True) or {}
        return bool(agreed.get(what, True))

    def _audience(self, scope: Scope) -> Callable[[str], bool]:
        """A partner gets what is about its agreements and nothing of what is the domain's own."""
        partners = self.read("/mec-federation:federation/partner", config=True) or {"partner": ()}
        users = {each["id"]: each.get("user-name") for each in partners["partner"]}
        if scope.own:
            own = frozenset(users.values())
            return lambda user: user not in own
        addressee = users.get(scope.partner)
        return lambda user: user == addressee


def _alarm_key(alarm: Members) -> str:
    names = ("resource", "alarm-type-id", "alarm-type-qualifier")
    return "".join(f"[{name}='{alarm[name]}']" for name in names)


def _indicator(row: Members) -> str:
    return f"[metric='{row['metric']}'][subject='{row['subject']}']"


def _said(alarm: Members) -> tuple[str, bool, str]:
    return alarm["perceived-severity"], alarm["is-cleared"], alarm["alarm-text"]
