"""Event streams (RFC 8040 section 6): notifications as server-sent events, in XML or JSON.

``{+restconf}/streams/NAME`` and ``.../NAME/xml`` send XML, ``.../NAME/json`` JSON.  The core puts notifications into a
bounded queue from its own threads; they are encoded where they are sent.  A client that is too slow for its queue is
cut off rather than left with a gap that it cannot see: it comes back with start-time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, Final, cast

import orjson
from flask import Blueprint, Response, request

from nms.errors import RpcError
from nms.model import json, tree, xml
from nms.notify.streams import NOTIFICATION_COMPLETE, Notification
from nms.operations.request import CreateSubscription, XPathFilter
from restconf import media
from restconf.front import Front
from restconf.query import parse_query
from restconf.wsgi import Environ, LiveBody

MEDIA: Final = "text/event-stream"
_BATCH: Final = 64 * 1024  # bytes that are encoded at a time, and the last event
_NOTIFICATION_NS: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
_HEARTBEAT: Final = b": \n\n"


class OpenStreams(set["EventStream"]):
    """The event streams that are open, of all clients together.

    Args:
        most: how many there may be.
        backlog: notifications that the client of one may be behind.
    """

    def __init__(self, most: int, backlog: int) -> None:
        super().__init__()
        self.backlog = backlog
        self._most = most

    def check_room(self) -> None:
        """Refuse one more than there may be.

        Raises:
            RpcError: resource-denied with status 503.
        """
        if len(self) >= self._most:
            raise RpcError("resource-denied", f"there are {self._most} event streams already", status=503)

    def close(self) -> None:
        """End them all."""
        for stream in list(self):
            stream.end()


def check_accepted(environ: Environ) -> None:
    """Refuse a client that does not take event streams.

    Raises:
        RpcError: invalid-value with status 406.
    """
    if not media.prefers(environ.get("HTTP_ACCEPT"), MEDIA):
        raise RpcError("invalid-value", f"an event stream is {MEDIA}", type="protocol", status=406)


def answer(stream: EventStream) -> Response:
    """The response that is `stream`."""
    return Response(stream, content_type=MEDIA, headers={"Cache-Control": "no-cache"}, direct_passthrough=True)


def blueprint(front: Front, streams: OpenStreams) -> Blueprint:
    """The routes of ``{+restconf}/streams``."""
    routes = Blueprint("streams", __name__)

    def stream(name: str, encoding: str = "xml") -> Response:
        environ = request.environ
        query = parse_query(environ["QUERY_STRING"], "GET", "stream")
        check_accepted(environ)
        streams.check_room()
        xpath = XPathFilter(query.filter, _prefixes(front)) if query.filter else None
        opened = EventStream(encoding, streams)
        session = front.open_session(environ, lambda _: opened.end())
        opened.release = lambda: front.core.close_session(session)
        try:
            front.core.dispatch(session, CreateSubscription(opened.put, name, xpath, query.start_time, query.stop_time))
        except BaseException as error:
            front.core.close_session(session)
            if isinstance(error, RpcError) and error.info.get("bad-element") == "startTime":
                # what NETCONF has as an element is a query parameter here (RFC 8040 section 4.8)
                text = "query parameter 'start-time' is in the future"
                raise RpcError("invalid-value", text, type="protocol") from None
            raise
        opened.begin()
        streams.add(opened)
        return answer(opened)

    routes.add_url_rule("/streams/<name>", "stream", stream, methods=["GET"])
    routes.add_url_rule("/streams/<name>/<any(xml, json):encoding>", "stream", stream, methods=["GET"])
    return routes


class EventStream(LiveBody):
    """One client's stream."""

    def __init__(self, encoding: str, streams: OpenStreams) -> None:
        self._encode = _json if encoding == "json" else _xml
        self._streams = streams
        self._queue: deque[Notification] = deque()
        self._room: int | None = None  # unlimited while the replay comes in, which is in memory anyway
        self._ended = False
        self._closed = False
        self._changed = threading.Condition()
        self._wake: Callable[[], None] = lambda: None
        self.release: Callable[[], None] = lambda: None

    def put(self, published: object) -> None:
        """The subscription's sink; any thread."""
        notification = cast(Notification, published)
        with self._changed:
            if self._ended:
                return
            if self._room is not None and len(self._queue) >= self._room:
                self._ended = True
            else:
                self._queue.append(notification)
                self._ended = notification.node is NOTIFICATION_COMPLETE
            self._changed.notify()
        self._wake()

    @property
    def waiting(self) -> int:
        """Notifications that the client has yet to take."""
        return len(self._queue)

    def begin(self) -> None:
        """The replay is in: from now on the queue is bounded."""
        self._room = len(self._queue) + self._streams.backlog

    def end(self) -> None:
        """Send what is queued, then nothing more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._wake()

    def attach(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def take(self) -> bytes:
        batch: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH:  # one may hold a whole datastore
            batch.append(_event(self._encode(self._queue.popleft())))
            size += len(batch[-1])
        return b"".join(batch)

    def beat(self) -> bytes:
        return _HEARTBEAT

    @property
    def ended(self) -> bool:
        return self._ended and not self._queue

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.end()
        self._queue.clear()
        self._streams.discard(self)
        self.release()

    def __iter__(self) -> Iterator[bytes]:
        yield _HEARTBEAT  # a server may hold the head back until there is a body
        while not self.ended:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ended, 15.0)
            yield self.take() or self.beat()


def _prefixes(front: Front) -> dict[str, str]:
    """Prefixes of a filter (RFC 8040 section 4.8.4): module names, and the modules' own unless they are taken."""
    modules = front.schema.modules.values()
    return {module.prefix: module.namespace for module in modules} | front.namespaces


def _event(data: bytes) -> bytes:
    return b"".join([b"data: " + line + b"\n" for line in data.splitlines()]) + b"\n"


def _xml(notification: Notification) -> bytes:
    node = notification.node
    inner = xml.encode(node, notification.value)
    inner = f'<{node.name} xmlns="{xml.escape(node.namespace)}">'.encode() + inner + f"</{node.name}>".encode()
    if notification.path:
        # the ancestors with their keys and nothing else, opened up at the innermost
        last, key = notification.path[-1]
        blank = last.blank if key is None else tree.blank_entry(last, key)
        around = xml.encode_instance(notification.path, blank)
        at = len(around) - sum(len(step.name) + 3 for step, _ in notification.path)
        inner = around[:at] + inner + around[at:]
    head = f'<notification xmlns="{_NOTIFICATION_NS}"><eventTime>{_time(notification)}</eventTime>'
    return head.encode() + inner + b"</notification>"


def _json(notification: Notification) -> bytes:
    node = notification.node
    name = json.member_name(node) if notification.path else f"{node.module}:{node.name}"
    members: dict[str, Any] = {name: json.encode(node, notification.value)}
    for step, key in reversed(notification.path):
        if key is None:
            members = {json.member_name(step): members}
        else:
            keys = json.encode_entry(step, tree.blank_entry(step, key))
            members = {json.member_name(step): [keys | members]}
    return orjson.dumps({"ietf-restconf:notification": {"eventTime": _time(notification)} | members})


def _time(notification: Notification) -> str:
    return notification.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
