"""NETCONF on a Unix socket: the kernel says who is at the other end (SO_PEERCRED).

OpenSSH's `Subsystem netconf` runs a forwarder to this socket in production, so that system users log in as usual.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pwd
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nms.netconf.exchange import Core
from nms.operations.request import Principal
from nms.transport.door import Door
from nms.transport.listener import Listener
from nms.transport.stream import StreamSession

log = logging.getLogger(__name__)

PrincipalOf = Callable[[str], Principal | None]

_UCRED: Final = struct.Struct("3i")  # pid, uid, gid


async def listen(
    core: Core, path: Path, *, principal: PrincipalOf, mode: int = 0o600, group: int = -1, door: Door | None = None
) -> Listener:
    """Serve NETCONF on the Unix socket `path`.

    Args:
        principal: system user's name -> who it is; None ends the connection.
        mode: permissions of the socket; other users than the daemon's need them to connect at all.
        group: group id that the socket gets, -1: the daemon's.
        door: who counts; shared with the other transports.

    Raises:
        OSError: the path is in use by a living server, is no socket, or cannot be made.
    """
    listener = Listener("netconf-unix")
    counted = door or Door()

    def identify(transport: asyncio.Transport) -> tuple[Principal, str] | None:
        peer: socket.socket = transport.get_extra_info("socket")
        _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            log.warning("a process of user id %d without a name connected to %s", uid, path)
            return None
        found = principal(user)
        if found is None:
            counted.failed_logins += 1
            log.warning("system user %s is no user of this server", user)
        return None if found is None else (found, "")

    bound = _bind(path, mode, group)
    try:
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: StreamSession(core, listener, identify, counted), sock=bound
        )
    except BaseException:
        bound.close()
        raise
    listener.servers.append(server)
    return listener


def _bind(path: Path, mode: int, group: int) -> socket.socket:
    """A socket bound to `path`, in place of one that a dead server has left; nobody can connect before it listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        if path.is_socket() and probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        os.chown(path, -1, group)
        path.chmod(mode)
    except BaseException:
        bound.close()
        raise
    return bound
