"""Locks of whole datastores (RFC 6241 section 7.5) and who is kept out by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nms.errors import RpcError


@dataclass(frozen=True, slots=True)
class Lock:
    """A granted lock."""

    session_id: int
    time: datetime


class Locks:
    """The locks of a store, by datastore name.  Only called under the writer lock; `held` is read by monitoring."""

    def __init__(self) -> None:
        self.held: dict[str, Lock] = {}

    def grant(self, datastore: str, session_id: int, now: datetime) -> None:
        """Lock `datastore` for a session.

        Raises:
            RpcError: lock-denied; somebody holds it, the asking session included.
        """
        if lock := self.held.get(datastore):
            raise denied(f"{datastore} is locked by session {lock.session_id}", lock.session_id)
        self.held[datastore] = Lock(session_id, now)

    def release(self, datastore: str, session_id: int) -> None:
        """Unlock (RFC 6241 section 7.6).

        Raises:
            RpcError: operation-failed; the session does not hold the lock.
        """
        lock = self.held.get(datastore)
        if lock is None or lock.session_id != session_id:
            holder = f"session {lock.session_id} holds its lock" if lock else "it is not locked"
            raise RpcError("operation-failed", f"{datastore} cannot be unlocked: {holder}", type="protocol")
        del self.held[datastore]

    def check(self, datastore: str, session_id: int) -> None:
        """May this session change `datastore`?

        Raises:
            RpcError: in-use; another session holds the lock.
        """
        lock = self.held.get(datastore)
        if lock is not None and lock.session_id != session_id:
            raise RpcError(
                "in-use",
                f"{datastore} is locked by session {lock.session_id}",
                type="protocol",
                info={"session-id": str(lock.session_id)},
            )

    def of(self, session_id: int) -> list[str]:
        """The datastores that a session has locked."""
        return [name for name, lock in self.held.items() if lock.session_id == session_id]


def denied(message: str, session_id: int) -> RpcError:
    """lock-denied with the holder's session-id; 0 stands for no NETCONF session (RFC 6241 appendix A)."""
    return RpcError("lock-denied", message, type="protocol", info={"session-id": str(session_id)})
