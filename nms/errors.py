"""The one error that crosses layers, and the table of RFC 6241 appendix A.

Any layer raises `RpcError`; each front end renders it in exactly one place (NETCONF `<rpc-error>`, RESTCONF
`errors`, one line on a terminal).  This module knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ErrorType = Literal["transport", "rpc", "protocol", "application"]

#: RFC 6241 appendix A: error-tag -> HTTP status of RFC 8040 section 7 (table 4).
HTTP_STATUS: Mapping[str, int] = {
    "in-use": 409,
    "invalid-value": 400,
    "too-big": 413,
    "missing-attribute": 400,
    "bad-attribute": 400,
    "unknown-attribute": 400,
    "missing-element": 400,
    "bad-element": 400,
    "unknown-element": 400,
    "unknown-namespace": 400,
    "access-denied": 403,
    "lock-denied": 409,
    "resource-denied": 409,
    "rollback-failed": 500,
    "data-exists": 409,
    "data-missing": 409,
    "operation-not-supported": 405,
    "operation-failed": 412,
    "partial-operation": 500,
    "malformed-message": 400,
}


#: error-info elements that RFC 7950 section 15 defines.
YANG_INFO: frozenset[str] = frozenset(("non-unique", "missing-choice"))


@dataclass(frozen=True, slots=True)
class ErrorData:
    """One container of a module's yang-data in error-info (RFC 8040 section 8).

    Attributes:
        module, name: of the container.
        leafs: its leafs in order; an identity is written ``module:name``.
    """

    module: str
    name: str
    leafs: Mapping[str, str | int]


class RpcError(Exception):
    """An error of RFC 6241 section 4.3.

    Args:
        tag: error-tag, one of `HTTP_STATUS`.
        message: error-message, one sentence for a person: what is wrong and the way out.
        type: error-type.
        path: error-path as an RFC 7951 instance-identifier with every name qualified by its module
            (``/m:list[m:k='v']/m:leaf``); front ends render it in their own prefixes.
        app_tag: error-app-tag (RFC 7950 section 15), for instance ``must-violation``.
        info: error-info children by name, for instance ``{"bad-element": "name", "session-id": "7"}``; a name that
            occurs several times has its values on a line each.  `YANG_INFO` are in YANG's namespace, the others in
            NETCONF's.
        data: what a module has defined for error-info.
        status: HTTP status where RFC 8040 asks for another one than the table's (404, 405, 412, 415 ...).
    """

    def __init__(
        self,
        tag: str,
        message: str = "",
        *,
        type: ErrorType = "application",
        path: str = "",
        app_tag: str = "",
        info: Mapping[str, str] | None = None,
        data: ErrorData | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(tag, message, path)
        self.tag = tag
        self.message = message
        self.type: ErrorType = type
        self.path = path
        self.app_tag = app_tag
        self.info: Mapping[str, str] = info or {}
        self.data = data
        #: which edit of a request failed, counted from 0, where each is reported on (RFC 8072)
        self.edit: int | None = None
        self.status = status if status is not None else HTTP_STATUS[tag]

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.tag}: {self.message}{where}"


class RpcErrors(Exception):
    """Several `RpcError` of one request (error-option continue-on-error, YANG Patch, many violations)."""

    def __init__(self, errors: list[RpcError]) -> None:
        super().__init__(*errors)
        self.errors = errors


class ConfigError(Exception):
    """A mistake in the daemon's own configuration: one line that names the key, the file and the way out."""
