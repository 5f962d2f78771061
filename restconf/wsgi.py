"""The seam between the HTTP server and the Flask application: PEP 3333 environ in, status, headers and body out.

Also names the one kind of body that PEP 3333 has no word for: a body whose parts come later (`LiveBody`, an event
stream), so that the server can write it without holding a thread.  Knows neither sockets nor RESTCONF.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: The certificates that TLS verified, DER, the client's own first; absent without one.
CLIENT_CHAIN = "restconf.client_chain"
#: Who asks, once that has been found out; None: nobody that is known.
PRINCIPAL = "restconf.principal"


class LiveBody(ABC):
    """A response body that grows while the response is sent.

    A server that knows this class calls `attach` and then takes parts when woken; any other WSGI server iterates.
    """

    @abstractmethod
    def attach(self, wake: Callable[[], None]) -> None:
        """Ask for `wake()` (any thread) whenever there may be something to take."""

    @abstractmethod
    def take(self) -> bytes:
        """The bytes that are ready, `b""` when none are.  Never blocks."""

    @abstractmethod
    def beat(self) -> bytes:
        """The bytes that keep an idle response alive."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Nothing will come any more once what is ready has been taken."""

    @abstractmethod
    def close(self) -> None:
        """The client has gone: release what feeds this body.  Idempotent."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """The parts, blocking between them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application said: `status` as "200 OK"."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes | LiveBody


def environ(
    base: Mapping[str, Any], method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> Environ:
    """The environ of one request; `base` holds what is the same for the whole connection.

    `REQUEST_URI` keeps the target as it was sent: RFC 8040 section 3.5.3 splits it before percent-decoding.
    """
    if not target.startswith(b"/"):  # absolute-form (RFC 9112 section 3.2.2)
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    raw_path, _, query = target.partition(b"?")
    path = unquote_to_bytes(raw_path).decode("latin-1") if b"%" in raw_path else raw_path.decode("latin-1")
    result: Environ = dict(base)
    result["REQUEST_METHOD"] = method
    result["PATH_INFO"] = path
    result["QUERY_STRING"] = query.decode("latin-1")
    result["REQUEST_URI"] = target.decode("latin-1")
    result["SERVER_PROTOCOL"] = f"HTTP/{version}"
    result["wsgi.input"] = BytesIO(body)
    for name, value in headers:
        # an underscore in a header name would be indistinguishable from a dash below, and so able to forge one
        if b"_" in name:
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        result[key] = f"{result[key]},{text}" if key in result else text
    content_type = result.pop("HTTP_CONTENT_TYPE", None)
    if content_type is not None:
        result["CONTENT_TYPE"] = content_type
    result.pop("HTTP_CONTENT_LENGTH", None)
    result.pop("HTTP_TRANSFER_ENCODING", None)
    result["CONTENT_LENGTH"] = str(len(body))
    return result


def connection_environ(scheme: str, server: tuple[str, int], client: str, chain: tuple[bytes, ...]) -> Environ:
    """The part of the environ that all requests of one connection share."""
    result: Environ = {
        "SCRIPT_NAME": "",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if chain:
        result[CLIENT_CHAIN] = chain
    return result


def call(application: Application, request: Environ) -> Answer:
    """Run the application on one request and collect its answer (PEP 3333)."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        started[:] = [(status, headers)]
        return written.append

    parts = application(request, start_response)
    if isinstance(parts, LiveBody):
        status, headers = started[0]
        return Answer(status, headers, parts)
    try:
        written.extend(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    return Answer(status, headers, b"".join(written))
