"""Makes the management interfaces what mec-management configures, at run time and beside the daemon's file.

`prepare` binds new addresses, so that one that cannot be had is refused before anything changes; `apply` hands over
to the event loop, where listeners are opened and closed and clients are called.  A session never ends because another
listener, user or client comes or goes; those of a removed user do.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nms.credentials import Credentials
from nms.datastore.transaction import Transaction
from nms.errors import RpcError
from nms.listeners import Listeners, Opened, reason
from nms.management.settings import TOP, Place, Settings, read, where
from nms.management.state import State
from nms.model.diff import Change
from nms.operations.dispatch import Core
from nms.operations.monitor import is_netconf
from nms.operations.request import KillSession, Principal
from nms.transport.callhome import CallHome, Client
from nms.transport.door import Door
from nms.transport.listener import bind
from nms.transport.ssh import SshServer
from nms.transport.tls import TlsServer

log = logging.getLogger(__name__)

SYSTEM: Final = Principal("system", recovery=True)

#: What the file lacks where a transport cannot be served.
_LACKING: Final = {
    "netconf-ssh": "the server's file has no [netconf.ssh], whose host key it would show",
    "netconf-tls": "the server's file has no [netconf.tls], whose certificate it would show",
    "restconf": "the server's file has no [restconf] with a certificate, which it would show",
}


class Management:
    """Provider of /mec-management:management; made and started in the event loop's thread.

    Args:
        listeners: those of the file; what they show is shown here too.
    """

    paths: tuple[str, ...] = (TOP,)

    def __init__(self, core: Core, credentials: Credentials, listeners: Listeners, door: Door) -> None:
        self._core = core
        self._credentials = credentials
        self._servers = listeners.servers
        self._loop = asyncio.get_running_loop()
        self._state = State(core.schema, listeners.opened, door)
        # of the writer's turn
        self._settings = Settings()
        self._held: set[Place] = set()
        self._prepared: dict[Place, socket.socket] = {}
        # of the event loop
        self._work: deque[Callable[[], None]] = deque()
        self._idle = threading.Event()
        self._idle.set()
        self._opened: dict[Place, asyncio.Task[Opened]] = {}
        self._leaving: set[Opened] = set()
        self._callers: dict[Client, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._own = core.open_session(SYSTEM, "local", "", lambda reason: None)

    def start(self) -> None:
        """Open what is configured; what cannot be opened now is told in the state and does not stop the others."""
        store = self._core.store
        with store.writer:
            store.add_provider(self)
            store.add_source(f"{TOP}/state", self._state.value)
            try:
                settings = read(self._core.schema, store.running)
            except RpcError as error:
                log.error("the management interfaces stay as the file has them: %s", error)
                return
            self._commit(settings, {})

    # ------------------------------------------------------------ nms.datastore.provider.Provider

    def prepare(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Bind new addresses.  Raises `RpcError` invalid-value: what does not parse, or cannot be bound."""
        settings = read(self._core.schema, tx.new)
        top = self._core.schema.find(TOP)
        for user in settings.users:
            if user.name in self._credentials.fixed:
                why = f"user {user.name} is one of the server's file, which cannot be changed here"
                raise RpcError("invalid-value", why, path=where(top, "user", user.name))
        for client in settings.clients:
            self._check_served(client.protocol, where(top, "call-home-client", client.name, "protocol"))
        self._settle()
        try:
            for name, place in settings.listeners.items():
                self._check_served(place.protocol, where(top, "listener", name, "protocol"))
                if place not in self._held:
                    self._prepared[place] = self._bound(place, where(top, "listener", name))
        except BaseException:
            self.abort(tx)
            raise

    def abort(self, tx: Transaction) -> None:
        """Let go of what was bound."""
        for bound in self._prepared.values():
            bound.close()
        self._prepared = {}

    def apply(self, changes: Sequence[Change], tx: Transaction) -> None:
        """Know the users; open and close what has changed."""
        sockets, self._prepared = self._prepared, {}
        self._commit(read(self._core.schema, tx.new), sockets)

    def _check_served(self, protocol: str, path: str) -> None:
        if protocol not in self._servers:
            raise RpcError("invalid-value", _LACKING.get(protocol, f"{protocol} is not served"), path=path)

    def _bound(self, place: Place, path: str) -> socket.socket:
        try:
            return bind(place.host, place.port)
        except OSError as error:
            why = f"cannot listen on {place.host} port {place.port}: {reason(error)}"
            raise RpcError("invalid-value", why, path=path) from None

    def _missing(self, settings: Settings, sockets: Mapping[Place, socket.socket]) -> Mapping[Place, socket.socket]:
        """`sockets`, and those that nobody has prepared: at the start, and when an earlier configuration comes back.

        One that cannot be bound does not stop the others.
        """
        bound = dict(sockets)
        problems: dict[str, str] = {}
        for name, place in settings.listeners.items():
            if place in self._held or place in bound:
                continue
            try:
                self._check_served(place.protocol, "")
                bound[place] = bind(place.host, place.port)
            except (OSError, RpcError) as error:
                problems[name] = reason(error) if isinstance(error, OSError) else str(error)
                log.error("listener %s: %s port %d: %s", name, place.host, place.port, problems[name])
        self._state.problems = problems
        return bound

    def _commit(self, settings: Settings, prepared: Mapping[Place, socket.socket]) -> None:
        sockets = self._missing(settings, prepared)
        gone = {user.name for user in self._settings.users} - {user.name for user in settings.users}
        closing = self._held - set(settings.listeners.values())
        self._settings = settings
        self._held = (self._held - closing) | set(sockets)
        self._credentials.configure(settings.users, settings.entries, settings.anchors)
        self._idle.clear()
        self._work.append(lambda: self._reconcile(settings, sockets, closing, gone))
        if self._in_loop():
            self._do()
        else:
            self._loop.call_soon_threadsafe(self._do)

    def _in_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _settle(self) -> None:
        """An address that the last change has given up can be bound once the event loop has let go of it."""
        if self._in_loop():
            self._do()
        else:
            self._idle.wait(1.0)

    # ------------------------------------------------------------ in the event loop

    def _do(self) -> None:
        while self._work:
            self._work.popleft()()
        self._idle.set()

    def _reconcile(
        self, settings: Settings, sockets: Mapping[Place, socket.socket], closing: set[Place], gone: set[str]
    ) -> None:
        for place in closing:
            task = self._opened.pop(place)
            if task.done():  # at once: the next change may want the same address
                self._deafen(task)
            else:
                task.add_done_callback(self._deafen)
        for place, bound in sockets.items():
            task = self._loop.create_task(self._servers[place.protocol].listen(sockets=[bound]))
            self._opened[place] = task
        for client in set(self._callers) - set(settings.clients):
            self._callers.pop(client).cancel()
            self._state.calling.pop(client.name, None)
        for client in settings.clients:
            server = self._servers.get(client.protocol)
            if not isinstance(server, SshServer | TlsServer):  # the file had the keys for it once
                log.error("%s is not called: %s", client.name, _LACKING.get(client.protocol))
            elif client not in self._callers:
                call = self._state.calling[client.name] = CallHome(client, server)
                self._callers[client] = self._loop.create_task(call.run())
        self._state.listeners = settings.listeners
        if gone:
            self._later(self._loop.run_in_executor(None, self._end_sessions, gone))

    def _deafen(self, task: asyncio.Task[Opened]) -> None:
        """Close a listener's sockets; its connections stay, and are known to `close`."""
        listener = task.result()
        listener.deafen()
        self._leaving.add(listener)
        for each in [each for each in self._leaving if not each.connections]:
            self._leaving.discard(each)
            self._later(asyncio.ensure_future(each.stop()))

    def _later(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_sessions(self, users: set[str]) -> None:
        """In a thread: ending a session waits for the writer's turn."""
        for session in list(self._core.context.sessions.values()):
            if session.principal.name in users and session is not self._own:
                if not is_netconf(session):  # nobody can kill RESTCONF's: its front end hangs up
                    self._core.close_session(session)
                    session.close("the user was removed")
                    continue
                try:
                    self._core.dispatch(self._own, KillSession(session.id))
                except RpcError as error:  # it has ended meanwhile
                    log.info("session %d of a removed user: %s", session.id, error)

    async def close(self) -> None:
        """End calls, listeners and the sessions in them."""
        for task in self._callers.values():
            task.cancel()
        await asyncio.gather(*self._callers.values(), return_exceptions=True)
        listeners = [await task for task in self._opened.values()]
        await asyncio.gather(*(listener.stop() for listener in (*listeners, *self._leaving)))
        await asyncio.gather(*self._tasks)
        self._core.close_session(self._own)
