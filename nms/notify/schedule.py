"""When a subscription to a datastore pushes (RFC 8641 sections 3.1 and 3.7): moments computed from moments.  Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def next_update(anchor: datetime, period: timedelta, after: datetime) -> datetime:
    """The first moment later than `after` that is a whole number of periods from `anchor`, before or after it."""
    return anchor + ((after - anchor) // period + 1) * period


def dampened_until(last: datetime | None, dampening: timedelta, now: datetime) -> datetime | None:
    """Until when a change seen `now` waits after the update of `last`; None: it is pushed at once."""
    if last is None or not dampening or now >= last + dampening:
        return None
    return last + dampening
