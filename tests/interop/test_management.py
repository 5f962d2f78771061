"""mec-management from outside: `nms serve` is told at run time who may come and where it listens and calls."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import os
import pwd
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree

from nms.netconf.messages import NETCONF, hello
from nms.pki import Authority, Certificate
from tests.interop.test_daemon import ROOT, Daemon, rpc, until_end
from tests.ports import free_port

ME = pwd.getpwuid(os.getuid()).pw_name
MANAGEMENT = "urn:mec-nms:yang:mec-management"
HELLO = hello(["urn:ietf:params:netconf:base:1.0"]) + b"]]>]]>"
GET = rpc('<get-config><source><running/></source><filter><network xmlns="urn:example:network"/></filter></get-config>')
KEY = asyncssh.generate_private_key("ssh-ed25519")
HASH = "$6$saltsalt$nCZ813ABYSDjKSlhJdHnZU4RAXlQL/Td7a5MH7ZlF8XgrOMKLnLkHIGu5NIUF6AE8n9U6WeB5XU0pDhXgDOyv/"  # horse


class Site(Daemon):
    """A daemon with an authority of its own, and an administrator's session on its Unix socket."""

    authority: Authority
    ports: dict[str, int]
    admin: socket.socket

    def configure(self) -> None:
        self.authority = Authority("site", datetime.now(UTC))
        server = self.authority.server("server", ["127.0.0.1"])
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(self.folder / "host_key")
        for name, content in (
            ("cert.pem", server.certificate),
            ("key.pem", server.private),
            ("ca.pem", self.authority.own.certificate),
        ):
            (self.folder / name).write_bytes(content)
        self.config.write_text(f"""
            domain.id = "generic"
            yang = {{ path = ["{ROOT}/tests/conformance/models"], modules = ["example-network", "mec-management"] }}
            store.path = "store"
            restconf = {{ listen = "127.0.0.1:0", cert = "cert.pem", key = "key.pem", client-ca = "ca.pem" }}
            user = [{{ name = "{ME}", recovery = true }}]
            limits = {{ logins = 77, sessions-per-user = 20 }}
            [netconf]
            ssh = {{ listen = "127.0.0.1:0", host-key = "host_key" }}
            tls = {{ listen = "127.0.0.1:0", cert = "cert.pem", key = "key.pem", client-ca = "ca.pem" }}
            unix = {{ path = "socket" }}
            """)

    def open(self) -> None:
        self.ports = {what.removeprefix("generic listens: "): port for what, port in self.start().items()}
        self.admin = self.session()

    def ask(self, operation: str) -> str:
        self.admin.sendall(rpc(operation))
        return until_end(self.admin).decode()

    def edit(self, config: str, operation: str = "edit-config") -> str:
        body = f'<management xmlns="{MANAGEMENT}" xmlns:nc="{NETCONF}" xmlns:mt="urn:mec-nms:yang:mec-types" '
        body += f'xmlns:x="urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name">{config}</management>'
        return self.ask(f"<edit-config><target><running/></target><config>{body}</config></edit-config>")

    def change(self, config: str) -> None:
        reply = self.edit(config)
        assert "<ok/>" in reply, reply

    def refusal(self, config: str) -> tuple[str, str, str]:
        """error-tag, error-path without prefixes, error-message."""
        error = etree.fromstring(self.edit(config).removesuffix("]]>]]>").encode())[0]
        tag, path, message = (error.findtext(f"{{{NETCONF}}}error-{name}") or "" for name in ("tag", "path", "message"))
        return tag, re.sub(r"[\w-]+:(?=[a-z])", "", path), message

    def state(self) -> etree._Element:
        reply = self.ask(f'<get><filter><management xmlns="{MANAGEMENT}"><state/></management></filter></get>')
        found = etree.fromstring(reply.removesuffix("]]>]]>").encode()).find(f".//{{{MANAGEMENT}}}state")
        assert found is not None
        return found

    def shown(self, xpath: str) -> list[str]:
        """Texts in the state."""
        found = self.state().xpath(re.sub(r"(?<![\w-])([a-z][\w-]*)(?=[/\[=\])]|$)", r"m:\1", xpath) + "/text()",
                                   namespaces={"m": MANAGEMENT})  # fmt: skip
        assert isinstance(found, list)
        return [str(text) for text in found]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.configure()
    site.open()
    yield site
    site.admin.close()
    if site.process is not None and site.process.poll() is None:
        site.process.kill()
        site.process.communicate()


