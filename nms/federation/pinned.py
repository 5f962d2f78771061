"""TLS to a server whose certificate is known beforehand, whoever has issued it, and to which we show ours.

For worker threads.  Each step is bounded: a peer that says something now and then does not hold us longer than one
that says nothing.  What is spoken inside is not known here.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nms.cert_to_name import fingerprint
from nms.errors import RpcError
from nms.federation.client import unreachable


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate that we show, and its key (PEM files)."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class PinnedEndpoint:
    """A partner's server behind TLS, whatever it speaks; see `nms.federation.client.Endpoint`.

    Attributes:
        fingerprint: SHA-256 of its certificate's DER, hexadecimal; the only one accepted.
    """

    id: str
    address: str
    port: int
    fingerprint: str
    certificate: ClientCertificate
    timeout: float

    def connect(self) -> ssl.SSLSocket:
        """Raises `RpcError`: not reached, or another certificate."""
        try:
            return connect(self.address, self.port, self.fingerprint, self.certificate, self.timeout)
        except RpcError as error:
            raise unreachable(error.message) from None
        except OSError as error:
            raise unreachable(f"{self}: {error or type(error).__name__}") from error

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def connect(address: str, port: int, pinned: str, certificate: ClientCertificate, timeout: float) -> ssl.SSLSocket:
    """A connection with the server at `address`.

    Args:
        pinned: SHA-256 of the DER of its certificate, 64 lower-case hexadecimal digits.
        timeout: seconds for the connection, for the handshake, and afterwards for each wait.

    Raises:
        OSError: not reached, or no TLS with it.
        RpcError: operation-failed (type transport); it shows another certificate.
    """
    connected = socket.create_connection((address, port), timeout)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the head of a request does not wait for its body
    try:
        stream, shown = handshake(connected, certificate, timeout)
    except BaseException:
        connected.close()
        raise
    if shown != pinned:
        stream.close()
        where = f"{address} port {port}"
        raise RpcError("operation-failed", f"{where}: its certificate is not the pinned one", type="transport")
    return stream


def handshake(connected: socket.socket, certificate: ClientCertificate, timeout: float) -> tuple[ssl.SSLSocket, str]:
    """TLS as the client over a connection, and the SHA-256 of the certificate that the server has shown (hexadecimal).

    Raises:
        OSError: no TLS with it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The one certificate is pinned: who has issued it and for which name says nothing more.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate.cert, certificate.key)
    stream = context.wrap_socket(connected, do_handshake_on_connect=False)
    try:
        with within(timeout, stream):
            stream.do_handshake()
        return stream, fingerprint(stream.getpeercert(binary_form=True) or b"")
    except BaseException:
        stream.close()
        raise


@contextlib.contextmanager
def within(seconds: float, stream: socket.socket) -> Iterator[threading.Event]:
    """Whatever is waited for inside, the connection is gone after `seconds`; gives whether that has happened."""
    late = threading.Event()

    def ring() -> None:
        late.set()
        hang_up(stream)

    alarm = threading.Timer(seconds, ring)
    alarm.daemon = True
    alarm.start()
    try:
        yield late
    finally:
        alarm.cancel()


def hang_up(stream: socket.socket) -> None:
    """End a connection that another thread may be waiting for."""
    with contextlib.suppress(OSError):
        # not SSLSocket's own, which forgets the TLS state under the other thread
        socket.socket.shutdown(stream, socket.SHUT_RDWR)


# ---------------------------------------------------------------- for programs that cannot read TLS


def in_clear(secured: ssl.SSLSocket) -> socket.socket:
    """What is said over `secured`, as a socket of plain bytes; closing it closes `secured`.

    A socket of TLS is not readable while decrypted bytes are left, which ncclient does not know.
    """
    ours, theirs = socket.socketpair()
    threading.Thread(target=_carry, args=(secured, theirs), name="tls-in-clear", daemon=True).start()
    return ours


def _carry(secured: ssl.SSLSocket, plain: socket.socket) -> None:
    """Carry bytes both ways until one side ends; each side is read only while the other one has taken what it got."""
    inward = outward = b""
    poll = select.poll()
    with secured, plain:
        secured.setblocking(False)
        plain.setblocking(False)
        while True:
            poll.register(secured, (0 if inward else select.POLLIN) | (select.POLLOUT if outward else 0))
            poll.register(plain, (0 if outward else select.POLLIN) | (select.POLLOUT if inward else 0))
            # what is decrypted already does not make the socket readable
            poll.poll(0 if not inward and secured.pending() else None)
            try:
                inward = _moved(inward, secured, plain)
                outward = _moved(outward, plain, secured)
            except (OSError, EOFError):
                return


def _moved(waiting: bytes, source: socket.socket, sink: socket.socket) -> bytes:
    """What still waits for `sink` after one step.  Raises `EOFError`: `source` has ended."""
    try:
        if waiting:
            return waiting[sink.send(waiting) :]
        data = source.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return waiting
    if not data:
        raise EOFError
    return data
