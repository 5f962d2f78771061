"""<create-subscription> and RESTCONF event streams (RFC 5277 section 2.1.1, RFC 8040 section 6)."""

from __future__ import annotations

from datetime import datetime

from nms.errors import RpcError
from nms.model import select, subtree, tree, xpath
from nms.model.schema import Schema
from nms.model.values import Value
from nms.notify.streams import Notification, check_times
from nms.operations.context import OK, Context
from nms.operations.request import CreateSubscription, Reply, Session, SubtreeFilter, XPathFilter


def create_subscription(context: Context, session: Session, request: CreateSubscription) -> Reply:
    """Send the wanted events to the request's sink until the session ends; replayed ones before this returns.

    Raises:
        RpcError: operation-failed; the session has a subscription.  invalid-value; unknown stream or bad filter.
            bad-element, missing-element; the times make no sense.  operation-not-supported; the session has
            subscriptions of RFC 8639 (RFC 8640 section 3).
    """
    if session.dynamic:
        message = "this session has used establish-subscription, and a session has subscriptions of one kind"
        raise RpcError("operation-not-supported", message, type="protocol")
    if session.subscription is not None and session.subscription.active:
        message = "this session has a subscription already, and a session has one at a time"
        raise RpcError("operation-failed", message, type="protocol")
    now = context.clock()
    check_times(request.start_time, request.stop_time, now)
    stream = context.streams[request.stream]
    wanted = request.filter
    if wanted is not None:
        # A malformed filter is refused here, not at the first event.
        _matches(context, context.events, context.events.root.blank, wanted, session.principal.name, now)

    def accepts(notification: Notification) -> bool:
        who = session.principal
        if notification.audience is not None and not who.recovery and not notification.audience(who.name):
            return False
        if not context.guard.may_receive(session.principal, notification.node, notification.path):
            return False
        return wanted is None or _passes(context, notification, wanted, session.principal.name)

    def sink(notification: object) -> None:
        session.out_notifications += 1
        request.sink(notification)

    subscription = stream.subscribe(sink, accepts, request.start_time, request.stop_time, now)
    session.subscription = subscription
    session.on_close.append(subscription.cancel)
    return OK


def _matches(
    context: Context, schema: Schema, root: Value, wanted: SubtreeFilter | XPathFilter, user: str, now: datetime
) -> bool:
    """Does a subtree filter select anything of `root`, or is an expression true of it (RFC 8040 section 4.8.4)?"""
    if isinstance(wanted, SubtreeFilter):
        return bool(subtree.compile(schema.root, wanted.element).of(root) != schema.root.blank)
    compiled = xpath.compile_text(schema, wanted.select, wanted.namespaces)
    with context.allowance.evaluation(schema, user, now) as evaluation:
        return compiled.boolean(xpath.root_cursor(schema, root), evaluation)


def _passes(context: Context, notification: Notification, wanted: SubtreeFilter | XPathFilter, user: str) -> bool:
    """Does the notification pass the filter (RFC 5277 section 3.6)?"""
    schema, root = record(context, notification)
    return _matches(context, schema, root, wanted, user, notification.time)


def record(context: Context, notification: Notification) -> tuple[Schema, Value]:
    """The event record that filters look at, as a root of the schema given with it.

    One that belongs to an instance is matched by that instance (RFC 7950 section 7.16.1).
    """
    if notification.path:
        root = context.guard.store.root("operational")
        return context.schema, select.path(context.schema, root, notification.path)
    schema = context.events
    event = schema.root.by_tag[notification.node.tag]
    return schema, tree.put(schema.root, schema.root.blank, ((event, None),), notification.value)
