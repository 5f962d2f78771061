"""`make bench`: how long NETCONF operations take against the size of the datastore.

Starts `nms serve` on a model of its own, with its journal on disk, and speaks NETCONF over SSH to it in raw frames, so
that what is timed is the server.  Prints a table and, with `--json FILE`, writes the figures.  Machines are noisy:
compare columns of one run, not runs.  `--peer HOST:PORT` measures another NETCONF server instead, one that serves
models/inventory.yang, with the same client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh

from nms.pki import ssh_key_pair

NS = "urn:mec-nms:bench:inventory"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability></capabilities>'
    "</hello>]]>]]>"
).encode()
END = b"\n##\n"
SESSIONS = 8
SECONDS = 1.0  # of each measurement of operations a second
CONFIGURATION = """
[domain]
id = "bench"
[yang]
path = ["{models}"]
modules = ["inventory"]
[store]
path = "store.db"
[netconf.ssh]
listen = "127.0.0.1:0"
host-key = "host_key"
[[user]]
name = "bench"
authorized-keys = ["id.pub"]
recovery = true
"""


class Client:
    """One NETCONF session in raw chunked frames."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.process = process

    async def call(self, operation: str) -> bytes:
        """One rpc; the whole reply as it came."""
        body = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'.encode()
        self.process.stdin.write(b"\n#%d\n%b\n##\n" % (len(body), body))
        reply = bytearray()
        while not reply.endswith(END):  # readuntil() gives up on more than the SSH window
            part = await self.process.stdout.read(1 << 20)
            if not part:
                raise SystemExit("the server closed the session")
            reply += part
        return bytes(reply)

    async def change(self, operation: str) -> None:
        """One rpc that must be answered by <ok/>."""
        reply = await self.call(operation)
        if b"<ok/>" not in reply:
            raise SystemExit(f"the server refused: {reply[:500]!r}")


def app(number: int, generation: int = 0) -> str:
    cpu = 1 + (number + generation) % 32
    return (
        f"<app><name>app-{number:07d}</name><image>registry.example/img-{number % 97}:{generation}</image>"
        f"<cpu>{cpu}</cpu><memory>{cpu * 128}</memory><zone>zone-{number % 10}</zone></app>"
    )


def edit(target: str, body: str, attributes: str = "") -> str:
    return (
        f"<edit-config><target><{target}/></target><config>"
        f'<apps xmlns="{NS}"{attributes}>{body}</apps></config></edit-config>'
    )


def get(content: str) -> str:
    return f'<get-config><source><running/></source><filter><apps xmlns="{NS}">{content}</apps></filter></get-config>'


async def timed(count: int, act: Callable[[int], Awaitable[object]]) -> float:
    """Median milliseconds of `count` runs after one to warm up."""
    await act(-1)
    times = []
    for number in range(count):
        began = time.perf_counter()
        await act(number)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


async def measure(client: Client, size: int, count: int) -> dict[str, float]:
    """Load `size` entries and time each operation; milliseconds, the load in seconds."""
    await client.change(edit("running", "", f' xmlns:nc="{BASE}" nc:operation="remove"'))
    zones = "".join(f"<zone><name>zone-{n}</name></zone>" for n in range(10))
    whole = edit("running", zones + "".join(map(app, range(size))))
    began = time.perf_counter()
    await client.change(whole)
    found = {"load s": time.perf_counter() - began}

    def name(number: int) -> str:
        return f"app-{number * 7919 % size:07d}"

    async def candidate(number: int) -> None:
        await client.change(edit("candidate", app(number * 7919 % size, number + 5000)))
        await client.change("<commit/>")

    found["get one"] = await timed(count, lambda n: client.call(get(f"<app><name>{name(n)}</name></app>")))
    found["edit one"] = await timed(count, lambda n: client.change(edit("running", app(n * 7919 % size, n + 2))))
    found["candidate + commit"] = await timed(count, candidate)
    found["get all"] = await timed(min(count, 10), lambda _: client.call(get("")))
    return found


async def rate(clients: list[Client], seconds: float, act: Callable[[Client, int], Awaitable[object]]) -> float:
    """Operations a second that the clients make together, each waiting for its replies."""
    began = time.perf_counter()

    async def work(client: Client, first: int) -> int:
        number = first
        while time.perf_counter() - began < seconds:
            await act(client, number)
            number += len(clients)
        return (number - first) // len(clients)

    made = await asyncio.gather(*(work(client, first) for first, client in enumerate(clients)))
    return sum(made) / (time.perf_counter() - began)


