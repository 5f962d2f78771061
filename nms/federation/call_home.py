"""Call home, the client's side (RFC 8071 section 3): servers connect to us, and are NETCONF servers all the same.

A caller is known by what is pinned for it, whatever address it comes from: its SSH host key, or the SHA-256 of its
certificate.  Each is heard in a thread of its own and for so long only, so that one that says nothing keeps no other
one out.  For worker threads, as `nms.federation.netconf_client`; this module knows neither models nor partners.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import paramiko
from ncclient.transport.errors import TransportError

from nms.errors import RpcError
from nms.federation import pinned
from nms.federation.client import Recorder
from nms.federation.netconf_client import Client, Peer

log = logging.getLogger(__name__)

#: Callers that are listened to at the same time before they are known.
MOST_UNKNOWN: Final = 32


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """A server over TLS, how it proves itself and how we do.

    Attributes:
        fingerprint: of its certificate: ``sha256:`` and 64 hexadecimal digits; the only one accepted.
        cert, key: our client certificate and its private key (PEM).
        timeout: seconds to wait for each step and each reply.
    """

    fingerprint: str
    cert: Path
    key: Path
    timeout: float = 10.0


Caller: TypeAlias = Peer | TlsPeer


class Listening:
    """A port at which everybody may call, heard in threads of their own.

    Args:
        address, port: where; port 0 takes a free one (4334 is the assigned one for SSH, 4335 for TLS).
        hear: called with each connection, which is its own from then on unless it raises RpcError, TransportError,
            SSHException, OSError or EOFError.
        patience: seconds until it must have come to an end.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, address: str, port: int, hear: Callable[[socket.socket], None], patience: float) -> None:
        self._hear = hear
        self._patience = patience
        self._places = threading.BoundedSemaphore(MOST_UNKNOWN)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, port), family=family)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="call-homes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                caller, (host, *_) = self._listening.accept()
            except OSError:
                return
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._attend, args=(caller, host), name="call-home", daemon=True).start()
            else:
                caller.close()

    def _attend(self, caller: socket.socket, host: str) -> None:
        try:
            # Whatever a step waits for, the socket is gone when the patience is at its end.
            with pinned.within(self._patience, caller):
                caller.settimeout(self._patience)
                self._hear(caller)
        except (RpcError, TransportError, paramiko.SSHException, OSError, EOFError) as error:
            log.warning("a call from %s was refused: %s", host, error)
            caller.close()
        finally:
            self._places.release()


class CallHomes:
    """Gives one session for each server that calls home.

    Args:
        address, port: see `Listening`.
        expected: asked with each call: who may call, over SSH (`Peer`) or over TLS (`TlsPeer`), not both at one port.
        patience: seconds until a caller must be known.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(
        self, address: str, port: int, expected: Callable[[], Iterable[Caller]], *, patience: float = 10.0
    ) -> None:
        self._expected = expected
        self._taken: queue.SimpleQueue[tuple[Caller, Client]] = queue.SimpleQueue()
        self._listening = Listening(address, port, self._hear, patience)
        self.port = self._listening.port

    def accept(self, timeout: float | None = None) -> tuple[Caller, Client]:
        """The next server that has called: who it is, and the session with it.

        Raises:
            TimeoutError: nobody came within `timeout` seconds.
        """
        try:
            return self._taken.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"nobody has called within {timeout:g} s") from None

    def close(self) -> None:
        """Listen no more, and end the sessions that nobody has accepted."""
        self._listening.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._taken.get_nowait()[1].close()

    def _hear(self, caller: socket.socket) -> None:
        expected = list(self._expected())
        over_tls = [each for each in expected if isinstance(each, TlsPeer)]
        known: Caller
        if over_tls:
            known, stream = _secured(caller, over_tls)
            self._taken.put((known, Client.over(stream, f"the caller {known.fingerprint}", known.timeout)))
            return
        known, transport = identified(caller, [each for each in expected if isinstance(each, Peer)])
        self._taken.put((known, session_over(transport, known, transport.close)))


def _refused(why: str) -> RpcError:
    return RpcError("operation-failed", why, type="transport")


# ---------------------------------------------------------------- SSH


class _Channel:
    """A channel, and what else is to be done at its end."""

    def __init__(self, channel: paramiko.Channel, ended: Callable[[], None]) -> None:
        self.recv, self.send, self.fileno = channel.recv, channel.send, channel.fileno
        self._channel = channel
        self._ended = ended

    def close(self) -> None:
        self._channel.close()
        self._ended()


def identified(caller: socket.socket, expected: list[Peer]) -> tuple[Peer, paramiko.Transport]:
    """The peer whose host key the caller has shown, and the connection, in which we are the SSH client and logged in.

    Raises:
        RpcError, SSHException, OSError, EOFError: it is nobody who is expected, or does not admit us.
    """
    known_by = {tuple(peer.host_key.split()[:2]): peer for peer in expected}
    transport = paramiko.Transport(caller)
    try:
        # Only kinds of keys that are pinned: a server with several shows one of those.
        transport.get_security_options().key_types = _key_types(kind for kind, _ in known_by)
        transport.start_client(timeout=_left(caller))
        shown = transport.get_remote_server_key()
        known = known_by.get((shown.get_name(), shown.get_base64()))
        if known is None:
            raise _refused("its host key is nobody's who is expected")
        transport.auth_publickey(known.user, paramiko.PKey.from_path(str(known.key)))
    except BaseException:
        transport.close()
        raise
    return known, transport


def session_over(
    transport: paramiko.Transport, peer: Peer, ended: Callable[[], None], recorder: Recorder | None = None
) -> Client:
    """A NETCONF session with a caller, in a channel of its own; `ended` is called when it is closed.

    Raises:
        TransportError, SSHException, OSError, EOFError: it does not begin; `ended` has been called.
    """
    try:
        channel = transport.open_session(timeout=peer.timeout)
        channel.invoke_subsystem("netconf")
    except BaseException:
        ended()
        raise
    return Client.over(_Channel(channel, ended), f"the caller {peer.address}", peer.timeout, recorder)


def _key_types(kinds: Iterable[str]) -> list[str]:
    """The algorithms for kinds of keys; an RSA key is used with SHA-2 (RFC 8332)."""
    rsa = ("rsa-sha2-512", "rsa-sha2-256")
    wanted = [name for kind in dict.fromkeys(kinds) for name in (rsa if kind == "ssh-rsa" else (kind,))]
    if not wanted:
        raise _refused("nobody is expected")
    return wanted


def _left(caller: socket.socket) -> float:
    return caller.gettimeout() or 1.0


# ---------------------------------------------------------------- TLS


def _secured(caller: socket.socket, expected: list[TlsPeer]) -> tuple[TlsPeer, socket.socket]:
    """The peer whose certificate the caller has shown, and its bytes in clear; we are the TLS client."""
    mine = {(peer.cert, peer.key) for peer in expected}
    if len(mine) != 1:
        raise _refused("one client certificate is shown to everybody who calls at this port")
    secured, shown = pinned.handshake(caller, pinned.ClientCertificate(*mine.pop()), _left(caller))
    known = next((peer for peer in expected if peer.fingerprint == f"sha256:{shown}"), None)
    if known is None:
        secured.close()
        raise _refused(f"the certificate sha256:{shown} is nobody's who is expected")
    return known, pinned.in_clear(secured)
