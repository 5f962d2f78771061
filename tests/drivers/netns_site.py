"""What the tests of the isolating drivers stand on: a site of its own, a console in each instance, and clients."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ipaddress
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nms.drivers.api import Instance, InstanceSpec, Resources, TrafficRule
from nms.drivers.netns import NetnsVim, system

SMALL = Resources(200, 64, 16)
#: Runs the code that it is sent, and sends what that prints: how a test looks around inside an instance.
CONSOLE = """
import functools, os, socket, subprocess, threading, time
def connects(address, port):
    try:
        socket.create_connection((address, port), 0.25).close()
        return True
    except OSError:
        return False
def serve(client):
    with client, client.makefile("rw") as stream:
        exec(stream.read(), {**globals(), "print": functools.partial(print, file=stream)})
server = socket.create_server((os.environ["MEC_ADDRESS"], int(os.environ["MEC_PORT"])))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""


async def inside(instance: Instance, code: str) -> str:
    """What the code prints, run in the instance."""
    reader, writer = await asyncio.open_connection(instance.address, instance.port)
    writer.write(code.encode())
    writer.write_eof()
    async with asyncio.timeout(20):
        output = await reader.read()
    writer.close()
    return output.decode().strip()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition, or fail."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what other processes do sets no event here)
            await asyncio.sleep(0.01)


def output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Site:
    """A block of addresses of its own, a state folder, and an image that is a console."""

    def __init__(self, folder: Path) -> None:
        some = random.SystemRandom()
        self.prefix = f"10.{some.randrange(100, 250)}.{16 * some.randrange(16)}"
        self.addresses = f"{self.prefix}.0/20"
        self.fabric = f"mec-{self.prefix}.0"
        self.folder = folder
        self.reported: list[Instance] = []
        self.image = folder / "console.tar"
        with tarfile.open(self.image, "w") as tar:
            member = tarfile.TarInfo("app.py")
            member.size = len(CONSOLE)
            tar.addfile(member, io.BytesIO(CONSOLE.encode()))

    def spec(self, name: str, slice: str = "", **changes: Any) -> InstanceSpec:
        wanted = {"resources": SMALL, "port": 8080, **changes}
        return InstanceSpec(name, self.image, ("python3", "app.py"), slice=slice, **wanted)

    def run(self, story: Callable[[NetnsVim], Awaitable[None]], **config: Any) -> None:
        """Run a story with an open VIM, and delete what it leaves."""
        hosts = [{"name": "h1", "zone": "z1", "cpu": 2, "memory": 2048, "storage": 640}]

        async def whole() -> None:
            vim = NetnsVim({"addresses": self.addresses, "hosts": hosts, **config}, self.folder / "state")
            await vim.open(self.reported.append)
            try:
                await story(vim)
                for each in await vim.list():
                    await vim.delete(each.id, grace=0)
            finally:
                await vim.close()

        asyncio.run(whole())

    def namespaces(self) -> list[str]:
        """Those of our block; other tests run beside."""
        block = ipaddress.ip_network(self.addresses)
        names = (name for name in os.listdir(system.NAMESPACES) if name.startswith("mec-"))
        return [name for name in names if ipaddress.ip_address(name.removeprefix("mec-")) in block]

    def remove(self) -> None:
        """The end of the machine, for our part of it."""
        for name in self.namespaces():
            for pid in map(int, output("ip", "netns", "pids", name).split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], check=True)
        for lock in system.RUN.glob(f"{self.fabric}*.lock"):
            lock.unlink()


class Clients:
    """A client and the server in the wide network that it means, each in a namespace, both on the access network."""

    FAR = "203.0.113.5"

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gateway = f"{site.prefix}.200"
        self.client, self.origin = f"client-{site.prefix}", f"origin-{site.prefix}"

    def __enter__(self) -> Clients:
        for number, name in ((100, self.client), (200, self.origin)):
            subprocess.run(["ip", "netns", "add", name], check=True)
            for words in (
                f"-n {self.site.fabric} link add name far{number} type veth peer name eth0 netns {name}",
                f"-n {self.site.fabric} link set far{number} master access up",
                f"-n {name} link set lo up",
                f"-n {name} address add {self.site.prefix}.{number}/24 dev eth0",
                f"-n {name} link set eth0 up",
                f"-n {name} route add default via {self.site.prefix}.1",
            ):
                subprocess.run(["ip", *words.split()], check=True)
        subprocess.run(["ip", "-n", self.origin, "address", "add", f"{self.FAR}/32", "dev", "lo"], check=True)
        serve = (
            f"import socket\ns = socket.create_server(('{self.FAR}', 8080))\nprint('up', flush=True)\n"
            "while True:\n c = s.accept()[0]\n c.makefile().read()\n c.sendall(b'origin')\n c.close()"
        )
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.origin, "python3", "-c", serve], stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == "up\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()
        self.server.communicate()
        for name in (self.client, self.origin):
            subprocess.run(["ip", "netns", "delete", name], check=True)

    async def asks(self) -> str:
        """Who answers the client that connects to the far server: origin, edge or nobody."""
        ask = (
            f"import socket\ntry: c = socket.create_connection(('{self.FAR}', 8080), 0.5)\n"
            "except OSError: print('nobody'); raise SystemExit\n"
            "c.sendall(b\"print('edge')\"); c.shutdown(1); print(c.makefile().read().strip())"
        )
        words = ["ip", "netns", "exec", self.client, "python3", "-c", ask]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True)
        return done.stdout.strip()


def rule(name: str, priority: int, action: str, **changes: Any) -> TrafficRule:
    flow = {"destination-address": [f"{Clients.FAR}/32"], "destination-port": [8080], "protocol": "mec-types:tcp"}
    return TrafficRule("a", name, priority, action, filter={**flow, **changes.pop("filter", {})}, **changes)
