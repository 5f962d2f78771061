"""NETCONF over SSH (RFC 6242) with asyncssh: the subsystem `netconf`, and nothing else.

No shell, no commands, no files, no forwarding.  Who may log in is asked of the callables that the daemon gives; this
module knows no users, no passwords and no configuration.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, cast

import asyncssh

from nms.netconf.exchange import Core
from nms.netconf.framing import Buffer
from nms.netconf.session import NetconfSession
from nms.operations.request import Principal
from nms.transport import listener
from nms.transport.door import Door, Leave
from nms.transport.listener import Listener
from nms.transport.ssh_connection import CIPHERS, ServerConnection, without_packet_log

log = logging.getLogger(__name__)

AuthenticatePassword = Callable[[str, str], Principal | None]
AuthorizedKeys = Callable[[str], Sequence[asyncssh.SSHKey]]
PrincipalOf = Callable[[str], Principal | None]

#: Bytes of replies that wait in a channel before the session stops to answer.
WRITE_LIMIT: Final = 1024 * 1024

#: Seconds without traffic until a keepalive goes out, and how many may stay unanswered.
KEEPALIVE_INTERVAL: Final = 30
KEEPALIVE_COUNT: Final = 3


class SshServer:
    """NETCONF over SSH, with the identity that it shows and what it asks about its users.

    Args:
        host_keys: the server's private keys, e.g. of `asyncssh.read_private_key`.
        authenticate_password: (user, password) -> who it is, or None; runs in a thread, for password hashes are slow.
        authorized_keys: user -> public keys that may log in as this user.
        principal: user -> who it is, asked once the client has authenticated; None refuses its sessions.
        door: who counts; shared with the other transports.
    """

    def __init__(
        self,
        core: Core,
        host_keys: Sequence[asyncssh.SSHKey],
        *,
        authenticate_password: AuthenticatePassword,
        authorized_keys: AuthorizedKeys,
        principal: PrincipalOf,
        door: Door | None = None,
    ) -> None:
        self.core = core
        self.door = door or Door()
        self.authorized_keys = authorized_keys
        self.principal = principal
        self._authenticate_password = authenticate_password
        # One thread of its own: a flood of wrong passwords keeps no worker, and costs one thread's share.
        self._doorman = ThreadPoolExecutor(1, thread_name_prefix="ssh-doorman")
        self._options: dict[str, Any] = {
            "server_host_keys": list(host_keys),
            "encoding": None,
            "line_editor": False,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "encryption_algs": CIPHERS,
            "compression_algs": ["none"],
            "keepalive_interval": KEEPALIVE_INTERVAL,
            "keepalive_count_max": KEEPALIVE_COUNT,
            "login_timeout": self.door.limits.login_time,
        }

    async def validate_password(self, user: str, password: str) -> bool:
        """Is this the user's password?"""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._doorman, self._authenticate_password, user, password) is not None

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
        opened = Listener("netconf-ssh")
        options = asyncssh.SSHServerConnectionOptions(server_factory=lambda: _Server(self, opened), **self._options)
        loop = asyncio.get_running_loop()

        def accept() -> ServerConnection:
            return ServerConnection(loop, options)

        await opened.open(accept, addresses, sockets)
        return opened

    async def call_home(self, connected: socket.socket) -> SshCall:
        """Serve the client at the other end of a connection that this side has made (RFC 8071 section 4.1, SSH).

        Returns:
            The call, once the client has authenticated.

        Raises:
            OSError, asyncssh.Error: it has not.
        """
        owner = Listener("netconf-ssh")
        waiting: list[_Server] = []

        def accept() -> _Server:
            waiting.append(_Server(self, owner))
            return waiting[-1]

        connection = await asyncssh.connect_reverse(sock=connected, server_factory=accept, config=None, **self._options)
        return SshCall(connection, waiting[0])


async def listen(
    core: Core,
    addresses: Sequence[tuple[str, int]],
    host_keys: Sequence[asyncssh.SSHKey],
    *,
    authenticate_password: AuthenticatePassword,
    authorized_keys: AuthorizedKeys,
    principal: PrincipalOf,
    door: Door | None = None,
) -> Listener:
    """Serve NETCONF over SSH on `addresses`; the arguments are those of `SshServer`.

    Raises:
        OSError: an address cannot be bound.
    """
    server = SshServer(
        core,
        host_keys,
        authenticate_password=authenticate_password,
        authorized_keys=authorized_keys,
        principal=principal,
        door=door,
    )
    return await server.listen(addresses)


@dataclass(frozen=True, slots=True)
class SshCall:
    """A call home over SSH that was taken: `nms.transport.callhome.Call`."""

    _connection: asyncssh.SSHServerConnection
    _server: _Server

    @property
    def heard(self) -> float:
        """When the client was last heard of, in the event loop's time."""
        return self._server.heard

    def close(self) -> None:
        """End it; what is queued is still written."""
        self._connection.close()

    async def wait_closed(self) -> None:
        """Wait for its end."""
        await self._connection.wait_closed()


