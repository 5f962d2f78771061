"""A conversation with a partner over RESTCONF (RFC 8040) and mutual TLS.

An edit is one YANG Patch (RFC 8072), which is carried out as a whole or not at all; a read is a GET, an action a POST,
and notifications come as server-sent events (RFC 8040 section 6) over a connection of their own, on which silence
longer than a few heartbeats is the end.  HTTP is the standard library's, as for packages (`nms.federation.pull`): it
gives the certificate to compare before anything is sent, and blocks, as threads want it.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import select
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson

from nms.errors import RpcError
from nms.federation import pinned
from nms.federation.client import Event, Recorder, unanswered, unreachable
from nms.federation.event_stream import EventStream, TooLong
from nms.federation.restconf_payload import event_of, input_of, instance_of, output_of, patch_of, refusal_of
from nms.mec.session import DataEdit, Members
from nms.model.path import parse_path, resource_path
from nms.model.schema import Schema
from nms.operations.request import Content

ROOT: Final = "/restconf"
_STREAM: Final = f"{ROOT}/streams/NETCONF/json"
_JSON: Final = "application/yang-data+json"
_PATCH: Final = "application/yang-patch+json"
_YANG: Final = "application/yang"
_EVENTS: Final = "text/event-stream"

#: Seconds without a byte after which an event stream is over; servers send a heartbeat every 15 s or so.
SILENCE: Final = 45.0
#: Bytes of an answer, and notifications that may wait for us.
_MOST: Final = 64 * 1024 * 1024
_WAITING: Final = 1000
#: Seconds for which one thread waits for another before it looks again whether that still matters.
_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class RestconfEndpoint(pinned.PinnedEndpoint):
    """A partner's RESTCONF server."""

    protocol: Final[str] = "restconf"

    def open(self, schema: Schema, recorder: Recorder | None = None) -> RestconfClient:
        """See `Endpoint.open`."""
        return RestconfClient(schema, self, recorder)


