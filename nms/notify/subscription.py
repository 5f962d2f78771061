"""One dynamic subscription as its receiver sees it (RFC 8639 sections 2.4, 2.7): active, suspended or ended.

Events pass only while it is active and the receiver keeps up: one that has too many notifications before it is
suspended, so that nothing grows without bound, and resumed when it has caught up; one suspended for long is terminated.
Time is an argument.  What selects the events is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from nms.model.schema import Node
from nms.model.values import Identity
from nms.notify.refusal import NOTIFICATIONS, identity
from nms.notify.streams import Notification, Sink
from nms.notify.terms import Terms, build

#: Notifications that a receiver may be behind, unless somebody says otherwise (`nms.limits`).
MOST_WAITING: Final = 500
#: How long a subscription stays suspended before it is terminated.
SUSPENSION: Final = timedelta(minutes=5)
#: How often a suspended one is looked at.
PATIENCE: Final = timedelta(seconds=1)
#: The receiver is too slow; when it has caught up the subscription goes on.
VOLUME: Final = "unsupportable-volume"
#: Its filter costs too much; only modify-subscription can change that.
RESOURCES: Final = "insufficient-resources"


@dataclass(slots=True, eq=False)
class Subscription:
    """A subscription and its one receiver.

    Attributes:
        notices: the schema's notifications by (module, name).
        permits: may the receiver be sent this notification?
        sent, excluded: event records, sent and filtered out.
        backlog: notifications that may wait.
        allowance: those that may wait now; more during a replay, which is in memory anyway.
        reason: why it is suspended; "" while it is active.
        on_end: releases what feeds it; called once.
    """

    id: int
    receiver_name: str
    terms: Terms
    notices: Mapping[tuple[str, str], Node]
    sink: Sink
    waiting: Callable[[], int]
    permits: Callable[[Node], bool]
    backlog: int = MOST_WAITING
    sent: int = 0
    excluded: int = 0
    allowance: int = field(init=False)
    reason: str = ""
    suspended_at: datetime | None = None
    ended: bool = False
    on_end: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.allowance = self.backlog

    def event(self, notification: Notification) -> bool:
        """Send an event record, unless it is suspended or becomes so; True if it was sent."""
        if self.ended or self.reason:
            return False
        if self.waiting() >= self.allowance:
            self.suspend(VOLUME, notification.time)
            return False
        self.sent += 1
        self.sink(notification)
        return True

    def tell(self, name: str, now: datetime, **members: Any) -> None:
        """Send a subscription state change notification (RFC 8639 section 2.7)."""
        node = self.notices[NOTIFICATIONS, name]
        if not self.ended and self.permits(node):
            self.sink(Notification(node, (), build(node, {"id": self.id} | members), now))

    def suspend(self, reason: str, now: datetime) -> None:
        """Send nothing more until `resume`."""
        if not self.reason and not self.ended:
            self.reason, self.suspended_at = reason, now
            self.tell("subscription-suspended", now, reason=Identity(identity(reason)))

    def resume(self, now: datetime, *, tell: bool = True) -> None:
        """Go on."""
        self.reason, self.suspended_at, self.allowance = "", None, self.backlog
        if tell:
            self.tell("subscription-resumed", now)

    def caught_up(self) -> bool:
        """Was it suspended for being slow, and is it no longer behind?"""
        return self.reason == VOLUME and self.waiting() <= self.backlog // 2

    def given_up(self, now: datetime) -> bool:
        """Has it been suspended for too long?"""
        return self.suspended_at is not None and now >= self.suspended_at + SUSPENSION

    def terminate(self, reason: str, now: datetime) -> None:
        """End it and say why."""
        self.tell("subscription-terminated", now, reason=Identity(identity(reason)))
        self.end()

    def end(self) -> None:
        """End it without a further word; harmless when it has ended."""
        if not self.ended:
            self.ended = True
            for release in self.on_end:
                release()
