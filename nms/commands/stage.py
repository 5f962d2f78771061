"""What a told run of several domains is played on: the domains as processes, their operator's hands, and who tells it.

Each daemon is a process of its own, made by `nms init` in a fresh folder and driven through the same commands that an
operator has.  What is played is not known here (`nms.commands.story`, `nms.commands.lab`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
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
from nms.federation.client import PROTOCOLS
from nms.mec import package as packages
from nms.mec.chosen import load_drivers

_SAMPLE = Path(packages.__file__).parent / "sample" / "hello-edge"
_DEADLINE = 30.0
#: Signals that ask to end.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGREEMENT = "a-uses-b"
T = TypeVar("T")


@dataclass(frozen=True)
class Domain:
    """One running domain."""

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


@contextlib.contextmanager
def played() -> Iterator[contextlib.ExitStack]:
    """A stage with a stack of what there is to clear up when the play is over, or somebody asks to end it.

    That is done to its end: whoever asks again would leave processes and networks behind.
    """
    with contextlib.ExitStack() as stack:
        _heed()
        try:
            yield stack
        finally:
            _ignore()


def stay() -> None:
    """Until somebody asks to end."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    _heed()


def _heed() -> None:
    for number in _ENDING:
        signal.signal(number, _interrupt)


def _ignore() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(*_: object) -> None:
    _ignore()
    raise KeyboardInterrupt


def complain(folder: Path, teller: Teller, error: Exception) -> None:
    """Say which step has failed and why, with the last words of each daemon, whose logs are in `folder`."""
    for log in sorted(folder.glob("*.log")):
        if tail := log.read_text(errors="replace").splitlines()[-12:]:
            output.complain(f"last lines of {log.name}:\n  " + "\n  ".join(tail))
    output.complain(f"step {teller.number} failed: {error}")


def until(what: str, check: Callable[[], T | None]) -> T:
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


#: Operators of the domains, with their countries.
_OPERATORS = (("Operator A", "ES"), ("Operator B", "PT"), ("Operator C", "IT"))


