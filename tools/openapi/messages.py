"""What all paths of a document share: query parameters, answers, and the media types of bodies (RFC 8040, RFC 8072)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tools.openapi.types import Fragment

_ERRORS: Final[Fragment] = {
    "type": "object",
    "properties": {
        "ietf-restconf:errors": {
            "type": "object",
            "properties": {
                "error": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "error-type": {"type": "string", "enum": ["transport", "rpc", "protocol", "application"]},
                            "error-tag": {"type": "string"},
                            "error-app-tag": {"type": "string"},
                            "error-path": {"type": "string"},
                            "error-message": {"type": "string"},
                            "error-info": {},
                        },
                        "required": ["error-type", "error-tag"],
                    },
                }
            },
        }
    },
}
_PATCH_STATUS: Final[Fragment] = {
    "type": "object",
    "properties": {"ietf-yang-patch:yang-patch-status": {"type": "object", "required": ["patch-id"]}},
}
_EDIT: Final[Fragment] = {
    "type": "object",
    "properties": {
        "edit-id": {"type": "string"},
        "operation": {"enum": ["create", "delete", "insert", "merge", "move", "replace", "remove"]},
        "target": {"type": "string", "pattern": "^/"},
        "point": {"type": "string", "pattern": "^/"},
        "where": {"enum": ["before", "after", "first", "last"], "default": "last"},
        "value": {"type": "object"},
    },
    "required": ["edit-id", "operation", "target"],
}
YANG_PATCH: Final[Fragment] = {
    "type": "object",
    "properties": {
        "ietf-yang-patch:yang-patch": {
            "type": "object",
            "properties": {
                "patch-id": {"type": "string"},
                "comment": {"type": "string"},
                "edit": {"type": "array", "items": _EDIT},
            },
            "required": ["patch-id"],
        }
    },
}


def body(content: Fragment, description: str = "The data.", *, patch: bool = False) -> dict[str, Any]:
    """A body in both encodings, of which JSON has a schema; `patch` adds YANG Patch."""
    media: dict[str, Any] = {"application/yang-data+json": {"schema": content}, "application/yang-data+xml": {}}
    if patch:
        patches = {"$ref": "#/components/schemas/yang-patch"}
        media |= {"application/yang-patch+json": {"schema": patches}, "application/yang-patch+xml": {}}
    return {"description": description, "content": media}


def parameter(name: str, schema: Fragment) -> Fragment:
    """A key in a path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Fragment, description: str) -> Fragment:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _words(*words: str) -> Fragment:
    return {"type": "string", "enum": list(words)}


_COUNT: Final[Fragment] = {"type": "integer", "minimum": 0}
#: Parameters of every read.
READ: Final = ("content", "depth", "fields", "with-defaults")
PARAMETERS: Final[Mapping[str, Fragment]] = {
    "content": _query("content", _words("all", "config", "nonconfig"), "RFC 8040 section 4.8.1"),
    "depth": _query(
        "depth",
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"const": "unbounded"}]},
        "RFC 8040 section 4.8.2",
    ),
    "fields": _query("fields", {"type": "string", "minLength": 1}, "RFC 8040 section 4.8.3"),
    "with-defaults": _query(
        "with-defaults", _words("report-all", "report-all-tagged", "trim", "explicit"), "RFC 8040 section 4.8.9"
    ),
    "insert": _query("insert", _words("first", "last", "before", "after"), "RFC 8040 section 4.8.5"),
    "point": _query("point", {"type": "string", "pattern": "^/"}, "RFC 8040 section 4.8.6"),
    "limit": _query(
        "limit",
        {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "unbounded"}]},
        "How many instances (draft-ietf-netconf-list-pagination).",
    ),
    "offset": _query("offset", _COUNT, "How many instances are passed over first."),
    "direction": _query("direction", _words("forwards", "backwards"), "From the first instance on, or the last."),
}
ANSWERS: Final[Mapping[str, Fragment]] = {
    "errors": body(_ERRORS, "What was wrong (RFC 8040 section 7.1)."),
    "patched": body(_PATCH_STATUS, "What became of a YANG Patch (RFC 8072 section 2.3)."),
    "done": {"description": "It was done."},
    "created": {
        "description": "It was created.",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
    },
}
