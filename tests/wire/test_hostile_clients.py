"""Hostile clients against `nms serve`: what each is told, while another one is served and memory stays bounded.

One server with small limits (`[limits]`) stands for all tests; a well-behaved session on its Unix socket, the witness,
must get its answers in the middle of everything.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from nms.netconf.messages import NETCONF, hello
from nms.pki import Authority
from tests.interop.test_daemon import END, ROOT, Daemon, rpc, until_end
from tests.interop.test_management import HASH
from tests.unit.restconf import listener
from tests.unit.restconf.listener import Raw

ME = pwd.getpwuid(os.getuid()).pw_name
NETWORK = "urn:example:network"
LIMITS = {
    "sessions-per-user": 8,
    "logins-per-address": 6,
    "login-time": 1,
    "login-failures": 3,
    "message-size": 2 * 1024 * 1024,
    "message-time": 1,
    "message-rate": 100_000,
    "head-size": 8192,
    "head-time": 1,
    "send-time": 2,
    "notifications": 5000,
    "event-streams": 2,
    "event-backlog": 100,
    "subscriptions-per-session": 2,
    "subscription-backlog": 20,
    "filter-work": 50_000,
    "subscriber-filter-work": 2_000,
}
#: Bytes by which the server may grow in any of these tests; what is sent or asked for in vain is several times as much.
SPARE = 150 * 1024 * 1024
request = partial(listener.request, login=listener.login("ann", "horse"))
COSTLY = "//*[//*[//*[//*[. = 'a']]]]"


class Server(Daemon):
    """A server with small limits, and its witness."""

    tls: ssl.SSLContext
    http: tuple[str, int]
    ssh: tuple[str, int]
    witness: socket.socket

    def configure(self) -> None:
        authority = Authority("site", datetime.now(UTC))
        shown = authority.server("server", ["127.0.0.1"])
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(self.folder / "host_key")
        for name, content in (("cert.pem", shown.certificate), ("key.pem", shown.private)):
            (self.folder / name).write_bytes(content)
        self.tls = ssl.create_default_context(cadata=authority.own.certificate.decode())
        limits = ", ".join(f"{key} = {limit}" for key, limit in LIMITS.items())
        self.config.write_text(f"""
            domain.id = "generic"
            yang = {{ path = ["{ROOT}/tests/conformance/models"], modules = ["example-network", "mec-management"] }}
            store.path = ":memory:"
            limits = {{ {limits} }}
            [restconf]
            listen = "127.0.0.1:0"
            cert = "cert.pem"
            key = "key.pem"
            max-request = "256 KiB"
            [netconf]
            ssh = {{ listen = "127.0.0.1:0", host-key = "host_key" }}
            unix = {{ path = "socket" }}
            [[user]]
            name = "{ME}"
            recovery = true
            [[user]]
            name = "ann"
            recovery = true
            password-hash = "{HASH}"
            """)

    def open(self) -> None:
        ports = self.start()
        self.ssh = ("127.0.0.1", ports["generic listens: NETCONF over SSH"])
        self.http = ("127.0.0.1", ports["RESTCONF (https)"])
        self.witness = self.session()

    def ask(self, operation: str) -> str:
        """What the witness is answered."""
        self.witness.sendall(rpc(operation))
        return until_end(self.witness).decode()

    def serves(self) -> None:
        """The others are not kept: a read and a write are answered."""
        assert "<data" in self.ask(
            f"<get-config><source><running/></source><filter>{network('')}</filter></get-config>"
        )
        assert "<ok/>" in self.ask(edit(f"<name>{time.monotonic_ns()}</name>"))

    def restconf(self) -> Raw:
        """A connection that is logged in to no one yet."""
        return Raw(self.http, lambda plain: self.tls.wrap_socket(plain, server_hostname="127.0.0.1"))

    def shown(self, name: str, among: str = "counters") -> int:
        """A number in the state of mec-management."""
        state = '<management xmlns="urn:mec-nms:yang:mec-management"><state/></management>'
        reply = self.ask(f"<get><filter>{state}</filter></get>")
        found = re.search(f"<{among}>.*?<{name}>(\\d+)</{name}>", reply)
        assert found, reply
        return int(found[1])

    @property
    def memory(self) -> int:
        """Resident bytes of the process."""
        assert self.process is not None
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hostile"))
    server.configure()
    server.open()
    yield server
    server.witness.close()
    code, complaints = server.stop()
    assert code == 0
    assert "Traceback" not in complaints


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """It serves before and after, has not grown by much, and has lost nobody's place."""
    running.serves()
    before = running.memory
    yield running
    running.serves()
    assert running.memory - before < SPARE
    until(lambda: running.shown("sessions") == 1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def network(content: str, operation: str = "merge") -> str:
    return f'<network xmlns="{NETWORK}" xmlns:nc="{NETCONF}" nc:operation="{operation}">{content}</network>'


def edit(content: str, operation: str = "merge") -> str:
    return f"<edit-config><target><running/></target><config>{network(content, operation)}</config></edit-config>"


def refused(reply: bytes) -> str:
    """The error-tag of a reply."""
    tag = etree.fromstring(reply.removesuffix(END)).findtext(f".//{{{NETCONF}}}error-tag")
    assert tag is not None, reply
    return tag


def hung_up(client: socket.socket) -> bool:
    """The server ends the connection; what it says before does not count."""
    client.settimeout(20)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while client.recv(1 << 20):
            pass
    return True


# ---------------------------------------------------------------- messages


def test_every_limit_is_in_the_state(server: Server) -> None:
    for key, limit in LIMITS.items():
        assert server.shown(key, "limits") == limit
    assert server.shown("max-request", "limits") == 256 * 1024


def test_messages_that_are_too_large(server: Server) -> None:
    for framed in (b"", b"\n#4000000000\n"):
        with server.session() if not framed else socket.socket(socket.AF_UNIX) as client:
            if framed:
                client.connect(str(server.folder / "socket"))
                client.sendall(hello(["urn:ietf:params:netconf:base:1.1"]) + END + framed)
            with contextlib.suppress(ConnectionError):
                for _ in range(40):
                    client.sendall(b"x" * 1024 * 1024)
            assert hung_up(client)
        server.serves()
    with server.restconf() as client:
        client.send(request("PUT", "/restconf/data", b"x" * 300_000))
        assert client.answer()[0] == 413


DEEP = b"<a>" * 300 + b"</a>" * 300
BOMB = b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]>'
RPC = b'<rpc xmlns="%b" message-id="1">' % NETCONF.encode()


