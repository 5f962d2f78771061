"""The listeners of the daemon's file: each is opened once, at the start, and closed with the daemon.

What they show and whom they believe is also what a listener of the datastore uses (`nms.management`).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

import asyncssh

from nms.config import Config, Restconf, Ssh, Tls, Unix
from nms.credentials import Credentials
from nms.errors import ConfigError
from nms.operations.dispatch import Core
from nms.transport import tls, unix
from nms.transport.door import Door
from nms.transport.listener import Address
from nms.transport.ssh import SshServer
from nms.transport.tls import TlsServer


class Opened(Protocol):
    """What listens: `nms.transport.listener.Listener`, or as much of it."""

    @property
    def connections(self) -> Collection[object]: ...

    @property
    def addresses(self) -> Sequence[Address]: ...

    def deafen(self) -> None: ...

    async def stop(self) -> None: ...


class Server(Protocol):
    """What can listen, with keys of its own: `SshServer`, `TlsServer`, `RestconfServer`."""

    async def listen(
        self, addresses: Sequence[tuple[str, int]] = (), sockets: Sequence[socket.socket] = ()
    ) -> Opened: ...


class RestconfServer:
    """RESTCONF with the certificate and the authorities of the file; the front end is found by its entry point.

    Raises:
        ConfigError: it is not installed.
    """

    def __init__(self, core: Core, credentials: Credentials, section: Restconf, door: Door) -> None:
        found = entry_points(group="mec_nms.frontends", name="restconf")
        if not found:
            raise ConfigError("[restconf]: no front end of that name is installed; install the package mec-nms whole")
        self._start = next(iter(found)).load()
        self._core = core
        self._credentials = credentials
        self._section = section
        self._door = door

    async def listen(self, addresses: Sequence[tuple[str, int]] = (), sockets: Sequence[socket.socket] = ()) -> Opened:
        """Serve at one address or socket."""
        places: list[tuple[str, int] | socket.socket] = [*addresses, *sockets]
        (where,) = places
        server = await self._start(
            self._core,
            listen=where,
            tls=None if self._section.insecure else self._section,
            insecure=self._section.insecure,
            authenticate_password=self._credentials.authenticate_password,
            authenticate_certificate=self._credentials.authenticate_certificate,
            within=self._door.limits,
            door=self._door,
        )
        return _Restconf(server, self._credentials.believe(server.trust))


class _Restconf:
    """A RESTCONF listener as `Opened`; its authorities are kept up to date until it stops."""

    def __init__(self, server: Any, forget: Callable[[], None]) -> None:
        self.deafen = server.deafen
        self.addresses: Sequence[Address] = server.addresses
        self._server = server
        self._forget = forget

    @property
    def connections(self) -> Collection[object]:
        found: Collection[object] = self._server.connections
        return found

    async def stop(self) -> None:
        """Close it, and what is open."""
        self._forget()
        await self._server.close()


class Listeners:
    """Opens what the file wants to listen.

    Args:
        stack: closes it again.

    Attributes:
        servers: by the transport's identity in ietf-netconf-monitoring, those that the file gives keys.
        opened: (transport, where it listens), in the order of the file's documentation.
    """

    def __init__(
        self, core: Core, config: Config, credentials: Credentials, door: Door, stack: contextlib.AsyncExitStack
    ) -> None:
        self.servers: dict[str, Server] = {}
        self.opened: list[tuple[str, Address]] = []
        self._core = core
        self._config = config
        self._credentials = credentials
        self._door = door
        self._stack = stack

    async def start(self) -> list[str]:
        """Open them all; one sentence about each.

        Raises:
            ConfigError: a key or certificate cannot be used, or an address cannot be listened on.
        """
        netconf, said = self._config.netconf, []
        if netconf.ssh is not None:
            said.append(await self._ssh(netconf.ssh))
        if netconf.tls is not None:
            said.append(await self._tls(netconf.tls))
        if netconf.unix is not None:
            said.append(await self._unix(netconf.unix))
        if self._config.restconf is not None:
            said.append(await self._restconf(self._config.restconf))
        return said

    async def _ssh(self, section: Ssh) -> str:
        try:
            key = asyncssh.read_private_key(section.host_key)
        except (OSError, asyncssh.KeyImportError) as error:
            raise ConfigError(f"[netconf.ssh] host-key: {section.host_key}: {error}") from None
        server = SshServer(
            self._core,
            [key],
            authenticate_password=self._credentials.authenticate_password,
            authorized_keys=self._credentials.authorized_keys,
            principal=self._credentials.principal,
            door=self._door,
        )
        self.servers["netconf-ssh"] = server
        with _address("netconf.ssh", section.listen):
            listener = await server.listen([(section.listen.host, section.listen.port)])
        self._stack.push_async_callback(listener.stop)
        return self._say("netconf-ssh", "NETCONF over SSH on", listener.addresses)

    async def _tls(self, section: Tls) -> str:
        try:
            context = tls.server_context(section.cert, section.key, section.client_ca)
        except OSError as error:
            raise ConfigError(f"[netconf.tls] cert, key or client-ca: {error}") from None
        server = TlsServer(self._core, context, principal=self._credentials.authenticate_certificate, door=self._door)
        self.servers["netconf-tls"] = server
        with _address("netconf.tls", section.listen):
            listener = await server.listen([(section.listen.host, section.listen.port)])
        self._stack.push_async_callback(listener.stop)
        self._credentials.believe(lambda certificate: context.load_verify_locations(cadata=certificate))
        return self._say("netconf-tls", "NETCONF over TLS on", listener.addresses)

    async def _unix(self, section: Unix) -> str:
        with _address("netconf.unix", section.path, key="path"):
            listener = await unix.listen(
                self._core,
                section.path,
                principal=self._credentials.principal,
                mode=0o600 if section.mode is None else section.mode,
                group=-1 if section.group is None else section.group,
                door=self._door,
            )
        self._stack.callback(section.path.unlink, missing_ok=True)
        self._stack.push_async_callback(listener.stop)
        return self._say("netconf-unix", "NETCONF on", listener.addresses)

    async def _restconf(self, section: Restconf) -> str:
        server = RestconfServer(self._core, self._credentials, section, self._door)
        if not section.insecure:
            self.servers["restconf"] = server
        with _address("restconf", section.listen):
            listener = await server.listen([(section.listen.host, section.listen.port)])
        self._stack.push_async_callback(listener.stop)
        scheme = "http" if section.insecure else "https"
        return self._say("restconf", f"RESTCONF ({scheme}) on", listener.addresses)

    def _say(self, protocol: str, what: str, addresses: Sequence[Address]) -> str:
        self.opened += [(protocol, address) for address in addresses]
        return f"{what} {' and '.join(a if isinstance(a, str) else f'{a[0]}:{a[1]}' for a in addresses)}"


@contextlib.contextmanager
def _address(section: str, address: object, key: str = "listen") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"[{section}] {key}: cannot listen on {address}: {reason(error)}") from None


def reason(error: OSError) -> str:
    """Why an address cannot be listened on: asyncio's own words repeat it, the resolver's have numbers of their own."""
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)
