"""The core as every front end sees it: sessions, and one table from request to handler.

Synchronous and thread-safe: a read takes a pointer, a write takes the writer lock.  No transport, encoding or clock of
its own is known here (`clock` is an argument).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from nms.access.guard import Guard, Journal, MemoryJournal, Transaction, open_store
from nms.errors import RpcError, RpcErrors
from nms.limits import Limits
from nms.model.path import InstancePath
from nms.model.schema import Names, Node, Schema, seal
from nms.model.values import Value
from nms.notify.allowance import Allowance
from nms.notify.streams import Streams
from nms.operations import (
    commit,
    edit,
    events,
    invoke,
    lock,
    monitor,
    request,
    retrieve,
    subscribe,
    subscription_state,
)
from nms.operations.context import Call, Context
from nms.operations.files import Files
from nms.operations.request import Principal, Reply, Request, Session
from nms.operations.subscriptions import Subscriptions
from nms.operations.writer import Writer

#: The modules of the protocols themselves, for `nms.model.load.load`: served beside what is configured.
PROTOCOL_MODULES: Final = (
    "ietf-netconf:writable-running,candidate,confirmed-commit,rollback-on-error,validate,xpath",
    "ietf-netconf-acm",
    "ietf-netconf-monitoring",
    "ietf-netconf-notifications",
    "ietf-netconf-with-defaults",
    "ietf-netconf-nmda:origin,with-defaults",
    "ietf-datastores",
    "ietf-origin",
    "ietf-yang-library",
    "ietf-restconf-monitoring",
    "ietf-subscribed-notifications:encode-json,encode-xml,replay,subtree,xpath",
    "ietf-yang-push:on-change",
    "ietf-restconf-subscribed-notifications",
    "nc-notifications",
    "notifications",
)

#: What RESTCONF does by methods on resources.
_RESOURCES: Final = (request.Get, request.EditConfig, request.CreateSubscription)

Handler = Callable[[Context, Session, Any], Reply]

HANDLERS: Final[Mapping[type, Handler]] = {
    request.Get: retrieve.get,
    request.EditConfig: edit.edit_config,
    request.CopyConfig: edit.copy_config,
    request.DeleteConfig: edit.delete_config,
    request.Lock: lock.lock,
    request.Unlock: lock.unlock,
    request.CloseSession: lock.close_session,
    request.KillSession: lock.kill_session,
    request.Validate: commit.validate,
    request.Commit: commit.commit,
    request.CancelCommit: commit.cancel_commit,
    request.DiscardChanges: commit.discard_changes,
    request.GetSchema: monitor.get_schema,
    request.CreateSubscription: subscribe.create_subscription,
    request.Invoke: invoke.invoke,
}


class Core:
    """One server.  Made by `Core.create`.

    Attributes:
        schema: all that it serves.
        guard: access to the data; `guard.store` takes providers, published state and sources.
        store: the same store, for the domain's blocks; front ends have no business with it.
        streams: `streams.publish(notification)`.
        writer: the queue of changes whose front ends do not wait for one another.
        files: what front ends serve at ``/packages``, None: nothing.
    """

    def __init__(self, guard: Guard, streams: Streams, limits: Limits) -> None:
        self.guard = guard
        self.store = guard.store
        self.schema = guard.schema
        self.streams = streams
        self.files: Files | None = None
        clock = guard.store.clock
        self._ids = itertools.count(1)
        self.context = Context(
            schema=self.schema,
            guard=guard,
            streams=streams,
            events=_events(self.schema),
            capabilities=monitor.netconf_capabilities(self.schema),
            clock=clock,
            started=clock(),
            end=self._end,
            limits=limits,
            allowance=Allowance(limits.subscriber_filter_work, limits.user_filter_work),
        )
        journal = self.store.journal
        self.writer = Writer(
            self.store.writer, self.dispatch_all, lambda: guard.candidate_changes, lambda: journal.compacts_soon
        )
        self.store.listeners.append(self._tell_change)
        monitor.publish_sources(self.context)
        self._subscriptions: Subscriptions | None = None
        if ("ietf-yang-push", "push-change-update") in self.schema.notifications:
            self._subscriptions = Subscriptions(self.context)
            subscription_state.publish_sources(self.context, self._subscriptions)

    @classmethod
    def create(
        cls,
        schema: Schema,
        journal: Journal | None = None,
        *,
        initial: Value | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Limits | None = None,
    ) -> Core:
        """A server of `schema` with the data of `journal` (None: in memory).

        Args:
            initial: root of the configuration a new store starts from.
            clock: gives aware times.
            limits: what clients may ask for.

        Raises:
            ConfigError: the journal is corrupt, in use or does not fit the schema.
            RpcError, RpcErrors: the configuration in force is not valid.
        """
        store = open_store(schema, journal if journal is not None else MemoryJournal(), clock, initial)
        return cls(Guard(store), Streams(clock()), limits or Limits())

    def dispatch(self, session: Session, wanted: Request) -> Reply:
        """Do what a session asks.  Any thread.

        Raises:
            RpcError, RpcErrors: refused; counted on the session (RFC 6022).
        """
        # From inside prepare or apply nothing is queued: it is refused, and not at the expense of what waits.
        if edit.can_share(wanted) and not self.store.committing:
            return self.writer.carry_out(session, wanted)
        session.in_rpcs += 1
        try:
            self._check_execute(session, wanted)
            return HANDLERS[type(wanted)](self.context, session, wanted)
        except (RpcError, RpcErrors):
            session.out_rpc_errors += 1
            raise

    def dispatch_all(self, wanted: Sequence[tuple[Session, Request]]) -> list[Reply | BaseException]:
        """Do what several sessions ask, in this order, and give the outcome of each; never raises.

        Edits that follow one another become durable together, where they can (`nms.datastore.commit`).
        """
        outcomes: dict[int, Reply | BaseException] = {}
        for shared, some in itertools.groupby(enumerate(wanted), lambda item: edit.can_share(item[1][1])):
            if shared:
                self._dispatch_group(list(some), outcomes)
                continue
            for number, (session, asked) in some:
                try:
                    outcomes[number] = self.dispatch(session, asked)
                except Exception as error:  # noqa: BLE001 - whatever becomes of one, the others are answered
                    outcomes[number] = error
        return [outcomes[number] for number in range(len(wanted))]

    def _dispatch_group(
        self, wanted: Sequence[tuple[int, tuple[Session, Any]]], outcomes: dict[int, Reply | BaseException]
    ) -> None:
        try:
            with self.guard.group():
                for number, (session, asked) in wanted:
                    session.in_rpcs += 1
                    try:
                        self._check_execute(session, asked)
                        edit.begin(self.context, session, asked, partial(outcomes.__setitem__, number))
                    except Exception as error:  # noqa: BLE001 - as above
                        outcomes[number] = error
        except Exception as error:  # noqa: BLE001 - the journal's: each that was accepted has been told
            for number, _ in wanted:
                outcomes.setdefault(number, error)
        for number, (session, _) in wanted:
            session.out_rpc_errors += isinstance(outcomes[number], RpcError | RpcErrors)

    def _check_execute(self, session: Session, wanted: Request) -> None:
        self.guard.check_execute(session.principal, *self._rpc(session, wanted))

    def _rpc(self, session: Session, wanted: Request) -> tuple[Node | None, InstancePath]:
        """What NACM judges the execution of; RESTCONF's methods on resources are no rpcs (RFC 8341 3.2)."""
        if isinstance(wanted, request.Invoke):
            return wanted.node, wanted.path
        if isinstance(wanted, _RESOURCES) and not monitor.is_netconf(session):
            return None, ()
        return self.schema.rpcs.get(wanted.rpc), ()

    # ------------------------------------------------------------ sessions

    def open_session(self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]) -> Session:
        """A new session of `principal`; `close` is called, in any thread, with the reason when it is killed."""
        session = Session(next(self._ids), principal, protocol, host, self.context.clock(), close)
        self.context.sessions[session.id] = session
        if monitor.is_netconf(session):
            events.session_start(self.context, session)
        return session

    def close_session(self, session: Session, reason: str = "dropped") -> None:
        """The session's transport has ended; harmless after <close-session> or <kill-session>.

        Args:
            reason: termination-reason of RFC 6470: closed, killed, dropped, timeout, bad-hello, other.
        """
        self._end(session, reason, 0)

    def _end(self, session: Session, reason: str, killed_by: int) -> None:
        if self.context.sessions.pop(session.id, None) is None:
            return
        for release in session.on_close:
            release()
        session.on_close.clear()
        if self.guard.end(session):
            events.confirmed_commit(self.context, "cancel", session)
        if monitor.is_netconf(session):
            monitor.count_end(self.context.counters, session, reason)
            events.session_end(self.context, session, reason, killed_by)

    def hello_capabilities(self) -> list[str]:
        """The capability URIs of <hello>."""
        return list(self.context.capabilities)

    # ------------------------------------------------------------ the daemon and the domain

    def register(self, module: str, rpc: str, handler: Call) -> None:
        """Let `handler(session, invoke) -> value of output or None` answer an rpc, or an action by its schema path.

        Args:
            module: of the rpc.
            rpc: its name; for an action its schema path, for instance ``/m:list/m:reset``.

        Raises:
            KeyError: the schema has no such rpc or action.
        """
        node = self.schema.find(rpc) if rpc.startswith("/") else self.schema.rpcs[module, rpc]
        self.context.calls[node] = handler

    def serves(self, rpc: Node, principal: Principal) -> bool:
        """Has somebody registered for the rpc, and may `principal` invoke it (RFC 8341 section 3.4.4)?"""
        return rpc in self.context.calls and self.guard.view(principal).may_execute(rpc)

    def tick(self, now: datetime) -> None:
        """Do what is due: undo a confirmed commit, end subscriptions.  Call at `next_tick` and after each request."""
        commit.tick(self.context, now)
        self.streams.tick(now)
        if self._subscriptions is not None:
            self._subscriptions.tick(now)

    def next_tick(self) -> datetime | None:
        """When `tick` has something to do, as far as is known now; None for never."""
        subscriptions = self._subscriptions.deadline() if self._subscriptions is not None else None
        times = (self.guard.deadline(), self.streams.deadline(), subscriptions)
        return min((time for time in times if time is not None), default=None)

    def close(self) -> None:
        """End all sessions and release the storage."""
        for session in list(self.context.sessions.values()):
            self._end(session, "other", 0)
        self.store.close()

    def _tell_change(self, tx: Transaction) -> None:
        events.config_change(self.context, tx)


def _events(schema: Schema) -> Schema:
    """`schema` with its notifications for top-level data, so that filters work on them; each is there if it came."""
    root = Node("root", "", "", "", None, Names(schema.root.names.namespaces, schema.root.names.modules))
    root.children = tuple(replace(node, kind="container", presence=True) for node in schema.notifications.values())
    seal(root)
    return replace(schema, root=root)
