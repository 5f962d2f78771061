"""What the handlers of requests work with; made once by `nms.operations.dispatch.Core`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nms.access.guard import Guard
from nms.limits import Limits
from nms.model.schema import Node, Schema
from nms.model.values import Value
from nms.notify.allowance import Allowance
from nms.notify.streams import Streams
from nms.operations.request import Invoke, Reply, Session

Call = Callable[[Session, Invoke], Value | None]
#: Takes the outcome of a request: the reply, or what refused it.
Answer = Callable[[Reply | BaseException], None]


@dataclass(slots=True)
class Counters:
    """Of the NETCONF sessions that have ended (RFC 6022 section 2.1.5); each open one counts for itself."""

    in_sessions: int = 0
    in_bad_hellos: int = 0
    dropped_sessions: int = 0
    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


@dataclass(slots=True)
class Context:
    """The server as its handlers see it.

    Attributes:
        capabilities: URIs of <hello>.
        events: the schema's notifications as the children of a root, so that filters work on them as on data.
        sessions: open ones by session-id.
        calls: handlers of model-defined rpcs and actions by their node.
        end: releases all that a session holds; takes why it ends (RFC 6470 termination-reason) and who killed it.
    """

    schema: Schema
    guard: Guard
    streams: Streams
    events: Schema
    capabilities: Sequence[str]
    clock: Callable[[], datetime]
    started: datetime
    end: Callable[[Session, str, int], None]
    limits: Limits
    allowance: Allowance
    sessions: dict[int, Session] = field(default_factory=dict)
    calls: dict[Node, Call] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)


OK = Reply()
