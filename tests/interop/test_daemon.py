"""`nms serve` from outside: on modules it has never seen, with sessions of every kind open when it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from nms.netconf.messages import NETCONF, hello

ROOT = Path(__file__).parents[2]
NETWORK = "urn:example:network"
END = b"]]>]]>"


@dataclass
class Daemon:
    """A folder with a configuration, and the process that serves it."""

    folder: Path
    process: subprocess.Popen[str] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "nms.toml"

    def start(self) -> dict[str, int]:
        """Start it; the ports by listener."""
        command = [sys.executable, "-m", "nms.cli", "serve", "--config", str(self.config)]
        command += ["--pid-file", str(self.folder / "pid")]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert " listens: " in said, self.process.communicate()[1]
        return {part.rpartition(" on ")[0]: int(part.rpartition(":")[2]) for part in said.split(", ") if "127" in part}

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it complained of."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _, complaints = self.process.communicate(timeout=20)
        return self.process.returncode, complaints

    def session(self) -> socket.socket:
        """An open NETCONF session on the Unix socket."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(str(self.folder / "socket"))
        client.sendall(hello(["urn:ietf:params:netconf:base:1.0"]) + END)
        until_end(client)
        return client


def until_end(client: socket.socket) -> bytes:
    received = b""
    while END not in received:
        part = client.recv(65536)
        assert part, received
        received += part
    return received


def rpc(operation: str) -> bytes:
    return f'<rpc xmlns="{NETCONF}" message-id="1">{operation}</rpc>'.encode() + END


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "host_key")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    daemon = Daemon(tmp_path)
    daemon.config.write_text(f"""
        domain.id = "generic"
        yang = {{ path = ["{ROOT}/tests/conformance/models"], modules = ["example-network"] }}
        store.path = "store"
        restconf = {{ listen = "127.0.0.1:0", insecure = true }}
        user = [{{ name = "{user}", recovery = true }}]
        [netconf]
        ssh = {{ listen = "127.0.0.1:0", host-key = "host_key" }}
        unix = {{ path = "socket" }}
        """)
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.communicate()


def test_it_stops_cleanly_whatever_is_open(daemon: Daemon) -> None:
    ports = daemon.start()
    with ExitStack() as stack:
        for port in ports.values():  # half open: not a word is said
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        idle, deaf = (stack.enter_context(daemon.session()) for _ in range(2))
        idle.sendall(rpc("<lock><target><running/></target></lock>"))
        assert b"<ok/>" in until_end(idle)
        deaf.sendall(rpc("<get/>") * 500)  # and never reads
        assert daemon.stop() == (0, "")
    assert sorted(file.name for file in daemon.folder.iterdir() if file.name in ("pid", "socket")) == []


def test_what_was_confirmed_in_a_burst_survives_a_kill(daemon: Daemon) -> None:
    daemon.start()
    confirmed = []
    assert daemon.process is not None
    with daemon.session() as client:
        for number in range(100):
            edit = f'<network xmlns="{NETWORK}"><node><id>n{number}</id></node></network>'
            config = f"<target><running/></target><config>{edit}</config>"
            client.sendall(rpc(f"<edit-config>{config}</edit-config>"))
            assert b"<ok/>" in until_end(client)
            confirmed.append(f"<id>n{number}</id>".encode())
        client.sendall(rpc(f"<edit-config>{config.replace('n99', 'late')}</edit-config>"))
        os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.communicate()
    daemon.start()
    with daemon.session() as client:
        client.sendall(rpc("<get-config><source><running/></source></get-config>"))
        running = until_end(client)
    assert [name for name in confirmed if name not in running] == []
    assert daemon.stop() == (0, "")


SLOW = """module slow { yang-version 1.1; namespace "urn:slow"; prefix s;
  leaf most { type uint8; default 9; }
  list thing { key id; leaf id { type string; } leaf size { type uint8; must ". <= /s:most"; } } }"""


