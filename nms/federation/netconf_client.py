"""A blocking NETCONF client over ncclient: RFC 6241 operations with lxml elements in and out, errors as `RpcError`.

The server's host key is pinned: no known_hosts, no agent, no key but the one given, no unknown key accepted.  Only SSH
is connected here: `connect_tls` of ncclient 0.7.1 knows authorities but no pinned certificate, and waits for the socket
while decrypted bytes are left; TLS is `nms.federation.pinned`'s, and `Client.over` takes what it gives.  For worker
threads only; this module knows neither models nor datastores nor an event loop.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import queue
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import paramiko
from lxml import etree
from ncclient import manager, transport
from ncclient.operations import OperationError, TimeoutExpiredError
from ncclient.operations.rpc import RaiseMode
from ncclient.transport import session as ncclient_session
from ncclient.transport.errors import TransportError
from ncclient.transport.session import SessionListener
from ncclient.transport.unixSocket import UnixSocketSession

from nms.errors import HTTP_STATUS, ErrorType, RpcError
from nms.federation.client import Recorder, unanswered, unreachable

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
EVENTS: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
YANG: Final = "urn:ietf:params:xml:ns:yang:1"

# ncclient logs whole messages and paramiko whole tracebacks of a refused connection; errors come as RpcError.
for _name in ("ncclient", "paramiko"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

#: Seconds that ncclient may leave a request in its queue, once for each; 0.1 would be most of a request's time.
ncclient_session.TICK = 0.01


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a partner's NETCONF server is, how it proves itself and how we do.

    Attributes:
        host_key: its public host key in the one-line format of OpenSSH; the only one accepted.
        timeout: seconds to wait for a connection and for each reply.
    """

    address: str
    port: int
    host_key: str
    user: str
    key: Path
    timeout: float = 10.0


