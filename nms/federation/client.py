"""What a session with a partner needs of a protocol: one open conversation, whatever it is spoken in.

Two protocols carry boundary sessions: NETCONF (`nms.federation.over_netconf`) and RESTCONF
(`nms.federation.over_restconf`).  Both send and give the members of our models, and raise the same errors; who
asks (`nms.federation.adaptor`) cannot tell which one it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from nms.errors import RpcError
from nms.mec.occurrence import TEMPORARY
from nms.mec.session import DataEdit, Members
from nms.model.schema import Schema
from nms.operations.request import Content

#: Local names of the identities of the protocols that a session may use; the first one is the default.
PROTOCOLS: Final = ("netconf-ssh", "netconf-tls", "restconf")

#: Called with each message received, as text: what crossed the boundary (used to prove what did not).
Recorder: TypeAlias = Callable[[str], None]


class Unanswered(RpcError):
    """No answer came: the request may have been carried out or not."""


@dataclass(frozen=True, slots=True)
class Event:
    """A notification of a model that we have.

    Attributes:
        name: "module:notification".
    """

    name: str
    members: Members


class Client(Protocol):
    """One conversation with a partner's server; for worker threads, and one request at a time.

    Every method raises `RpcError`: the partner's, or operation-failed of type transport with the app-tag "temporary";
    `Unanswered` where the request may have been carried out.
    """

    @property
    def messages_in(self) -> int:
        """Messages received."""

    @property
    def messages_out(self) -> int:
        """Messages sent."""

    @property
    def connected(self) -> bool:
        """Whether it goes on, as far as is known."""

    def edit(self, base: str, edits: Sequence[DataEdit]) -> None:
        """Make all of `edits`, which continue the instance-identifier `base`, in one transaction or none."""

    def get(self, path: str, content: Content = "all") -> Members | None:
        """The members of the instance, or of the whole list, at an instance-identifier; None where there is none."""

    def invoke(self, path: str, action: str, input: Mapping[str, Any]) -> Members:
        """Call the action of the instance at `path`; gives the members of its output."""

    def schema(self, name: str, revision: str) -> bytes:
        """The YANG text of a module; without a revision, of the only one."""

    def subscribe(self) -> None:
        """Have all notifications sent from now on that the partner lets us hear; before `notification`."""

    def notification(self, timeout: float) -> Event | None:
        """The next one, or None when none came within `timeout` seconds; raises at the end of the conversation."""

    def close(self) -> None:
        """End the conversation without waiting for the other side.  Any thread; whoever waits is told."""


class Endpoint(Protocol):
    """Where a partner is reached, how it proves itself and how we do.

    Attributes:
        id: of the endpoint in the partner's entry.
        protocol: local name of the identity of its protocol.
        timeout: seconds to wait for a connection and for each answer.
    """

    @property
    def id(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def timeout(self) -> float: ...

    def open(self, schema: Schema, recorder: Recorder | None = None) -> Client:
        """A conversation with the server that is pinned here.

        Args:
            schema: our models; the partner's agree with them, or nothing is asked of it.
            recorder: sees each message that arrives.

        Raises:
            RpcError: operation-failed (type transport); not reached, not the pinned one, not admitted.
        """


def unreachable(why: str) -> RpcError:
    """The error for a partner that was not reached; that may pass."""
    return RpcError("operation-failed", why, type="transport", app_tag=TEMPORARY)


def unanswered(server: str, why: str) -> Unanswered:
    """The error for a request that the partner may have carried out or not."""
    return Unanswered("operation-failed", f"{server}: {why}", type="transport", app_tag=TEMPORARY)
