"""`nms serve` on the inventory: NETCONF over SSH and TLS, RESTCONF over HTTPS, its journal on the disk of `folder`."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nms.pki import Authority, ssh_key_pair, write_new
from tests.bench.channel import Lost, SshLogin
from tests.bench.processes import Processes
from tests.bench.subject import Listener, Subject

MODELS: Final = Path(__file__).parent / "models"
_ROOT: Final = Path(__file__).parents[2]
_HOST: Final = "127.0.0.1"
_USER: Final = "bench"
_CONFIGURATION: Final = """
[domain]
id = "bench"
[yang]
path = ["{models}"]
modules = ["inventory"]
[store]
path = "store"
{sync}
[netconf.ssh]
listen = "127.0.0.1:0"
host-key = "host_key"
[netconf.tls]
listen = "127.0.0.1:0"
cert = "server.pem"
key = "server_key.pem"
client-ca = "authority.pem"
[restconf]
listen = "127.0.0.1:0"
cert = "server.pem"
key = "server_key.pem"
client-ca = "authority.pem"
max-answer = "1024 MiB"
[[user]]
name = "{user}"
authorized-keys = ["id.pub"]
certificates = ["{fingerprint}"]
recovery = true
"""


class Server:
    """A daemon that can be started, stopped and started again on what it has kept.

    Args:
        folder: empty; gets its configuration, keys and journal.
        sync: whether it waits for its disk before it says ok.
    """

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        host, user = ssh_key_pair("host"), ssh_key_pair(_USER)
        authority = Authority("bench", datetime.now(UTC))
        server, client = authority.server(_HOST, [_HOST]), authority.client(_USER)
        files = {
            "host_key": host.private,
            "id": user.private,
            "id.pub": user.public.encode() + b"\n",
            "authority.pem": authority.own.certificate,
            "server.pem": server.certificate,
            "server_key.pem": server.private,
            "client.pem": client.certificate + client.private,
            "nms.toml": _CONFIGURATION.format(
                models=MODELS, sync="" if sync else "sync = false", user=_USER, fingerprint=client.fingerprint
            ).encode(),
        }
        for name, content in files.items():
            write_new(folder / name, content)
        self._context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        self._context.load_cert_chain(folder / "client.pem")

    def start(self) -> float:
        """Start it; the seconds until it listens.

        Raises:
            Lost: it does not start; it has said why on its standard error.
        """
        began = time.perf_counter()
        command = [sys.executable, "-m", "nms.cli", "serve", "--config", str(self._folder / "nms.toml")]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        took = time.perf_counter() - began
        if " listens: " not in said:
            self.stop()
            raise Lost("nms serve did not start")
        self._ports = [int(part.rpartition(":")[2]) for part in said.split(", ")]
        return took

    def stop(self) -> None:
        """End it if it runs, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None

    @property
    def processes(self) -> Processes:
        """What it runs as now."""
        assert self._process is not None
        return Processes([self._process.pid])

    def subject(self) -> Subject:
        """Where it listens now."""
        ssh, tls, restconf = self._ports
        return Subject(
            SshLogin(_HOST, ssh, _USER, self._folder / "id"),
            self.processes,
            Listener(_HOST, tls, self._context),
            Listener(_HOST, restconf, self._context),
        )
