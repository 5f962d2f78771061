"""The datastore and data resources (RFC 8040 sections 3.4, 3.5, 4): each method to one request of the core.

``{+restconf}/data`` reads configuration and state and writes to `running`, through the same commit as every other
change (RFC 8040 section 1.4); ``{+restconf}/ds/DATASTORE`` is one datastore of NMDA (RFC 8527 section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

from nms.errors import RpcError, RpcErrors
from nms.model import entries, tree
from nms.model.edit import Edit, Insert, at
from nms.model.path import InstancePath, format_path, resource_path
from nms.model.schema import Node
from nms.model.values import Value
from nms.operations.request import Datastore, EditConfig, Get, PathFilter, Precondition, Reply
from restconf import body, conditions, media, operations, uri, yang_patch
from restconf.errors import NoContent, NotAllowed, Whole
from restconf.front import Front
from restconf.media import MEDIA_TYPE, Encoding
from restconf.query import Query, parse_query
from restconf.wsgi import Environ

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_READ_ONLY: Final = ("GET", "HEAD", "OPTIONS")
#: Datastores of NMDA, and whether clients write to them.
_DATASTORES: Final[Mapping[Datastore, bool]] = {
    "running": True,
    "candidate": True,
    "startup": True,
    "intended": False,
    "operational": False,
}


class RestOfPath(BaseConverter):
    """Everything that follows, slashes and all; the view reads it from the target as it was sent."""

    regex = ".*?"
    part_isolating = False


def blueprint(front: Front) -> Blueprint:
    """The routes of ``{+restconf}/data`` and ``{+restconf}/ds``."""
    routes = Blueprint("data", __name__)
    roots = {"/data": DataResource(front, "/data", "operational", "running")}
    for name, writable in _DATASTORES.items():
        if f"ietf-datastores:{name}" in front.schema.identity_bases:
            root = f"/ds/ietf-datastores:{name}"
            roots[root] = DataResource(front, root, name, name if writable else None)
    for root, resource in roots.items():
        for rule in (root, f"{root}/<rest:rest>"):
            routes.add_url_rule(rule, root, resource.answer, methods=METHODS, provide_automatic_options=False)
    return routes


def raw_path(environ: Environ, prefix: str) -> str:
    """What follows `prefix` in the request's target, still percent-encoded."""
    path = str(environ["REQUEST_URI"]).partition("?")[0]
    start = "/".join(path.split("/", prefix.count("/") + 1)[: prefix.count("/") + 1])
    if unquote(start) != prefix:  # a slash of the prefix came percent-encoded
        raise NotFound
    return path[len(start) :]


def allowed(path: InstancePath, *, writable: bool = True) -> tuple[str, ...]:
    """The methods of the resource at `path` of a datastore (RFC 8040 table 1 and section 3.5)."""
    if not path:
        return ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT") if writable else _READ_ONLY
    node, key = path[-1]
    if node.kind == "action":
        return ("OPTIONS", "POST")
    is_whole_list = node.kind in ("list", "leaf-list") and key is None
    is_key = node.parent is not None and node in node.parent.keys
    if not writable or not node.config or is_whole_list or is_key:
        return _READ_ONLY
    if node.kind in ("container", "list"):
        return ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
    return ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT")


