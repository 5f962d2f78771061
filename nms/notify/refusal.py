"""Why a subscription is refused, in the words of RFC 8639 and RFC 8641: identities, their error-tags, their error-info.

RFC 8640 section 3.3 and RFC 8650 section 3.3 say how they are told: the identity is the error-app-tag, and the
yang-data of the operation stands in error-info.  Pure.
"""

from __future__ import annotations

from typing import Final, Literal

from nms.errors import ErrorData, RpcError

NOTIFICATIONS: Final = "ietf-subscribed-notifications"
PUSH: Final = "ietf-yang-push"

Operation = Literal["establish-stream", "establish-datastore", "modify-stream", "modify-datastore", "delete", "resync"]

#: Identity -> its module and error-tag.
REASONS: Final = {
    "encoding-unsupported": (NOTIFICATIONS, "invalid-value"),
    "filter-unsupported": (NOTIFICATIONS, "invalid-value"),
    "insufficient-resources": (NOTIFICATIONS, "resource-denied"),
    "no-such-subscription": (NOTIFICATIONS, "invalid-value"),
    "datastore-not-subscribable": (PUSH, "invalid-value"),
    "no-such-subscription-resync": (PUSH, "invalid-value"),
    "on-change-unsupported": (PUSH, "operation-not-supported"),
    "on-change-sync-unsupported": (PUSH, "operation-not-supported"),
    "period-unsupported": (PUSH, "invalid-value"),
    "unchanging-selection": (PUSH, "operation-failed"),
}

#: HTTP status where it is not that of the error-tag (RFC 8650 section 3.3).
_STATUS: Final = {
    "no-such-subscription": 404,
    "no-such-subscription-resync": 404,
    "on-change-sync-unsupported": 501,
    "on-change-unsupported": 501,
    "unchanging-selection": 500,
}

_DATA: Final[dict[Operation, tuple[str, str]]] = {
    "establish-stream": (NOTIFICATIONS, "establish-subscription-stream-error-info"),
    "establish-datastore": (PUSH, "establish-subscription-datastore-error-info"),
    "modify-stream": (NOTIFICATIONS, "modify-subscription-stream-error-info"),
    "modify-datastore": (PUSH, "modify-subscription-datastore-error-info"),
    "delete": (NOTIFICATIONS, "delete-subscription-error-info"),
    "resync": (PUSH, "resync-subscription-error"),
}


def refusal(operation: Operation, reason: str, message: str, **hints: str | int) -> RpcError:
    """The error of an operation on subscriptions.

    Args:
        reason: the identity's name, a key of `REASONS`.
        hints: leafs of the operation's yang-data, with ``_`` for ``-``: period_hint, filter_failure_hint.
    """
    module, tag = REASONS[reason]
    identity = f"{module}:{reason}"
    leafs = {"reason": identity} | {name.replace("_", "-"): hint for name, hint in hints.items()}
    data = ErrorData(*_DATA[operation], leafs)
    return RpcError(tag, message, app_tag=identity, data=data, status=_STATUS.get(reason))


def identity(reason: str) -> str:
    """The identity of a subscription-suspended-reason or subscription-terminated-reason, ``module:name``."""
    return f"{REASONS[reason][0] if reason in REASONS else NOTIFICATIONS}:{reason}"
