"""Two daemons, each a process of its own; B is killed at each phase of a deployment and comes back, or does not."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from ncclient import manager

from nms import config as configuration
from nms import init
from nms.client import Client
from nms.commands.partner import agree
from nms.errors import RpcError
from nms.federation import card
from nms.federation.client import PROTOCOLS
from nms.mec import package
from tests.federation.two_domains import OVER_BOTH
from tests.ports import free_port

T = TypeVar("T")
DEADLINE = 40.0
SAMPLE = Path(package.__file__).parent / "sample" / "hello-edge"
AT_B = "mec-federation:federation/partner=a/agreement=ab/mec-system:system"
DEPLOYMENT = "mec-system:system/deployment=web"

pytestmark = pytest.mark.timeout(150)


@dataclass
class Daemon:
    """One domain; `config` is of its folder."""

    id: str
    folder: Path
    config: configuration.Config
    client: Client
    process: subprocess.Popen[bytes] | None = None
    logs: list[Path] = field(default_factory=list)

    def start(self) -> None:
        """Run the daemon until it listens."""
        self.launch()
        self.listening()

    def launch(self) -> None:
        """Run the daemon."""
        log = self.folder / f"log-{len(self.logs)}"
        self.logs.append(log)
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nms.cli", "serve", "--config", str(self.folder / init.CONFIG_NAME)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
            )

    def listening(self) -> None:
        """Wait until it says so."""
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), self.logs[-1].read_text()

    def end(self, number: int, patience: float = 20) -> int | None:
        """Send the daemon a signal and wait for its end; its exit code."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(patience)
        finally:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()

    def read(self, path: str) -> dict[str, Any]:
        """What is at an api-path, {} also while it does not listen."""
        try:
            return self.client.read(path)
        except (OSError, RpcError):
            return {}

    def federation_state(self, partner: str) -> str:
        """State of its agreement."""
        found = self.read(f"mec-federation:federation/partner={partner}/agreement=ab/state")
        return str(found.get("federation-state", "")).rpartition(":")[2]


def until(what: str, check: Callable[[], T | None]) -> T:
    """Ask until there is an answer."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {DEADLINE:.0f} s: {what}")


@contextlib.contextmanager
def running(folder: Path, name: str) -> Iterator[Daemon]:
    """A fresh domain's daemon, not listening yet."""
    block = f"127.{random.SystemRandom().randrange(82, 255)}.{random.SystemRandom().randrange(256)}.0/24"
    ports = init.Ports(ssh=free_port(), tls=free_port(), restconf=free_port(), dns=free_port())
    init.init(folder, now=datetime.now(UTC), domain_id=name, ports=ports, address_block=block)
    file = folder / init.CONFIG_NAME
    daemon = Daemon(name, folder, configuration.load(file), Client.of(file))
    daemon.launch()
    try:
        yield daemon
    finally:
        daemon.end(signal.SIGTERM)
        _sweep(folder)


def _sweep(folder: Path) -> None:
    """End what a killed daemon has left running below its folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    os.kill(int(entry.name), signal.SIGKILL)


@pytest.fixture
def two(tmp_path: Path, protocol: str) -> Iterator[tuple[Daemon, Daemon]]:
    """A, and B that offers its zone to A; the package is on-boarded at A."""
    with running(tmp_path / "a", "a") as a, running(tmp_path / "b", "b") as b:
        a.listening()
        b.listening()
        cards = {daemon.id: card.of(daemon.config, daemon.folder) for daemon in (a, b)}
        terms: dict[str, Any] = {"agreement": "ab", "zones": ["zone-1"], "protocol": protocol or PROTOCOLS[0]}
        agree(b.client, cards["a"], role="provider", **terms)
        agree(a.client, cards["b"], role="consumer", **terms)
        for daemon, other in ((a, "b"), (b, "a")):
            until(f"{daemon.id} is federated", lambda d=daemon, o=other: d.federation_state(o) == "active")
        onboard(a)
        yield a, b


def onboard(a: Daemon) -> None:
    """The package is on-boarded at A, and A sees B's zone."""
    file = a.folder / "hello.csar"
    info = package.build(SAMPLE, file)
    with file.open("rb") as content:
        a.client.upload(info.digest, content, info.size)
    wanted = {"id": "hello", "digest": info.digest, "size": str(info.size)}
    a.client.write("PATCH", "mec-system:system", {"mec-system:system": {"package": [wanted]}})
    until("a has the package", lambda: _onboarded(a))
    until("a sees b's zone", lambda: a.read("mec-system:system/zone=b.zone-1"))


def _onboarded(a: Daemon) -> bool:
    state = a.read("mec-system:system/package=hello").get("state", {})
    return str(state.get("onboarding-state", "")).endswith("onboarded")


