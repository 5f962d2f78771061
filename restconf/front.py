"""What the resources of one RESTCONF application share: the core, who asks, and the sessions it sees.

HTTP has no sessions, the core has: one `Session` stands for one user at one address (RFC 8040 section 1.1), opened with
the first request and kept, the least recently used closed when there are many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from nms.errors import RpcError
from nms.model.schema import Node, Schema
from nms.operations.files import Files
from nms.operations.request import Principal, Reply, Request, Session
from nms.operations.writer import Writer
from restconf.wsgi import PRINCIPAL, Environ

_SESSIONS: Final = 256

Authenticate = Callable[[Environ], Principal | None]


class Core(Protocol):
    """What RESTCONF asks of `nms.operations.dispatch.Core`."""

    @property
    def schema(self) -> Schema: ...

    @property
    def files(self) -> Files | None: ...

    @property
    def writer(self) -> Writer: ...

    def dispatch(self, session: Session, request: Request) -> Reply: ...

    def open_session(self, principal: Principal, protocol: str, host: str, close: Callable[[str], None]) -> Session: ...

    def close_session(self, session: Session) -> None: ...

    def serves(self, rpc: Node, principal: Principal) -> bool: ...


class Front:
    """Shared by the blueprints of one application; thread-safe.

    Attributes:
        most: bytes of data in one answer.
        dismiss: called, in any thread, with a user whose session was ended: its connections shall end too.
    """

    def __init__(self, core: Core, authenticate: Authenticate, most: int) -> None:
        self.core = core
        self.most = most
        self.schema = core.schema
        self.namespaces = {module.name: module.namespace for module in core.schema.modules.values()}
        self._authenticate = authenticate
        self._sessions: OrderedDict[tuple[Principal, str], Session] = OrderedDict()
        self._lock = threading.Lock()
        self._on_close: list[Callable[[], None]] = []
        self.dismiss: Callable[[Principal], None] = lambda principal: None

    def admit(self, environ: Environ) -> None:
        """Note in `environ` who sent the request.

        Raises:
            RpcError: access-denied, 401: nobody that is known here.
        """
        if not self.knows(environ):
            raise RpcError("access-denied", "authentication is required", type="protocol", status=401)

    def knows(self, environ: Environ) -> bool:
        """Does a request come from somebody known here?  Notes in `environ` who that is, and looks only once."""
        if PRINCIPAL not in environ:
            environ[PRINCIPAL] = self._authenticate(environ)
        return environ[PRINCIPAL] is not None

    def dispatch(self, environ: Environ, request: Request) -> Reply:
        """The core's reply to `request` of the user noted in `environ`."""
        return self.core.dispatch(self._session(environ), request)

    def open_session(self, environ: Environ, close: Callable[[str], None]) -> Session:
        """A session of the user noted in `environ`; `close` is called when it is killed.

        Raises:
            RpcError: access-denied, 401: the user is not known any more.
        """
        principal: Principal = environ[PRINCIPAL]
        session = self.core.open_session(principal, "restconf", environ.get("REMOTE_ADDR", ""), close)
        # Whoever sent this user away since the request came did not find this session among those to be ended.
        if self._authenticate(environ) != principal:
            self.core.close_session(session)
            raise RpcError("access-denied", "authentication is required", type="protocol", status=401)
        return session

    def _session(self, environ: Environ) -> Session:
        key = (environ[PRINCIPAL], environ.get("REMOTE_ADDR", ""))
        session = self._sessions.get(key)
        if session is not None:
            return session
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = self.open_session(environ, lambda _: self._forget(key))
            if len(self._sessions) > _SESSIONS:
                _, oldest = self._sessions.popitem(last=False)
                self.core.close_session(oldest)
            return self._sessions[key]

    def _forget(self, key: tuple[Principal, str]) -> None:
        with self._lock:
            self._sessions.pop(key, None)
        self.dismiss(key[0])

    def bounded(self, content: bytes) -> bytes:
        """`content` of an answer, unless it is larger than an answer may be.

        Raises:
            RpcError: too-big with status 400, the table of RFC 8040 section 7 for answers.
        """
        if len(content) > self.most:
            text = f"the answer has more than {self.most} bytes: ask for less by limit and offset, depth or fields"
            raise RpcError("too-big", text, type="protocol", status=400)
        return content

    def on_close(self, call: Callable[[], None]) -> None:
        """Have `call()` run when the application ends."""
        self._on_close.append(call)

    def close(self) -> None:
        """End the event streams and the sessions."""
        for call in self._on_close:
            call()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            self.core.close_session(session)
