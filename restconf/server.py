"""The RESTCONF listener: the Flask application of `restconf.app` behind HTTP/1.1 and TLS, in the daemon's event loop.

RFC 8040 section 2: TLS with a verified client certificate or HTTP Basic; plain HTTP only on a loopback address and only
on demand.  Found by the daemon through the entry point group `mec_nms.frontends`, which names `start`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nms.errors import ConfigError
from nms.limits import Limits as DaemonLimits
from nms.operations.request import Principal
from nms.tls import Door, Handshake, Leave, ask_for_certificate, server_context
from restconf.app import ROOT, create_app
from restconf.front import Core
from restconf.http1 import Connection
from restconf.service import Limits, OpenDoor, Service
from restconf.wsgi import CLIENT_CHAIN, Environ

#: (user, password) -> who that is, or None.  Called in any thread: an implementation remembers what it has verified, so
#: that only the first request with a password pays for the hash.
PasswordCheck = Callable[[str, str], Principal | None]
#: The certificates that TLS verified, DER, the client's own first -> who that is, or None.
CertificateCheck = Callable[[Sequence[bytes]], Principal | None]

_QUICK_BODY: Final = 64 * 1024
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files.  With `client_ca`, certificates of clients are asked for and verified against it."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(slots=True)
class Server:
    """A running listener."""

    addresses: tuple[tuple[str, int], ...]
    _listener: asyncio.Server
    _service: Service
    _sweeper: asyncio.Task[None]
    _shutdown: Callable[[], None]
    _context: ssl.SSLContext | None

    def trust(self, certificate: bytes) -> None:
        """Let clients show `certificate` (DER), whoever issued it, from their next connection on."""
        if self._context is not None and self._context.verify_mode != ssl.CERT_NONE:
            self._context.load_verify_locations(cadata=certificate)

    @property
    def connections(self) -> Collection[object]:
        """Those that are open."""
        return self._service.connections

    def deafen(self) -> None:
        """Listen no more; what is open stays open."""
        self._listener.close()

    async def close(self) -> None:
        """Stop listening, end the event streams, close every connection, wait for the worker threads."""
        self._listener.close()
        self._sweeper.cancel()
        for connection in list(self._service.connections):
            connection.shut()
        for handshake in list(self._service.handshakes):
            handshake.close()
        self._shutdown()
        await asyncio.to_thread(self._service.pool.shutdown)
        await asyncio.to_thread(self._service.doorman.shutdown)
        for connection in list(self._service.connections):
            connection.transport.abort()
        await self._listener.wait_closed()


async def start(
    core: Core,
    *,
    listen: tuple[str, int] | socket.socket,
    tls: Tls | None = None,
    insecure: bool = False,
    authenticate_password: PasswordCheck | None = None,
    authenticate_certificate: CertificateCheck | None = None,
    limits: Limits | None = None,
    max_request: int | None = None,
    max_answer: int | None = None,
    within: DaemonLimits | None = None,
    door: Door | None = None,
) -> Server:
    """Listen for RESTCONF clients on `listen` (port 0: any free one; or a socket that listens) until it is closed.

    Args:
        max_request, max_answer: in bytes, in place of what `limits` says of bodies of requests and of answers.
        within: the daemon's limits, where there are no `limits`.
        door: counts who has not proven yet who it is; shared with the other transports.

    Raises:
        ConfigError: no TLS without `insecure`, `insecure` beyond loopback, unusable certificate files or address.
    """
    if tls is None and not insecure:
        raise ConfigError("[restconf] needs cert and key, or insecure = true on a loopback address")
    host, port = listen.getsockname()[:2] if isinstance(listen, socket.socket) else listen
    if tls is None and not _is_loopback(host):
        raise ConfigError(f"[restconf] insecure = true is for loopback addresses only, not {host!r}")
    context = _tls_context(tls) if tls is not None else None
    limits = limits or (Limits() if within is None else Limits.within(within))
    limits = replace(limits, body=max_request or limits.body, answer=max_answer or limits.answer)
    authenticate = _authenticator(authenticate_password, authenticate_certificate)
    application = create_app(core, authenticate, limits)
    front = application.extensions["restconf"]
    loop = asyncio.get_running_loop()
    service = Service(
        application=application,
        quick=lambda method, target, size: (
            is_quick(method, target, size) and (method in _READS or not core.writer.compacts_soon())
        ),
        most=lambda method, target: limits.package if is_upload(method, target) else limits.body,
        knows=front.knows,
        pool=ThreadPoolExecutor(_THREADS, thread_name_prefix="restconf"),
        doorman=ThreadPoolExecutor(1, thread_name_prefix="restconf-doorman"),
        loop=loop,
        limits=limits,
        door=door or OpenDoor(),
    )
    front.dismiss = lambda principal: loop.call_soon_threadsafe(service.dismiss, principal)

    def accept() -> asyncio.Protocol:
        if context is None:
            return Connection(service)
        return Handshake(context, service.door, limits.login_time, service.handshakes, secured)

    def secured(_: asyncio.Transport, leave: Leave) -> Connection:
        return Connection(service, leave)

    try:
        listener = await loop.create_server(
            accept,
            **({"sock": listen} if isinstance(listen, socket.socket) else {"host": host, "port": port}),
            backlog=256,
        )
    except OSError as error:
        raise ConfigError(f"[restconf] listen: cannot listen on {host}:{port}: {error.strerror}") from None
    addresses = tuple((s.getsockname()[0], s.getsockname()[1]) for s in listener.sockets)
    return Server(addresses, listener, service, loop.create_task(_sweep(service)), front.close, context)


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(1.0)
        service.sweep()


def is_quick(method: str, target: bytes, size: int) -> bool:
    """Is this request answered in less time than a thread needs to take it over?

    So are reads that name an entry, and edits of little data; rpcs, actions, bulk data and whole lists are not.
    """
    if target.startswith(_PACKAGES_PREFIX):
        return False
    if method in _READS:
        return b"=" in target.partition(b"?")[0]
    if method == "POST":
        return size <= _QUICK_BODY and target.startswith(_DATA_PREFIX) and not target.startswith(_OPERATIONS_PREFIX)
    return size <= _QUICK_BODY


def is_upload(method: str, target: bytes) -> bool:
    """Does this request bring a package, which goes to the disk?"""
    return method == "PUT" and target.startswith(_PACKAGES_PREFIX)


_READS: Final = ("GET", "HEAD")
_PACKAGES_PREFIX: Final = b"/packages/"
_DATA_PREFIX: Final = f"{ROOT}/data".encode()
_OPERATIONS_PREFIX: Final = f"{ROOT}/operations".encode()


def _authenticator(
    password: PasswordCheck | None, certificate: CertificateCheck | None
) -> Callable[[Environ], Principal | None]:
    """Who sent a request (RFC 8040 section 2.5): the client certificate's user, else the Basic credentials'."""

    def authenticate(environ: Environ) -> Principal | None:
        chain = environ.get(CLIENT_CHAIN)
        if chain and certificate is not None:
            principal = certificate(chain)
            if principal is not None:
                return principal
        credentials = _basic(environ.get("HTTP_AUTHORIZATION", ""))
        if credentials is None or password is None:
            return None
        return password(*credentials)

    return authenticate


def _basic(header: str) -> tuple[str, str] | None:
    """(user, password) of an Authorization header (RFC 7617, UTF-8)."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _tls_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = server_context(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[restconf] cert {tls.cert} and key {tls.key} cannot be used: {_reason(error)}") from None
    context.set_alpn_protocols(["http/1.1"])
    if tls.client_ca is not None:
        try:
            ask_for_certificate(context, tls.client_ca, ssl.CERT_OPTIONAL)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"[restconf] client-ca {tls.client_ca} cannot be used: {_reason(error)}") from None
    return context


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
