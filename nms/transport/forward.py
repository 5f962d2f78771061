"""OpenSSH's `Subsystem netconf`: carries bytes between standard input and output and the daemon's Unix socket.

In sshd_config: ``Subsystem netconf /usr/bin/python3 -m nms.transport.forward /run/nms/netconf.socket``.  It runs as the
user who has logged in, which is how the daemon knows who it is (`nms.transport.unix`).  It must not know NETCONF, and
imports nothing of the package: it starts with every session.
"""

from __future__ import annotations

import os
import pwd
import select
import socket
import sys


def forward(path: str, source: int, sink: int) -> bool:
    """Carry bytes until the server closes; the end of `source` is passed on as a half-closed socket.

    Returns:
        Whether the server has said anything: it greets whom it admits before anything else.

    Raises:
        OSError: nothing listens at `path`.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        peer = server.fileno()
        open_source, waiting, greeted = True, b"", False
        while True:
            # Input is read only when the server has taken what came before, and never waited for: the server stops
            # reading while its replies are not read.
            inputs = [peer, source] if open_source and not waiting else [peer]
            ready, writable, _ = select.select(inputs, [peer] if waiting else [], [])
            if writable:
                try:
                    waiting = waiting[server.send(waiting, socket.MSG_DONTWAIT) :]
                except ConnectionError:  # it has closed; what it said before that is still to be read
                    open_source, waiting = False, b""
            if peer in ready:
                data = _said(server)
                if not data:
                    return greeted
                greeted = True
                while data:
                    data = data[os.write(sink, data) :]
            if source in ready:
                waiting = os.read(source, 65536)
                if not waiting:
                    open_source = False
                    server.shutdown(socket.SHUT_WR)


def _said(server: socket.socket) -> bytes:
    """What the server says; empty at its end, whether or not it has read all that it was sent."""
    try:
        return server.recv(65536)
    except ConnectionResetError:
        return b""


def main() -> int:
    """Forward to the socket that the one argument names; 1 when it does not work."""
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} SOCKET", file=sys.stderr)
        return 2
    try:
        greeted = forward(sys.argv[1], sys.stdin.fileno(), sys.stdout.fileno())
    except OSError as error:
        print(f"{sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 1
    if not greeted:
        print(f"{sys.argv[1]}: the server admits no user {_user()}, or has no session left", file=sys.stderr)
        return 1
    return 0


def _user() -> str:
    """The name of who runs this: that is how the server knows the user, too."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"id {os.getuid()}"


if __name__ == "__main__":
    sys.exit(main())
