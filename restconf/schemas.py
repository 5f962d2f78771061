"""The schema resources (RFC 8040 section 3.7): each module as it is written, at the ``location`` in the YANG library.

Who may read which is what NACM says of the operation get-schema (RFC 6022 section 3.1).
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from nms.errors import RpcError
from nms.operations.request import GetSchema
from restconf import media
from restconf.front import Front
from restconf.query import parse_query

_MEDIA: Final = "application/yang"


def blueprint(front: Front) -> Blueprint:
    """The routes of ``{+restconf}/schema``."""
    routes = Blueprint("schemas", __name__)

    def module(name: str, revision: str | None = None) -> Response:
        parse_query(request.environ["QUERY_STRING"], request.environ["REQUEST_METHOD"], "other")
        if not media.prefers(request.environ.get("HTTP_ACCEPT"), _MEDIA):
            raise RpcError("invalid-value", f"a schema is {_MEDIA}", type="protocol", status=406)
        try:
            text = front.dispatch(request.environ, GetSchema(name, revision)).text
        except RpcError as error:
            if error.app_tag == "data-missing":
                raise RpcError("invalid-value", error.message, type="protocol", status=404) from None
            raise
        return Response(text, content_type=_MEDIA)

    routes.add_url_rule("/schema/<name>", "schema", module, methods=["GET"])
    routes.add_url_rule("/schema/<name>/<revision>", "schema", module, methods=["GET"])
    return routes
