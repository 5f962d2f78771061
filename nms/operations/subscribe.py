"""<create-subscription> and RESTCONF event streams (RFC 5277 section 2.1.1, RFC 8040 section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from nms.errors import RpcError
from nms.model import select, subtree, tree, xpath
from nms.model.cursor import Evaluation
from nms.model.schema import Schema
from nms.model.values import Value
from nms.notify.streams import Notification, check_times
from nms.operations.context import OK, Context
from nms.operations.request import CreateSubscription, Reply, Session, SubtreeFilter, XPathFilter

_Passes: TypeAlias = Callable[[Schema, Value, Evaluation], bool]


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
    user = session.principal.name
    passes = None if request.filter is None else _compiled(context, request.filter)
    if passes is not None:
        # What no expression may give or take is refused here, not at the first event.
        with context.allowance.evaluation(context.events, user, now) as work:
            passes(context.events, context.events.root.blank, work)

    def accepts(notification: Notification) -> bool:
        who = session.principal
        if notification.audience is not None and not who.recovery and not notification.audience(who.name):
            return False
        if not context.guard.may_receive(session.principal, notification.node, notification.path):
            return False
        if passes is None:
            return True
        schema, root = record(context, notification)
        with context.allowance.evaluation(schema, user, notification.time) as work:
            return passes(schema, root, work)

    def sink(notification: object) -> None:
        session.out_notifications += 1
        request.sink(notification)

    subscription = stream.subscribe(sink, accepts, request.start_time, request.stop_time, now)
    session.subscription = subscription
    session.on_close.append(subscription.cancel)
    return OK


def _compiled(context: Context, wanted: SubtreeFilter | XPathFilter) -> _Passes:
    """Does a subtree filter select anything of a root, or is an expression true of it (RFC 8040 section 4.8.4)?

    The filter is made ready once, for both shapes that an event record can have.

    Raises:
        RpcError: invalid-value, resource-denied; it is malformed, or too large.
    """
    schemas = (context.events, context.schema)
    if isinstance(wanted, SubtreeFilter):
        selections = {id(schema): subtree.compile(schema.root, wanted.element) for schema in schemas}
        return lambda schema, root, work: bool(selections[id(schema)].of(root, work) != schema.root.blank)
    programs = {id(schema): xpath.compile_text(schema, wanted.select, wanted.namespaces) for schema in schemas}
    return lambda schema, root, work: programs[id(schema)].boolean(xpath.root_cursor(schema, root), work)


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