class _Server(asyncssh.SSHServer):
    """One SSH connection: authentication, then NETCONF channels."""

    def __init__(self, server: SshServer, owner: Listener) -> None:
        self.server = server
        self.channels = 0
        self.heard = asyncio.get_running_loop().time()
        self._listener = owner
        self._failures = 0
        self._outside: Leave | None = None
        self._unused: asyncio.TimerHandle | None = None
        self._principal: Principal | None = None
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._outside = self.server.door.logins.take(_host(conn))
        if self._outside is None:
            raise asyncssh.DisconnectError(asyncssh.DISC_TOO_MANY_CONNECTIONS, "too many connections")
        self._connection = conn
        self._listener.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._outside is not None:
            self._outside()
        if self._unused is not None:
            self._unused.cancel()
        if self._connection is not None:
            self._listener.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        known = await self.server.validate_password(username, password)
        if not known:
            self._failed(username)
        return known

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = any(key.public_data == one.public_data for one in self.server.authorized_keys(username))
        if not known:
            self._failed(username)
        return known

    def _failed(self, user: str) -> None:
        door = self.server.door
        door.failed_logins += 1
        self._failures += 1
        if self._failures >= door.limits.login_failures:
            log.warning("%s failed to log in as %r: too often, hung up", _host(self._connection), user)
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many failed logins")

    def auth_completed(self) -> None:
        # Only here is it certain who it is: a client may offer keys of several users before it proves one.
        assert self._connection is not None
        assert self._outside is not None
        self._outside()
        self._principal = self.server.principal(self._connection.get_extra_info("username"))
        self.unused()

    def unused(self) -> None:
        """No session is open: one must be in time, since only sessions are counted."""
        loop = asyncio.get_running_loop()
        self._unused = loop.call_later(self.server.door.limits.hello_time, self._hang_up)

    def used(self) -> None:
        """A session is open."""
        if self._unused is not None:
            self._unused.cancel()

    def _hang_up(self) -> None:
        assert self._connection is not None
        self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "no session")

    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        if self._principal is None or self._connection is None:
            return False
        door = self.server.door
        leave = door.sessions.take(self._principal.name) if self.channels < door.limits.channels else None
        if leave is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions")
        return _Channel(self, self._principal, _host(self._connection), leave)


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One channel: carries a `NetconfSession` once the client has asked for the subsystem.

    asyncssh closes a channel without a trace when a callback raises, hence every one logs what went wrong.
    """

    def __init__(self, server: _Server, principal: Principal, host: str, leave: Leave) -> None:
        self._server = server
        self._leave = leave
        self._principal = principal
        self._host = host
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: NetconfSession | None = None
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        without_packet_log(chan)
        self._server.channels += 1
        self._server.used()
        chan.set_write_buffer_limits(high=WRITE_LIMIT)

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        # Nothing is edited or echoed here, and ssh ends when it insists on a terminal (-tt) and gets none.
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        self._guarded(self._start)

    def _start(self) -> None:
        server = self._server.server
        self._session = NetconfSession(
            server.core, self._principal, "netconf-ssh", self._host, self, server.door.limits
        )

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._session is not None and datatype is None:
            self._server.heard = asyncio.get_running_loop().time()
            self._guarded(self._session.feed, data)

    def eof_received(self) -> bool:
        if self._session is not None:
            self._guarded(self._session.eof)
        return True  # half open: what was asked is still answered

    def pause_writing(self) -> None:
        if self._session is not None:
            self._guarded(self._session.pause_writing)

    def resume_writing(self) -> None:
        if self._session is not None:
            self._guarded(self._session.resume_writing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.channels -= 1
        self._leave()
        if not self._server.channels:
            self._server.unused()
        if self._abort is not None:
            self._abort.cancel()
        if self._session is not None:
            self._guarded(self._session.connection_lost)

    def write(self, buffers: Sequence[Buffer]) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._channel is not None
        if not self._channel.is_closing():
            for buffer in buffers:
                self._channel.write(cast(bytes, buffer))

    def close(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._channel is not None
        if not self._channel.is_closing():
            self._channel.exit(0)
            self._abort = asyncio.get_running_loop().call_later(listener.CLOSE_GRACE, self._channel.abort)

    def abort(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._channel is not None
        self._channel.abort()

    def pause_reading(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._channel is not None
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        """`nms.netconf.session.Transport`."""
        assert self._channel is not None
        self._channel.resume_reading()

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("NETCONF session of %s over SSH failed", self._principal.name)
            self.close()


def _host(connection: asyncssh.SSHServerConnection | None) -> str:
    """The client's address, "" where it is not known (any more)."""
    peer = connection.get_extra_info("peername") if connection is not None else None
    return peer[0] if peer else ""