class DataResource:
    """All resources below `root`, which follows ``{+restconf}``.

    Attributes:
        read, written: the datastores that are; None: it is read only.
    """

    def __init__(self, front: Front, root: str, read: Datastore, written: Datastore | None) -> None:
        self.front = front
        self.schema = front.schema
        self.root = f"/restconf{root}"
        self.read = read
        self.written = written
        self._methods: Mapping[str, Callable[[Environ, InstancePath, Query], Response]] = {
            "GET": self._get,
            "HEAD": self._get,
            "OPTIONS": self._options,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    def answer(self, rest: str = "") -> Response:
        """The one view of all data resources."""
        environ = request.environ
        method = environ["REQUEST_METHOD"]
        path = uri.parse_path(self.schema, raw_path(environ, self.root))
        methods = self._allowed(path)
        if method not in methods:
            raise NotAllowed(f"{method} is not for this resource", ", ".join(methods))
        if method != "OPTIONS":  # section 5.2: no method is carried out whose answer could not be said
            media.accepted(environ.get("HTTP_ACCEPT"))
        query = parse_query(environ["QUERY_STRING"], method, "data")
        return self._methods[method](environ, path, query)

    def _allowed(self, path: InstancePath) -> tuple[str, ...]:
        if path and path[-1][0].kind == "action" and self.read != "operational":
            return ("OPTIONS",)  # actions are invoked in operational (RFC 8527 section 3.1)
        return allowed(path, writable=self.written is not None)

    def _get(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        encoding = media.accepted(environ.get("HTTP_ACCEPT"))
        if path and not path[-1][0].config and self.read != "operational":
            raise _not_found(path)  # even where an empty container would be there without anybody's doing
        reply = self._read(environ, path, query)
        headers = conditions.headers(reply, encoding)
        headers["Cache-Control"] = "no-cache"
        headers["Vary"] = "Accept"
        if reply.settled and conditions.unchanged(environ, reply):
            headers.pop("Last-Modified", None)  # RFC 9110 section 15.4.5: the entity-tag is enough
            return NoContent(status=304, headers=headers)
        root = reply.data if reply.data is not None else self.schema.root.blank
        if not path:
            content = body.encode_datastore(self.schema.root, root, encoding, reply.basis)
        else:
            content = body.encode_instance(path, self._found(root, path), encoding, reply.basis)
        return Whole(self.front.bounded(content), headers=headers, content_type=MEDIA_TYPE[encoding])

    def _read(self, environ: Environ, path: InstancePath, query: Query) -> Reply:
        if query.with_origin and (self.read != "operational" or self.written is not None):
            text = "query parameter 'with-origin' is for ds/ietf-datastores:operational only"
            raise RpcError("invalid-value", text, type="protocol")
        if query.page is not None and not (path and path[-1][0].kind in ("list", "leaf-list") and path[-1][1] is None):
            text = "limit, offset and direction are for a list or leaf-list as a whole"
            raise RpcError("invalid-value", text, type="protocol")
        wanted = Get(
            datastore=self.read,
            filter=PathFilter(path, query.fields) if path or query.fields else None,
            content=query.content,
            depth=query.depth,
            with_defaults=query.with_defaults,
            with_origin=query.with_origin,
            edited=self.written,
            page=query.page,
        )
        return self.front.dispatch(environ, wanted)

    def _found(self, root: Value, path: InstancePath) -> Value:
        """The instance in what the core found: it exists, but a selection or a page may have left nothing of it."""
        value = tree.get(root, path)
        node = path[-1][0]
        if value is not None:
            return value
        if node.kind == "list" and path[-1][1] is not None:
            return tree.blank_entry(*path[-1])
        return {"leaf-list": (), "list": entries.NONE}.get(node.kind, node.blank)

    def _options(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        methods = self._allowed(path)
        headers = {"Allow": ", ".join(methods)}
        if "PATCH" in methods:
            headers["Accept-Patch"] = media.ACCEPT_PATCH
        return NoContent(status=204, headers=headers)

    def _post(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        if path and path[-1][0].kind == "action":
            return operations.invoke(self.front, environ, path[-1][0], path[:-1])
        encoding, content = _body(environ)
        child = body.decode_child(path, self.schema, encoding, content)
        target = (*path, (child.node, child.key))
        _check_writable(child.node, target)
        reply = self._edit(environ, target, [at(target, "create", child.value, self._insert(query, target))])
        return self._created(environ, target, reply, encoding)

    def _put(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        encoding, content = _body(environ)
        if not path:
            if query.insert is not None:
                text = "query parameter 'insert' is for an entry of a list or leaf-list that is ordered-by user"
                raise RpcError("invalid-value", text, type="protocol")
            root = body.decode_datastore(self.schema, encoding, content)
            edits = [
                Edit(node, "remove") if value is None else Edit(node, "replace", None, value)
                for node, value in zip(self.schema.root.children, root, strict=True)
                if node.config or value is not None
            ]
            return _changed(self._edit(environ, path, edits), encoding)
        value = self._same_instance(path, encoding, content)
        reply = self._edit(environ, path, [at(path, "replace", value, self._insert(query, path))])
        if reply.created:
            return self._created(environ, path, reply, encoding)
        return _changed(reply, encoding)

    def _patch(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        if (patching := media.yang_patch(environ.get("CONTENT_TYPE"))) is not None:
            return self._yang_patch(environ, path, patching)
        encoding, content = _body(environ)
        if not path:
            root = body.decode_datastore(self.schema, encoding, content)
            return _changed(self._edit(environ, path, _merges(self.schema.root, root)), encoding)
        edit = at(path, "merge", self._same_instance(path, encoding, content))
        never_creates = _unwritten(path[-1][0]) is None
        return _changed(self._edit(environ, path, [edit], must_exist=never_creates), encoding)

    def _yang_patch(self, environ: Environ, path: InstancePath, encoding: Encoding) -> Response:
        """RFC 8072 section 2: all edits in their order, or none."""
        wanted = media.accepted(environ.get("HTTP_ACCEPT"), encoding)
        patch = yang_patch.decode(encoding, _content(environ))
        condition = conditions.precondition(environ)
        if path and _unwritten(path[-1][0]) is None:
            condition = conditions.existing(condition)
        try:
            edits = yang_patch.edits_of(self.schema, raw_path(environ, self.root), patch)
            try:
                reply = self._dispatch(environ, [edit for _, edit in edits], condition, path, counted=True)
            except (RpcError, RpcErrors) as error:
                failures = error.errors if isinstance(error, RpcErrors) else [error]
                if failures[0].status == 412 and failures[0].type == "protocol":  # a failed `must` is the application's
                    raise
                if failures[0].edit is None and _is_absent(failures[0]):
                    raise _not_found(path) from None
                raise yang_patch.refused(patch, [target for target, _ in edits], failures) from None
        except yang_patch.Failed as failed:
            status, code, headers = failed.status, failed.errors[0].status, {"Cache-Control": "no-store"}
        else:
            status, code, headers = yang_patch.Status(patch.id), 200, conditions.headers(reply, wanted)
        content = yang_patch.encode(status, wanted, self.front.namespaces)
        return Response(content, code, headers=headers, content_type=MEDIA_TYPE[wanted])

    def _delete(self, environ: Environ, path: InstancePath, query: Query) -> Response:
        self._edit(environ, path, [at(path, "delete")])
        return NoContent(status=204)

    def _same_instance(self, path: InstancePath, encoding: Encoding, content: bytes) -> Value:
        """The value of the body, which must be an instance of the target with the target's key."""
        node, key = path[-1]
        given = body.decode_child(path[:-1], self.schema, encoding, content)
        if given.node is not node or given.key != key:
            what = node.name if given.node is not node else f"{node.name} with the key in the URI"
            raise RpcError("invalid-value", f"the body must be {what}", type="protocol", path=format_path(path))
        return given.value

    def _insert(self, query: Query, target: InstancePath) -> Insert | None:
        if query.insert is None:
            return None
        node = target[-1][0]
        if not node.user_ordered:
            raise RpcError(
                "invalid-value", f"query parameter 'insert': {node.name} is not ordered-by user", type="protocol"
            )
        if not query.point:
            return Insert(query.insert)
        point = uri.parse_path(self.schema, query.point)
        if len(point) != len(target) or point[:-1] != target[:-1] or point[-1][0] is not node or point[-1][1] is None:
            raise RpcError(
                "invalid-value", f"query parameter 'point': no entry of {format_path(target)}", type="protocol"
            )
        return Insert(query.insert, point[-1][1])

    def _edit(self, environ: Environ, target: InstancePath, edits: list[Edit], *, must_exist: bool = False) -> Reply:
        wanted = conditions.precondition(environ)
        if must_exist:
            wanted = conditions.existing(wanted)
        try:
            return self._dispatch(environ, edits, wanted, target)
        except RpcError as error:
            # the target or a parent is not there
            if _is_absent(error) and format_path(target).startswith(error.path):
                raise RpcError("invalid-value", error.message, path=error.path, status=404) from None
            raise

    def _dispatch(
        self,
        environ: Environ,
        edits: list[Edit],
        condition: Precondition | None,
        resource: InstancePath,
        *,
        counted: bool = False,
    ) -> Reply:
        assert self.written is not None
        wanted = EditConfig(self.written, edits, precondition=condition, resource=resource, counted=counted)
        return self.front.dispatch(environ, wanted)

    def _created(self, environ: Environ, target: InstancePath, reply: Reply, encoding: Encoding) -> Response:
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        headers = conditions.headers(reply, encoding)
        headers["Location"] = f"{environ['wsgi.url_scheme']}://{host}{self.root}{resource_path(target)}"
        return NoContent(status=201, headers=headers)


def _merges(node: Node, value: Value) -> list[Edit]:
    """Merge edits for every child that `value`, an instance of `node`, has; keys say only which entry it is."""
    return [
        Edit(child, "merge", None, held)
        for child, held in zip(node.children, value, strict=True)
        if held is not None and child not in node.keys
    ]


def _unwritten(node: Node) -> Value | None:
    """The value that stands for `node` while nobody has written it, below a parent that exists."""
    if node.kind == "container" and not node.presence:
        return node.blank
    return node.default if node.kind in ("leaf", "leaf-list") else None


def _body(environ: Environ) -> tuple[Encoding, bytes]:
    encoding = media.sent(environ.get("CONTENT_TYPE"))
    return encoding, _content(environ)


def _content(environ: Environ) -> bytes:
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if not content:
        raise RpcError("malformed-message", "the request has no body", type="protocol")
    return content


def _changed(reply: Reply, encoding: Encoding) -> Response:
    return NoContent(status=204, headers=conditions.headers(reply, encoding))


def _check_writable(node: Node, path: InstancePath) -> None:
    if not node.config:
        raise RpcError("invalid-value", f"{node.name} is state, not configuration", path=format_path(path))


def _is_absent(error: RpcError) -> bool:
    """Is the error that an instance is not there?  A constraint's data-missing says more (app-tag or info)."""
    return error.tag == "data-missing" and not error.app_tag and not error.info


def _not_found(path: InstancePath) -> RpcError:
    return RpcError("invalid-value", "there is no such instance", path=format_path(path), status=404)
