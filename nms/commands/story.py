"""`nms run`: two domains, A and B, and the story of their first interconnection over Mx3.

Each daemon is a process of its own, made by `nms init` in a fresh folder and driven through the same commands that an
operator has.  The story is told step by step as it happens; a step that fails ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nms.commands import app, output, partner, stage
from nms.commands.output import local_name
from nms.commands.stage import Domain, Failed, Place, Teller
from nms.errors import RpcError


def add(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "run", help="two domains and their story", description="Start two domains, federate them, deploy across."
    )
    parser.add_argument("--once", action="store_true", help="end after the story, even in a terminal")
    parser.add_argument("--folder", type=Path, help="fresh folder for the two domains (default: a temporary one)")
    partner.add_protocol(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    stay = not args.once and sys.stdin.isatty() and sys.stdout.isatty()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="mec-nms-"))
    teller = Teller()
    try:
        with stage.played() as stack:
            if args.folder is None:
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                a, b = _start(teller, folder, stack)
                _federate(teller, a, b, args.protocol)
                _onboard(teller, a)
                where = _order(teller, a, b)
                _use(teller, b, where)
                _look(teller, a, b)
                if stay:
                    _invite(a, b, where)
                    stage.stay()
                _terminate(teller, a, b, where)
            except (Failed, RpcError) as error:
                stage.complain(folder, teller, error)
                return 1
        output.say(f"\nThe story took {time.monotonic() - teller.began:.1f} s; nothing is left running.")
        return 0
    except KeyboardInterrupt:
        return 130


# ---------------------------------------------------------------- the steps


def _start(teller: Teller, folder: Path, stack: contextlib.ExitStack) -> tuple[Domain, Domain]:
    teller.step("Two operators each start a MEC domain")
    ports = stage.Ports(stack)
    domains = [stage.start(folder / name, number, ports, stack) for number, name in enumerate(("a", "b"))]
    for domain in domains:
        teller.note(f"{domain.id} ({domain.config.domain.operator}) listens: {_addresses(domain)}")
    return domains[0], domains[1]


def _addresses(domain: Domain) -> str:
    config = domain.config
    assert config.netconf.ssh is not None
    assert config.restconf is not None
    dns = config.drivers.dns.options["listen"]
    return f"NETCONF over SSH {config.netconf.ssh.listen}, RESTCONF {config.restconf.listen}, DNS {dns}"


def _federate(teller: Teller, a: Domain, b: Domain, protocol: str) -> None:
    teller.step("They exchange cards and agree: B offers its zone to A over Mx3 (boundary option 5)")
    stage.federate(teller, a, b, protocol=protocol)
    zones = stage.until("A sees B's zone", lambda: stage.remote_zones(a, b))
    for found in zones:
        free = found.get("available", {})
        teller.note(f"{a.id} sees zone {found['id']} of {b.id}: {free.get('cpu')} CPU, {free.get('memory')} MiB free")


def _onboard(teller: Teller, a: Domain) -> None:
    teller.step("A's operator builds an application package and on-boards it at A")
    stage.onboard(teller, a)


def _order(teller: Teller, a: Domain, b: Domain) -> Place:
    zone = next(z["id"] for z in stage.remote_zones(a, b) or ())
    teller.step("A customer orders hello-edge from A (Mx1); it never hears of B")
    app.order(a.client, "order-1", "hello-edge", customer="Ana's Arcade", zones=[zone], dns_name="hello.mec.domain-b")
    for line in stage.follow(a, "order-1"):
        teller.note(line)
    return Place.of(a, "order-1", b)


def _use(teller: Teller, b: Domain, where: Place) -> None:
    teller.step("A client finds it by DNS, updated by B's platform, and uses it over HTTP")
    url, said = where.use()
    teller.note(f"dig @{where.server[0]} -p {where.server[1]} {where.name} -> {url.split('/')[2].rpartition(':')[0]}")
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
        if theirs:  # over RESTCONF nobody is logged in
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
    stage.cancel(teller, a, "order-1", where)
