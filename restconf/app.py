"""The Flask application: RESTCONF's resources put together (RFC 8040 section 3).

Here are the root discovery (section 3.1), the API resource (3.3), yang-library-version (3.3.3), authentication before
anything else, and the error handlers that hand every failure to `restconf.errors`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import orjson
from flask import Flask, Request, Response, request
from flask.globals import request_ctx
from flask.sessions import SessionInterface
from lxml import etree
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, Rule
from werkzeug.wsgi import get_host

from nms.errors import RpcError, RpcErrors
from restconf import data, errors, files, media, operations, schemas, sse, subscriptions
from restconf.front import Authenticate, Core, Front
from restconf.query import Query, Resource, parse_query
from restconf.service import Limits
from restconf.wsgi import Environ

log = logging.getLogger(__name__)

ROOT: Final = "/restconf"
_CHALLENGE: Final = 'Basic realm="restconf", charset="UTF-8"'
_XRD: Final = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
#: Children of the API resource (section 3.3).
_API: Final = frozenset({"data", "operations", "yang-library-version"})
_HTTP_TAG: Final = {404: "invalid-value", 413: "too-big"}


class _NoSession(SessionInterface):
    """Flask's cookie sessions have no place in RESTCONF (RFC 8040 section 1.1.1)."""

    def open_session(self, app: Flask, request: object) -> None:
        return None

    def is_null_session(self, obj: object) -> bool:
        return True

    def make_null_session(self, app: Flask) -> dict[str, object]:  # type: ignore[override]
        return {}


