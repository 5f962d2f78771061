"""NETCONF over SSH (RFC 6242) with asyncssh: the subsystem `netconf`, and nothing else.

No shell, no commands, no files, no forwarding.  Who may log in is asked of the callables that the daemon gives; this
module knows no users, no passwords and no configuration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import asyncssh

from nms.netconf.exchange import Core
from nms.netconf.framing import Buffer
from nms.netconf.session import NetconfSession
from nms.operations.request import Principal
from nms.transport import listener
from nms.transport.listener import Listener

log = logging.getLogger(__name__)

AuthenticatePassword = Callable[[str, str], Principal | None]
AuthorizedKeys = Callable[[str], Sequence[asyncssh.SSHKey]]
PrincipalOf = Callable[[str], Principal | None]

#: Bytes of replies that wait in a channel before the session stops to answer.
WRITE_LIMIT: Final = 1024 * 1024

#: NETCONF sessions in one SSH connection (RFC 6242 section 3 allows several).
MAX_CHANNELS: Final = 16

#: Seconds without traffic until a keepalive goes out, and how many may stay unanswered.
KEEPALIVE_INTERVAL: Final = 30
KEEPALIVE_COUNT: Final = 3

#: Seconds for a client to authenticate.
LOGIN_TIMEOUT: Final = 30


async def listen(
    core: Core,
    addresses: Sequence[tuple[str, int]],
    host_keys: Sequence[asyncssh.SSHKey],
    *,
    authenticate_password: AuthenticatePassword,
    authorized_keys: AuthorizedKeys,
    principal: PrincipalOf,
) -> Listener:
    """Serve NETCONF over SSH.

    Args:
        addresses: (host, port) pairs; port 0 takes a free one, see `Listener.addresses`.
        host_keys: the server's private keys, e.g. of `asyncssh.read_private_key`.
        authenticate_password: (user, password) -> who it is, or None; runs in a thread, for password hashes are slow.
        authorized_keys: user -> public keys that may log in as this user.
        principal: user -> who it is, asked once the client has authenticated; None refuses its sessions.

    Raises:
        OSError: an address cannot be bound.
    """

    opened = Listener("netconf-ssh")
    # One thread of its own: a flood of wrong passwords keeps no worker, and costs one thread's share.
    doorman = ThreadPoolExecutor(1, thread_name_prefix="ssh-doorman")

    async def validate(user: str, password: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(doorman, authenticate_password, user, password) is not None

    def accept() -> _Server:
        return _Server(core, opened, validate, authorized_keys, principal)

    try:
        for host, port in addresses:
            opened.servers.append(
                await asyncssh.create_server(
                    accept,
                    host,
                    port,
                    server_host_keys=list(host_keys),
                    encoding=None,
                    line_editor=False,
                    agent_forwarding=False,
                    x11_forwarding=False,
                    compression_algs=["none"],
                    keepalive_interval=KEEPALIVE_INTERVAL,
                    keepalive_count_max=KEEPALIVE_COUNT,
                    login_timeout=LOGIN_TIMEOUT,
                )
            )
    except BaseException:
        opened.close()
        raise
    return opened


class _Server(asyncssh.SSHServer):
    """One SSH connection: authentication, then NETCONF channels."""

    def __init__(
        self,
        core: Core,
        owner: Listener,
        validate_password: Callable[[str, str], Awaitable[bool]],
        authorized_keys: AuthorizedKeys,
        principal: PrincipalOf,
    ) -> None:
        self.core = core
        self.channels = 0
        self._listener = owner
        self._validate_password = validate_password
        self._authorized_keys = authorized_keys
        self._principal_of = principal
        self._principal: Principal | None = None
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._listener.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._listener.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        return await self._validate_password(username, password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return any(key.public_data == known.public_data for known in self._authorized_keys(username))

    def auth_completed(self) -> None:
        # Only here is it certain who it is: a client may offer keys of several users before it proves one.
        assert self._connection is not None
        self._principal = self._principal_of(self._connection.get_extra_info("username"))

    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        if self._principal is None or self._connection is None or self.channels >= MAX_CHANNELS:
            return False
        peer = self._connection.get_extra_info("peername")
        return _Channel(self, self._principal, peer[0] if peer else "")


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One channel: carries a `NetconfSession` once the client has asked for the subsystem.

    asyncssh closes a channel without a trace when a callback raises, hence every one logs what went wrong.
    """

    def __init__(self, server: _Server, principal: Principal, host: str) -> None:
        self._server = server
        self._principal = principal
        self._host = host
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: NetconfSession | None = None
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._server.channels += 1
        chan.set_write_buffer_limits(high=WRITE_LIMIT)

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        # Nothing is edited or echoed here, and ssh ends when it insists on a terminal (-tt) and gets none.
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        self._guarded(self._start)

    def _start(self) -> None:
        self._session = NetconfSession(self._server.core, self._principal, "netconf-ssh", self._host, self)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._session is not None and datatype is None:
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
