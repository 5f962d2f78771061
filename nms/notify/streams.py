"""Event streams (RFC 5277 section 3.2.3, RFC 8040 section 3.8): a bounded replay buffer and its subscribers.

Publishing never waits for anybody: a sink is called in the publisher's thread and hands over to a queue of its own.
Time comes with each notification and with `tick`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nms.errors import RpcError
from nms.model.path import InstancePath
from nms.model.schema import Names, Node
from nms.model.values import Value

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Notification:
    """One event.

    Attributes:
        node: the schema node of the notification.
        path: of the instance it belongs to (RFC 7950 section 7.16.1), () for a top-level notification.
        content: positional value of `node`, or what makes it when somebody looks at it.
        time: eventTime, aware.
        audience: whether it is for the user of that name, where access control lets them have it; None: for all.
    """

    node: Node
    path: InstancePath
    content: Value | Callable[[], Value]
    time: datetime
    audience: Callable[[str], bool] | None = None

    @property
    def value(self) -> Value:
        """Positional value of `node`."""
        if callable(self.content):
            self.content = self.content()
        return self.content


Sink = Callable[[object], None]
Accepts = Callable[[Notification], bool]

_NAMESPACE: Final = "urn:ietf:params:xml:ns:netmod:notification"


def _marker(name: str) -> Node:
    """The notifications of RFC 5277 section 2.1.1 about a stream itself, of which no module is published."""
    names = Names({"nc-notifications": _NAMESPACE}, {_NAMESPACE: "nc-notifications"})
    path = f"/nc-notifications:{name}"
    return Node(
        "notification", name, "nc-notifications", _NAMESPACE, None, names, tag=f"{{{_NAMESPACE}}}{name}", path=path
    )


REPLAY_COMPLETE: Final = _marker("replayComplete")
NOTIFICATION_COMPLETE: Final = _marker("notificationComplete")


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscriber; `cancel` ends it without a further word."""

    sink: Sink
    accepts: Accepts
    stop_time: datetime | None
    stream: Stream

    @property
    def active(self) -> bool:
        """Whether events still come; no longer after its stop-time, `cancel`, or a sink that failed."""
        return self.stream.holds(self)

    def cancel(self) -> None:
        """End the subscription; harmless when it has ended."""
        self.stream.drop(self)


class Stream:
    """One event stream; `created` is when its replay log began, `aged` the time of the last event that left it."""

    def __init__(self, name: str, description: str, size: int, created: datetime) -> None:
        self.name = name
        self.description = description
        self.created = created
        self.aged: datetime | None = None
        self._log: deque[Notification] = deque(maxlen=size)
        self._subscriptions: list[Subscription] = []
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """How many events the replay log holds."""
        return len(self._log)

    def publish(self, notification: Notification) -> None:
        """Remember `notification` and hand it to the subscribers it is for."""
        with self._lock:
            if len(self._log) == self._log.maxlen:
                self.aged = self._log[0].time
            self._log.append(notification)
            for subscription in list(self._subscriptions):
                if subscription.stop_time is None or notification.time <= subscription.stop_time:
                    self._deliver(subscription, notification)

    def subscribe(
        self, sink: Sink, accepts: Accepts, start: datetime | None, stop: datetime | None, now: datetime
    ) -> Subscription:
        """Add a subscriber; the events since `start` come first, then replayComplete, all before this returns."""
        subscription = Subscription(sink, accepts, stop, self)
        with self._lock:
            self._subscriptions.append(subscription)
            if start is not None:
                for notification in list(self._log):
                    if notification.time >= start and (stop is None or notification.time <= stop):
                        self._deliver(subscription, notification)
                self._deliver(subscription, Notification(REPLAY_COMPLETE, (), (), now), mark=True)
        self.tick(now)
        return subscription

    def tick(self, now: datetime) -> None:
        """End the subscriptions whose stop-time has come, with notificationComplete."""
        with self._lock:
            for subscription in list(self._subscriptions):
                if subscription.stop_time is not None and now >= subscription.stop_time:
                    self._deliver(subscription, Notification(NOTIFICATION_COMPLETE, (), (), now), mark=True)
                    self.drop(subscription)

    def holds(self, subscription: Subscription) -> bool:
        """Is this one of the present subscribers?"""
        with self._lock:
            return subscription in self._subscriptions

    def drop(self, subscription: Subscription) -> None:
        """Remove a subscriber."""
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def _deliver(self, subscription: Subscription, notification: Notification, *, mark: bool = False) -> None:
        try:
            if mark or subscription.accepts(notification):
                subscription.sink(notification)
        except RpcError as error:  # its filter takes too much: it is told that nothing more comes
            _log.warning("a subscriber of %s is removed: %s", self.name, error)
            self.drop(subscription)
            self._deliver(subscription, Notification(NOTIFICATION_COMPLETE, (), (), notification.time), mark=True)
        except Exception:  # noqa: BLE001 - one broken subscriber must not keep the event from the others
            _log.exception("a subscriber of %s failed and is removed", self.name)
            self.drop(subscription)

    def deadline(self) -> datetime | None:
        """When `tick` has something to do next."""
        with self._lock:
            return min((s.stop_time for s in self._subscriptions if s.stop_time is not None), default=None)


def check_times(start: datetime | None, stop: datetime | None, now: datetime) -> None:
    """Refuse times of <create-subscription> that make no sense (RFC 5277 section 2.1.1).

    Raises:
        RpcError: bad-element, missing-element.
    """
    if stop is not None and start is None:
        raise RpcError(
            "missing-element", "stopTime needs a startTime", type="protocol", info={"bad-element": "startTime"}
        )
    if start is not None and start > now:
        raise RpcError("bad-element", "startTime is in the future", type="protocol", info={"bad-element": "startTime"})
    if start is not None and stop is not None and stop < start:
        raise RpcError("bad-element", "stopTime is before startTime", type="protocol", info={"bad-element": "stopTime"})


class Streams:
    """The streams of one server: NETCONF has everything (RFC 5277 section 3.2.3)."""

    def __init__(self, created: datetime, size: int = 10_000) -> None:
        self.streams = {"NETCONF": Stream("NETCONF", "all events of this server", size, created)}

    def __getitem__(self, name: str) -> Stream:
        """The stream called `name`.

        Raises:
            RpcError: invalid-value with status 404.
        """
        try:
            return self.streams[name]
        except KeyError:
            raise RpcError("invalid-value", f"there is no event stream {name!r}", type="protocol", status=404) from None

    def publish(self, notification: Notification) -> None:
        """Put `notification` on the NETCONF stream.  Never blocks; any thread."""
        self.streams["NETCONF"].publish(notification)

    def tick(self, now: datetime) -> None:
        """End what is over in every stream."""
        for stream in self.streams.values():
            stream.tick(now)

    def deadline(self) -> datetime | None:
        """When `tick` has something to do next."""
        return min((d for s in self.streams.values() if (d := s.deadline()) is not None), default=None)
