"""The OpenAPI 3.1 document of a compiled schema: a path for each data resource, rpc and action (RFC 8040 section 3).

Every node can be read by itself; containers, lists and their entries have paths here, leafs on request: the schema of
what is above them shows them already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from nms.model.schema import Node, Schema
from tools.openapi.messages import ANSWERS, PARAMETERS, READ, YANG_PATCH, body, parameter
from tools.openapi.schemas import Schemas, name_of
from tools.openapi.types import Fragment

_DATA: Final = "/restconf/data"
_SECURITY: Final = {
    "basic": {"type": "http", "scheme": "basic", "description": "User and password (RFC 8040 section 2.5)."},
    "certificate": {"type": "mutualTLS", "description": "A client certificate (RFC 8040 section 2.5)."},
}


def document(schema: Schema, modules: Sequence[str] = (), *, leafs: bool = False) -> dict[str, Any]:
    """The document, ready for `json.dumps`.

    Args:
        modules: of which the top-level data nodes and rpcs are shown, with all below them; none: all modules.
        leafs: give each leaf and leaf-list a path of its own.
    """
    shown = set(modules or schema.modules)
    tops = [node for node in schema.root.children if {below.module for below in node.walk()} & shown]
    schemas = Schemas()
    paths: dict[str, Any] = {}
    if tops:
        paths[_DATA] = _datastore(schemas, schema.root, tops)
    for top in tops:
        for path, parameters, node, whole in _resources(schemas, top, f"{_DATA}/{top.module}:{top.name}", [], leafs):
            paths[path] = _resource(schemas, node, parameters, whole=whole)
            if not whole:
                for action in node.actions:
                    paths[f"{path}/{_qualified(action)}"] = _operation(schemas, action, parameters)
    for (module, name), rpc in sorted(schema.rpcs.items()):
        if module in shown:
            paths[f"/restconf/operations/{module}:{name}"] = _operation(schemas, rpc, [])
    named = sorted(shown)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"RESTCONF with {', '.join(named[:3])}{f' and {len(named) - 3} more' if len(named) > 3 else ''}",
            "version": max((schema.modules[name].revision for name in named), default="") or "1",
            "description": "\n".join(f"- {name}@{schema.modules[name].revision}" for name in named),
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "schemas": schemas.components | {"yang-patch": YANG_PATCH},
            "parameters": PARAMETERS,
            "responses": ANSWERS,
            "securitySchemes": _SECURITY,
        },
    }


def _qualified(node: Node) -> str:
    """A node's name below its parent (RFC 8040 section 3.5.3)."""
    same = node.parent is not None and node.parent.module == node.module
    return node.name if same else f"{node.module}:{node.name}"


def _resources(
    schemas: Schemas, node: Node, path: str, parameters: list[Fragment], leafs: bool
) -> Iterator[tuple[str, list[Fragment], Node, bool]]:
    """(path, its parameters, node, is it a whole list) of `node` and the resources below it."""
    if node.kind == "list" or (node.kind == "leaf-list" and leafs):
        yield path, parameters, node, True
        if node.kind == "list" and not node.keys:
            return
        taken = {str(one["name"]) for one in parameters}
        keys: list[Fragment] = []
        for key in node.keys or (node,):
            name = f"{node.name}-{key.name}" if node.keys else node.name
            name = next(free for free in (name, *(f"{name}-{n}" for n in range(2, 99))) if free not in taken)
            taken.add(name)
            assert key.type is not None
            keys.append(parameter(name, schemas.type(key.type)))
        parameters = [*parameters, *keys]
        path += "=" + ",".join(f"{{{key['name']}}}" for key in keys)
    elif node.kind != "container" and not leafs:
        return
    yield path, parameters, node, False
    for child in node.children:
        if child not in node.keys:
            yield from _resources(schemas, child, f"{path}/{_qualified(child)}", parameters, leafs)


def _resource(schemas: Schemas, node: Node, parameters: list[Fragment], *, whole: bool) -> Fragment:
    """The methods that RFC 8040 table 1 has for a data resource."""
    content = schemas.whole(node) if whole else schemas.body(node)
    wanted = [*READ, *(["limit", "offset", "direction"] if whole else [])]
    item: Fragment = {"parameters": parameters} if parameters else {}
    item["get"] = _method(node, "get", whole, _references(wanted), {"200": body(content)})
    if whole or not node.config:
        return item
    ordering = _references(["insert", "point"]) if node.user_ordered else []
    item["put"] = _method(node, "put", whole, ordering, {"201": "created", "204": "done"}, content)
    item["patch"] = _method(node, "patch", whole, [], {"200": "patched", "204": "done"}, content, patch=True)
    item["delete"] = _method(node, "delete", whole, [], {"204": "done"})
    if any(child.config for child in node.children if child not in node.keys):
        insertable = any(child.user_ordered for child in node.children)
        ordering = _references(["insert", "point"]) if insertable else []
        item["post"] = _method(node, "post", whole, ordering, {"201": "created"}, schemas.child(node.children))
    return item


def _datastore(schemas: Schemas, root: Node, tops: Sequence[Node]) -> Fragment:
    content = schemas.datastore(tops)
    found = {
        "get": _method(root, "get", False, _references(READ), {"200": body(content)}),
        "put": _method(root, "put", False, [], {"204": "done"}, content),
        "patch": _method(root, "patch", False, [], {"200": "patched", "204": "done"}, content, patch=True),
    }
    if any(top.config for top in tops):
        found["post"] = _method(root, "post", False, [], {"201": "created"}, schemas.child(tops))
    return found


def _operation(schemas: Schemas, node: Node, parameters: list[Fragment]) -> Fragment:
    """An rpc or action (RFC 8040 section 3.6)."""
    wanted, output = node.children
    answers: Fragment = {"204": "done"}
    if output.children:
        answers["200"] = body({"type": "object", "properties": {f"{node.module}:output": schemas.content(output)}})
    content = None
    if wanted.children:
        content = {"type": "object", "properties": {f"{node.module}:input": schemas.content(wanted)}}
    item: Fragment = {"parameters": parameters} if parameters else {}
    return item | {"post": _method(node, "post", False, [], answers, content)}


def _method(
    node: Node,
    method: str,
    whole: bool,
    parameters: list[Fragment],
    answers: Fragment,
    content: Fragment | None = None,
    *,
    patch: bool = False,
) -> Fragment:
    described = " ".join(node.description.split())
    found: Fragment = {
        "operationId": f"{method}:{name_of(node)}{'*' * whole}",
        "tags": [node.module or "ietf-restconf"],
        "responses": {
            code: {"$ref": f"#/components/responses/{answer}"} if isinstance(answer, str) else answer
            for code, answer in answers.items()
        }
        | {"default": {"$ref": "#/components/responses/errors"}},
    }
    if described:
        found["description"] = described
    if parameters:
        found["parameters"] = parameters
    if content is not None:
        found["requestBody"] = body(content, patch=patch) | {"required": True}
    return found


def _references(names: Sequence[str]) -> list[Fragment]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]
