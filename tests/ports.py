"""Ports for servers that have to be told theirs: free, and never those of another worker of the test run."""

from __future__ import annotations

import contextlib
import os
import random
import socket

#: Ports that no outgoing connection takes (those are above 32767), apart for each of so many workers of a test run.
_WORKERS, _FIRST, _SHARE = 8, 15000, 2200
_given: set[int] = set()


def free_port() -> int:
    """A port that is free for TCP and UDP, and that nobody else is given meanwhile."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    share = range(_FIRST + worker * _SHARE, _FIRST + (worker + 1) * _SHARE)
    if len(_given) > _SHARE // 2:
        _given.clear()
    while True:
        port = random.SystemRandom().choice(share)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