@pytest.mark.parametrize(
    "message",
    [
        RPC + DEEP + b"</rpc>",
        BOMB + RPC + b"<get>&b;</get></rpc>",
        BOMB + b'<rpc xmlns="%b" message-id="&b;"><get/></rpc>' % NETCONF.encode(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><rpc/>',
        b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + RPC + b"<get>&a;</get></rpc>",
        b'<?xml version="1.0" encoding="utf-7"?><rpc/>',
    ],
    ids=["deep", "bomb", "bomb in an attribute", "external", "external entity", "utf-7"],
)
def test_xml_that_means_harm(server: Server, message: bytes) -> None:
    with server.session() as client:
        client.sendall(message + END)
        reply = until_end(client)
        assert (refused(reply), b"root:" in reply) == ("malformed-message", False)
        client.sendall(rpc("<get-config><source><startup/></source></get-config>"))
        assert b"<rpc-reply" in until_end(client)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b'{"example-network:network":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ("json", b'{"a":' * 30_000 + b"1" + b"}" * 30_000),
        ("xml", DEEP),
        ("xml", BOMB + b"<data>&b;</data>"),
        ("xml", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><data/>'),
    ],
)
def test_bodies_that_mean_harm(server: Server, kind: str, body: bytes) -> None:
    with server.restconf() as client:
        sent = request("PUT", "/restconf/data", body, "Accept: application/yang-data+json")
        client.send(sent.replace(b"Type: application/yang-data+json", f"Type: application/yang-data+{kind}".encode()))
        status, _, answer = client.answer()
        assert (status, b'"malformed-message"' in answer, b"root:" in answer) == (400, True, False)
        client.send(request("GET", "/restconf/yang-library-version"))
        assert client.answer()[0] == 200


def test_heads_that_are_too_large(server: Server) -> None:
    for head, status in ((b"GET /" + b"a" * 9000, 414), (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000, 431)):
        with server.restconf() as client:
            client.send(head)
            assert client.answer()[0] == status


# ---------------------------------------------------------------- slow senders, and those who do not come in


def test_slow_senders(server: Server) -> None:
    with ExitStack() as stack:
        slow = stack.enter_context(server.session())
        slow.sendall(b"<rpc")
        head, body = (stack.enter_context(server.restconf()) for _ in range(2))
        head.send(b"GET / HTTP/1.1\r\nHost: h\r\nA")
        body.send(request("PUT", "/restconf/data", b"x" * 50_000)[:-40_000])
        server.serves()
        assert [client.answer()[0] for client in (head, body)] == [408, 408]
        assert hung_up(slow)


def test_connections_that_say_nothing(server: Server) -> None:
    refused = server.shown("refused-logins")
    for address, beginning in (
        (server.ssh, b""),
        (server.http, b""),
        (server.http, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),  # of a ClientHello
    ):
        with ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection(address, 20, source_address=("127.0.0.2", 0)))
                for _ in range(20)
            ]
            for client in silent:
                with contextlib.suppress(ConnectionError):
                    client.sendall(beginning)
            refused += 14
            until(lambda expected=refused: server.shown("refused-logins") == expected)  # type: ignore[misc]
            server.serves()
            with server.restconf() as other:  # from another address
                other.send(request("GET", "/restconf/yang-library-version"))
                assert other.answer()[0] == 200
            assert all(map(hung_up, silent))
    until(lambda: server.shown("logins") == 0)


