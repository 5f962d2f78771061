"""OpenSSH's server in front of the daemon: `Subsystem netconf` runs the forwarder, the login user is NETCONF's user."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree
from ncclient import manager
from ncclient.transport.errors import SessionCloseError

from nms.netconf.messages import hello
from tests.interop.test_daemon import ROOT, Daemon, rpc, until_end

ME = pwd.getpwuid(os.getuid()).pw_name
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
SESSIONS = f'<get><filter><netconf-state xmlns="{MONITORING}"><sessions/></netconf-state></filter></get>'
END = b"]]>]]>"


@dataclass
class OpenSsh:
    """A running sshd, and how to log in."""

    port: int
    key: Path
    known_hosts: Path

    def command(self, *arguments: str) -> list[str]:
        """OpenSSH's client."""
        options = ["BatchMode=yes", f"UserKnownHostsFile={self.known_hosts}", "IdentitiesOnly=yes", "LogLevel=ERROR"]
        return [
            "ssh", "-F", "none", "-i", str(self.key), "-p", str(self.port), "-T",
            *(part for option in options for part in ("-o", option)),
            f"{ME}@127.0.0.1", *arguments,
        ]  # fmt: skip

    def session(self) -> Any:
        """A session of ncclient's."""
        return manager.connect_ssh(
            host="127.0.0.1",
            port=self.port,
            username=ME,
            key_filename=str(self.key),
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=20,
        )


@pytest.fixture
def openssh(tmp_path: Path, need: Callable[[str, str], str]) -> Iterator[OpenSsh]:
    """sshd as this user, which then is the only one who can log in; the file is that of docs/transports.md."""
    need("ssh", "openssh-client")
    # with its whole path: sshd starts itself again for each connection, and is not on everybody's PATH
    program = need("/usr/sbin/sshd", "openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation, as the service makes it
    for name in ("ssh_host_key", "id"):
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / name)
        (tmp_path / name).chmod(0o600)
    public = asyncssh.read_private_key(tmp_path / "id").export_public_key().decode()
    (tmp_path / "authorized_keys").write_text(public)
    forwarder = f"/usr/bin/env PYTHONPATH={ROOT} {sys.executable} -m nms.transport.forward {tmp_path}/socket"
    (tmp_path / "sshd_config").write_text(f"""
        HostKey {tmp_path}/ssh_host_key
        PidFile none
        AuthorizedKeysFile {tmp_path}/authorized_keys
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        Subsystem netconf {forwarder}
        """)
    process, port = _started(program, tmp_path / "sshd_config")
    try:
        host_key = asyncssh.read_private_key(tmp_path / "ssh_host_key").export_public_key().decode()
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
        yield OpenSsh(port, tmp_path / "id", tmp_path / "known_hosts")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _started(program: str, file: Path) -> tuple[subprocess.Popen[str], int]:
    """sshd does not take port 0: a free one may be gone when it comes to bind it, and then another one is tried."""
    said = ""
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [program, "-D", "-e", "-f", str(file), "-o", f"Port={port}", "-o", "ListenAddress=127.0.0.1"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if "Server listening" in line:
                return process, port
        process.communicate()
    raise AssertionError(said)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    daemon.config.write_text(f"""
        domain.id = "generic"
        yang = {{ path = ["{ROOT}/tests/conformance/models"], modules = ["example-network"] }}
        store.path = ":memory:"
        netconf.unix = {{ path = "socket", mode = "0600" }}
        user = [{{ name = "{ME}" }}]
        """)
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.communicate()


def test_ssh_subsystem(openssh: OpenSsh, daemon: Daemon) -> None:
    daemon.start()
    data = hello(["urn:ietf:params:netconf:base:1.0"]) + END + rpc(SESSIONS) + rpc("<close-session/>")
    done = subprocess.run(openssh.command("-s", "netconf"), input=data, capture_output=True, timeout=30, check=False)
    greeting, sessions, closed, rest = done.stdout.split(END)
    assert (done.returncode, done.stderr, rest) == (0, b"", b"")
    assert b"<session-id>" in greeting
    assert etree.fromstring(sessions).xpath("//m:session/m:username/text()", namespaces={"m": MONITORING}) == [ME]
    assert b"<ok/>" in closed
    assert daemon.stop() == (0, "")


def test_ncclient(openssh: OpenSsh, daemon: Daemon) -> None:
    daemon.start()
    edit = '<config><network xmlns="urn:example:network"><node><id>n1</id></node></network></config>'
    with openssh.session() as session:
        found = session.get(filter=("subtree", f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>'))
        assert found.data_ele.xpath("//m:username/text()", namespaces={"m": MONITORING}) == [ME]
        with pytest.raises(Exception, match="denied"):  # a plain user: access control knows its name
            session.edit_config(target="running", config=edit)
    assert daemon.stop() == (0, "")


@pytest.mark.parametrize("running", [True, False])
def test_who_is_not_admitted_gets_no_session(openssh: OpenSsh, daemon: Daemon, running: bool) -> None:
    if running:
        daemon.config.write_text(daemon.config.read_text().replace(f'name = "{ME}"', 'name = "somebody-else"'))
        daemon.start()
    done = subprocess.run(
        openssh.command("-s", "netconf"), input=hello(["urn:ietf:params:netconf:base:1.0"]) + END,
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    # sshd keeps what a subsystem writes to its standard error for itself: the exit status is what the client learns
    assert (done.returncode, done.stdout) == (1, b"")
    if running:
        with pytest.raises(SessionCloseError):
            openssh.session()
        code, complaints = daemon.stop()
        assert code == 0
        assert f"system user {ME} is no user of this server" in complaints


def test_a_session_outlives_neither_side(openssh: OpenSsh, daemon: Daemon) -> None:
    """The daemon ends: the client sees the end of its session, not silence."""
    daemon.start()
    client = subprocess.Popen(openssh.command("-s", "netconf"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(hello(["urn:ietf:params:netconf:base:1.0"]) + END + rpc(SESSIONS))
    client.stdin.flush()
    assert b"<hello" in client.stdout.read1()  # type: ignore[attr-defined]
    with daemon.session() as other:
        other.sendall(rpc(SESSIONS))
        assert until_end(other).count(f"<username>{ME}</username>".encode()) == 2
    assert daemon.stop() == (0, "")
    client.communicate(timeout=20)
    assert client.returncode == 0