def start(
    folder: Path,
    number: int,
    ports: Ports,
    stack: contextlib.ExitStack,
    driver: str = "embedded",
    blocks: Sequence[str] = (),
) -> Domain:
    """Start the daemon of a new domain in `folder`, the `number`th on this stage; `stack` ends it.

    Args:
        driver: of its infrastructure.
        blocks: that it runs; empty: all.

    Raises:
        Failed: it did not start.
    """
    operator, country = _OPERATORS[number]
    name = f"domain-{folder.name}"
    taken = init.Ports(
        ssh=ports.take(2831 + number),
        tls=ports.take(6511 + number),
        restconf=ports.take(8441 + number),
        dns=ports.take(10531 + number),
    )
    init.init(
        folder,
        now=datetime.now(UTC),
        domain_id=name,
        operator=operator,
        country=country,
        ports=taken,
        driver=driver,
        address_block=init.INSTANCES[driver].format(number + (81 if driver == "embedded" else ports.block)),
        blocks=blocks,
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
        said = (folder.parent / f"{name}.log").read_text(errors="replace").strip().rpartition("\n")[2]
        raise Failed(f"the daemon of {name} did not start: {said}")
    return Domain(name, folder, process, configuration.load(file), Client.of(file))


class Ports:
    """Ports and addresses for the domains of one stage: the documented ones for the first stage of a user on this
    machine, so that what a reader copies from the documentation works; others for every other.

    Attributes:
        block: what tells the addresses of the first domain's fabric from those of others; those of the next follow.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        lock = Path(tempfile.gettempdir()) / f"mec-nms-stage-{os.getuid()}.lock"
        self._first = False
        with contextlib.suppress(OSError):  # somebody else holds it
            # Everybody writes in that folder: a link that somebody else has put there is not followed.
            file = stack.enter_context(os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._first = True
        # A loopback block can be shared, each address is tried before it is taken; a fabric is one domain's alone.
        self.block = 81 if self._first else random.SystemRandom().randrange(84, 100, 3)

    def take(self, wanted: int) -> int:
        """`wanted` when it is ours to use and free for TCP and UDP, else another one.

        Raises:
            Failed: none is free.
        """
        # Below the ports that the system gives to outgoing connections: those come and go.
        others = (random.SystemRandom().randrange(15000, 32768) for _ in range(100))
        candidates: Iterator[int] = itertools.chain((wanted,) if self._first else (), others)
        for port in candidates:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                try:
                    tcp.bind(("127.0.0.1", port))
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
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
    """End what runs on a domain's infrastructure, and that itself: a daemon leaves both, a story that ends does not."""
    assert config.drivers.state is not None
    vim = load_drivers(config, config.drivers.state).vim
    await vim.open(lambda instance: None)
    try:
        for instance in await vim.list():
            await vim.delete(instance.id, 1.0)
        with contextlib.suppress(RpcError):  # somebody else stands on it
            await vim.dismantle()
    finally:
        await vim.close()


def federate(
    teller: Teller,
    a: Domain,
    b: Domain,
    option: str = partner.OPTIONS["5"],
    protocol: str = PROTOCOLS[0],
    zone: str = "",
    hops: int = 1,
) -> None:
    """Have both operators add the other's card, B offering a zone to A; return when the agreement is active.

    Args:
        protocol: of the sessions, both ways.
        zone: which; empty: B's own.
        hops: as in `partner.agree`.

    Raises:
        Failed: it did not become active.
    """
    cards = {domain.id: card.of(domain.config, domain.folder) for domain in (a, b)}
    zones = [zone or b.config.zones[0].id]
    terms: dict[str, Any] = {
        "agreement": AGREEMENT, "option": option, "zones": zones, "protocol": protocol, "hops": hops
    }  # fmt: skip
    partner.agree(b.client, cards[a.id], role="provider", **terms)
    partner.agree(a.client, cards[b.id], role="consumer", **terms)
    for domain, other in ((a, b), (b, a)):
        until(f"{domain.id}: agreement with {other.id} active", partial(_active, domain, other))
        teller.note(f"{domain.id}: the agreement with {other.id} is active")


def _active(domain: Domain, other: Domain) -> bool | None:
    for entry in partner.partners(domain.client):
        for agreement in entry.get("agreement", ()):
            if (
                entry["id"] == other.id
                and local_name(agreement.get("state", {}).get("federation-state", "")) == "active"
            ):
                return True
    return None


def remote_zones(a: Domain, b: Domain) -> list[dict[str, Any]] | None:
    """The zones of B that A may deploy to; None while there are none."""
    found = a.client.read("mec-system:system").get("zone", [])
    return [zone for zone in found if zone.get("partner") == b.id] or None


def onboard(teller: Teller, a: Domain) -> None:
    """Build the sample application's package and on-board it at A."""
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
    address: str
    port: int
    server: tuple[str, int]

    @classmethod
    def of(cls, a: Domain, order: str, served_by: Domain) -> Place:
        """Where A tells its customer to look; names are answered by the DNS of `served_by`."""
        entry = app.read(a.client, order)
        end = next(e for item in entry["state"]["item"] for e in item.get("endpoint", ()))
        host, _, port = str(served_by.config.drivers.dns.options["listen"]).rpartition(":")
        return cls(end["dns-name"], end["address"], int(end["port"]), (host, int(port)))

    def use(self) -> tuple[str, dict[str, Any]]:
        """Ask for the name, then for the application's status over HTTP: the URL, and what was answered.

        Raises:
            Failed: the name does not resolve, or nothing answers there.
        """
        url = f"http://{until(f'{self.name} resolves', self.ask)}:{self.port}/status"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return url, orjson.loads(answer.read())
        except (OSError, ValueError) as error:
            raise Failed(f"{url} does not answer: {error}") from error

    def ask(self) -> str | None:
        """Its address by a DNS query, None when the name does not exist."""
        query = dns.message.make_query(self.name, dns.rdatatype.A)
        try:
            answer = dns.query.udp(query, self.server[0], port=self.server[1], timeout=2)
        except (dns.exception.Timeout, OSError):
            return None
        return next((str(record) for rrset in answer.answer for record in rrset), None)


def follow(a: Domain, name: str) -> Iterator[str]:
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


def lose(domain: Domain) -> None:
    """Have a domain's host lose every application that runs on it."""
    mark = f"MEC_INSTANCE_DIR={domain.folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def cancel(teller: Teller, a: Domain, order: str, where: Place) -> None:
    """The customer cancels the order; return when nothing is left of it.

    Raises:
        Failed: something stayed.
    """
    state = a.client.read(f"mec-order:orders/order={order}/state")
    deployments = [item["deployment"] for item in state.get("item", ()) if "deployment" in item]
    if not state:
        teller.note(f"order {order} is cancelled already")
    else:
        a.client.write("DELETE", f"mec-order:orders/order={order}")
    until("the deployment at A to end", lambda: _gone(a, deployments))
    teller.note(f"{a.id}: the deployment is gone")
    until("the name to be withdrawn", lambda: True if where.ask() is None else None)
    teller.note(f"{where.name} no longer resolves")
    until("the instance to end", lambda: _refused(where.address, where.port))
    teller.note(f"nothing answers at {where.address}:{where.port}")


def _gone(domain: Domain, deployments: list[str]) -> bool | None:
    left = [d for d in deployments if domain.client.get(f"mec-system:system/deployment={d}") is not None]
    return None if left else True


def _refused(address: str, port: int) -> bool | None:
    try:
        urllib.request.urlopen(f"http://{address}:{port}/", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return True
    return None
