"""NETCONF over TLS (RFC 7589): the client's certificate is required, and cert-to-name says which user it is.

How a connection comes so far is `nms.tls`'s.  This module knows no users and no certificates of its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nms import tls
from nms.cert_to_name import fingerprint, verified_chain
from nms.netconf.exchange import Core
from nms.operations.request import Principal
from nms.transport.door import Door
from nms.transport.listener import Listener, keep_alive
from nms.transport.stream import StreamSession

log = logging.getLogger(__name__)

#: The chain that TLS verified, as DER, the client's certificate first -> who that is, or None.
PrincipalOfCertificate = Callable[[Sequence[bytes]], Principal | None]


def server_context(cert: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or later with a mandatory client certificate.

    Args:
        cert, key: the server's certificate chain and private key (PEM).
        client_ca: the certificates that clients' certificates must lead to (PEM); self-signed ones lead to themselves.

    Raises:
        OSError, ssl.SSLError: a file is missing or holds something else.
    """
    context = tls.server_context(cert, key)
    tls.ask_for_certificate(context, client_ca, ssl.CERT_REQUIRED)
    return context


class TlsServer:
    """NETCONF over TLS, with the identity that it shows and what it asks about its users.

    Args:
        context: of `server_context`.
        principal: certificates -> who it is; None ends the connection (RFC 7589 section 7).
        door: who counts; shared with the other transports.
    """

    def __init__(
        self, core: Core, context: ssl.SSLContext, *, principal: PrincipalOfCertificate, door: Door | None = None
    ) -> None:
        self.door = door or Door()
        self.context = context
        self._core = core
        self._principal = principal

    async def listen(
        self, addresses: Sequence[tuple[str, int]] = (), sockets: Sequence[socket.socket] = ()
    ) -> Listener:
        """Serve whoever connects.

        Args:
            addresses: (host, port) pairs; port 0 takes a free one, see `Listener.addresses`.
            sockets: that listen already.

        Raises:
            OSError: an address cannot be bound.
        """
        listener = Listener("netconf-tls")
        await listener.open(lambda: self._handshake(listener), addresses, sockets)
        return listener

    async def call_home(self, connected: socket.socket) -> StreamSession:
        """Serve the client at the other end of a connection that this side has made (RFC 8071 section 4.1, TLS).

        Returns:
            The call, once the client has shown a certificate of somebody.

        Raises:
            OSError: it has not.
        """
        owner = Listener("netconf-tls")
        loop = asyncio.get_running_loop()
        _, handshake = await loop.create_connection(lambda: self._handshake(owner), sock=connected)
        session = await handshake.done()
        if not session.admitted:
            await session.wait_closed()
            raise ConnectionError("the client's certificate is nobody's")
        return session

    def _handshake(self, owner: Listener) -> tls.Handshake[StreamSession]:
        time = self.door.limits.login_time
        return tls.Handshake(self.context, self.door, time, owner.connections, partial(self._session, owner))

    def _session(self, owner: Listener, transport: asyncio.Transport, leave: tls.Leave) -> StreamSession:
        keep_alive(transport.get_extra_info("socket"))
        leave()  # its certificate says who it is
        return StreamSession(self._core, owner, self._identify, self.door)

    def _identify(self, transport: asyncio.Transport) -> tuple[Principal, str] | None:
        chain = verified_chain(transport.get_extra_info("ssl_object"))
        host = tls.host_of(transport)
        found = self._principal(chain) if chain else None
        if found is None:
            self.door.failed_logins += 1
            shown = fingerprint(chain[0]) if chain else "of a resumed session"
            log.warning("no user has the client certificate %s of %s", shown, host)
            return None
        return found, host


async def listen(
    core: Core,
    addresses: Sequence[tuple[str, int]],
    context: ssl.SSLContext,
    *,
    principal: PrincipalOfCertificate,
    door: Door | None = None,
) -> Listener:
    """Serve NETCONF over TLS on `addresses`; the arguments are those of `TlsServer`.

    Raises:
        OSError: an address cannot be bound.
    """
    return await TlsServer(core, context, principal=principal, door=door).listen(addresses)