def user(name: str, content: str = "", operation: str = "merge") -> str:
    return f'<user nc:operation="{operation}"><name>{name}</name>{content}</user>'


def authorized(key: asyncssh.SSHKey = KEY) -> str:
    return f"<authorized-key>{key.export_public_key().decode().strip()}</authorized-key>"


def listener(name: str, port: int, protocol: str = "netconf-ssh", operation: str = "merge") -> str:
    content = f"<protocol>mt:{protocol}</protocol><address>127.0.0.1</address><port>{port}</port>"
    content = content if operation == "merge" else ""
    return f'<listener nc:operation="{operation}"><name>{name}</name>{content}</listener>'


@contextlib.asynccontextmanager
async def logged_in(port: int, name: str = "carol", **login: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    login = {"client_keys": [KEY], **login}
    async with (
        asyncio.timeout(20),
        asyncssh.connect(
            "127.0.0.1", port, username=name, known_hosts=None, config=None, agent_path=None, **login
        ) as connection,
    ):
        yield connection


class Talk:
    """A NETCONF session in a connection."""

    def __init__(self, stdin: Any, stdout: Any) -> None:
        self.stdin, self.stdout = stdin, stdout

    @classmethod
    async def begin(cls, connection: asyncssh.SSHClientConnection) -> Talk:
        stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
        stdin.write(HELLO)
        await stdout.readuntil(b"]]>]]>")
        return cls(stdin, stdout)

    async def ask(self, message: bytes = GET) -> bytes:
        self.stdin.write(message)
        answer: bytes = await self.stdout.readuntil(b"]]>]]>")
        return answer


def test_a_user_comes_and_goes(site: Site) -> None:
    port = site.ports["NETCONF over SSH"]

    async def play() -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with logged_in(port):
                pass
        site.change(user("carol", authorized()))
        async with logged_in(port) as connection:
            talk = await Talk.begin(connection)
            assert b"<rpc-reply" in await talk.ask()
            site.change(user("dave", f"<password-hash>{HASH}</password-hash>"))
            assert b"<rpc-reply" in await talk.ask()
            site.change(user("carol", operation="delete"))
            assert await talk.stdout.read() == b""
        with pytest.raises(asyncssh.PermissionDenied):
            async with logged_in(port):
                pass
        async with logged_in(port, "dave", client_keys=None, password="horse") as connection:
            talk = await Talk.begin(connection)
            mine = await talk.ask(rpc(f'<get><filter><management xmlns="{MANAGEMENT}"/></filter></get>'))
            assert b"<name>dave</name>" in mine
            assert b"hash" not in mine
            edit = f'<management xmlns="{MANAGEMENT}"><user><name>eve</name></user></management>'
            edit = f"<edit-config><target><running/></target><config>{edit}</config></edit-config>"
            assert b"access-denied" in await talk.ask(rpc(edit))
        site.change(user("dave", "<password-hash nc:operation='remove'/>"))
        with pytest.raises(asyncssh.PermissionDenied):
            async with logged_in(port, "dave", client_keys=None, password="horse"):
                pass

    asyncio.run(play())
    code, said = site.stop()
    assert (code, HASH in said, "horse" in said) == (0, False, False)


def test_a_listener_comes_and_goes_and_sessions_stay(site: Site) -> None:
    port = free_port()
    site.change(user("carol", authorized()))

    async def play() -> None:
        site.change(listener("extra", port))
        assert site.shown("listener[name='extra']/origin") == ["configuration"]
        async with logged_in(port) as connection:
            talk = await Talk.begin(connection)
            site.change(listener("extra", 0, operation="delete"))
            with pytest.raises(ConnectionRefusedError):
                async with logged_in(port):
                    pass
            assert b"<rpc-reply" in await talk.ask()
            site.change(listener("again", port))  # the same address, by another name
            async with logged_in(port) as other:
                assert b"<rpc-reply" in await (await Talk.begin(other)).ask()
            assert b"<rpc-reply" in await talk.ask()

    asyncio.run(play())
    assert site.stop() == (0, "")


def test_a_restconf_listener(site: Site) -> None:
    port = free_port()
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))

    def status() -> int:
        web = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        try:
            web.request("GET", "/restconf/data")
            return web.getresponse().status
        finally:
            web.close()

    with pytest.raises(ConnectionRefusedError):
        status()
    for _ in range(2):
        site.change(listener("web", port, "restconf"))
        assert status() == 401
        site.change(listener("web", port, operation="delete"))
        with pytest.raises(ConnectionRefusedError):
            status()
    assert site.refusal(listener("web", port, "http"))[0] == "operation-failed"  # a must of the model
    site.change(listener("web", port, "restconf"))
    assert site.stop() == (0, "")


