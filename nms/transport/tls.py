"""NETCONF over TLS (RFC 7589): the client's certificate is required, and its fingerprint says which user it is."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from nms.netconf.exchange import Core
from nms.operations.request import Principal
from nms.transport.listener import Listener
from nms.transport.stream import StreamSession

log = logging.getLogger(__name__)

#: SHA-256 fingerprint of a client's certificate, 64 lower-case hexadecimal digits -> who it is, or None.
PrincipalOfCertificate = Callable[[str], Principal | None]


def server_context(cert: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or later with a mandatory client certificate.

    Args:
        cert, key: the server's certificate chain and private key (PEM).
        client_ca: the certificates that clients' certificates must lead to (PEM); self-signed ones lead to themselves.

    Raises:
        OSError, ssl.SSLError: a file is missing or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    # A single client certificate may be trusted as it is, without its issuer.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def listen(
    core: Core,
    addresses: Sequence[tuple[str, int]],
    context: ssl.SSLContext,
    *,
    principal: PrincipalOfCertificate,
) -> Listener:
    """Serve NETCONF over TLS.

    Args:
        addresses: (host, port) pairs; port 0 takes a free one, see `Listener.addresses`.
        context: of `server_context`.
        principal: certificate fingerprint -> who it is; None ends the connection (RFC 7589 section 7).

    Raises:
        OSError: an address cannot be bound.
    """
    listener = Listener("netconf-tls")

    def identify(transport: asyncio.Transport) -> tuple[Principal, str] | None:
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        peer = transport.get_extra_info("peername")
        host = peer[0] if peer else ""
        fingerprint = hashlib.sha256(certificate).hexdigest()
        found = principal(fingerprint)
        if found is None:
            log.warning("no user has the client certificate %s of %s", fingerprint, host)
            return None
        return found, host

    loop = asyncio.get_running_loop()
    try:
        for host, port in addresses:
            listener.servers.append(
                await loop.create_server(lambda: StreamSession(core, listener, identify), host, port, ssl=context)
            )
    except BaseException:
        listener.close()
        raise
    return listener
