"""Operation occurrences as whoever has asked for something sees them (ETSI GS MEC 010-2, clause 6.2.3: AppLcmOpOcc).

Pure: made of members that were read or notified.  How they come about is `nms.mec.lifecycle`, how they are followed
`nms.mec.reference_points`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nms.errors import HTTP_STATUS, RpcError

#: `RpcError.app_tag` of a failure that may pass: the occurrence waits for retry or fail.
TEMPORARY = "temporary"

Progress: TypeAlias = Callable[["Occurrence"], None]

OCCURRENCE_CHANGED = "mec-federation:operation-occurrence-changed"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An operation occurrence (ETSI GS MEC 010-2, clause 6.2.3: AppLcmOpOcc); identities without their module."""

    id: str
    operation: str = ""
    subject: str = ""
    state: str = "starting"
    progress: int = 0
    step: str = ""
    reasons: tuple[str, ...] = ()
    start_time: str = ""
    error: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing happens any more until somebody decides (RFC 7951 identity names without the module)."""
        return self.state in ("completed", "failed", "failed-temp", "cancelled")

    def failure(self) -> RpcError:
        """The error that it ended with."""
        tag = self.error.get("error-tag", "operation-failed")
        said = self.error.get("detail") or self.error.get("title")
        return RpcError(
            tag if tag in HTTP_STATUS else "operation-failed",
            said or f"{self.operation} of {self.subject}: {self.state}",
            app_tag=TEMPORARY if self.state == "failed-temp" else "",
        )


def occurrence_of(members: Mapping[str, Any]) -> Occurrence:
    """From an entry of the list operation-occurrence, or from an operation-occurrence-changed."""
    return Occurrence(
        id=members.get("id") or members["occurrence"],
        operation=plain(members.get("operation", "")),
        subject=members.get("subject", ""),
        state=plain(members.get("state", "starting")),
        progress=members.get("progress", 0),
        step=members.get("step", ""),
        reasons=tuple(members.get("reason", ())),
        start_time=members.get("start-time", ""),
        error=members.get("error", {}),
    )


def plain(identity: str) -> str:
    """An identity without its module."""
    return identity.rpartition(":")[2]


def terminated(name: str, members: Mapping[str, Any]) -> bool:
    """Whether a notification tells that its subject was terminated, by whomever."""
    what = (plain(members.get("operation", "")), plain(members.get("state", "")))
    return name == OCCURRENCE_CHANGED and what == ("terminate", "completed")