def test_slow_constraints_of_any_model_are_counted_by_name(daemon: Daemon) -> None:
    (daemon.folder / "slow.yang").write_text(SLOW)
    text = daemon.config.read_text().replace(f"{ROOT}/tests/conformance/models", str(daemon.folder))
    daemon.config.write_text(text.replace("example-network", "slow"))
    daemon.start()
    things = "".join(f'<thing xmlns="urn:slow"><id>{name}</id><size>1</size></thing>' for name in "ab")
    with daemon.session() as client:

        def told(operation: str) -> etree._Element:
            client.sendall(rpc(operation))
            return etree.fromstring(until_end(client).removesuffix(END))

        def counted() -> list[tuple[str, str]]:
            state = told('<get><filter><validation xmlns="urn:mec-nms:yang:mec-nms-validation"/></filter></get>')
            rows = state.iterfind(".//{*}slow-constraint")
            return [(row.findtext("{*}name", ""), row.findtext("{*}fallbacks", "")) for row in rows]

        def edit(config: str) -> None:
            ok = told(f"<edit-config><target><running/></target><config>{config}</config></edit-config>")
            assert ok.find("{*}ok") is not None

        edit(things)
        assert counted() == []
        for most in (8, 7):
            edit(f'<most xmlns="urn:slow">{most}</most>')
        assert counted() == [("/slow:thing/slow:size: must . <= /slow:most", "2")]
    assert daemon.stop() == (0, "")


@pytest.mark.parametrize("target", ["running", "candidate"])
def test_what_a_when_no_longer_allows_is_deleted(daemon: Daemon, target: str) -> None:
    model = "leaf mode { type string; } leaf speed { when \"../mode = 'fast'\"; type uint8; }"
    (daemon.folder / "slow.yang").write_text(SLOW.replace("leaf most", f"{model} leaf most", 1))
    text = daemon.config.read_text().replace(f"{ROOT}/tests/conformance/models", str(daemon.folder))
    daemon.config.write_text(text.replace("example-network", "slow"))
    daemon.start()
    with daemon.session() as client:

        def edit(config: str) -> bytes:
            config = config.replace(">", ' xmlns="urn:slow">', 1).replace("<speed>", '<speed xmlns="urn:slow">')
            client.sendall(rpc(f"<edit-config><target><{target}/></target><config>{config}</config></edit-config>"))
            until_end(client)
            client.sendall(rpc("<commit/>"))
            until_end(client)
            client.sendall(rpc("<get-config><source><running/></source></get-config>"))
            return until_end(client)

        assert b">7</speed>" in edit("<mode>fast</mode><speed>7</speed>")
        shown = edit("<mode>slow</mode>")
        assert b">slow</mode>" in shown
        assert b"speed" not in shown
        assert b"speed" not in edit("<mode>slow</mode><speed>7</speed>")
    assert daemon.stop() == (0, "")


@pytest.mark.parametrize(
    ("was", "is_", "said"),
    [
        ("127.0.0.1:0", "no-such-host.invalid:1", "[netconf.ssh] listen: cannot listen on no-such-host.invalid:1: "),
        ('unix = { path = "socket"', 'unix = { path = "none/socket"', "[netconf.unix] path: cannot listen on "),
        ("example-network", "example-netwrok", "example-netwrok"),
        ('store.path = "store"', 'store = { path = ":memory:", startup = "entities" }', "document type declaration"),
        ('store.path = "store"', 'store.path = "entities"', "is not a database"),
    ],
)
def test_what_is_wrong_is_one_line(daemon: Daemon, was: str, is_: str, said: str) -> None:
    (daemon.folder / "entities").write_text(f'<!DOCTYPE x [<!ENTITY e "v">]><network xmlns="{NETWORK}"/>')
    text = daemon.config.read_text()
    # the host of SSH alone: plain RESTCONF has to be on a loopback address
    head, ssh, tail = text.partition("ssh = {")
    daemon.config.write_text(head + ssh + tail.replace(was, is_) if was.startswith("127") else text.replace(was, is_))
    command = [sys.executable, "-m", "nms.cli", "serve", "--config", str(daemon.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert "Unknown error" not in done.stderr
