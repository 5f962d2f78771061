"""`make bench`: how long NETCONF operations take against the size of the datastore.

Starts `nms serve` on a model of its own, with its journal on disk, and speaks NETCONF over SSH to it in raw frames, so
that what is timed is the server.  Prints a table of medians and, with `--json FILE`, writes the figures.  Machines are
noisy: compare columns of one run, not runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
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


class Client:
    """One NETCONF session in raw chunked frames."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.process = process

    async def call(self, operation: str) -> bytes:
        """One rpc; the whole reply as it came."""
        body = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'.encode()
        self.process.stdin.write(b"\n#%d\n%b\n##\n" % (len(body), body))
        return await self.process.stdout.readuntil(END)

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


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Start a server and measure every size."""
    with tempfile.TemporaryDirectory(prefix="mec-nms-bench-") as name:
        folder = Path(name)
        host, user = ssh_key_pair("host"), ssh_key_pair("bench")
        (folder / "host_key").write_bytes(host.private)
        (folder / "id.pub").write_text(user.public + "\n")
        (folder / "nms.toml").write_text(
            f"""
[domain]
id = "bench"
[yang]
path = ["{Path(__file__).parent / "models"}"]
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
        )
        command = [sys.executable, "-m", "nms.cli", "serve", "--config", str(folder / "nms.toml")]
        server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            assert server.stdout is not None
            line = (await server.stdout.readline()).decode()
            async with asyncssh.connect(
                "127.0.0.1",
                int(line.rsplit(":", 1)[1]),
                username="bench",
                client_keys=[asyncssh.import_private_key(user.private)],
                known_hosts=([asyncssh.import_public_key(host.public)], [], []),
            ) as connection:
                process = await connection.create_process(subsystem="netconf", encoding=None)
                process.stdin.write(HELLO)
                await process.stdout.readuntil(b"]]>]]>")
                client = Client(process)
                return {str(size): await measure(client, size, args.count) for size in args.sizes}
        finally:
            server.terminate()
            await server.wait()


def show(found: dict[str, dict[str, float]]) -> None:
    """The table: an operation a row, a size a column."""
    sizes = list(found)
    sys.stdout.write(f"{'median ms':<20}" + "".join(f"{int(size):>14,}" for size in sizes) + "\n")
    for row in found[sizes[0]]:
        sys.stdout.write(f"{row:<20}" + "".join(f"{found[size][row]:>14.2f}" for size in sizes) + "\n")


def main() -> None:
    """Read the arguments, measure, show."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure NETCONF operations against size.")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[100, 1_000, 10_000])
    parser.add_argument("--count", type=int, default=50, help="runs of each operation")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    found = asyncio.run(run(args))
    show(found)
    if args.json:
        about = {"machine": platform.platform(), "python": platform.python_version(), "when": time.strftime("%F %T")}
        args.json.write_text(json.dumps({**about, "medians": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
