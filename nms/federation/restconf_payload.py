"""What a RESTCONF client sends and gets, as JSON of our models: patches, instances, actions, errors (RFC 8040, 8072).

Pure; knows neither connections nor what the data mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

import orjson

from nms.errors import HTTP_STATUS, ErrorType, RpcError
from nms.federation.client import Event
from nms.mec.session import DataEdit, Members, value_at
from nms.model import json
from nms.model.path import InstancePath, parse_path, resource_path
from nms.model.schema import Node, Schema

_TYPES: Final = ("transport", "rpc", "protocol")


def patch_of(schema: Schema, base: str, edits: Sequence[DataEdit]) -> bytes:
    """The YANG Patch of the resource at `base` that makes all of `edits` (RFC 8072 section 2).

    Raises:
        RpcError: invalid-value ...; a path or the data do not fit the schema.
    """
    depth = len(parse_path(schema, base))
    made = []
    for number, edit in enumerate(edits):
        path = parse_path(schema, base + edit.path)
        target = resource_path(path[depth:]) or "/"
        one: Members = {"edit-id": str(number), "operation": edit.operation, "target": target}
        if edit.operation != "remove":
            one["value"] = _instance(path, value_at(path, edit.data))
        made.append(one)
    return orjson.dumps({"ietf-yang-patch:yang-patch": {"patch-id": "edit", "edit": made}})


def _instance(path: InstancePath, value: Any) -> Members:
    """One data node as a member of an object (RFC 7951)."""
    node, key = path[-1]
    if node.kind == "list" and key is not None:
        content: Any = [json.encode_entry(node, value)]
    else:
        content = json.encode_value(node, value)
    return {f"{node.module}:{node.name}": content}


def instance_of(schema: Schema, path: InstancePath, content: bytes) -> Members | None:
    """The members of the instance that an answer holds; of a whole list, its one member.  None: it is empty.

    Raises:
        RpcError: malformed-message, unknown-element, invalid-value ...; the partner speaks other models.
    """
    node, key = path[-1]
    document = _object(content)
    if len(document) != 1:
        raise RpcError("malformed-message", f"the answer holds {len(document)} data nodes", type="protocol")
    (name, member), *_ = document.items()
    found, value = json.decode_member(path[-2][0] if len(path) > 1 else schema.root, name, member, path[:-1])
    if found is not node:
        raise RpcError("malformed-message", f"the answer holds {name} instead of {node.name}", type="protocol")
    if node.kind == "list":
        members = orjson.loads(orjson.dumps(json.encode_value(node, value)))
        if key is not None:
            return members[0] if members else None
        return {node.name: members} if members else None
    if node.kind == "container":
        return json.plain(node, value) if value is not None and (node.presence or value != node.blank) else None
    return {node.name: json.encode_value(node, value)}


def input_of(
    schema: Schema, path: str, action: str, input: Mapping[str, Any]
) -> tuple[Node, InstancePath, bytes | None]:
    """The schema node of an action, its instance, and the body that calls it (RFC 8040 section 3.6.1).

    Raises:
        RpcError: operation-not-supported; there is no such action.
    """
    where = parse_path(schema, path)
    node = next((each for each in where[-1][0].actions if each.name == action), None)
    if node is None:
        raise RpcError("operation-not-supported", f"there is no action {action} at {path}")
    given = next(child for child in node.children if child.kind == "input")
    members = json.encode(given, json.decode(given, dict(input), where))
    return node, where, orjson.dumps({f"{node.module}:input": members}) if members else None


def output_of(node: Node, content: bytes) -> Members:
    """The members of an action's output (RFC 8040 section 3.6.2).

    Raises:
        RpcError: as `instance_of`.
    """
    output = next(child for child in node.children if child.kind == "output")
    if not content:
        return {}
    return json.plain(output, json.decode(output, _object(content).get(f"{node.module}:output", {})))


def event_of(schema: Schema, message: Any) -> Event | None:
    """The notification of an event's data (RFC 8040 section 6.4); None: of a model that we do not have.

    Raises:
        RpcError: malformed-message, invalid-value ...; it does not fit our model.
    """
    held = message.get("ietf-restconf:notification") if isinstance(message, dict) else None
    if not isinstance(held, dict):
        raise RpcError("malformed-message", "an event is no notification", type="protocol")
    for name, members in held.items():
        module, _, local = name.rpartition(":")
        node = schema.notifications.get((module, local))
        if node is not None:
            return Event(name, json.plain(node, json.decode(node, members)))
    return None


# ---------------------------------------------------------------- errors


def refusal_of(status: int, why: str, content: bytes) -> RpcError:
    """The first error in the body of a refusal, ietf-restconf:errors or yang-patch-status; without one what `why` says.

    An instance that is not there is data-missing, as in NETCONF.
    """
    try:
        found = next(_errors(_object(content)), {"error-tag": "operation-failed", "error-message": why})
    except RpcError:
        found = {"error-tag": "operation-failed", "error-message": why}
    return _error(found, status)


def _errors(held: Any) -> Iterator[Mapping[str, Any]]:
    """The entries of every list `error` in a list `errors`, in their order."""
    if isinstance(held, list):
        for each in held:
            yield from _errors(each)
    elif isinstance(held, dict):
        for name, member in held.items():
            if name.rpartition(":")[2] == "errors" and isinstance(member, dict):
                listed = member.get("error", ())
                yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))
            else:
                yield from _errors(member)


def _error(found: Mapping[str, Any], status: int) -> RpcError:
    """An unknown tag becomes operation-failed and is kept in the message."""

    def text(name: str) -> str:
        return str(found.get(f"error-{name}", ""))

    tag, message = text("tag"), text("message")
    if tag not in HTTP_STATUS:
        tag, message = "operation-failed", f"{tag or 'no error-tag'}: {message}"
    if status == HTTPStatus.NOT_FOUND:
        tag = "data-missing"
    kind = text("type") if text("type") in _TYPES else "application"
    return RpcError(tag, message, type=cast(ErrorType, kind), path=text("path"), app_tag=text("app-tag"), status=status)


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RpcError("malformed-message", f"the answer is no JSON: {error}", type="protocol") from None
    if not isinstance(document, dict):
        raise RpcError("malformed-message", "the answer is no JSON object", type="protocol")
    return document
