"""How much one NETCONF client, and all of them together, may ask for; values only.

The front end's share of RFC 6241 section 9: nobody who has not proven an identity holds much, and nobody who has
keeps the others out.  Who counts is `nms.transport.door`; what enforces a time is the session or the transport.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds.

    Attributes:
        sessions: NETCONF sessions at the same time, over every transport.
        sessions_per_user: those of one user.
        channels: sessions in one SSH connection (RFC 6242 section 3 allows several).
        logins: connections that have not proven yet who they are.
        logins_per_address: those from one address.
        login_time: from the connection to the proof, TLS handshake or SSH authentication.
        login_failures: wrong passwords and unknown keys in one SSH connection.
        hello_time: from the session's start to the client's complete <hello>.
        message_size: one message of a client.
        message_time: after it, a message that is still incomplete must have come at `message_rate` bytes a second.
        notifications: those that wait for a subscriber to read.
    """

    sessions: int = 1000
    sessions_per_user: int = 200
    channels: int = 16
    logins: int = 200
    logins_per_address: int = 50
    login_time: float = 30
    login_failures: int = 6
    hello_time: float = 60
    message_size: int = 64 * 1024 * 1024
    message_time: float = 120
    message_rate: float = 1024
    notifications: int = 10_000
