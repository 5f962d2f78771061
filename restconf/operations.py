"""The operation resources (RFC 8040 section 3.6): the list of rpcs, and calls of rpcs and actions by POST."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson
from flask import Blueprint, Response, request
from lxml import etree

from nms.errors import RpcError, RpcErrors
from nms.model.path import InstancePath, format_path
from nms.model.schema import Node
from nms.operations.request import Invoke
from restconf import body, media, uri
from restconf.errors import NoContent, NotAllowed
from restconf.front import Front
from restconf.media import MEDIA_TYPE
from restconf.query import parse_query
from restconf.wsgi import PRINCIPAL, Environ

_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def blueprint(front: Front) -> Blueprint:
    """The routes of ``{+restconf}/operations``."""
    routes = Blueprint("operations", __name__)

    def listing() -> Response:
        environ = request.environ
        parse_query(environ["QUERY_STRING"], environ["REQUEST_METHOD"], "other")
        encoding = media.accepted(environ.get("HTTP_ACCEPT"))
        # NETCONF's own operations are not among those that RESTCONF can call (RFC 8040 section 3.3.2)
        rpcs = [node for _, node in sorted(front.schema.rpcs.items()) if front.core.serves(node, environ[PRINCIPAL])]
        return Response(_list_json(rpcs) if encoding == "json" else _list_xml(rpcs), content_type=MEDIA_TYPE[encoding])

    def operation(name: str) -> Response:
        environ = request.environ
        path = str(environ["REQUEST_URI"]).partition("?")[0]
        node = uri.parse_operation(front.schema, path[path.rfind("/") + 1 :])
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return NoContent(status=204, headers={"Allow": "OPTIONS, POST"})
        if environ["REQUEST_METHOD"] != "POST":
            raise NotAllowed(f"{node.name} is an operation: POST calls it", "OPTIONS, POST")
        return invoke(front, environ, node, ())

    routes.add_url_rule("/operations", "operations", listing, methods=["GET"])
    routes.add_url_rule("/operations/<name>", "operation", operation, methods=_METHODS, provide_automatic_options=False)
    return routes


def invoke(front: Front, environ: Environ, node: Node, path: InstancePath) -> Response:
    """Call the rpc or action `node`; `path` is the instance that an action belongs to.

    Raises:
        RpcError: of the query, the body, or the operation itself.
    """
    parse_query(environ["QUERY_STRING"], "POST", "other")
    wanted = media.accepted(environ.get("HTTP_ACCEPT"))
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    encoding = media.sent(environ.get("CONTENT_TYPE")) if content else None
    given = body.decode_input(node, encoding, content)
    with paths_from_the_input(node, path):
        reply = front.dispatch(environ, Invoke(node, given, path))
    if reply.node is None or reply.data is None or reply.data == reply.node.blank:
        return NoContent(status=204)
    output = front.bounded(body.encode_output(node, reply.node, reply.data, wanted))
    return Response(output, content_type=MEDIA_TYPE[wanted])


@contextmanager
def paths_from_the_input(node: Node, path: InstancePath = ()) -> Iterator[None]:
    """Let the error-path of a constraint that an input violates start at the input (RFC 8040 section 3.6.3)."""
    try:
        yield
    except (RpcError, RpcErrors) as refused:
        own = format_path((*path, (node, None)))
        for error in refused.errors if isinstance(refused, RpcErrors) else [refused]:
            if error.path.startswith(own + "/"):
                error.path = body.input_path(node) + error.path.removeprefix(own)
        raise


def _list_json(rpcs: list[Node]) -> bytes:
    return orjson.dumps({"ietf-restconf:operations": {f"{node.module}:{node.name}": [None] for node in rpcs}})


def _list_xml(rpcs: list[Node]) -> bytes:
    root = etree.Element(f"{{{body.RESTCONF_NS}}}operations", nsmap={None: body.RESTCONF_NS})
    for node in rpcs:
        etree.SubElement(root, f"{{{node.namespace}}}{node.name}", nsmap={None: node.namespace})
    return etree.tostring(root)
