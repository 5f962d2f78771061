"""The command line of `make bench`: measure, or read what was measured, and show it as tables, JSON, SVG and a page."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench import machine, page, plot, results, run, table
from tests.bench.channel import Lost, SshLogin
from tests.bench.measures import CURVES
from tests.bench.meter import Effort
from tests.bench.processes import Processes
from tests.bench.results import OURS_UNSYNCED, Results
from tests.bench.subject import Subject

#: `make clean` removes it.
_OUT: Final = Path("run/bench")


def _sizes(text: str) -> list[int]:
    found = [int(part.replace("_", "")) for part in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError("a size is at least 1")
    return found


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError("HOST:PORT is expected")
    return host.strip("[]"), int(port)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    found = argparse.ArgumentParser(prog="make bench", description="Measure our server against the size of its data.")
    found.add_argument("--sizes", type=_sizes, default=[100, 10_000, 100_000], help="entries, as in 100,10000")
    found.add_argument("--runs", type=int, default=200, help="runs of an operation (default: %(default)s)")
    found.add_argument("--seconds", type=float, default=2.0, help="at most for a figure (default: %(default)s)")
    found.add_argument("--out", type=Path, default=_OUT, help="folder for figures.json, latency.svg and the journals")
    found.add_argument("--read", type=Path, metavar="JSON", help="show what was measured before; measure nothing")
    found.add_argument(
        "--write", type=Path, metavar="PAGE", help="fill the blocks of a page, and the picture beside it"
    )
    peer = found.add_argument_group("another server, which runs and serves tests/bench/models/inventory.yang")
    peer.add_argument("--peer", type=_address, metavar="HOST:PORT", help="its NETCONF over SSH")
    peer.add_argument("--peer-name", default="peer")
    peer.add_argument("--peer-user", default="root")
    peer.add_argument("--peer-key", type=Path, help="private SSH key")
    peer.add_argument("--peer-sizes", type=_sizes, help="entries, of those of --sizes (default: all)")
    peer.add_argument(
        "--peer-pid", type=Path, action="append", default=[], metavar="FILE", help="its process, for CPU and memory"
    )
    return found


def _peer(args: argparse.Namespace) -> run.Peer | None:
    if args.peer is None:
        return None
    host, port = args.peer
    login = SshLogin(host, port, args.peer_user, args.peer_key)
    pids = [int(file.read_text()) for file in args.peer_pid]
    return run.Peer(args.peer_name, Subject(login, Processes(pids) if pids else None), args.peer_sizes or args.sizes)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measured(args: argparse.Namespace, command: Sequence[str]) -> Results:
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    found = Results(
        machine.about(args.out) | {"command": "make bench" + (f" ARGS='{shlex.join(command)}'" if command else "")}
    )
    peer = _peer(args)
    try:
        run.run(found, args.sizes, Effort(args.runs, args.seconds), peer, args.out, _progress)
    finally:
        found.save(args.out / "figures.json")
    return found


def picture(found: Results) -> str:
    """Latency against size, of the servers that wait for their disk as they are meant to be run."""
    panels = []
    for server, by_size in found.figures.items():
        lines = {
            label: [(size, figures[row].value) for size, figures in sorted(by_size.items()) if row in figures]
            for row, label in CURVES.items()
        }
        if server != OURS_UNSYNCED:
            panels.append(plot.Panel(server, {row: points for row, points in lines.items() if points}))
    return plot.svg(panels)


def main(command: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    args = parser().parse_args(command)
    if args.peer and not args.peer_key:
        parser().error("--peer needs --peer-key")
    try:
        if args.write:
            page.filled(args.write.read_text(), {"about": "", "tables": ""})  # complains now, not after minutes
        found = results.read(args.read) if args.read else _measured(args, command)
        about, tables = table.about(found), table.tables(found)
        print(f"{about}\n\n{tables}")
        if not args.read:
            (args.out / "latency.svg").write_text(picture(found))
        if args.write:
            args.write.write_text(page.filled(args.write.read_text(), {"about": about, "tables": tables}))
            args.write.with_suffix(".svg").write_text(picture(found))
    except (Lost, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
