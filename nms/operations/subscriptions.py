"""Dynamic subscriptions (RFC 8639, RFC 8641): establish, modify, delete, kill, resync, and what ends them.

A subscription belongs to the session that established it, over RESTCONF to the user (RFC 8650 section 3.4), and ends
with it.  Here is who may do what to which; what feeds a subscription is a `Stream` or a `Push`.  Configured
subscriptions are not offered (the feature "configured"), configured filters are: one that goes or changes takes its
subscriptions along.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, Final

from nms.access.guard import Transaction
from nms.errors import RpcError
from nms.model.diff import Change
from nms.model.schema import Node
from nms.model.values import Identity, Value
from nms.notify import streams
from nms.notify.refusal import NOTIFICATIONS, PUSH, Operation, refusal
from nms.notify.selection import Selection
from nms.notify.streams import NOTIFICATION_COMPLETE, REPLAY_COMPLETE, Notification
from nms.notify.subscription import PATIENCE, RESOURCES, Subscription
from nms.notify.terms import ENCODINGS, Terms, build, encoding, read, text_of_moment
from nms.operations.change_feed import ChangeFeed
from nms.operations.context import Context
from nms.operations.push import ON_CHANGE, Push
from nms.operations.request import Invoke, Receiver, Session
from nms.operations.subscription_filters import Filters

_log = logging.getLogger(__name__)

SUBSCRIBABLE: Final = frozenset(
    f"ietf-datastores:{name}" for name in ("running", "candidate", "startup", "intended", "operational")
)


class Dynamic:
    """One subscription with its owner and its feed; `push` is None for one to an event stream."""

    def __init__(self, session: Session, subscription: Subscription, coding: Identity, uri: str | None) -> None:
        self.session = session
        self.subscription = subscription
        self.transport = {"encoding": coding, "uri": uri}
        self.push: Push | None = None
        self.feed: streams.Subscription | None = None
        self.matches: Callable[[Notification], bool] = lambda notification: True

    def of(self, session: Session) -> bool:
        """Is it the session's own?"""
        mine = self.session
        return mine is session or (
            mine.protocol == session.protocol == "restconf" and mine.principal == session.principal
        )


