"""Real name servers for tests: BIND's named and Knot's knotd as processes of this user, on a free port, in a folder."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query

from tests.ports import free_port

ZONE = "edge.test"
KEY, OTHER_KEY = "mep", "stranger"
SECRET = "bWVjLW5tcyBpcyB0ZXN0ZWQgd2l0aCB0aGlzIGtleSE="
OTHER_SECRET = "c29tZWJvZHkgZWxzZSBoYXMgdGhpcyBvdGhlciBrZXk="

ZONE_FILE = f"""$ORIGIN {ZONE}.
@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 5
@ 300 IN NS ns1
ns1 300 IN A 127.0.0.1
shared 300 IN A 192.0.2.1
"""

BIND = """
options {{
  directory "{folder}"; pid-file "{folder}/pid"; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; allow-transfer {{ none; }}; notify no;
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
key "{other_key}" {{ algorithm hmac-sha256; secret "{other_secret}"; }};
zone "{zone}" {{ type primary; file "{zone}.zone"; update-policy {{ grant {key} zonesub A AAAA; }}; }};
"""

KNOT = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
database:
    storage: "{folder}"
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
  - id: {other_key}
    algorithm: hmac-sha256
    secret: {other_secret}
acl:
  - id: updates
    key: {key}
    action: update
template:
  - id: default
    storage: "{folder}"
    file: "%s.zone"
zone:
  - domain: {zone}
    acl: updates
"""

#: kind of server -> program, its Debian package, its configuration, and its arguments for running in the foreground
KINDS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "bind": ("named", "bind9", BIND, ("-g", "-n", "1", "-c")),
    "knot": ("knotd", "knot", KNOT, ("-c",)),
}


@dataclass(frozen=True)
class NameServer:
    """A server at work, and how a client is configured for it."""

    port: int
    process: subprocess.Popen[bytes]
    config: dict[str, Any]

    def pause(self) -> None:
        """It takes connections and answers nothing, as a machine does that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers again."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """It is gone."""
        self.process.kill()
        self.process.wait()

    def ask(self, name: str, type: str = "A") -> list[tuple[str, int]]:
        """What any client is answered, in order: addresses with their TTL."""
        query = dns.message.make_query(f"{name}.{ZONE}", type)
        answer = dns.query.udp(query, "127.0.0.1", port=self.port, timeout=5)
        return sorted((rdata.to_text(), rrset.ttl) for rrset in answer.answer for rdata in rrset)


def key_file(path: Path, secret: str = SECRET, mode: int = 0o600) -> Path:
    """A file with a secret."""
    path.write_text(secret + "\n")
    path.chmod(mode)
    return path


@contextmanager
def running(kind: str, folder: Path, need: Callable[[str, str], str]) -> Iterator[NameServer]:
    """A fresh server of a kind, answering for `ZONE`."""
    name, package, template, arguments = KINDS[kind]
    program = need(name, package)
    folder.mkdir()
    (folder / f"{ZONE}.zone").write_text(ZONE_FILE)
    settings = {"key": KEY, "secret": SECRET, "other_key": OTHER_KEY, "other_secret": OTHER_SECRET, "zone": ZONE}
    log = folder / "log"
    for _ in range(3):  # the free port may be taken by another test before the server has it
        port = free_port()
        (folder / "config").write_text(template.format(folder=folder, port=port, **settings))
        with log.open("ab") as output:
            process = subprocess.Popen(
                [program, *arguments, str(folder / "config")], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=folder,
            )  # fmt: skip
        try:
            if _answers(port, process):
                key = key_file(folder / "tsig.key")
                config = {"server": "127.0.0.1", "port": port, "zones": [ZONE], "key-name": KEY, "key-file": str(key)}
                yield NameServer(port, process, config)
                return
        finally:
            process.kill()
            process.wait()
    raise AssertionError(f"{name} does not answer: {log.read_text(errors='replace')[-2000:]}")


def _answers(port: int, process: subprocess.Popen[bytes], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    query = dns.message.make_query(ZONE, "SOA")
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = dns.query.tcp(query, "127.0.0.1", port=port, timeout=1)
        except (dns.exception.Timeout, OSError, EOFError):
            time.sleep(0.02)
            continue
        if answer.flags & dns.flags.AA:
            return True
    return False
