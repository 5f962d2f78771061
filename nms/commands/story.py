"""`nms run`: two domains, A and B, and the story of their first interconnection over Mx3.

Each daemon is a process of its own, made by `nms init` in a fresh folder and driven through the same commands that an
operator has.  The story is told step by step as it happens; a step that fails ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import orjson

from nms import config as configuration
from nms import init
from nms.client import Client
from nms.commands import app, output, package, partner
from nms.commands.output import local_name
from nms.errors import RpcError
from nms.federation import card
from nms.mec import package as packages
from nms.mec.domain import load_drivers

_SAMPLE = Path(packages.__file__).parent / "sample" / "hello-edge"
_DEADLINE = 30.0
T = TypeVar("T")


def add(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "run", help="two domains and their story", description="Start two domains, federate them, deploy across."
    )
    parser.add_argument("--once", action="store_true", help="end after the story, even in a terminal")
    parser.add_argument("--folder", type=Path, help="fresh folder for the two domains (default: a temporary one)")
    parser.set_defaults(run=_run)


@dataclass(frozen=True)
class Domain:
    """One running domain of the story."""

    id: str
    folder: Path
    process: subprocess.Popen[bytes]
    config: configuration.Config
    client: Client

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self.folder / init.CONFIG_NAME


class Failed(Exception):
    """A step did not end as it should."""


class Teller:
    """Tells the steps: a numbered title, then what was seen."""

    def __init__(self) -> None:
        self.number = 0
        self.began = time.monotonic()

    def step(self, title: str) -> None:
        self.number += 1
        output.console.print(f"\n[bold]{self.number}. {title}[/bold]")

    def note(self, text: str) -> None:
        output.say(f"   {time.monotonic() - self.began:6.2f} s  {text}")


def _run(args: argparse.Namespace) -> int:
    stay = not args.once and sys.stdin.isatty() and sys.stdout.isatty()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="mec-nms-"))
    teller = Teller()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with contextlib.ExitStack() as stack:
            if args.folder is None:
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                a, b = _start(teller, folder, stack)
                _federate(teller, a, b)
                _onboard(teller, a)
                where = _order(teller, a, b)
                _use(teller, b, where)
                _look(teller, a, b)
                if stay:
                    _invite(a, b, where)
                    with contextlib.suppress(KeyboardInterrupt):
                        signal.pause()
                _terminate(teller, a, b, where)
            except (Failed, RpcError) as error:
                for log in sorted(folder.glob("*.log")):
                    if tail := log.read_text(errors="replace").splitlines()[-12:]:
                        output.complain(f"last lines of {log.name}:\n  " + "\n  ".join(tail))
                output.complain(f"step {teller.number} failed: {error}")
                return 1
        output.say(f"\nThe story took {time.monotonic() - teller.began:.1f} s; nothing is left running.")
        return 0
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _until(what: str, check: Callable[[], T | None]) -> T:
    """Ask again until the answer is not None.

    Raises:
        Failed: it did not come in time.
    """
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        found = check()
        if found is not None:
            return found
        time.sleep(0.05)
    raise Failed(f"{what} did not happen within {_DEADLINE:.0f} s")


# ---------------------------------------------------------------- the steps


def _start(teller: Teller, folder: Path, stack: contextlib.ExitStack) -> tuple[Domain, Domain]:
    teller.step("Two operators each start a MEC domain")
    domains = []
    for number, (name, operator, country) in enumerate((("a", "Operator A", "ES"), ("b", "Operator B", "PT"))):
        domain = _domain(folder / name, f"domain-{name}", operator, country, number, stack)
        teller.note(f"{domain.id} ({operator}) listens: {_addresses(domain)}")
        domains.append(domain)
    return domains[0], domains[1]


def _domain(folder: Path, name: str, operator: str, country: str, number: int, stack: contextlib.ExitStack) -> Domain:
    ports = init.Ports(
        ssh=_port(2831 + number), tls=_port(6511 + number), restconf=_port(8441 + number), dns=_port(10531 + number)
    )
    init.init(
        folder,
        now=datetime.now(UTC),
        domain_id=name,
        operator=operator,
        country=country,
        ports=ports,
        address_block=f"127.{81 + number}.0.0/16",
    )
    file = folder / init.CONFIG_NAME
    log = stack.enter_context((folder.parent / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", "nms.cli", "serve", "--config", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    stack.callback(lambda: asyncio.run(_clear(configuration.load(file))))
    stack.callback(_stop, process)
    assert process.stdout is not None
    if not process.stdout.readline():
        raise Failed(f"the daemon of {name} did not start")
    return Domain(name, folder, process, configuration.load(file), Client.of(file))


def _port(wanted: int) -> int:
    """`wanted` when it is free for TCP and UDP, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            except OSError:
                continue
            return int(tcp.getsockname()[1])
    raise Failed("no free port")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