def test_a_user_who_is_removed_has_no_event_stream_left(site: Site) -> None:
    port = free_port()
    site.change(user("dave", f"<password-hash>{HASH}</password-hash>") + listener("web", port, "restconf"))
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    web = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    web.request("GET", "/restconf/streams/NETCONF/json", headers={"Authorization": "Basic ZGF2ZTpob3JzZQ=="})
    with contextlib.closing(web), web.getresponse() as stream:
        assert stream.status == 200
        site.change(user("dave", operation="delete"))
        while stream.read1():  # what was told until then
            pass
    assert site.stop() == (0, "")


def test_what_is_refused_changes_nothing(site: Site) -> None:
    taken = site.ports["NETCONF over SSH"]
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        tag, path, said = site.refusal(listener("busy", port) + listener("fine", free_port()))
    assert (tag, path) == ("invalid-value", "/management/listener[name='busy']")
    assert said == f"cannot listen on 127.0.0.1 port {port}: Address already in use"
    assert site.refusal(listener("file", taken))[0] == "invalid-value"
    key = "/management/user[name='carol']/authorized-key[.='ssh-ed25519 AAAA']"
    assert site.refusal(user("carol", "<authorized-key>ssh-ed25519 AAAA</authorized-key>"))[:2] == (
        "invalid-value",
        key,
    )
    file_user = site.refusal(user(ME, authorized()))
    assert file_user[:2] == ("invalid-value", f"/management/user[name='{ME}']")
    anchor = (
        f"<trust-anchor><name>a</name><certificate>{base64.b64encode(b'junk').decode()}</certificate></trust-anchor>"
    )
    assert site.refusal(anchor)[:2] == ("invalid-value", "/management/trust-anchor[name='a']/certificate")
    md5 = "<cert-to-name><id>1</id><fingerprint>01:00</fingerprint><map-type>x:san-any</map-type></cert-to-name>"
    assert site.refusal(md5)[:2] == ("invalid-value", "/management/cert-to-name[id='1']/fingerprint")
    assert site.refusal(user("carol", "<password-hash>horse</password-hash>"))[0] == "invalid-value"
    assert site.shown("listener[origin='configuration']/name") == []
    running = site.ask(
        f'<get-config><source><running/></source><filter><management xmlns="{MANAGEMENT}"/></filter></get-config>'
    )
    assert "<management" not in running
    assert site.stop()[0] == 0


def test_the_file_wins_and_a_restart_keeps_the_rest(site: Site) -> None:
    port, other = free_port(), free_port()
    site.change(listener("one", port) + listener("two", other) + user("carol", authorized()))
    site.admin.close()
    assert site.stop() == (0, "")
    text = site.config.read_text()
    site.config.write_text(text.replace("recovery = true }", 'recovery = true }, { name = "carol" }'))
    with socket.create_server(("127.0.0.1", other)):  # somebody else has taken it meanwhile
        site.open()
        assert site.shown("listener[origin='configuration'][not(problem)]/name") == ["one"]
        assert site.shown("listener[name='two']/problem") == ["Address already in use"]

    async def play() -> None:
        with pytest.raises(asyncssh.PermissionDenied):  # the file's carol has no key
            async with logged_in(port):
                pass

    asyncio.run(play())
    assert site.shown("listener[origin='file']/name") == ["netconf.ssh", "netconf.tls", "netconf.unix", "restconf"]
    assert site.shown("limits/logins") == ["77"]
    assert site.shown("limits/sessions-per-user") == ["20"]
    assert site.shown("counters/sessions") == ["1"]
    assert site.shown("counters/failed-logins") == ["1"]