def test_a_connection_that_never_says_who_it_is(server: Server) -> None:
    with server.restconf() as client:
        client.send(b"GET /.well-known/host-meta HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.answer()[0] == 200
        assert client.closed()
    until(lambda: server.shown("logins") == 0)


def test_a_flood_of_wrong_passwords(server: Server) -> None:
    failed = server.shown("failed-logins")
    wrong = b"GET /restconf HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %b\r\n\r\n"
    for guess in range(4):
        with server.restconf() as client:
            for number in range(3):
                client.send(wrong % b64encode(b"ann:%d-%d" % (guess, number)))
                assert client.answer()[0] == 401
            server.serves()
            assert client.closed()
    assert server.shown("failed-logins") == failed + 12


def test_sessions_of_one_user(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(server.session())
        for _ in range(5):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(server.folder / "socket"))
            assert hung_up(client)
        server.serves()
        assert server.shown("refused-sessions") >= 5


# ---------------------------------------------------------------- those who do not read


@pytest.fixture
def large(server: Server) -> Iterator[int]:
    """A configuration of some megabytes; its size as a reply."""
    for block in range(4):
        nodes = "".join(f"<node><id>big-{block}-{i}</id></node>" for i in range(20_000))
        assert "<ok/>" in server.ask(edit(nodes))
    server.witness.sendall(rpc("<get-config><source><running/></source></get-config>"))
    size = len(until_end(server.witness))
    assert size > 2_000_000
    yield size
    assert "<ok/>" in server.ask(edit("", "replace"))


def test_replies_that_nobody_reads(server: Server, large: int) -> None:
    before = server.memory
    with ExitStack() as stack:
        deaf = [stack.enter_context(server.session()) for _ in range(4)]
        for client in deaf:
            client.sendall(rpc("<get-config><source><running/></source></get-config>") * 60)
        web = stack.enter_context(server.restconf())
        web.send(request("GET", "/restconf/data", b"", "Accept: application/yang-data+json") * 20)
        server.serves()
        assert 4 * 60 * large > 2 * SPARE
        until(lambda: server.shown("sessions") == 1)  # they take nothing, and are cut off
        assert server.memory - before < SPARE


def test_notifications_that_nobody_reads(server: Server) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(server.session())
        deaf.sendall(rpc('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'))
        assert b"<ok/>" in until_end(deaf)
        streams = []
        for _ in range(2):
            web = stack.enter_context(server.restconf())
            web.send(request("GET", "/restconf/streams/NETCONF", b"", "Accept: text/event-stream"))
            assert b"200" in web.until(b"\r\n\r\n")
            streams.append(web)
        with server.restconf() as third:
            third.send(request("GET", "/restconf/streams/NETCONF", b"", "Accept: text/event-stream"))
            assert third.answer()[0] == 503
        event = edit(f"<node><id>{'n' * 50_000}</id></node>")
        for number in range(400):  # 20 MB for each of them
            assert "<ok/>" in server.ask(edit("", "replace") if number % 2 else event)
        until(lambda: server.shown("sessions") == 1)
        assert hung_up(deaf)
        assert all(hung_up(web.socket) for web in streams)


# ---------------------------------------------------------------- costs


def test_expressions_that_take_too_much(server: Server, large: int) -> None:
    with server.session() as client:
        for select in (COSTLY, "//*[re-match(name(), '((a|b)?e+)+x')]", "//*" * 2000, "-" * 9000 + "1", "(" * 999):
            client.sendall(
                rpc(f'<get-config><source><running/></source><filter type="xpath" select="{select}"/></get-config>')
            )
            server.serves()
            assert refused(until_end(client)) in ("resource-denied", "invalid-value")
        exponential = "re-match('" + "a" * 60 + "', '(a+)+b')"
        select = f"/*[{exponential}]"
        client.sendall(
            rpc(f'<get-config><source><running/></source><filter type="xpath" select="{select}"/></get-config>')
        )
        assert b"<data" in until_end(client)


ESTABLISH = (
    '<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"><stream>NETCONF</stream>'
    "<stream-xpath-filter>{}</stream-xpath-filter></establish-subscription>"
)


def test_subscribers_whose_filters_take_too_much(server: Server) -> None:
    """Nobody waits for them: the subscription is suspended, for insufficient resources (RFC 8639 section 2.4.5)."""
    with server.session() as client:
        client.sendall(rpc(ESTABLISH.format(COSTLY)))
        assert b"<id " in until_end(client)
        server.serves()
        told = until_end(client)
        assert b"subscription-suspended" in told
        assert b"insufficient-resources" in told
    with server.session() as client:
        for _ in range(2):
            client.sendall(rpc(ESTABLISH.format("/nobody")))
            assert b"<id " in until_end(client)
        client.sendall(rpc(ESTABLISH.format("/nobody")))
        assert refused(until_end(client)) == "resource-denied"