class Subscriptions:
    """The dynamic subscriptions of one server."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.guard.store
        self._ids = itertools.count(1)
        self._all: dict[int, Dynamic] = {}
        self._changes = ChangeFeed(context, self._pushed_on_change, self._changed)
        self.filters = Filters(context)
        self._store.add_provider(self.filters)
        for module, name, call in (
            (NOTIFICATIONS, "establish-subscription", self.establish),
            (NOTIFICATIONS, "modify-subscription", self.modify),
            (NOTIFICATIONS, "delete-subscription", self.delete),
            (NOTIFICATIONS, "kill-subscription", self.kill),
            (PUSH, "resync-subscription", self.resync),
        ):
            context.calls[context.schema.rpcs[module, name]] = call
        self._store.listeners.append(self._committed)
        self._store.watchers.append(self._changes.published)

    def __iter__(self) -> Iterator[Dynamic]:
        return iter(list(self._all.values()))

    # ------------------------------------------------------------ operations

    def establish(self, session: Session, invoke: Invoke) -> Value:
        """<establish-subscription>: the subscription's id, and from when on events are replayed if not from as asked.

        Raises:
            RpcError: a `refusal`, or what is wrong with the parameters.  operation-not-supported; the session has a
                subscription of RFC 5277 (RFC 8640 section 3).
        """
        if session.subscription is not None and session.protocol != "restconf":
            message = "this session has used create-subscription, and a session has subscriptions of one kind"
            raise RpcError("operation-not-supported", message, type="protocol")
        members = read(invoke.node.children[0], invoke.input)
        coding = encoding(members, invoke.receiver.encoding if invoke.receiver is not None else "xml")
        terms = Terms({name: held for name, held in members.items() if name != "encoding"})
        operation: Operation = "establish-stream" if terms.stream is not None else "establish-datastore"
        now = self._context.clock()
        receiver = invoke.receiver
        if receiver is None:
            raise RpcError("operation-not-supported", "notifications cannot be sent over this transport")
        if ENCODINGS.get(coding) is None or (session.protocol != "restconf" and ENCODINGS[coding] != "xml"):
            message = f"{coding} is not for this transport"
            raise refusal(operation, "encoding-unsupported", message)
        self._check_number(session, operation)
        terms.check(operation, now)
        subscription = self._subscription(session, terms, receiver)
        uri = receiver.locate(subscription.id)
        dynamic = Dynamic(session, subscription, coding, uri)
        members = {"id": subscription.id, "uri": uri}
        if terms.stream is not None:
            members |= self._establish_stream(dynamic, terms.stream, now)
        else:
            self._establish_push(dynamic, now)
        session.dynamic = session.protocol != "restconf"
        return build(invoke.node.children[1], members)

    def _check_number(self, session: Session, operation: Operation) -> None:
        own = sum(dynamic.of(session) for dynamic in self)
        most, most_of_one = self._context.limits.subscriptions, self._context.limits.subscriptions_per_session
        if own >= most_of_one or len(self._all) >= most:
            message = f"a subscriber has at most {most_of_one} subscriptions, all together have {most}"
            raise refusal(operation, "insufficient-resources", message)

    def _subscription(self, session: Session, terms: Terms, receiver: Receiver) -> Subscription:
        guard = self._context.guard

        def sink(notification: object) -> None:
            session.out_notifications += 1
            receiver.sink(notification)

        subscription = Subscription(
            id=next(self._ids),
            receiver_name=f"{session.principal.name} in session {session.id}",
            terms=terms,
            notices=self._context.schema.notifications,
            sink=sink,
            waiting=receiver.waiting,
            permits=lambda node: guard.may_receive(session.principal, node),
            backlog=self._context.limits.subscription_backlog,
        )
        subscription.on_end = [partial(self._forget, subscription, session), receiver.ended]
        return subscription

    def _add(self, dynamic: Dynamic) -> None:
        self._all[dynamic.subscription.id] = dynamic
        dynamic.session.on_close.append(dynamic.subscription.end)
        if dynamic.session.id not in self._context.sessions:  # it ended meanwhile
            dynamic.subscription.end()

    def _forget(self, subscription: Subscription, session: Session) -> None:
        self._all.pop(subscription.id, None)
        if session.id in self._context.sessions:  # else it is ending, and goes through what it holds
            with suppress(ValueError):
                session.on_close.remove(subscription.end)

    def _establish_stream(self, dynamic: Dynamic, name: str, now: datetime) -> dict[str, Any]:
        subscription, terms = dynamic.subscription, dynamic.subscription.terms
        try:
            stream = self._context.streams[name]
        except RpcError as error:
            raise RpcError("invalid-value", error.message, info={"bad-element": "stream"}) from None
        dynamic.matches = self.filters.events(dynamic.session.principal, terms, "establish-stream")

        def accepts(notification: Notification) -> bool:
            try:
                taken = self._may_see(dynamic.session, notification) and dynamic.matches(notification)
            except RpcError:
                subscription.suspend(RESOURCES, notification.time)
                return False
            subscription.excluded += not taken
            return taken

        def sink(event: object) -> None:
            assert isinstance(event, Notification)
            if event.node is REPLAY_COMPLETE:
                subscription.tell("replay-completed", event.time)
                subscription.allowance = subscription.backlog + subscription.waiting()
            elif event.node is NOTIFICATION_COMPLETE:
                subscription.end()
            else:
                subscription.event(event)

        start = terms.replay_start
        if start is not None:
            subscription.allowance += stream.held
        self._add(dynamic)
        dynamic.feed = stream.subscribe(sink, accepts, start, terms.stop_time, now)
        subscription.on_end.append(dynamic.feed.cancel)
        if subscription.ended:
            dynamic.feed.cancel()
        earliest = stream.aged or stream.created
        return (
            {"replay-start-time-revision": text_of_moment(earliest)} if start is not None and start < earliest else {}
        )

    def _may_see(self, session: Session, notification: Notification) -> bool:
        who = session.principal
        if notification.audience is not None and not who.recovery and not notification.audience(who.name):
            return False
        return self._context.guard.may_receive(who, notification.node, notification.path)

    def _establish_push(self, dynamic: Dynamic, now: datetime) -> None:
        subscription, terms = dynamic.subscription, dynamic.subscription.terms
        if terms.members["datastore"] not in SUBSCRIBABLE:
            message = f"the datastore {terms.datastore} cannot be subscribed to"
            raise refusal("establish-datastore", "datastore-not-subscribable", message)
        if terms.on_change and terms.datastore not in ON_CHANGE:
            message = f"changes of {terms.datastore} are not pushed"
            raise refusal("establish-datastore", "on-change-unsupported", message)
        principal = dynamic.session.principal
        selection = self.filters.datastore(principal, terms, "establish-datastore")
        if terms.on_change:
            self._check_changing(selection, terms)
        push = dynamic.push = Push(self._context, principal, subscription, selection, now)
        root = push.begin()
        self._add(dynamic)
        try:
            content = push.selected(root)
        except RpcError as error:
            subscription.end()
            raise refusal("establish-datastore", "insufficient-resources", error.message) from None
        except BaseException:
            subscription.end()
            raise
        first = terms.sync_on_start if terms.on_change else terms.anchor is None
        push.sync(content if first else None, now)

    def _check_changing(self, selection: Selection, terms: Terms) -> None:
        """Refuse to push changes of what never changes, or changes without anybody telling (RFC 8641 section 3.10)."""
        if selection.ends is None:
            return
        shown = [end for end in selection.ends if end.config or end.holds_state or terms.datastore == "operational"]
        if not shown:
            message = f"the filter selects nothing that {terms.datastore} can hold"
            raise refusal("establish-datastore", "unchanging-selection", message)
        computed = {route[-1] for route, _ in self._store.sources}
        if all(any(one in computed for one in end.ancestors()) for end in shown):
            message = "what the filter selects is computed when it is read: subscribe periodically"
            raise refusal("establish-datastore", "on-change-unsupported", message)

    def modify(self, session: Session, invoke: Invoke) -> None:
        """<modify-subscription>; a suspended subscription becomes active.

        Raises:
            RpcError: a `refusal`, or what is wrong with the parameters.
        """
        given = read(invoke.node.children[0], invoke.input)
        dynamic = self._all.get(given["id"])
        if dynamic is None or not dynamic.of(session):
            operation: Operation = "modify-datastore" if "datastore" in given else "modify-stream"
            raise refusal(operation, "no-such-subscription", f"you have no subscription {given['id']}")
        subscription, push = dynamic.subscription, dynamic.push
        operation = "modify-stream" if push is None else "modify-datastore"
        now = self._context.clock()
        terms = subscription.terms.modified(given)
        terms.check(operation, now)
        self._reterm(dynamic, terms, operation, now)
        if subscription.reason:
            subscription.resume(now, tell=False)
        self._tell_modified(dynamic, now)

    def _reterm(self, dynamic: Dynamic, terms: Terms, operation: Operation, now: datetime) -> None:
        """Give a subscription the terms and the filter they name."""
        principal, push = dynamic.session.principal, dynamic.push
        if push is None:
            matches = self.filters.events(principal, terms, operation)
            dynamic.subscription.terms, dynamic.matches = terms, matches
            if dynamic.feed is not None:
                dynamic.feed.stop_time = terms.stop_time
        else:
            selection = self.filters.datastore(principal, terms, operation)
            with self._store.writer:
                dynamic.subscription.terms = terms
                push.modified(selection, now)

    def _tell_modified(self, dynamic: Dynamic, now: datetime) -> None:
        subscription = dynamic.subscription
        subscription.tell("subscription-modified", now, **{**subscription.terms.members, **dynamic.transport})
        if dynamic.push is not None:
            dynamic.push.resumed(now)

    def delete(self, session: Session, invoke: Invoke) -> None:
        """<delete-subscription>: one of the session's own.

        Raises:
            RpcError: no-such-subscription.
        """
        self._named(invoke, session, "delete", "no-such-subscription").subscription.end()

    def kill(self, session: Session, invoke: Invoke) -> None:
        """<kill-subscription>: anybody's; NACM decides who may.

        Raises:
            RpcError: no-such-subscription.
        """
        dynamic = self._named(invoke, None, "delete", "no-such-subscription")
        dynamic.subscription.terminate("no-such-subscription", self._context.clock())

    def resync(self, session: Session, invoke: Invoke) -> None:
        """<resync-subscription>: push all of the selection.

        Raises:
            RpcError: no-such-subscription-resync, on-change-sync-unsupported.
        """
        dynamic = self._named(invoke, session, "resync", "no-such-subscription-resync")
        terms = dynamic.subscription.terms
        if dynamic.push is None or not terms.on_change or not terms.sync_on_start:
            message = "only an on-change subscription that synchronises on start can be resynchronised"
            raise refusal("resync", "on-change-sync-unsupported", message)
        dynamic.push.resync(self._context.clock())

    def _named(self, invoke: Invoke, session: Session | None, operation: Operation, reason: str) -> Dynamic:
        wanted = read(invoke.node.children[0], invoke.input)["id"]
        dynamic = self._all.get(wanted)
        if dynamic is None or (session is not None and not dynamic.of(session)):
            raise refusal(operation, reason, f"there is no subscription {wanted}" + (" of yours" if session else ""))
        return dynamic

    # ------------------------------------------------------------ what happens

    def _committed(self, tx: Transaction) -> None:
        """A listener of the store."""
        for reference in self.filters.touched():
            self._filter_changed(reference, tx.time)
        self._changes.committed(tx)

    def _pushed_on_change(self) -> list[Push]:
        return [d.push for d in self if d.push is not None and d.subscription.terms.on_change]

    def _changed(
        self, push: Push, old: Value, new: Value, changes: Mapping[Node, Sequence[Change]], now: datetime
    ) -> None:
        with self._contained(push.subscription, now):
            push.changed(old, new, changes, now)

    @contextmanager
    def _contained(self, subscription: Subscription, now: datetime) -> Iterator[None]:
        """End a subscription that fails, so that it keeps nothing from the others and does not fail again."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever is wrong with one subscription
            _log.exception("subscription %d failed and is ended", subscription.id)
            subscription.terminate("no-such-subscription", now)

    def _filter_changed(self, reference: tuple[str, str], now: datetime) -> None:
        """A configured filter was changed or deleted (RFC 8639 section 2.2)."""
        for dynamic in self:
            terms = dynamic.subscription.terms
            if terms.filter == reference:
                try:
                    operation: Operation = "modify-stream" if dynamic.push is None else "modify-datastore"
                    self._reterm(dynamic, terms, operation, now)
                except RpcError:
                    dynamic.subscription.terminate("filter-unavailable", now)
                else:
                    self._tell_modified(dynamic, now)

    def tick(self, now: datetime) -> None:
        """Push what is due, resume and end what has to be."""
        for dynamic in self:
            with self._contained(dynamic.subscription, now):
                self._tick(dynamic, now)

    def _tick(self, dynamic: Dynamic, now: datetime) -> None:
        subscription, push = dynamic.subscription, dynamic.push
        stop = subscription.terms.stop_time
        if push is not None and stop is not None and now >= stop:
            subscription.end()
        elif subscription.given_up(now):
            subscription.terminate("suspension-timeout", now)
        elif subscription.caught_up():
            subscription.resume(now)
            if push is not None:
                push.resumed(now)
        elif push is not None:
            push.tick(now)

    def deadline(self) -> datetime | None:
        """When `tick` has something to do next."""
        times = [time for dynamic in self for time in self._times(dynamic) if time is not None]
        return min(times, default=None)

    def _times(self, dynamic: Dynamic) -> Iterator[datetime | None]:
        if dynamic.subscription.suspended_at is not None:
            yield self._context.clock() + PATIENCE
        if dynamic.push is not None:
            yield dynamic.push.due
            yield dynamic.subscription.terms.stop_time
