"""A server under measurement: where it listens, what it offers, and what it runs as.

Ours is in `server.py`; any other one is a `Subject` and nothing more.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from tests.bench import netconf, restconf
from tests.bench.channel import Connection, SshLogin
from tests.bench.netconf import Session
from tests.bench.processes import Processes


@dataclass(frozen=True, slots=True)
class Listener:
    """A TLS listener, and the context with the client's certificate."""

    host: str
    port: int
    context: ssl.SSLContext = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """A running server.

    Attributes:
        processes: None if it runs on another machine or nobody has said as what.
        tls, restconf: None if it is measured without.
    """

    login: SshLogin
    processes: Processes | None = None
    tls: Listener | None = None
    restconf: Listener | None = None

    def over_ssh(self) -> Session:
        """A new NETCONF session over an SSH connection of its own."""
        return netconf.over_ssh(self.login)

    def over_tls(self) -> Session:
        """A new NETCONF session over TLS."""
        assert self.tls is not None
        return netconf.over_tls(self.tls.host, self.tls.port, self.tls.context)

    def over_https(self) -> Connection:
        """A new RESTCONF connection."""
        assert self.restconf is not None
        return restconf.connect(self.restconf.host, self.restconf.port, self.restconf.context)