async def _clear(config: configuration.Config) -> None:
    """End what runs on a domain's infrastructure: a daemon leaves applications running, a story that ends does not."""
    assert config.drivers.state is not None
    vim = load_drivers(config, config.drivers.state).vim
    await vim.open(lambda instance: None)
    try:
        for instance in await vim.list():
            await vim.delete(instance.id, 1.0)
    finally:
        await vim.close()


def _addresses(domain: Domain) -> str:
    config = domain.config
    assert config.netconf.ssh is not None
    assert config.restconf is not None
    return f"NETCONF over SSH {config.netconf.ssh.listen}, RESTCONF {config.restconf.listen}, DNS {_dns(domain)}"


def _dns(domain: Domain) -> str:
    return str(domain.config.drivers.dns.options["listen"])


def _federate(teller: Teller, a: Domain, b: Domain) -> None:
    teller.step("They exchange cards and agree: B offers its zone to A over Mx3 (boundary option 5)")
    cards = {domain.id: card.of(domain.config, domain.folder) for domain in (a, b)}
    zone = b.config.zones[0].id
    partner.agree(b.client, cards[a.id], agreement="a-uses-b", role="provider", zones=[zone])
    partner.agree(a.client, cards[b.id], agreement="a-uses-b", role="consumer", zones=[zone])
    for domain, other in ((a, b), (b, a)):
        _until(f"{domain.id}: agreement with {other.id} active", partial(_active, domain, other))
        teller.note(f"{domain.id}: the agreement with {other.id} is active")
    zones = _until("A sees B's zone", lambda: _remote_zones(a, b))
    for found in zones:
        free = found.get("available", {})
        teller.note(f"{a.id} sees zone {found['id']} of {b.id}: {free.get('cpu')} CPU, {free.get('memory')} MiB free")


def _active(domain: Domain, other: Domain) -> bool | None:
    for entry in partner.partners(domain.client):
        for agreement in entry.get("agreement", ()):
            if (
                entry["id"] == other.id
                and local_name(agreement.get("state", {}).get("federation-state", "")) == "active"
            ):
                return True
    return None


def _remote_zones(a: Domain, b: Domain) -> list[dict[str, Any]] | None:
    found = a.client.read("mec-system:system").get("zone", [])
    return [zone for zone in found if zone.get("partner") == b.id] or None


def _onboard(teller: Teller, a: Domain) -> None:
    teller.step("A's operator builds an application package and on-boards it at A")
    file = a.folder / "hello-edge.csar"
    packages.build(_SAMPLE, file)
    info = packages.verify(file, allow_unsigned=True)
    package.onboard(a.client, file, info, "hello-edge")
    package.follow(a.client, "hello-edge")
    teller.note(f"hello-edge {info.version}: {info.size} bytes, sha-256 {info.digest[:16]}..., on-boarded")


@dataclass(frozen=True)
class Place:
    """Where a client finds the application."""

    name: str
    port: int
    server: tuple[str, int]

    def ask(self) -> str | None:
        """Its address by a DNS query, None when the name does not exist."""
        query = dns.message.make_query(self.name, dns.rdatatype.A)
        try:
            answer = dns.query.udp(query, self.server[0], port=self.server[1], timeout=2)
        except (dns.exception.Timeout, OSError):
            return None
        return next((str(record) for rrset in answer.answer for record in rrset), None)


def _order(teller: Teller, a: Domain, b: Domain) -> Place:
    zone = next(z["id"] for z in _remote_zones(a, b) or ())
    teller.step("A customer orders hello-edge from A (Mx1); it never hears of B")
    app.order(a.client, "order-1", "hello-edge", customer="Ana's Arcade", zones=[zone], dns_name="hello.mec.domain-b")
    for line in _follow(a, "order-1"):
        teller.note(line)
    entry = app.read(a.client, "order-1")
    end = next(e for item in entry["state"]["item"] for e in item.get("endpoint", ()))
    host, _, port = _dns(b).rpartition(":")
    return Place(end["dns-name"], int(end["port"]), (host, int(port)))


def _follow(a: Domain, name: str) -> Iterator[str]:
    """Lines about an order as it changes, until it is completed."""
    seen: set[str] = set()
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        entry = app.read(a.client, name)
        state = local_name(entry.get("state", {}).get("state", "accepted"))
        system = a.client.read("mec-system:system")
        lines = [f"order {name}: {state}"]
        for occurrence in system.get("operation-occurrence", ()):
            if local_name(occurrence.get("operation", "")) == "instantiate":
                step = occurrence.get("step", "")
                lines.insert(0, f"deployment: {local_name(occurrence.get('state', ''))}{f', {step}' if step else ''}")
        for line in lines:
            if line not in seen:
                seen.add(line)
                yield line
        if state == "completed":
            return
        if state in ("failed", "cancelled", "partial"):
            raise Failed(f"the order {state}: {entry['state']}")
        time.sleep(0.05)
    raise Failed(f"the order was not completed within {_DEADLINE:.0f} s")


