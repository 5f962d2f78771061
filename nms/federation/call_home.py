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


class CallHomes:
    """Listens for servers that call home.

    Args:
        address, port: where; port 0 takes a free one (4334 is the assigned one for SSH, 4335 for TLS).
        expected: asked with each call: who may call, over SSH (`Peer`) or over TLS (`TlsPeer`), not both at one port.
        patience: seconds until a caller must be known.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(
        self, address: str, port: int, expected: Callable[[], Iterable[Caller]], *, patience: float = 10.0
    ) -> None:
        self._expected = expected
        self._patience = patience
        self._places = threading.BoundedSemaphore(MOST_UNKNOWN)
        self._taken: queue.SimpleQueue[tuple[Caller, Client]] = queue.SimpleQueue()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, port), family=family)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="call-homes", daemon=True)
        self._thread.start()

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
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._listening.close()
        self._thread.join()
        with contextlib.suppress(queue.Empty):
            while True:
                self._taken.get_nowait()[1].close()

    def _accept(self) -> None:
        while True:
            try:
                caller, (host, *_) = self._listening.accept()
            except OSError:
                return
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._hear, args=(caller, host), name="call-home", daemon=True).start()
            else:
                caller.close()

    def _hear(self, caller: socket.socket, host: str) -> None:
        # Whatever a step waits for, the socket is gone when the patience is at its end.
        try:
            with pinned.within(self._patience, caller):
                caller.settimeout(self._patience)
                expected = list(self._expected())
                over_tls = [each for each in expected if isinstance(each, TlsPeer)]
                over_ssh = [each for each in expected if isinstance(each, Peer)]
                known, stream = _secured(caller, over_tls) if over_tls else _authenticated(caller, over_ssh)
                self._taken.put((known, Client.over(stream, _name_of(known), known.timeout)))
        except (RpcError, TransportError, paramiko.SSHException, OSError, EOFError) as error:
            log.warning("a call from %s was refused: %s", host, error)
            caller.close()
        finally:
            self._places.release()


def _refused(why: str) -> RpcError:
    return RpcError("operation-failed", why, type="transport")


def _name_of(peer: Caller) -> str:
    return f"the caller {peer.fingerprint if isinstance(peer, TlsPeer) else peer.address}"


# ---------------------------------------------------------------- SSH


class _Channel:
    """A channel whose end is the end of its connection."""

    def __init__(self, channel: paramiko.Channel, transport: paramiko.Transport) -> None:
        self.recv, self.send, self.fileno = channel.recv, channel.send, channel.fileno
        self._transport = transport

    def close(self) -> None:
        self._transport.close()


def _authenticated(caller: socket.socket, expected: list[Peer]) -> tuple[Peer, _Channel]:
    """The peer whose host key the caller has shown, and its subsystem `netconf`.  We are the SSH client."""
    pinned = {tuple(peer.host_key.split()[:2]): peer for peer in expected}
    transport = paramiko.Transport(caller)
    try:
        # Only kinds of keys that are pinned: a server with several shows one of those.
        transport.get_security_options().key_types = _key_types(kind for kind, _ in pinned)
        transport.start_client(timeout=_left(caller))
        shown = transport.get_remote_server_key()
        known = pinned.get((shown.get_name(), shown.get_base64()))
        if known is None:
            raise _refused("its host key is nobody's who is expected")
        transport.auth_publickey(known.user, paramiko.PKey.from_path(str(known.key)))
        channel = transport.open_session(timeout=known.timeout)
        channel.invoke_subsystem("netconf")
    except BaseException:
        transport.close()
        raise
    return known, _Channel(channel, transport)


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
