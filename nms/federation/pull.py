"""Fetching a package from the partner that offers it: HTTPS, both certificates known, from any byte on (paper 6).

The server's certificate is the one pinned in the partner's endpoint, whoever issued it; ours is the domain's federation
certificate.  Only a partner's own endpoint is ever asked, whatever a source says.  A transfer that breaks goes on where
it ended (RFC 9110 section 14) as long as it comes forward.  What the bytes are, and where they are kept, is not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import threading
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from nms.errors import RpcError
from nms.federation import pinned
from nms.federation.pinned import ClientCertificate
from nms.mec.occurrence import TEMPORARY
from nms.mec.session import Members

CHUNK: Final = 256 * 1024
#: Seconds without a byte after which an attempt is over; attempts without a byte after which the transfer is.
PATIENCE: Final = 10.0
ATTEMPTS: Final = 3

_PATH: Final = re.compile(r"/packages/[0-9a-f]{64}")
_TAGS: Final = {401: "access-denied", 403: "access-denied", 404: "data-missing"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a content is; `fingerprint` is the SHA-256 of the server certificate's DER, in hexadecimal."""

    address: str
    port: int
    path: str
    fingerprint: str


class Pull:
    """`nms.mec.transfer.PackageSource` over HTTPS.

    Args:
        certificate: ours; without one nothing can be fetched.
        partner: identifier -> the partner's entry, None where there is none.
    """

    def __init__(self, certificate: ClientCertificate | None, partner: Callable[[str], Members | None]) -> None:
        self._certificate = certificate
        self._partner = partner

    async def read(self, source: str, offset: int, partner: str) -> AsyncIterator[bytes]:
        """See `PackageSource.read`."""
        entry = self._partner(partner)
        if entry is None:
            raise RpcError("access-denied", f"{source or 'no source'}: packages are fetched from partners only")
        if self._certificate is None:
            raise RpcError("operation-not-supported", "[federation] cert is needed to fetch packages from partners")
        origin = origin_of(entry, source)
        failures = 0
        while True:
            begun = offset
            chunks = _rest(origin, self._certificate, offset)
            turn = threading.Lock()  # who gives up does not wait for the thread, but the generator's end does
            try:
                while (chunk := await _aside(turn, lambda chunks=chunks: next(chunks, None))) is not None:  # type: ignore[misc]
                    offset += len(chunk)
                    yield chunk
                return
            except (OSError, http.client.HTTPException) as error:
                failures = 0 if offset > begun else failures + 1
                if failures >= ATTEMPTS:
                    why = f"{origin.address} port {origin.port}: {error or type(error).__name__} at byte {offset}"
                    raise RpcError("operation-failed", why, type="transport", app_tag=TEMPORARY) from error
            finally:
                _start(turn, chunks.close)


async def _aside(turn: threading.Lock, work: Callable[[], bytes | None]) -> bytes | None:
    """What `work` gives, done in a thread that nobody waits for when the daemon ends while a partner is silent."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes | None] = loop.create_future()

    def tell(settle: Callable[[Any], None], outcome: object) -> None:
        if not done.done():
            settle(outcome)

    def run() -> None:
        try:
            settle, outcome = done.set_result, work()
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            settle, outcome = done.set_exception, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon has ended
            loop.call_soon_threadsafe(tell, settle, outcome)

    _start(turn, run)
    return await done


def _start(turn: threading.Lock, work: Callable[[], None]) -> None:
    def run() -> None:
        with turn:
            work()

    threading.Thread(target=run, name="pull", daemon=True).start()


def origin_of(partner: Members, source: str) -> Origin:
    """What `source` names, at an endpoint of `partner`.

    Raises:
        RpcError: access-denied; it is not a package at a pinned HTTPS endpoint of the partner.
    """
    wanted = urlsplit(source)
    for endpoint in partner.get("endpoint", ()):
        served = str(endpoint["protocol"]).rpartition(":")[2] in ("https", "restconf")
        address, port = str(endpoint["address"]), int(endpoint["port"])
        if not served or "certificate-fingerprint" not in endpoint or wanted.scheme != "https":
            continue
        if (wanted.hostname, wanted.port or 443) == (address.lower(), port) and _PATH.fullmatch(wanted.path):
            return Origin(address, port, wanted.path, endpoint["certificate-fingerprint"])
    raise RpcError(
        "access-denied", f"{source or 'no source'} is no package at a pinned HTTPS endpoint of {partner['id']}"
    )


def _rest(origin: Origin, certificate: ClientCertificate, at: int) -> Generator[bytes, None, None]:
    """The bytes from `at` on; ends when all have come, and raises OSError or HTTPException when some have not."""
    connection = http.client.HTTPConnection(origin.address, origin.port)
    connection.auto_open = 0  # never without TLS
    connection.sock = pinned.connect(origin.address, origin.port, origin.fingerprint, certificate, PATIENCE)
    try:
        headers = {"Range": f"bytes={at}-", "Accept-Encoding": "identity"}
        connection.request("GET", origin.path, headers=headers if at else {"Accept-Encoding": "identity"})
        response = connection.getresponse()
        if response.status == 416 and at:
            return  # nothing after `at`: it was complete, which its digest will prove or not
        if response.status not in (200, 206):
            tag = _TAGS.get(response.status, "operation-failed")
            raise RpcError(tag, f"{origin.address} answers {response.status} {response.reason} for {origin.path}")
        skip = at if response.status == 200 else 0  # a server without ranges sends everything
        while chunk := response.read1(CHUNK):
            if skip < len(chunk):
                yield chunk[skip:]
            skip = max(0, skip - len(chunk))
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
    finally:
        connection.close()