def _use(teller: Teller, b: Domain, where: Place) -> None:
    teller.step("A client finds it by DNS, updated by B's platform, and uses it over HTTP")
    address = _until(f"{where.name} resolves", where.ask)
    teller.note(f"dig @{where.server[0]} -p {where.server[1]} {where.name} -> {address}")
    url = f"http://{address}:{where.port}/status"
    with urllib.request.urlopen(url, timeout=10) as answer:
        said = orjson.loads(answer.read())
    teller.note(f"GET {url} -> {said['application']}, instance {said['instance']}, zone {said['zone']}")
    vims = b.client.read("mec-resource:infrastructure").get("vim", ())
    if said["instance"] not in [each["id"] for vim in vims for each in vim.get("compute-instance", ())]:
        raise Failed(f"{said['instance']} does not run at {b.id}")
    teller.note(f"{b.id}: that instance runs on this domain's infrastructure")


def _look(teller: Teller, a: Domain, b: Domain) -> None:
    teller.step("What crossed the boundary: Mx3, the package that was named there, and nothing else")
    for domain, other in ((a, b), (b, a)):
        entry = domain.client.read(f"mec-federation:federation/partner={other.id}")
        for agreement in entry.get("agreement", ()):
            for session in agreement.get("session", ()):
                point = local_name(session["reference-point"])
                teller.note(
                    f"{domain.id} to {other.id}, {point}: {session.get('messages-out', 0)} requests, "
                    f"{session.get('messages-in', 0)} replies, {session.get('notifications-in', 0)} notifications, "
                    f"{session.get('notifications-lost', 0)} lost, by {local_name(session.get('transport', 'NETCONF'))}"
                )
                if point != "mx3":
                    raise Failed(f"{point} crossed the boundary")
            for held in agreement.get("mec-system:system", {}).get("package", ()):
                arrived = held.get("state", {}).get("bytes-transferred", 0)
                teller.note(f"{domain.id} from {other.id}, package {held['id']}: {arrived} bytes by HTTPS")
        open_ = domain.client.read("ietf-netconf-monitoring:netconf-state/sessions").get("session", ())
        theirs = [local_name(each["transport"]) for each in open_ if each["username"] == other.id]
        teller.note(f"{domain.id} is logged in to by {other.id}: {len(theirs)} sessions, {', '.join(set(theirs))}")


def _invite(a: Domain, b: Domain, where: Place) -> None:
    assert a.config.netconf.ssh is not None
    assert a.config.restconf is not None
    ssh, restconf = a.config.netconf.ssh.listen, a.config.restconf.listen
    federation = f"https://{restconf}/restconf/data/mec-federation:federation"
    output.console.print("\n[bold]Look around; Ctrl-C terminates everything[/bold]")
    console2 = f"netconf-console2 --host {ssh.host} --port {ssh.port} --user admin -p ''"
    for line in (
        f"nms partner list --config {a.file}",
        f"nms app status --config {a.file}",
        f"nms get mec-system:system --config {b.file}",
        f"nms watch --config {a.file}",
        f"nms app deploy hello-edge --id order-2 --dns-name two.mec.{b.id} --config {a.file}",
        f"{console2} --privKeyFile {a.folder}/admin_key --get -x /federation",
        f"curl --cacert {a.folder}/ca.pem --cert {a.folder}/admin.pem --key {a.folder}/admin-key.pem {federation}",
        f"dig @{where.server[0]} -p {where.server[1]} {where.name}",
    ):
        output.say(f"   {line}")


def _terminate(teller: Teller, a: Domain, b: Domain, where: Place) -> None:
    teller.step("The customer cancels; everything is withdrawn on both sides")
    address = where.ask()
    entry = app.read(a.client, "order-1")
    deployments = [item["deployment"] for item in entry["state"]["item"] if "deployment" in item]
    a.client.write("DELETE", "mec-order:orders/order=order-1")
    _until("the deployment at A to end", lambda: _gone(a, deployments))
    teller.note(f"{a.id}: the deployment is gone")
    _until("the name to be withdrawn", lambda: True if where.ask() is None else None)
    teller.note(f"{where.name} no longer resolves")
    _until("the instance to end", lambda: _refused(address, where.port))
    teller.note(f"nothing answers at {address}:{where.port}")


def _gone(domain: Domain, deployments: list[str]) -> bool | None:
    left = [d for d in deployments if domain.client.get(f"mec-system:system/deployment={d}") is not None]
    return None if left else True


def _refused(address: str | None, port: int) -> bool | None:
    try:
        urllib.request.urlopen(f"http://{address}:{port}/", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return True
    return None
