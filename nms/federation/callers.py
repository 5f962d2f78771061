"""Partners that call home over SSH (RFC 8071): those behind a translator of addresses, whom nobody can connect to.

A partner keeps one connection with us; each conversation is a channel in it.  When the last one has ended the
connection is closed too, and the partner, if it still wants to be reached, calls again: what has broken, or belongs to
nobody any more, does not stay.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import paramiko
from ncclient.transport.errors import TransportError

from nms.federation.call_home import Listening, identified, session_over
from nms.federation.client import Recorder, unreachable
from nms.federation.netconf_client import Client, Peer
from nms.federation.over_netconf import NetconfClient
from nms.model.schema import Schema

log = logging.getLogger(__name__)

#: Connections of one partner: it may call again before we know that the last one has broken.
_MOST: Final = 4


@dataclass(slots=True, eq=False)
class _Call:
    """One connection, and how many sessions are in it."""

    peer: Peer
    transport: paramiko.Transport
    sessions: int = 0


@dataclass
class Callers:
    """Listens for partners that call, and opens sessions with those that have.

    Attributes:
        expected: asked with each call: who may, `Peer.address` being the partner's identifier.
        came: called, in any thread, with the identifier of a partner that has called.
    """

    expected: Callable[[], Iterable[Peer]]
    came: Callable[[str], None]
    _calls: dict[str, list[_Call]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listening: Listening | None = None

    def listen(self, address: str, port: int, patience: float) -> int:
        """Listen from now on; gives the port.  Raises `OSError`: the address cannot be listened on."""
        self._listening = Listening(address, port, self._hear, patience)
        return self._listening.port

    def open(self, partner: str, recorder: Recorder | None = None) -> Client:
        """A session with a partner.

        Raises:
            RpcError: operation-failed (type transport); it has not called, or what it keeps open has broken.
        """
        with self._lock:
            call = next((each for each in reversed(self._calls.get(partner, ())) if each.transport.is_active()), None)
            if call is None:
                raise unreachable(f"{partner} calls home, and has not yet")
            call.sessions += 1
        ended = _Once(lambda: self._ended(call))
        try:
            return session_over(call.transport, call.peer, ended, recorder)
        except (TransportError, paramiko.SSHException, OSError, EOFError) as error:
            ended()
            call.transport.close()
            raise unreachable(f"the caller {partner}: {error or type(error).__name__}") from error

    def close(self) -> None:
        """Listen no more, and end every connection."""
        if self._listening is not None:
            self._listening.close()
        with self._lock:
            calls = [call for held in self._calls.values() for call in held]
            self._calls.clear()
        for call in calls:
            call.transport.close()

    def _hear(self, caller: socket.socket) -> None:
        peer, transport = identified(caller, list(self.expected()))
        with self._lock:
            held = self._calls.setdefault(peer.address, [])
            held.append(_Call(peer, transport))
            stale = [call for call in held[:-1] if not (call.sessions and call.transport.is_active())] + held[:-_MOST]
            self._calls[peer.address] = [call for call in held if call not in stale]
        for call in stale:
            call.transport.close()
        log.info("%s has called home", peer.address)
        self.came(peer.address)

    def _ended(self, call: _Call) -> None:
        with self._lock:
            call.sessions -= 1
            last = call.sessions == 0
            if last and call in self._calls.get(call.peer.address, ()):
                self._calls[call.peer.address].remove(call)
        if last:
            call.transport.close()


class _Once:
    """Calls what it is given once, however often it is called itself."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._first = threading.Lock()

    def __call__(self) -> None:
        if self._first.acquire(blocking=False):
            self._call()


@dataclass(frozen=True, slots=True)
class CallingEndpoint:
    """A partner that calls home, see `nms.federation.client.Endpoint`."""

    id: str
    partner: str
    callers: Callers
    timeout: float
    protocol: Final[str] = "netconf-ssh"

    def open(self, schema: Schema, recorder: Recorder | None = None) -> NetconfClient:
        """See `Endpoint.open`."""
        return NetconfClient(schema, self.callers.open(self.partner, recorder))