def resident(pid: int) -> float:
    """Megabytes of memory a process holds (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Server:
    """`nms serve` on a configuration in `folder`; the journal survives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host, self.user = ssh_key_pair("host"), ssh_key_pair("bench")
        (folder / "host_key").write_bytes(self.host.private)
        (folder / "id.pub").write_text(self.user.public + "\n")
        (folder / "nms.toml").write_text(CONFIGURATION.format(models=Path(__file__).parent / "models"))

    async def start(self) -> float:
        """Start it; the seconds until it listens."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "nms.cli", "serve", "--config", str(self.folder / "nms.toml")]
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        self.port = int(line.rsplit(":", 1)[1])
        return time.perf_counter() - began

    async def stop(self) -> None:
        """End it if it runs, and wait until it has."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    def connect(self) -> Any:
        """An SSH connection to it, as an asynchronous context."""
        return asyncssh.connect(
            "127.0.0.1",
            self.port,
            username="bench",
            client_keys=[asyncssh.import_private_key(self.user.private)],
            known_hosts=([asyncssh.import_public_key(self.host.public)], [], []),
        )


async def session(connection: asyncssh.SSHClientConnection) -> Client:
    """A NETCONF session on a connection."""
    process = await connection.create_process(subsystem="netconf", encoding=None)
    process.stdin.write(HELLO)
    await process.stdout.readuntil(b"]]>]]>")
    return Client(process)


async def rates(connections: Sequence[asyncssh.SSHClientConnection], size: int) -> dict[str, float]:
    """Operations a second over one session and over all, one to a connection."""
    clients = [await session(connection) for connection in connections]

    def read(client: Client, number: int) -> Awaitable[object]:
        return client.call(get(f"<app><name>app-{number * 7919 % size:07d}</name></app>"))

    def write(client: Client, number: int) -> Awaitable[object]:
        return client.change(edit("running", app(number * 7919 % size, number + 9000)))

    found: dict[str, float] = {}
    for some in (clients[:1], clients):
        found[f"get one /s, {len(some)}"] = await rate(some, SECONDS, read)
        found[f"edit one /s, {len(some)}"] = await rate(some, SECONDS, write)
    return found


async def measure_peer(args: argparse.Namespace) -> dict[str, Any]:
    """The same client against a server that runs already."""
    host, _, port = args.peer.rpartition(":")
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(
                asyncssh.connect(host, int(port), username=args.user, client_keys=[str(args.key)], known_hosts=None)
            )
            for _ in range(SESSIONS)
        ]
        found = {}
        for size in args.sizes:
            row = await measure(await session(connections[0]), size, args.count)
            found[str(size)] = row | await rates(connections, size)
        return found


async def measure_ours(args: argparse.Namespace) -> dict[str, Any]:
    """A fresh server for every size, so that memory is that size's own."""
    found = {}
    for size in args.sizes:
        with tempfile.TemporaryDirectory(prefix="mec-nms-bench-") as name:
            server = Server(Path(name))
            await server.start()
            try:
                async with AsyncExitStack() as stack:
                    connections = [await stack.enter_async_context(server.connect()) for _ in range(SESSIONS)]
                    row = await measure(await session(connections[0]), size, args.count)
                    row |= await rates(connections, size)
                    row["memory MB"] = resident(server.process.pid)
                await server.stop()
                row["restart s"] = await server.start()
                row["memory MB after restart"] = resident(server.process.pid)
            finally:
                await server.stop()
            found[str(size)] = row
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    """The table: an operation a row, a size a column."""
    sizes = list(found)
    sys.stdout.write(f"{'ms, or as said':<26}" + "".join(f"{int(size):>14,}" for size in sizes) + "\n")
    for row in found[sizes[0]]:
        sys.stdout.write(f"{row:<26}" + "".join(f"{found[size][row]:>14.2f}" for size in sizes) + "\n")


def main() -> None:
    """Read the arguments, measure, show."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure NETCONF operations against size.")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[100, 1_000, 10_000])
    parser.add_argument("--count", type=int, default=50, help="runs of each operation")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--peer", metavar="HOST:PORT", help="measure this server, which serves models/inventory.yang")
    parser.add_argument("--user", default="bench", help="of the peer")
    parser.add_argument("--key", type=Path, help="private SSH key for the peer")
    args = parser.parse_args()
    found = asyncio.run(measure_peer(args) if args.peer else measure_ours(args))
    show(found)
    if args.json:
        about = {"machine": platform.platform(), "python": platform.python_version(), "when": time.strftime("%F %T")}
        args.json.write_text(json.dumps({**about, "figures": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