def deploy(a: Daemon) -> None:
    """Ask for a deployment in B's zone."""
    wish = {"id": "web", "package": "hello", "acceptable-zone": ["b.zone-1"]}
    a.client.write("PATCH", "mec-system:system", {"mec-system:system": {"deployment": [wish]}})


def endpoint(a: Daemon, name: str = "web") -> dict[str, Any] | None:
    """Where the application is used, once it runs."""
    state = a.read(f"mec-system:system/deployment={name}").get("state", {})
    found = [each for instance in state.get("instance", ()) for each in instance.get("endpoint", ())]
    return found[0] if found and str(state.get("operational-state", "")).endswith("started") else None


def answers(where: dict[str, Any]) -> bool:
    """Does the application serve HTTP?"""
    try:
        with urllib.request.urlopen(f"http://{where['address']}:{where['port']}/status", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def waits(a: Daemon) -> dict[str, Any] | None:
    """A's occurrence of the deployment that has failed for the time being, or for good."""
    for each in a.read("mec-system:system").get("operation-occurrence", ()):
        if each["subject"] == "web" and str(each["state"]).rpartition(":")[2] in ("failed-temp", "failed"):
            return dict(each)
    return None


def retried(a: Daemon) -> None:
    """An operator tries again what waits for that: b may have been back too short a time."""
    occurrence = waits(a)
    if occurrence is not None and str(occurrence["state"]).endswith("failed-temp"):
        a.client.invoke(f"data/mec-system:system/operation-occurrence={occurrence['id']}/retry")


def withdraw(a: Daemon, b: Daemon) -> None:
    """The customer cancels; nothing is left at B."""
    a.client.write("DELETE", DEPLOYMENT)
    until("b has nothing deployed", lambda: not b.read(AT_B).get("deployment"))
    until("a has nothing deployed", lambda: not a.read(DEPLOYMENT))
    until("b runs nothing", lambda: not b.read("mec-resource:infrastructure/vim=vim-1").get("compute-instance"))


def test_the_provider_dies_before_and_comes_back(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    b.end(signal.SIGKILL)
    until("a shows that b is gone", lambda: a.read("mec-federation:federation/partner=b/state")["reachable"] is False)
    zone = until("b's zone is down", lambda: _down(a))
    assert zone["partner"] == "b"
    b.start()
    until("a shows that b is back", lambda: a.read("mec-federation:federation/partner=b/state")["reachable"] is True)
    assert a.federation_state("b") == "active"
    deploy(a)
    assert answers(until("it runs", lambda: endpoint(a)))
    withdraw(a, b)


def _down(a: Daemon) -> dict[str, Any] | None:
    zone = a.read("mec-system:system/zone=b.zone-1")
    return zone if str(zone.get("state", "")).endswith("down") else None


def test_the_provider_dies_in_the_middle_and_comes_back(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    deploy(a)
    until("b was asked", lambda: b.read(AT_B).get("package"))
    b.end(signal.SIGKILL)
    b.start()

    def settled() -> bool:
        return endpoint(a) is not None or waits(a) is not None

    until("a knows how it ended", settled)
    occurrence = waits(a)
    if occurrence is not None and str(occurrence["state"]).endswith("failed-temp"):
        until("a shows that b is back", lambda: a.read("mec-federation:federation/partner=b/state")["reachable"])
        assert answers(until("it runs", lambda: endpoint(a) or retried(a)))
    withdraw(a, b)


@OVER_BOTH
def test_the_provider_dies_while_it_is_used_and_comes_back(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    b.end(signal.SIGKILL)
    until("a shows that b is gone", lambda: a.read("mec-federation:federation/partner=b/state")["reachable"] is False)
    b.start()
    until("a shows that b is back", lambda: a.read("mec-federation:federation/partner=b/state")["reachable"] is True)
    assert answers(until("it runs again", lambda: endpoint(a))) or where
    withdraw(a, b)


PLATFORM = "mec-platform:platforms/platform=mep-1"


def _maps(a: Daemon) -> dict[str, Any]:
    """What A's registry has of the service that B's platform offers, as a NETCONF client finds it: not local."""
    with manager.connect_ssh(
        host="127.0.0.1",
        port=a.config.netconf.ssh.listen.port,  # type: ignore[union-attr]
        username=init.ADMIN,
        key_filename=str(a.folder / "admin_key"),
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
    ) as session:
        model = "urn:mec-nms:yang:mec-platform"
        path = "/mpf:platforms/mpf:platform/mpf:service[mpf:state/mpf:is-local='false']"
        reply = session.get(filter=("xpath", ({"mpf": model}, path)))
    (service,) = reply.data_ele.iter(f"{{{model}}}service") or (None,)
    name, state = (service.findtext(f".//{{{model}}}{leaf}") for leaf in ("name", "state/{*}state"))
    return {"name": name, "state": str(state).rpartition(":")[2]}


@OVER_BOTH
def test_services_of_a_provider_that_is_killed(two: tuple[Daemon, Daemon]) -> None:
    """Its services are suspended while it is gone, and come back with it (Mp3)."""
    a, b = two
    for daemon, other in ((a, "b"), (b, "a")):
        joined = {"interconnection": {"enabled": True, "share-services": True}}
        path = f"mec-federation:federation/partner={other}/agreement=ab"
        daemon.client.write("PATCH", path, {"mec-federation:agreement": [{"id": "ab", **joined}]})
    maps = {"id": "s", "name": "maps", "consumed-local-only": False, "uri": ["https://198.51.100.7/maps"]}
    b.client.write("PUT", f"{PLATFORM}/service=s", {"mec-platform:service": [maps]})
    path = f"{PLATFORM}/peer=b,ab"
    until("a has learnt it", lambda: a.read(path).get("services"))
    assert _maps(a) == {"name": "maps", "state": "active"}
    b.end(signal.SIGKILL)
    until("it is suspended", lambda: a.read(path)["state"] == "mec-types:suspended")
    assert _maps(a) == {"name": "maps", "state": "suspended"}
    b.start()
    until("it is back", lambda: a.read(path)["state"] == "mec-types:active")
    assert _maps(a) == {"name": "maps", "state": "active"}
    b.client.write("DELETE", f"{PLATFORM}/service=s")
    until("it is gone", lambda: a.read(path).get("services") == 0)
    for log in (*a.logs, *b.logs):
        assert "Traceback" not in log.read_text()


def test_the_consumer_dies_while_it_is_used_and_comes_back(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    a.end(signal.SIGKILL)
    assert answers(where)
    a.start()
    until("a is federated again", lambda: a.read("mec-federation:federation/partner=b/state").get("reachable"))
    assert until("a knows of it again", lambda: endpoint(a)) == where
    withdraw(a, b)


def test_a_provider_that_never_comes_back_is_removed(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    deploy(a)
    until("it runs", lambda: endpoint(a))
    b.end(signal.SIGKILL)
    a.client.write("DELETE", "mec-federation:federation/partner=b")
    orphans = until("a lists orphans", lambda: a.read("mec-federation:federation").get("orphan"))
    assert {orphan["partner"] for orphan in orphans} == {"b"}
    alarms = a.read("mec-system:system").get("alarm", ())
    assert any(str(alarm["alarm-type-id"]).endswith("orphan-alarm") for alarm in alarms)
    until("b's zone is gone", lambda: not a.read("mec-system:system/zone=b.zone-1"))


def test_a_stopped_provider_is_not_ready_and_nobody_else_waits_for_it(two: tuple[Daemon, Daemon]) -> None:
    """It accepts connections and never answers: worse than dead."""
    a, b = two
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    assert b.process is not None
    b.process.send_signal(signal.SIGSTOP)
    try:
        until("b's zone is down", lambda: _down(a))
        assert a.read("mec-federation:federation/partner=b/state")["reachable"] is False
        wish = {"id": "own", "package": "hello", "acceptable-zone": ["zone-1"]}
        a.client.write("PATCH", "mec-system:system", {"mec-system:system": {"deployment": [wish]}})
        until("a's own runs", lambda: endpoint(a, "own"))
        assert answers(where)  # what runs there is used without b's daemon (Table 4, phase 4)
        a.client.write("DELETE", DEPLOYMENT)
        orphans = until("a lists an orphan", lambda: a.read("mec-federation:federation").get("orphan"))
        assert [orphan["subject"] for orphan in orphans] == ["web"]
    finally:
        b.process.send_signal(signal.SIGCONT)
    until("the orphan is settled", lambda: not a.read("mec-federation:federation").get("orphan"))
    until("b has nothing deployed", lambda: not b.read(AT_B).get("deployment"))
    until("nobody answers there", lambda: not answers(where))


def _repair(daemon: Daemon, path: str) -> None:
    """Have it make right what it finds to be otherwise."""
    name = path.rpartition("/")[2].partition("=")[0]
    entry: dict[str, Any] = {"id": path.rpartition("=")[2], "reconciliation": {"policy": "repair", "interval": 1}}
    module = "mec-federation" if name == "agreement" else "mec-resource"
    daemon.client.write("PATCH", path, {f"{module}:{name}": [entry]})


def test_a_provider_that_was_restored_from_a_backup(two: tuple[Daemon, Daemon]) -> None:
    """B's backup is older than what A has there: A has it made again."""
    a, b = two
    _repair(a, "mec-federation:federation/partner=b/agreement=ab")
    b.end(signal.SIGTERM)
    backup = {file: file.read_bytes() for file in b.folder.rglob("*") if file.is_file() and "store.db" in file.name}
    assert backup
    b.start()
    until("a shows that b is back", lambda: a.read("mec-federation:federation/partner=b/state").get("reachable"))
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    b.end(signal.SIGTERM)
    for file in b.folder.rglob("*store.db*"):
        file.unlink()
    for file, content in backup.items():
        file.write_bytes(content)
    b.start()
    until("b holds it again", lambda: b.read(AT_B).get("deployment"))
    until("it runs again", lambda: answers(endpoint(a) or where))
    withdraw(a, b)
    for log in (*a.logs, *b.logs):
        assert "Traceback" not in log.read_text()


def test_what_was_changed_while_the_consumer_was_dead(two: tuple[Daemon, Daemon]) -> None:
    """A knows what was agreed when it is back: the change is found, and made undone."""
    a, b = two
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    a.end(signal.SIGKILL)
    stopped = {"id": "web", "desired-state": "stopped"}
    b.client.write("PATCH", f"{AT_B}/deployment=web", {"mec-system:deployment": [stopped]})
    until("nobody answers", lambda: not answers(where))
    a.start()
    state = "mec-federation:federation/partner=b/agreement=ab/reconciliation/state"
    (finding,) = until("a finds it", lambda: a.read(state).get("finding"))
    assert finding["change"] == [{"name": "desired-state", "shown": '"stopped"'}]
    _repair(a, "mec-federation:federation/partner=b/agreement=ab")
    until("it runs again", lambda: answers(endpoint(a) or where))
    withdraw(a, b)


def test_a_host_that_was_rebooted(two: tuple[Daemon, Daemon]) -> None:
    """Nothing of B runs any more, neither daemon nor instances: when it is back, so is the application."""
    a, b = two
    _repair(b, "mec-resource:infrastructure/vim=vim-1")
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    b.end(signal.SIGKILL)
    _sweep(b.folder)
    until("nobody answers", lambda: not answers(where))
    b.start()
    until("it runs again", lambda: answers(endpoint(a) or where))
    until("b has nothing to repair", lambda: _compared(b))
    withdraw(a, b)


def _compared(b: Daemon) -> bool:
    state = b.read("mec-resource:infrastructure/vim=vim-1/reconciliation/state")
    return "last-run" in state and "finding" not in state


@OVER_BOTH
def test_a_daemon_ends_at_once_whatever_its_partner_does(two: tuple[Daemon, Daemon]) -> None:
    a, b = two
    assert b.process is not None
    b.process.send_signal(signal.SIGSTOP)
    try:
        deploy(a)
        until("it is under way", lambda: a.read("mec-system:system").get("operation-occurrence"))
        # Less than the ten seconds for which A would wait for B's answer.
        assert a.end(signal.SIGTERM, patience=5) == 0
    finally:
        b.process.send_signal(signal.SIGCONT)
    a.start()
    until("it runs, taken up where it was", lambda: endpoint(a))
    a.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        assert b.end(signal.SIGTERM, patience=5) == 0
    finally:
        a.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    b.start()
    until("a shows that b is back", lambda: a.read("mec-federation:federation/partner=b/state").get("reachable"))
    withdraw(a, b)
    for log in (*a.logs, *b.logs):
        assert "Traceback" not in log.read_text()


def test_the_consumer_comes_back_while_the_provider_is_gone(two: tuple[Daemon, Daemon]) -> None:
    """What is known stays known; what cannot be withdrawn is listed, and given back when the provider is back."""
    a, b = two
    deploy(a)
    where = until("it runs", lambda: endpoint(a))
    b.end(signal.SIGKILL)
    a.end(signal.SIGKILL)
    a.start()
    until(
        "a says that b does not answer", lambda: a.read("mec-federation:federation/partner=b/state").get("last-error")
    )
    assert a.federation_state("b") == "active"
    assert endpoint(a) == where
    a.client.write("DELETE", DEPLOYMENT)
    orphans = until("a lists an orphan", lambda: a.read("mec-federation:federation").get("orphan"))
    assert [orphan["subject"] for orphan in orphans] == ["web"]
    b.start()
    until("b has nothing deployed", lambda: b.read(AT_B) and not b.read(AT_B).get("deployment"))
    until("the orphan is settled", lambda: not a.read("mec-federation:federation").get("orphan"))
    until("nobody answers there", lambda: not answers(where))
    for log in (*a.logs, *b.logs):
        assert "Traceback" not in log.read_text()
