"""/streams and /subscriptions of ietf-subscribed-notifications (RFC 8639 section 3), computed at each read."""

from __future__ import annotations

from typing import Any

from nms.model.values import EMPTY, Value
from nms.notify.refusal import NOTIFICATIONS
from nms.notify.streams import Stream
from nms.notify.terms import build, text_of_moment
from nms.operations.context import Context
from nms.operations.subscriptions import Dynamic, Subscriptions


def publish_sources(context: Context, subscriptions: Subscriptions) -> None:
    """Tie the computed state to its places."""
    streams = context.schema.find(f"/{NOTIFICATIONS}:streams")
    listed = context.schema.find(f"/{NOTIFICATIONS}:subscriptions")

    def stream_list() -> Value:
        return build(streams, {"stream": [_stream(stream) for stream in context.streams.streams.values()]})

    def subscription_list() -> Value | None:
        present = [_subscription(dynamic) for dynamic in subscriptions]
        return build(listed, {"subscription": present}) if present else None

    context.guard.store.add_source(streams.path, stream_list)
    context.guard.store.add_source(listed.path, subscription_list)


def _stream(stream: Stream) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": stream.name,
        "description": stream.description,
        "replay-support": EMPTY,
        "replay-log-creation-time": text_of_moment(stream.created),
    }
    return entry | ({"replay-log-aged-time": text_of_moment(stream.aged)} if stream.aged is not None else {})


def _subscription(dynamic: Dynamic) -> dict[str, Any]:
    subscription = dynamic.subscription
    receiver = {
        "name": subscription.receiver_name,
        "sent-event-records": subscription.sent,
        "excluded-event-records": subscription.excluded,
        "state": "suspended" if subscription.reason else "active",
    }
    return {
        **subscription.terms.members,
        **dynamic.transport,
        "id": subscription.id,
        "receivers": {"receiver": [receiver]},
    }
