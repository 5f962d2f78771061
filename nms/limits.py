"""How much one client, and all of them together, may ask for; values only.

The front ends' share of RFC 6241 section 9: nobody who has not proven an identity holds much, and nobody who has keeps
the others out.  Who counts is `nms.transport.door`; what enforces a time is the session or the transport, what enforces
a cost is the operation.  docs/limits.md says what clients see.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds; the configuration's keys have the same names.

    Attributes:
        sessions: NETCONF sessions at the same time, over every transport.
        sessions_per_user: those of one user.
        channels: sessions in one SSH connection (RFC 6242 section 3 allows several).
        connections: HTTP connections of one RESTCONF listener.
        logins: connections that have not proven yet who they are, over every transport.
        logins_per_address: those from one address.
        login_time: from the connection to the proof: TLS handshake, SSH authentication, first request with credentials.
        login_failures: wrong passwords and unknown keys in one connection.
        hello_time: from the session's start to the client's complete <hello>.
        message_size: one NETCONF message of a client.
        message_time: after it, a message that is still incomplete must have come at `message_rate` bytes a second.
        max_request: body of an HTTP request; packages have a limit of their own.
        max_answer: body of an HTTP answer with data.
        head_size: request line and headers of an HTTP request.
        head_time: from the first byte of an HTTP request to the end of its headers.
        idle_time: an HTTP connection without a request.
        send_time: a client that takes nothing of what waits for it.
        notifications: those that wait for a NETCONF subscriber to read.
        event_streams: RESTCONF's (RFC 8040 section 6), of all clients together.
        event_backlog: notifications that the client of one of them may be behind.
        subscriptions: dynamic ones (RFC 8639), of all clients together.
        subscriptions_per_session: those of one session, or of one user over RESTCONF.
        subscription_backlog: notifications that one of them may be behind until it is suspended.
        filter_work: of one filter of a client, XPath or subtree, each unit about a microsecond (`nms.model.work`).
        subscriber_filter_work: the same for a subscriber's filter, which others wait for.
        user_filter_work: the same for all subscribers' filters of one user in a second.
    """

    sessions: int = 1000
    sessions_per_user: int = 200
    channels: int = 16
    connections: int = 1000
    logins: int = 500
    logins_per_address: int = 100
    login_time: float = 30
    login_failures: int = 6
    hello_time: float = 60
    message_size: int = 64 * 1024 * 1024
    message_time: float = 120
    message_rate: float = 1024
    max_request: int = 32 * 1024 * 1024
    max_answer: int = 64 * 1024 * 1024
    head_size: int = 32 * 1024
    head_time: float = 10
    idle_time: float = 120
    send_time: float = 300
    notifications: int = 10_000
    event_streams: int = 100
    event_backlog: int = 1000
    subscriptions: int = 1000
    subscriptions_per_session: int = 100
    subscription_backlog: int = 500
    filter_work: int = 1_000_000
    subscriber_filter_work: int = 20_000
    user_filter_work: int = 500_000
