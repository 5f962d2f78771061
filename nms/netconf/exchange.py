"""One <rpc> and its <rpc-reply>: parse, translate, ask the core, render.  Synchronous; it may run in any thread.

Whatever goes wrong becomes an <rpc-reply> with errors: a client's mistake, the core's refusal, and a fault of ours
too, so that a session survives its requests (RFC 6241 section 4.3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from nms.errors import RpcError, RpcErrors
from nms.model.schema import Schema
from nms.model.xml_runs import cut
from nms.netconf.framing import Outgoing
from nms.netconf.messages import NO_ENVELOPE, Envelope, envelope, new_parser, operation_of, parse, too_large
from nms.netconf.operation_table import Context, Sink
from nms.netconf.replies import error_reply, reply
from nms.netconf.requests import translate
from nms.netconf.shapes import Shapes, split
from nms.operations.request import Principal, Reply, Request, Session
from nms.operations.writer import Writer

log = logging.getLogger(__name__)

#: A message of more bytes is read by the short cut for long lists, if it is one.
LARGE_MESSAGE: Final = 64 * 1024


class Core(Protocol):
    """What this front end asks of `nms.operations.dispatch.Core`."""

    @property
    def schema(self) -> Schema: ...

    def hello_capabilities(self) -> list[str]: ...

    def open_session(self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]) -> Session: ...

    def close_session(self, session: Session, reason: str = "dropped") -> None: ...

    def dispatch(self, session: Session, request: Request) -> Reply: ...

    @property
    def writer(self) -> Writer: ...


class Call(NamedTuple):
    """An <rpc> that was read; `request` is the error where it could not be translated."""

    envelope: Envelope
    operation: str
    request: Request | Exception


class Exchange:
    """Reads and executes the rpcs of one session.

    Args:
        sink: where the notifications of this session's subscriptions go; called in any thread.
        waiting: how many of them the client has yet to read.
    """

    def __init__(self, core: Core, session: Session, sink: Sink, waiting: Callable[[], int] = lambda: 0) -> None:
        self._core = core
        self._session = session
        self._context = Context(core.schema, sink, waiting)
        self._parser = new_parser()
        self._shapes = Shapes(core.schema)

    def read(self, message: bytes) -> Call:
        """The call that `message` is; never raises."""
        if len(message) > LARGE_MESSAGE:
            call = self._read_large(message)
            if call is not None:
                return call
        parts = split(message)
        known = None if parts is None else self._shapes.recall(parts)
        if known is not None:
            return Call(*known)
        outside, operation = NO_ENVELOPE, ""
        request: Request | Exception
        try:
            rpc = parse(message, self._parser)
            outside = envelope(message, rpc)
            element = operation_of(rpc)
            operation = str(element.tag)
            request = translate(self._context, element)
            if parts is not None:
                self._shapes.learn(parts, rpc, outside, operation, request)
        except Exception as error:  # noqa: BLE001 - `execute` sorts them: refusal or our own fault
            request = error
        return Call(outside, operation, request)

    def _read_large(self, message: bytes) -> Call | None:
        """The call that `message` is, by the short cut for long lists; None where that leads nowhere."""
        if too_large(message):
            return None
        short = cut(self._context.schema, message)
        if short is None:
            return None
        try:
            rpc = parse(short.rest, self._parser)
            placed = short.placed(rpc)
            if placed is None:
                return None
            element = operation_of(rpc)
            request = translate(replace(self._context, placed=placed), element)
            return Call(envelope(short.rest, rpc), str(element.tag), request) if placed.used else None
        except RpcError:  # found again, and told, on the long way
            return None

    def execute(self, call: Call) -> Outgoing:
        """The <rpc-reply> to `call`; never raises.  The core counts what reaches it (RFC 6022), this what does not."""
        if isinstance(call.request, Exception):
            self._count_refused(call)
            return self.answer(call, call.request)
        try:
            outcome: Reply | Exception = self._core.dispatch(self._session, call.request)
        except Exception as error:  # noqa: BLE001 - `answer` sorts them: refusal or our own fault
            outcome = error
        return self.answer(call, outcome)

    def answer(self, call: Call, outcome: Reply | BaseException) -> Outgoing:
        """The <rpc-reply> that says what became of `call`; never raises."""
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            return reply(call.envelope, call.operation, outcome)
        except RpcError as error:
            errors = [error]
        except RpcErrors as several:
            errors = several.errors
        except Exception:
            log.exception("session %d: %s failed", self._session.id, call.operation or "an rpc")
            errors = [RpcError("operation-failed", "internal error; the server's log says more")]
        return error_reply(call.envelope, errors, self._core.schema.modules)

    def _count_refused(self, call: Call) -> None:
        if call.operation:
            self._session.in_rpcs += 1
        else:
            self._session.in_bad_rpcs += 1
        self._session.out_rpc_errors += 1