class RestconfClient:
    """See `nms.federation.client.Client`; connected after construction."""

    def __init__(self, schema: Schema, endpoint: RestconfEndpoint, recorder: Recorder | None) -> None:
        self.messages_in = 0
        self.messages_out = 0
        self._schema = schema
        self._endpoint = endpoint
        self._recorder = recorder
        self._closed = threading.Event()
        self._turn = threading.Lock()  # whoever has it uses the connection
        self._used = False
        self._stream = endpoint.connect()
        self._connection = self._wrapped()
        self._events: queue.Queue[Event | RpcError] = queue.Queue(_WAITING)

    @property
    def connected(self) -> bool:
        """See `Client.connected`."""
        return not self._closed.is_set()

    # ------------------------------------------------------------ requests

    def edit(self, base: str, edits: Sequence[DataEdit]) -> None:
        """See `Client.edit`: one PATCH of `base` (RFC 8072 section 2)."""
        where = f"{ROOT}/data{resource_path(parse_path(self._schema, base))}"
        self._ask("PATCH", where, patch_of(self._schema, base, edits), sent=_PATCH)

    def get(self, path: str, content: Content = "all") -> Members | None:
        """See `Client.get`."""
        where = parse_path(self._schema, path)
        try:
            answer = self._ask("GET", f"{ROOT}/data{resource_path(where)}?content={content}")
        except RpcError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return instance_of(self._schema, where, answer)

    def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """See `Client.invoke` (RFC 8040 section 3.6)."""
        node, where, body = input_of(self._schema, path, action, input)
        target = f"{ROOT}/data{resource_path(where)}/{node.module}:{node.name}"
        return output_of(node, self._ask("POST", target, body))

    def schema(self, name: str, revision: str) -> bytes:
        """See `Client.schema`: the schema resource (RFC 8040 section 3.7)."""
        where = f"{ROOT}/schema/{quote(name)}" + (f"/{quote(revision)}" if revision else "")
        return self._ask("GET", where, wanted=_YANG)

    def _ask(
        self, method: str, target: str, body: bytes | None = None, *, sent: str = _JSON, wanted: str = _JSON
    ) -> bytes:
        """Send a request and give the body of its answer; raises the partner's refusal, see `Client`."""
        headers = {"Accept": wanted, **({"Content-Type": sent} if body is not None else {})}
        with self._turn:
            connection = self._ready()
            self.messages_out += 1
            try:
                with pinned.within(self._endpoint.timeout, self._stream) as late:
                    try:
                        connection.request(method, target, body, headers)
                        with connection.getresponse() as response:
                            content = response.read(_MOST + 1)
                            if len(content) <= _MOST and response.length:
                                raise http.client.IncompleteRead(b"", response.length)
                    except (OSError, ValueError, http.client.HTTPException) as error:
                        why = str(error) or type(error).__name__
                        if late.is_set():
                            why = f"no answer within {self._endpoint.timeout:g} s"
                        raise unanswered(str(self._endpoint), why) from error
                if len(content) > _MOST:
                    raise unanswered(str(self._endpoint), f"its answer has more than {_MOST} bytes")
            except RpcError:
                self._closed.set()
                raise
            finally:
                if self._closed.is_set():  # here, or by another thread meanwhile
                    self._close_connection()
        self._received(content)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(response.status, response.reason, content)
        return content

    def _ready(self) -> http.client.HTTPConnection:
        """The connection; a new one where the server has closed the last one, as HTTP servers do with idle ones."""
        if self._closed.is_set():
            raise unreachable(f"{self._endpoint}: the session has ended")
        if self._used and (self._connection.sock is None or _readable(self._stream)):
            self._close_connection()
            self._stream = self._endpoint.connect()
            self._connection = self._wrapped()
        self._used = True
        return self._connection

    def _wrapped(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._endpoint.address, self._endpoint.port)
        connection.auto_open = 0
        connection.sock = self._stream
        return connection

    def _received(self, content: bytes) -> None:
        self.messages_in += 1
        if self._recorder is not None:
            self._recorder(content.decode(errors="replace"))

    def _refused(self, status: int, reason: str, content: bytes) -> RpcError:
        if status == HTTPStatus.UNAUTHORIZED:
            self.close()
            return unreachable(f"{self._endpoint}: it does not admit us")
        return refusal_of(status, f"{self._endpoint} answers {status} {reason}", content)

    # ------------------------------------------------------------ notifications

    def subscribe(self) -> None:
        """See `Client.subscribe`: the stream NETCONF, in JSON; afterwards nothing else can be asked here."""
        with self._turn:
            connection = self._ready()
            self.messages_out += 1
            try:
                with pinned.within(self._endpoint.timeout, self._stream):
                    connection.request("GET", _STREAM, headers={"Accept": _EVENTS})
                    response = connection.getresponse()
                    content = response.read(_MOST) if response.status != HTTPStatus.OK else b""
                self._stream.settimeout(SILENCE)
            except (OSError, ValueError, http.client.HTTPException) as error:
                self._closed.set()
                raise unreachable(f"{self._endpoint}: {error or type(error).__name__}") from error
            finally:
                if self._closed.is_set():  # here, or by another thread meanwhile
                    self._close_connection()
        if response.status != HTTPStatus.OK:
            response.close()
            raise self._refused(response.status, response.reason, content)
        name = f"{threading.current_thread().name}-stream"
        threading.Thread(target=self._pump, args=(response,), name=name, daemon=True).start()

    def notification(self, timeout: float) -> Event | None:
        """See `Client.notification`."""
        try:
            found = self._events.get(timeout=timeout)
        except queue.Empty:
            if self._closed.is_set():
                raise unreachable(f"{self._endpoint}: the session has ended") from None
            return None
        if isinstance(found, RpcError):
            raise found
        return found

    def _pump(self, response: http.client.HTTPResponse) -> None:
        """In a thread of its own: what comes on the stream, until it ends."""
        ending = unreachable(f"{self._endpoint}: the event stream has ended")
        try:
            with self._turn, response:
                for data in _events(response):
                    self._received(data)
                    event = event_of(self._schema, orjson.loads(data))
                    if event is not None and not self._put(event):
                        return
        except RpcError as error:
            ending = error
        except TimeoutError:
            ending = unreachable(f"{self._endpoint}: not even a heartbeat for {SILENCE:g} s")
        except (OSError, ValueError, TooLong, http.client.HTTPException) as error:
            ending = unreachable(f"{self._endpoint}: {error or type(error).__name__}")
        finally:
            self._put(ending)
            self._closed.set()
            self._close_connection()

    def _put(self, found: Event | RpcError) -> bool:
        """Hand on, once there is room: the server is not read from meanwhile.  False: nobody takes it any more."""
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._events.put(found, timeout=_PAUSE)
                return True
        return False

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """See `Client.close`."""
        self._closed.set()
        pinned.hang_up(self._stream)
        # Whoever uses the connection has been told by this; who makes a new one at this moment closes it later.
        if self._turn.acquire(timeout=_PAUSE):
            try:
                self._close_connection()
            finally:
                self._turn.release()

    def _close_connection(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()
            self._stream.close()


def _events(response: http.client.HTTPResponse) -> Iterator[bytes]:
    stream = EventStream()
    while content := response.read1(65536):
        yield from stream.feed(content)


def _readable(stream: ssl.SSLSocket) -> bool:
    """Has an idle connection something to say?  That can only be its end."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(0))
