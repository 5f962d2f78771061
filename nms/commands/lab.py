"""`nms lab OPTION`: the same customer's order under each boundary option, watched phase by phase.

For every option two domains are started afresh and federated, for a broker three; then the four phases of a deployment
are played (paper, section 6), and what crossed the boundaries in each is read from the domains.  `--report FILE` writes
one page with the paper's Tables 3 and 4 beside what was observed.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from nms.commands import app, init, lab_report, output, partner, stage
from nms.commands.output import local_name
from nms.commands.stage import Domain, Place, Teller
from nms.errors import ConfigError, RpcError
from nms.federation.options import OPTIONS, BoundaryOption

#: (server, reference point, kind of message, what it is about) -> how often it has crossed.
Crossed = Counter[tuple[str, str, str, str]]

#: What is on-boarded; everything else that is written is the instantiation's.
_CONTENT = frozenset({"image", "package"})
_ORDER = "order-1"


@dataclass
class Phase:
    """One of the four phases as it was observed.

    Attributes:
        paper: what Table 4 says that crosses; "" for nothing.
        seconds: how long it took, None where it is a part of another phase.
        seen: what happened, for people.
    """

    name: str
    paper: str
    seconds: float | None = None
    crossed: Crossed = field(default_factory=Counter)
    seen: str = ""


@dataclass(frozen=True)
class Play:
    """A row of the report.

    Attributes:
        between: letters of domains without an infrastructure, through which A has what the last domain offers.
        host: letter of the last one.
    """

    option: BoundaryOption
    between: str = ""
    host: str = "b"

    @property
    def title(self) -> str:
        """Of the row."""
        name = f"{self.option.number}, {self.option.identity.removeprefix('option-')}"
        return f"{name}, through a broker" if self.between else name


#: What can be played, by its name on the command line; a broker only runs what orders and places (paper, section 5.5).
PLAYS = {str(each.number): Play(each) for each in OPTIONS} | {"broker": Play(OPTIONS[4], "b", "c")}
_BROKER = ("meo", "oss")


@dataclass
class Outcome:
    """A row as it was observed."""

    title: str
    option: BoundaryOption
    phases: list[Phase]
    hosts: Mapping[str, str]


def add(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "lab",
        help="one order under each boundary option",
        description="Start domains, federate them under a boundary option, and watch what crosses in each phase.",
    )
    parser.add_argument("option", nargs="?", choices=list(PLAYS), help="boundary option, or broker")
    parser.add_argument("--all", action="store_true", help="all options, one after the other")
    parser.add_argument("--once", action="store_true", help="end after the story, even in a terminal")
    parser.add_argument("--report", type=Path, help="write what was observed as a page (HTML)")
    partner.add_protocol(parser)
    init.add_driver(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if bool(args.option) == args.all:
        raise ConfigError("nms lab: name one boundary option, 1 to 5, or broker, or --all")
    chosen = list(PLAYS.values()) if args.all else [PLAYS[args.option]]
    stay = not args.all and not args.once and sys.stdin.isatty() and sys.stdout.isatty()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stage.interrupt)
    outcomes: list[Outcome] = []
    teller = Teller()
    for play in chosen:
        try:
            outcomes.append(_play(teller, play, args.protocol, args.driver, stay))
        except (stage.Failed, RpcError) as error:
            output.complain(f"step {teller.number} failed: {error}")
            return 1
        except KeyboardInterrupt:
            return 130
    if args.report is not None:
        lab_report.write(args.report, outcomes)
        output.say(f"\nThe report is {args.report}")
    return 0


def _play(teller: Teller, play: Play, protocol: str, driver: str, stay: bool) -> Outcome:
    """Start the domains on that infrastructure, play the order over `protocol`, and end them."""
    option = play.option
    folder = Path(tempfile.mkdtemp(prefix="mec-nms-lab-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        points = ", ".join(point.name for point in option.points)
        teller.step(f"Option {play.title}: {points} cross the boundary by {protocol}")
        ports = stage.Ports(stack)
        chain = [
            stage.start(folder / name, number, ports, stack, driver, _BROKER if name in play.between else ())
            for number, name in enumerate(["a", *play.between, play.host])
        ]
        zone = _federate(teller, play, chain, protocol)
        outcome, where = _deploy(teller, play, chain, zone)
        if stay:
            output.console.print("\n[bold]Look around; Ctrl-C terminates everything[/bold]")
            for domain in chain:
                output.say(f"   nms get mec-federation:federation --config {domain.file}")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
        stage.cancel(teller, chain[0], _ORDER, where)
    return outcome


def _federate(teller: Teller, play: Play, chain: Sequence[Domain], protocol: str) -> str:
    """Let each domain offer to the one before it what it has: the zone as the first one calls it."""
    zone = ""
    for consumer, provider in reversed(list(pairwise(chain))):
        stage.federate(teller, consumer, provider, play.option.identity, protocol, zone, hops=len(chain))
        seen = partial(stage.remote_zones, consumer, provider)
        zone = stage.until(f"{consumer.id} sees a zone of {provider.id}", seen)[0]["id"]
    return zone


def _deploy(teller: Teller, play: Play, chain: Sequence[Domain], zone: str) -> tuple[Outcome, Place]:
    a, option = chain[0], play.option
    paper = option.phases
    onboarding, instantiation = Phase("on-boarding", paper.onboarding), Phase("instantiation", paper.instantiation)
    discovery, usage = Phase("the client finds it", paper.discovery), Phase("use", paper.usage)
    before = _crossed(chain)

    def order() -> Place:
        stage.onboard(teller, a)
        app.order(a.client, _ORDER, "hello-edge", customer="Ana's Arcade", zones=[zone], dns_name="hello")
        for line in stage.follow(a, _ORDER):
            teller.note(line)
        return Place.of(a, _ORDER, a if "mep" in option.blocks["consumer"] else chain[-1])

    where, instantiation.seconds = _timed(order)
    made = _settled(chain) - before
    onboarding.crossed = Counter({key: n for key, n in made.items() if key[3] in _CONTENT})
    instantiation.crossed = Counter({key: n for key, n in made.items() if key[3] not in _CONTENT and key[2] != "read"})
    before = _settled(chain)
    address, discovery.seconds = _timed(lambda: stage.until(f"{where.name} resolves", where.ask))
    discovery.crossed = _written(_settled(chain) - before)
    discovery.seen = f"{where.name} is {address}, says the DNS at {where.server[0]}:{where.server[1]}"
    (url, said), usage.seconds = _timed(where.use)
    usage.crossed = _written(_settled(chain) - before)
    usage.seen = f"GET {url}: {said['application']} in zone {said['zone']}"
    for phase in (onboarding, instantiation, discovery, usage):
        teller.note(f"{phase.name}: {said_of(phase)}")
    return Outcome(play.title, option, [onboarding, instantiation, discovery, usage], _hosts(chain)), where


def said_of(phase: Phase) -> str:
    """What crossed in a phase, in one line."""
    lines = [
        f"{point} {about} ({kind}, served by {server}) {count}x"
        for (server, point, kind, about), count in sorted(phase.crossed.items())
    ]
    return "; ".join([*([phase.seen] if phase.seen else []), *(lines or ["nothing crosses"])])


def _timed(play: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return play(), time.monotonic() - began


def _written(crossed: Crossed) -> Crossed:
    """Of what has crossed, what changed something: reading goes on all the time, it is how a partner is watched."""
    return Counter({key: count for key, count in crossed.items() if key[2] in ("edit", "action")})


def _crossed(chain: Sequence[Domain]) -> Crossed:
    """What neighbours say has crossed between them."""
    found: Crossed = Counter()
    for client, server in (*pairwise(chain), *pairwise(reversed(chain))):
        agreements = client.client.read(f"mec-federation:federation/partner={server.id}").get("agreement", ())
        for session in (each for agreement in agreements for each in agreement.get("session", ())):
            point = local_name(session["reference-point"])
            for row in session.get("exchange", ()):
                found[server.id, point, row["kind"], row["about"]] += int(row["count"])
    return found


def _settled(chain: Sequence[Domain]) -> Crossed:
    """The same once it changes no more: counts are shown a moment after what they count."""
    last: Crossed | None = None

    def unchanged() -> Crossed | None:
        nonlocal last
        before, last = last, _crossed(chain)
        if before is not None and _written(before) == _written(last):
            return last
        time.sleep(0.3)
        return None

    return stage.until("the counts to settle", unchanged)


#: What hosts an application -> where a domain lists it.
_HOSTS = {
    "platform manager": ("mec-platform-manager:platform-managers", "platform-manager", "app-instance"),
    "platform": ("mec-platform:platforms", "platform", "application"),
    "infrastructure": ("mec-resource:infrastructure", "vim", "compute-instance"),
}


def _hosts(chain: Sequence[Domain]) -> Mapping[str, str]:
    """Which domain's block has the application."""
    found = {}
    for what, (top, block, entries) in _HOSTS.items():
        having = [
            domain.id for domain in chain if any(each.get(entries) for each in domain.client.read(top).get(block, ()))
        ]
        found[what] = " and ".join(having) or "nobody"
    return found
