"""A RESTCONF client (RFC 8040) for the command line: JSON in and out over one TLS connection a call.

The server's certificate is verified against the domain's own authority and we show a client certificate, so that no
secret crosses the wire.  Errors of the server come back as the `RpcError` that it raised.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import orjson

from nms.errors import HTTP_STATUS, ConfigError, RpcError

if TYPE_CHECKING:
    from nms.config import Endpoint

JSON: Final = "application/yang-data+json"
_BLOCK: Final = 1 << 18


class Address(NamedTuple):
    """Where a daemon of somebody else listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a daemon is and how we show who we are.

    Attributes:
        endpoint: of its RESTCONF listener.
        context: TLS settings; None for plain HTTP on a loopback address.
    """

    endpoint: Endpoint | Address
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, file: Path, *, cert: Path | None = None, key: Path | None = None) -> Client:
        """The client of the daemon that `file` configures, as its administrator unless `cert` and `key` say otherwise.

        Raises:
            ConfigError: the file has no RESTCONF listener, or the certificate is missing.
        """
        # What listens knows much that a client need not load: `at` does without.
        from nms import config as configuration

        config = configuration.load(file)
        if config.restconf is None:
            raise ConfigError(f"{file}: no [restconf] listener, and the command line needs one")
        endpoint = config.restconf.listen
        if endpoint.host in ("0.0.0.0", "::"):  # noqa: S104 - where it listens, not where we connect
            endpoint = configuration.Endpoint("127.0.0.1" if "." in endpoint.host else "::1", endpoint.port)
        if config.restconf.insecure:
            return cls(endpoint, None)
        cert = cert or file.parent / "admin.pem"
        key = key or file.parent / "admin-key.pem"
        context = ssl.create_default_context()
        try:
            if config.restconf.client_ca is not None:
                context = ssl.create_default_context(cafile=str(config.restconf.client_ca))
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise ConfigError(
                f"cannot show a client certificate: {cert} and {key}: {error.strerror or error}; name others by "
                "--cert and --key"
            ) from None
        return cls(endpoint, context)

    @classmethod
    def at(cls, url: str, *, ca: Path | str, cert: Path | str, key: Path | str) -> Client:
        """The client of the daemon at ``https://host:port``.

        Args:
            ca: certificate of the authority that has signed the daemon's.
            cert, key: what we show.

        Raises:
            ConfigError: the URL is none, or a file cannot be read.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            raise ConfigError(f"{url}: a URL is wanted as in https://host:8443")
        try:
            context = ssl.create_default_context(cafile=str(ca))
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise ConfigError(f"cannot use {ca}, {cert} and {key}: {error.strerror or error}") from None
        return cls(Address(parts.hostname, parts.port or 443), context)

    def get(self, path: str = "", **query: str) -> dict[str, Any] | None:
        """The resource at an api-path (``mec-system:system/deployment=one``), or None when it does not exist.

        Raises:
            RpcError: what the server says.
        """
        try:
            _, body = self.request("GET", f"/restconf/data/{path}", query=query)
        except RpcError as error:
            if error.status == 404:
                return None
            raise
        found: dict[str, Any] = orjson.loads(body) if body else {}
        return found

    def read(self, path: str, **query: str) -> dict[str, Any]:
        """The members of one container or list entry at an api-path; {} when there is none."""
        found = self.get(path, **query)
        if not found:
            return {}
        value = next(iter(found.values()))
        members: dict[str, Any] = value[0] if isinstance(value, list) else value
        return members

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """POST, PUT, PATCH or DELETE a data resource.

        Raises:
            RpcError: what the server says.
        """
        self.request(method, f"/restconf/data/{path}", body=None if body is None else orjson.dumps(body))

    def invoke(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call an rpc (``operations/module:name``) or an action (``data/...``) by POST; its output, if any."""
        _, found = self.request("POST", f"/restconf/{path}", body=orjson.dumps(body) if body else None)
        return orjson.loads(found) if found else {}

    def events(self, stream: str = "NETCONF") -> Iterator[dict[str, Any]]:
        """Notifications of an event stream as they come (RFC 8040 section 6), without end."""
        connection = self._connect(timeout=None)
        try:
            target = f"/restconf/streams/{quote(stream)}/json"
            connection.request("GET", target, headers={"Accept": "text/event-stream"})
            response = connection.getresponse()
            if response.status != 200:
                raise _error(response.status, response.read())
            data: list[bytes] = []
            for line in response:
                text = line.rstrip(b"\r\n")
                if text.startswith(b"data:"):
                    data.append(text[5:].lstrip())
                elif not text and data:
                    yield orjson.loads(b"\n".join(data))
                    data.clear()
        finally:
            connection.close()

    def upload(self, digest: str, content: IO[bytes], size: int) -> None:
        """Put a file into the daemon's package store under its SHA-256 digest."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self.request("PUT", f"/packages/{digest}", body=content, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request; status and body of a successful answer.

        Raises:
            RpcError: the server's error, or operation-failed when it cannot be reached.
        """
        target = quote(path, safe="/:=,%@") + (f"?{urlencode(query)}" if query else "")
        sent = {"Accept": JSON, **({"Content-Type": JSON} if body is not None else {}), **(headers or {})}
        connection = self._connect(timeout=60)
        try:
            connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            found = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RpcError(
                "operation-failed", f"no answer from {self.endpoint}: {error}; is the daemon running?", type="transport"
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise _error(response.status, found)
        return response.status, found

    def _connect(self, timeout: float | None) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection(self.endpoint.host, self.endpoint.port, timeout=timeout)
        return http.client.HTTPSConnection(
            self.endpoint.host, self.endpoint.port, timeout=timeout, context=self.context, blocksize=_BLOCK
        )


def _error(status: int, body: bytes) -> RpcError:
    """The first error of an errors resource (RFC 8040 section 7.1)."""
    try:
        first = orjson.loads(body)["ietf-restconf:errors"]["error"][0]
        tag = first["error-tag"] if first["error-tag"] in HTTP_STATUS else "operation-failed"
        return RpcError(
            tag,
            first.get("error-message", f"HTTP status {status}"),
            path=first.get("error-path", ""),
            app_tag=first.get("error-app-tag", ""),
            status=status,
        )
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return RpcError("operation-failed", f"HTTP status {status}", status=status)