class _Route(Rule):
    """A rule that is only matched: nobody asks for the URL of a view, so what would build it is not compiled."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def refuse(*_: object, **__: object) -> tuple[str, str]:
            raise NotImplementedError(f"{self.rule}: URLs are not built from views")

        return refuse


class _Restconf(Flask):
    url_rule_class = _Route

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Of the Host header only the form matters: the routes are the same for every host, and none redirects."""
        if request is None:
            return None
        host, scheme = get_host(request.environ), request.environ["wsgi.url_scheme"]
        return MapAdapter(self.url_map, host, "/", "", scheme, request.path, request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """All that is called is synchronous."""
        return func

    def make_default_options_response(self) -> Response:
        """What the resources that do not answer OPTIONS themselves allow (RFC 8040 section 4.1)."""
        allowed = request_ctx.url_adapter.allowed_methods() if request_ctx.url_adapter is not None else ()
        return errors.NoContent(status=204, headers={"Allow": ", ".join(sorted(allowed))})


def create_app(core: Core, authenticate: Authenticate, limits: Limits | None = None) -> Flask:
    """The application over `core`; `authenticate` tells from a WSGI environ who asks, None for nobody known."""
    limits = limits or Limits()
    app = _Restconf("restconf", static_folder=None)
    app.session_interface = _NoSession()
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # an empty key may stand between two slashes
    app.url_map.converters["rest"] = data.RestOfPath
    front = Front(core, authenticate, limits.answer)
    app.extensions["restconf"] = front

    @app.before_request
    def admit() -> None:
        if not request.environ["PATH_INFO"].startswith("/.well-known/"):
            front.admit(request.environ)

    @app.after_request
    def say_what_may_be_cached(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-cache")  # every response says so (section 5.5)
        return response

    _discovery(app, front)
    app.register_blueprint(data.blueprint(front), url_prefix=ROOT)
    app.register_blueprint(operations.blueprint(front), url_prefix=ROOT)
    streams = sse.OpenStreams(limits.streams, limits.backlog)
    front.on_close(streams.close)
    app.register_blueprint(sse.blueprint(front, streams), url_prefix=ROOT)
    app.register_blueprint(subscriptions.blueprint(front, streams), url_prefix=ROOT)
    app.register_blueprint(schemas.blueprint(front), url_prefix=ROOT)
    if core.files is not None:
        app.register_blueprint(files.blueprint(core.files))
    _error_handlers(app, front)
    return app


def _discovery(app: Flask, front: Front) -> None:
    library = front.schema.modules.get("ietf-yang-library")
    version = library.revision if library is not None else "2019-01-04"

    def host_meta() -> Response:
        xrd = etree.Element(f"{{{_XRD}}}XRD", nsmap={None: _XRD})
        etree.SubElement(xrd, f"{{{_XRD}}}Link", rel="restconf", href=ROOT)
        return Response(etree.tostring(xrd, xml_declaration=True, encoding="UTF-8"), content_type="application/xrd+xml")

    def host_meta_json() -> Response:
        return Response(orjson.dumps({"links": [{"rel": "restconf", "href": ROOT}]}), content_type="application/json")

    def api() -> Response:
        query = _query("api")
        wanted = [_local(name) for name in query.fields.split(";")] if query.fields else list(_API)
        if not _API.issuperset(wanted):
            text = f"query parameter 'fields' is wrong: the API resource has {', '.join(sorted(_API))}"
            raise RpcError("invalid-value", text, type="protocol")
        members = {"data": {}, "operations": {}, "yang-library-version": version}
        # depth 1 is the resource without what is in it; what is asked for by its name is there at any depth
        shown = {name: held for name, held in members.items() if name in wanted and (query.fields or query.depth != 1)}
        leafs = [(name, held if isinstance(held, str) else "") for name, held in shown.items()]
        return _answer({"ietf-restconf:restconf": shown}, "restconf", leafs)

    def yang_library_version() -> Response:
        _query("other")
        return _answer({"ietf-restconf:yang-library-version": version}, "yang-library-version", version)

    for path, view in (
        ("/.well-known/host-meta", host_meta),
        ("/.well-known/host-meta.json", host_meta_json),
        (ROOT, api),
        (f"{ROOT}/yang-library-version", yang_library_version),
    ):
        app.add_url_rule(path, view_func=view, methods=["GET"])


def _query(resource: Resource) -> Query:
    return parse_query(request.environ["QUERY_STRING"], request.environ["REQUEST_METHOD"], resource)


def _local(name: str) -> str:
    """A child of the API resource by its name, with or without its module's."""
    return name.removeprefix("ietf-restconf:")


def _answer(as_json: object, name: str, as_xml: str | list[tuple[str, str]]) -> Response:
    encoding = media.accepted(request.environ.get("HTTP_ACCEPT"))
    if encoding == "json":
        body = orjson.dumps(as_json)
    else:
        root = etree.Element(f"{{{errors.NAMESPACE}}}{name}", nsmap={None: errors.NAMESPACE})
        if isinstance(as_xml, str):
            root.text = as_xml
        else:
            for child, text in as_xml:
                etree.SubElement(root, f"{{{errors.NAMESPACE}}}{child}").text = text
        body = etree.tostring(root)
    return Response(body, content_type=media.MEDIA_TYPE[encoding])


def _error_handlers(app: Flask, front: Front) -> None:
    @app.errorhandler(RpcError)
    def rpc_error(error: RpcError) -> Response:
        return _refuse([error], front)

    @app.errorhandler(RpcErrors)
    def rpc_errors(error: RpcErrors) -> Response:
        return _refuse(error.errors, front)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        if request.method not in data.METHODS:
            text = f"RESTCONF has no method {request.method}"
            return _refuse([RpcError("operation-not-supported", text, type="protocol", status=501)], front)
        if isinstance(error, MethodNotAllowed):
            allow = ", ".join(sorted(error.valid_methods or ()))
            return _refuse([errors.NotAllowed(f"{request.method} is not for {request.path}", allow)], front)
        status = error.code or 500
        tag = _HTTP_TAG.get(status, "malformed-message" if status < 500 else "operation-failed")
        text = f"there is no resource {request.path}" if status == 404 else error.description or error.name
        return _refuse([RpcError(tag, text, type="protocol", status=status)], front)

    @app.errorhandler(Exception)
    def defect(error: Exception) -> Response:
        # a defect of ours: the client learns that it failed, the log learns why, nobody is cut off
        log.exception("request failed: %s %s", request.method, request.path, exc_info=error)
        return _refuse([RpcError("operation-failed", "internal error; the log has the details", status=500)], front)


def _refuse(failures: list[RpcError], front: Front) -> Response:
    environ = request.environ
    headers = {}
    if failures[0].status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    if isinstance(failures[0], errors.NotAllowed):
        headers["Allow"] = failures[0].allow
    if failures[0].status == 415 and request.method == "PATCH":
        headers["Accept-Patch"] = media.ACCEPT_PATCH
    return errors.render(failures, _error_encoding(environ), front.namespaces, headers)


def _error_encoding(environ: Environ) -> media.Encoding:
    """As the client accepts; where it accepts neither or does not say, as it sent; else JSON."""
    try:
        default = media.yang_patch(environ.get("CONTENT_TYPE")) or media.sent(environ.get("CONTENT_TYPE"))
    except RpcError:
        default = "json"
    try:
        return media.accepted(environ.get("HTTP_ACCEPT"), default)
    except RpcError:
        return default
