"""Dynamic subscriptions over RESTCONF (RFC 8650): a POST establishes one, a GET of its own resource streams it.

establish-subscription answers with the ``uri`` of ``{+restconf}/subscriptions/ID``.  Notifications wait there until
their subscriber, and nobody else, gets them as server-sent events; when that connection ends the subscription does too.
The other operations on subscriptions are rpcs like any other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from nms.errors import RpcError
from nms.notify.terms import ENCODINGS, encoding, read
from nms.operations.request import Invoke, Principal, Receiver
from restconf import body, media
from restconf.front import Front
from restconf.media import MEDIA_TYPE
from restconf.operations import paths_from_the_input
from restconf.query import parse_query
from restconf.sse import MEDIA, EventStream, OpenStreams, answer, check_accepted
from restconf.wsgi import PRINCIPAL, Environ

_MODULE: Final = "ietf-subscribed-notifications"
_ESTABLISH: Final = "establish-subscription"
#: Seconds that a subscription waits for its subscriber to get it.
_PATIENCE: Final = 60.0


@dataclass(slots=True)
class _Waiting:
    """A subscription whose subscriber has yet to come, since `since` (monotonic seconds)."""

    principal: Principal
    stream: EventStream
    since: float


def blueprint(front: Front, streams: OpenStreams) -> Blueprint:
    """The routes of establish-subscription and of ``{+restconf}/subscriptions``."""
    routes = Blueprint("subscriptions", __name__)
    waiting: dict[int, _Waiting] = {}

    def forget_the_forgotten() -> None:
        for number, one in list(waiting.items()):
            if one.stream.ended or time.monotonic() - one.since > _PATIENCE:
                waiting.pop(number, None)
                one.stream.close()

    def establish() -> Response:
        environ = request.environ
        parse_query(environ["QUERY_STRING"], "POST", "other")
        wanted = media.accepted(environ.get("HTTP_ACCEPT"))
        content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        sent = media.sent(environ.get("CONTENT_TYPE")) if content else "json"
        node = front.schema.rpcs[_MODULE, _ESTABLISH]
        given = body.decode_input(node, sent, content)
        forget_the_forgotten()
        streams.check_room()
        coding = encoding(read(node.children[0], given), sent)
        opened = EventStream(ENCODINGS.get(coding, sent), streams)
        session = front.open_session(environ, lambda _: opened.end())
        opened.release = lambda: front.core.close_session(session)
        receiver = Receiver(opened.put, sent, lambda: opened.waiting, opened.end, lambda number: _uri(environ, number))
        try:
            with paths_from_the_input(node):
                reply = front.core.dispatch(session, Invoke(node, given, receiver=receiver))
        except BaseException:
            front.core.close_session(session)
            raise
        assert reply.node is not None
        streams.add(opened)
        number = read(reply.node, reply.data)["id"]
        waiting[number] = _Waiting(environ[PRINCIPAL], opened, time.monotonic())
        output = body.encode_output(node, reply.node, reply.data, wanted)
        return Response(output, content_type=MEDIA_TYPE[wanted])

    def stream(number: int) -> Response:
        environ = request.environ
        parse_query(environ["QUERY_STRING"], "GET", "other")
        check_accepted(environ)
        one = waiting.get(number)
        if one is not None and one.principal == environ[PRINCIPAL] and environ["REQUEST_METHOD"] == "HEAD":
            return Response(content_type=MEDIA)
        if one is None or one.principal != environ[PRINCIPAL] or waiting.pop(number, None) is None:
            message = f"no subscription {number} waits for you: it is over, is streamed already or not yours"
            raise RpcError("invalid-value", message, type="protocol", status=404)
        return answer(one.stream)

    if (_MODULE, _ESTABLISH) in front.schema.rpcs:
        routes.add_url_rule(f"/operations/{_MODULE}:{_ESTABLISH}", "establish", establish, methods=["POST"])
        routes.add_url_rule("/subscriptions/<int:number>", "subscription", stream, methods=["GET"])
    return routes


def _uri(environ: Environ, number: int) -> str:
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}/restconf/subscriptions/{number}"