def test_call_home(site: Site) -> None:
    site.change(user("carol", authorized()))

    async def play() -> None:
        calls: asyncio.Queue[asyncssh.SSHClientConnection] = asyncio.Queue()
        acceptor = await asyncssh.listen_reverse(
            "127.0.0.1", 0, username="carol", client_keys=[KEY], known_hosts=None, config=None, agent_path=None,
            acceptor=calls.put_nowait,
        )  # fmt: skip
        endpoint = f"<endpoint><name>e</name><address>127.0.0.1</address><port>{acceptor.get_port()}</port></endpoint>"
        entry = f"<name>noc</name><protocol>mt:netconf-ssh</protocol>{endpoint}"
        site.change(f"<call-home-client>{entry}</call-home-client>")
        async with asyncio.timeout(20):
            talk = await Talk.begin(await calls.get())
            assert b"<rpc-reply" in await talk.ask()
            shown = [site.shown(f"call-home-client[name='noc']/{leaf}") for leaf in ("status", "calls", "endpoint")]
            assert shown == [["connected"], ["1"], [f"127.0.0.1 port {acceptor.get_port()}"]]
            site.change(listener("other", free_port()))  # another change leaves the call alone
            assert b"<rpc-reply" in await talk.ask()
            site.change('<call-home-client nc:operation="delete"><name>noc</name></call-home-client>')
            assert await talk.stdout.read() == b""
        assert site.shown("call-home-client/name") == []
        acceptor.close()

    asyncio.run(play())
    assert site.stop() == (0, "")


def test_trust_anchors_and_names_of_certificates(site: Site) -> None:
    """A client of another authority: over TLS and RESTCONF, from the moment on that it is trusted until it is not."""
    foreign = Authority("foreign", datetime.now(UTC))
    client = foreign.client("zoe")
    der = ssl.PEM_cert_to_DER_cert(foreign.own.certificate.decode())
    octets = hashlib.sha256(der).hexdigest()
    fingerprint = ":".join(["04", *(octets[i : i + 2] for i in range(0, 64, 2))])
    anchor = f"<trust-anchor><name>f</name><certificate>{base64.b64encode(der).decode()}</certificate></trust-anchor>"
    entry = f"<id>5</id><fingerprint>{fingerprint}</fingerprint><map-type>x:common-name</map-type>"
    entry = f"<cert-to-name>{entry}</cert-to-name>"
    assert known(site, client) == (False, 401)
    site.change(anchor)
    assert known(site, client) == (False, 401)  # trusted, and nobody
    site.change(entry)
    assert known(site, client) == (True, 200)
    site.change('<trust-anchor nc:operation="delete"><name>f</name></trust-anchor>')
    assert known(site, client) == (False, 401)
    site.change(anchor)
    assert known(site, client) == (True, 200)
    site.change('<cert-to-name nc:operation="delete"><id>5</id></cert-to-name>')
    assert known(site, client) == (False, 401)
    assert site.stop()[0] == 0


def known(site: Site, client: Certificate) -> tuple[bool, int]:
    """Is there a session over TLS, and what does RESTCONF answer (401 as well when TLS fails)?"""
    (site.folder / "client.pem").write_bytes(client.certificate)
    (site.folder / "client.key").write_bytes(client.private)
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    context.load_cert_chain(site.folder / "client.pem", site.folder / "client.key")
    session = False
    with contextlib.suppress(OSError):
        raw = socket.create_connection(("127.0.0.1", site.ports["NETCONF over TLS"]), timeout=20)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as stream:
            stream.sendall(HELLO + rpc("<close-session/>"))
            session = b"<session-id>" in stream.recv(65536)
    web = http.client.HTTPSConnection("127.0.0.1", site.ports["RESTCONF (https)"], timeout=20, context=context)
    try:
        web.request("GET", "/restconf/yang-library-version")
        status = web.getresponse().status
    except OSError:
        status = 401
    finally:
        web.close()
    return session, status