class Client(SessionListener):  # type: ignore[misc]  # ncclient is untyped
    """One NETCONF session, open after construction.

    Args:
        peer: the server.
        recorder: sees each message that arrives.

    Raises:
        RpcError: operation-failed (type transport); not reached, wrong host key, not admitted.
    """

    def __init__(self, peer: Peer, recorder: Recorder | None = None) -> None:
        words = peer.host_key.split()
        if len(words) < 2:
            raise _transport(_named(peer), "no host key is pinned for it")
        try:
            # The socket is ours so that waiting for it is bounded: ncclient bounds neither banner nor key exchange.
            stream = socket.create_connection((peer.address, peer.port), timeout=peer.timeout)
            try:
                opened = manager.connect_ssh(
                    host=peer.address,
                    port=peer.port,
                    sock=stream,
                    username=peer.user,
                    key_filename=str(peer.key),
                    hostkey_b64=words[1],
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=peer.timeout,
                    manager_params={"timeout": peer.timeout},
                    errors_params={"raise_mode": RaiseMode.NONE},
                )
            except BaseException:
                stream.close()
                raise
        except transport.errors.SSHUnknownHostError as error:
            raise _transport(_named(peer), "its host key is not the pinned one") from error
        except transport.AuthenticationError as error:
            raise _transport(_named(peer), f"it does not admit {peer.user}") from error
        except (TransportError, OperationError, paramiko.SSHException, OSError, EOFError) as error:
            raise _transport(_named(peer), str(error) or type(error).__name__) from error
        self._begin(opened, _named(peer), peer.timeout, recorder)

    @classmethod
    def over(cls, stream: Any, name: str, timeout: float, recorder: Recorder | None = None) -> Client:
        """The client over a stream that can be read, written and selected, and whose other end is known already.

        Args:
            name: of the server, for messages.
            timeout: seconds to wait for its <hello> and for each reply.

        Raises:
            TransportError: it says no <hello>.
        """
        handler = manager.make_device_handler(None)
        session = _Stream(handler)
        try:
            session.connect(stream, timeout)
        except BaseException:
            stream.close()
            raise
        opened = manager.Manager(session, handler, timeout=timeout, raise_mode=RaiseMode.NONE)
        client = cls.__new__(cls)
        client._begin(opened, name, timeout, recorder)
        return client

    def _begin(self, opened: manager.Manager, name: str, timeout: float, recorder: Recorder | None) -> None:
        self.messages_in = 0
        self.messages_out = 0
        self._manager = opened
        self._name = name
        self._timeout = timeout
        self._recorder = recorder
        self._manager._session.add_listener(self)

    # ncclient's listener: called in the session's own thread

    def callback(self, root: object, raw: str) -> None:
        """A message arrived."""
        self.messages_in += 1
        if self._recorder is not None:
            self._recorder(raw)

    def errback(self, error: object) -> None:
        """The session broke; whoever waits for a reply is told by ncclient."""

    # operations

    @property
    def connected(self) -> bool:
        """Whether the session is open as far as is known."""
        return bool(self._manager.connected)

    @property
    def capabilities(self) -> frozenset[str]:
        """The server's capabilities."""
        return frozenset(self._manager.server_capabilities)

    def get(self, subtree: etree._Element | None = None, *, config: bool = False) -> etree._Element:
        """<get>, or <get-config> of running, filtered by the children of `subtree` (RFC 6241 section 6): <data>."""
        get = etree.Element(f"{{{BASE}}}{'get-config' if config else 'get'}")
        if config:
            etree.SubElement(etree.SubElement(get, f"{{{BASE}}}source"), f"{{{BASE}}}running")
        if subtree is not None:
            wanted = etree.SubElement(get, f"{{{BASE}}}filter", type="subtree")
            wanted.extend(copy.deepcopy(list(subtree)))
        data = self.call(get).find(f"{{{BASE}}}data")
        return data if data is not None else etree.Element(f"{{{BASE}}}data")

    def edit(self, config: etree._Element) -> None:
        """<edit-config> of running, all or nothing; `config` is a <config> element (RFC 6241 section 7.2)."""
        edit = etree.Element(f"{{{BASE}}}edit-config")
        etree.SubElement(etree.SubElement(edit, f"{{{BASE}}}target"), f"{{{BASE}}}running")
        etree.SubElement(edit, f"{{{BASE}}}error-option").text = "rollback-on-error"
        edit.append(copy.deepcopy(config))
        self.call(edit)

    def subscribe(self) -> None:
        """<create-subscription> to the stream NETCONF (RFC 5277)."""
        self.call(etree.Element(f"{{{EVENTS}}}create-subscription"))

    def call(self, operation: etree._Element) -> etree._Element:
        """Send an rpc or <action> and give the <rpc-reply>.

        Raises:
            RpcError: the partner's, with its tag; or operation-failed, type transport; `Unanswered`: the request may
                have been carried out.
        """
        self.messages_out += 1
        try:
            reply = self._manager.rpc(operation)
        except TimeoutExpiredError as error:
            # The answer may still come and would be taken for another's: this session is over.
            self.close()
            raise unanswered(self._name, f"no answer within {self._timeout:g} s") from error
        except (TransportError, OperationError, paramiko.SSHException, OSError, EOFError) as error:
            raise unanswered(self._name, str(error) or type(error).__name__) from error
        root = etree.fromstring(reply.xml.encode(), _PARSER)
        errors = root.findall(f"{{{BASE}}}rpc-error")
        serious = [e for e in errors if e.findtext(f"{{{BASE}}}error-severity", "error").strip() == "error"]
        if serious:
            raise error_of(serious[0])
        return root

    def notification(self, timeout: float) -> etree._Element | None:
        """The next <notification>, or None when none came within `timeout` seconds.

        Raises:
            RpcError: operation-failed; the session is over.
        """
        try:
            taken = self._manager.take_notification(timeout=timeout)
        except queue.Empty:
            taken = None
        if taken is not None:
            return etree.fromstring(taken.notification_xml.encode(), _PARSER)
        if not self.connected:
            raise _transport(self._name, "the session has ended")
        return None

    def close(self) -> None:
        """End the session without waiting for the other side."""
        with contextlib.suppress(
            TransportError, OperationError, paramiko.SSHException, OSError, EOFError, AttributeError
        ):
            self._manager._session.close()
        # ncclient tells those who wait for a reply only of ends that it did not expect.
        self._manager._session._dispatch_error(TransportError("the session was closed"))


class _Stream(UnixSocketSession):  # type: ignore[misc]
    """ncclient's session over whatever can be read, written and selected; it says <hello> when it connects."""

    def connect(self, stream: Any, timeout: float) -> None:
        self._socket = stream
        self._connected = True
        self._post_connect(timeout)


_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)


def error_of(element: etree._Element) -> RpcError:
    """The `RpcError` of an <rpc-error>; an unknown tag becomes operation-failed and is kept in the message."""

    def text(name: str) -> str:
        return (element.findtext(f"{{{BASE}}}{name}") or "").strip()

    tag, message = text("error-tag"), text("error-message")
    if tag not in HTTP_STATUS:
        tag, message = "operation-failed", f"{tag or 'no error-tag'}: {message}"
    kind = text("error-type")
    known = kind if kind in ("transport", "rpc", "protocol") else "application"
    return RpcError(tag, message, type=cast(ErrorType, known), path=text("error-path"), app_tag=text("error-app-tag"))


def _named(peer: Peer) -> str:
    return f"{peer.address} port {peer.port}"


def _transport(server: str, why: str) -> RpcError:
    return unreachable(f"{server}: {why}")
