"""`nms lab OPTION`: the same customer's order under each boundary option, watched phase by phase.

For every option two domains are started afresh and federated, for a broker three; then the four phases of a deployment
are played (paper, section 6), and what crossed the boundaries in each is read from the domains.  `--report FILE` writes
one page with the paper's Tables 3 and 4 beside what was observed.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from nms.commands import app, init, lab_report, output, partner, stage
from nms.commands.output import local_name
from nms.commands.stage import Domain, Place, Teller
from nms.errors import ConfigError, RpcError
from nms.federation.options import OPTIONS, BoundaryOption

T = TypeVar("T")
#: (server, reference point, kind of message, what it is about) -> how often it has crossed.
Crossed = Counter[tuple[str, str, str, str]]

#: What is on-boarded; everything else that is written is the instantiation's.
_CONTENT = frozenset({"image", "package"})
_ORDER = "order-1"
#: As far as what a teller notes beside the time.
_INDENT = " " * 15


@dataclass
class Phase:
    """One of the four phases as it was observed.

    Attributes:
        paper: what Table 4 says that crosses; "" for nothing.
        seconds: how long it took.
        seen: what happened, for people.
    """

    name: str
    paper: str
    seconds: float = 0.0
    crossed: Crossed = field(default_factory=Counter)
    seen: str = ""


@dataclass(frozen=True)
class Play:
    """A row of the report.

    Attributes:
        about: what the option means, for people (paper, section 5).
        between: letters of domains without an infrastructure, through which A has what the last domain offers.
        host: letter of the last one.
    """

    option: BoundaryOption
    about: str
    between: str = ""
    host: str = "b"

    @property
    def title(self) -> str:
        """Of the row."""
        name = f"{self.option.number}, {self.option.identity.removeprefix('option-')}"
        return f"{name}, through a broker" if self.between else name


_ABOUT = (
    "A uses B's hosts: an isolated slice of them, on which A's own platform and managers run the application.",
    "A uses B's platform on its own hosts: B's platform serves what runs at A, and steers A's data plane as A allows.",
    "A uses B's platform and hosts: both run the application, and A's platform manager sees to its life.",
    "A uses B's edge as a service: B's platform manager sees to the application; A chooses among B's infrastructures.",
    "Two whole MEC systems are joined: A's orchestrator asks B's, which decides where the application runs.",
)
#: What can be played, by its name on the command line; a broker only runs what orders and places (paper, section 5.5).
PLAYS = {str(each.number): Play(each, about) for each, about in zip(OPTIONS, _ABOUT, strict=True)}
PLAYS["broker"] = Play(
    OPTIONS[4], "B has an orchestrator only: it resells to A what a third domain, C, runs.", "b", "c"
)
_BROKER = ("meo", "oss")


@dataclass
class Outcome:
    """A row as it was observed.

    Attributes:
        sessions: reference points over which there were sessions -> who served them.
        hosts: what has the application -> which domain's block it is.
    """

    title: str
    about: str
    option: BoundaryOption
    phases: list[Phase]
    sessions: Mapping[str, str]
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
    if args.report is not None:
        lab_report.check(args.report)
    outcomes: list[Outcome] = []
    teller = Teller()
    for play in chosen:
        try:
            outcomes.append(_play(teller, play, args.protocol, args.driver, stay))
        except (stage.Failed, RpcError):
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
    with stage.played() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        points = ", ".join(point.name for point in option.points)
        teller.step(f"Option {play.title}: {points} cross the boundary by {protocol}")
        output.say(f"   {play.about}")
        try:
            return _act(teller, play, folder, stack, protocol, driver, stay)
        except (stage.Failed, RpcError) as error:
            stage.complain(folder, teller, error)
            raise


def _act(
    teller: Teller, play: Play, folder: Path, stack: contextlib.ExitStack, protocol: str, driver: str, stay: bool
) -> Outcome:
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
        stage.stay()
    if play.option.phases.monitoring:
        _fail(teller, chain, outcome)
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

    where, seconds = _timed(order)
    onboarding.seconds = _handing_over(chain)
    instantiation.seconds = max(0.0, seconds - onboarding.seconds)
    if paper.monitoring:
        stage.until("performance data of the application", lambda: _told(_crossed(chain) - before, "kpi"))
    made = _settled(chain) - before
    onboarding.crossed = Counter({key: n for key, n in made.items() if key[3] in _CONTENT})
    instantiation.crossed = Counter({key: n for key, n in made.items() if key[3] not in _CONTENT and key[2] != "read"})
    (address, discovery.seconds), discovery.crossed = _alone(
        chain, lambda: _timed(lambda: stage.until(f"{where.name} resolves", where.ask))
    )
    discovery.seen = f"{where.name} is {address}, says the DNS at {where.server[0]}:{where.server[1]}"
    ((url, said), usage.seconds), usage.crossed = _alone(chain, lambda: _timed(where.use))
    usage.seen = f"GET {url}: {said['application']} in zone {said['zone']}"
    phases = [onboarding, instantiation, discovery, usage]
    for number, phase in enumerate(phases, 1):
        teller.note(f"phase {number}, {phase.name}, took {phase.seconds:.3f} s")
        output.say(f"{_INDENT}the paper: {phase.paper or 'nothing crosses'}\n{_INDENT}observed: {said_of(phase)}")
    return Outcome(play.title, play.about, option, phases, _sessions(chain), _hosts(chain)), where


def _fail(teller: Teller, chain: Sequence[Domain], outcome: Outcome) -> None:
    """The host loses the application, and its owner tells of the fault."""
    before, instantiation = _crossed(chain), outcome.phases[1]
    stage.lose(chain[-1])
    teller.note(f"{chain[-1].id}: the application's process is killed")
    stage.until("the fault to be told", lambda: _told(_crossed(chain) - before, "alarm"))
    told = Counter({key: n for key, n in (_settled(chain) - before).items() if key[3] == "alarm"})
    instantiation.crossed += told
    instantiation.seen = "performance data was told while it ran, a fault when its process was killed later"
    teller.note(f"{chain[0].id} is told of the fault: {said_of(Phase('', '', crossed=told))}")


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


def _told(crossed: Crossed, about: str) -> bool | None:
    return any(key[2:] == ("notification", about) for key in crossed) or None


#: So often is something done again beside which something else has crossed.
_TRIES = 5


def _alone(chain: Sequence[Domain], play: Callable[[], T]) -> tuple[T, Crossed]:
    """Play, and see what crosses meanwhile: all of it.

    Domains look at each other every few seconds, and measurements are told: something that crosses each time is part
    of what was played.
    """
    for _ in range(_TRIES):
        before = _settled(chain)
        result = play()
        crossed = _settled(chain) - before
        if not crossed:
            break
    return result, crossed


def _handing_over(chain: Sequence[Domain]) -> float:
    """Seconds in which packages and images were being on-boarded somewhere, by the operation occurrences."""
    tops = ("mec-system:system", "mec-resource:infrastructure", "mec-platform-manager:platform-managers",
            "mec-federation:federation")  # fmt: skip
    spans = sorted(
        (datetime.fromisoformat(each["start-time"]), datetime.fromisoformat(each["state-entered-time"]))
        for domain in chain
        for top in tops
        for each in _occurrences(domain.client.read(top))
        if each["subject-type"] in _CONTENT
    )
    seconds, until = 0.0, datetime.min.replace(tzinfo=UTC)
    for begun, ended in spans:
        seconds += max(0.0, (ended - max(begun, until)).total_seconds())
        until = max(until, ended)
    return seconds


def _occurrences(data: Any) -> Iterator[dict[str, Any]]:
    """Entries of each list operation-occurrence, at whatever depth."""
    members = data.items() if isinstance(data, dict) else ()
    for name, value in members:
        yield from value if local_name(name) == "operation-occurrence" else _occurrences(value)
    for each in data if isinstance(data, list) else ():
        yield from _occurrences(each)


def _sessions(chain: Sequence[Domain]) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for server, session in _between(chain):
        if local_name(session["state"]) == "established":
            found.setdefault(local_name(session["reference-point"]), []).append(server)
    return {point: " and ".join(dict.fromkeys(servers)) for point, servers in sorted(found.items())}


def _between(chain: Sequence[Domain]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sessions of neighbours with each other: who serves it, and its entry."""
    for client, server in (*pairwise(chain), *pairwise(reversed(chain))):
        agreements = client.client.read(f"mec-federation:federation/partner={server.id}").get("agreement", ())
        for agreement in agreements:
            for session in agreement.get("session", ()):
                yield server.id, session


def _crossed(chain: Sequence[Domain]) -> Crossed:
    """What neighbours say has crossed between them."""
    return Counter(
        {
            (server, local_name(session["reference-point"]), row["kind"], row["about"]): int(row["count"])
            for server, session in _between(chain)
            for row in session.get("exchange", ())
        }
    )


def _settled(chain: Sequence[Domain]) -> Crossed:
    """The same once it changes no more: counts are shown a moment after what they count."""
    last: Crossed | None = None

    def unchanged() -> Crossed | None:
        nonlocal last
        before, last = last, _crossed(chain)
        if before == last:
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
