"""Starts the control plane of a real OpenStack from Debian's packages, on free ports of this machine, and ends it.

    python -m tests.openstack.control_plane FOLDER      starts one and waits for the end of its input

Identity, image, placement, network and compute services; a server is a process in a network namespace
(`services/namespaces.py`).  `settings` says how they are configured, `PACKAGES` what they are.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.openstack import catalogue, settings

#: A module or a program that shows that a Debian package is there.
MODULES = {
    "keystone": "python3-keystone",
    "glance": "python3-glance",
    "placement": "python3-placement",
    "neutron": "python3-neutron",
    "nova": "python3-nova",
}
PROGRAMS = {"ip": "iproute2", "nft": "nftables"}
#: The Python that Debian's packages belong to.
PYTHON = "/usr/bin/python3"
SERVICES = Path(__file__).with_name("services")
#: Seconds until everything answers; measured: about 20.
DEADLINE = 120.0


def missing() -> list[str]:
    """The Debian packages that are not installed."""
    asked = f"import importlib.util as u; print(*(m for m in {list(MODULES)} if u.find_spec(m) is None))"
    if not os.access(PYTHON, os.X_OK):
        return list(MODULES.values())
    found = subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True, cwd="/").stdout
    lacking = [MODULES[name] for name in found.split()]
    return lacking + [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


class ControlPlane:
    """The cloud.

    Attributes:
        clouds: a clouds.yaml with the administrator's account, as cloud ``test``.
        pool: block of addresses for networks, which this machine has a route to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clouds = folder / "clouds.yaml"
        number = random.SystemRandom().randrange(20, 80)
        self.access, self.pool = f"10.{number}.0", f"10.{number}.128.0/17"
        self.block = f"10.{number}.0.0/16"
        self.fabric = f"cloud-{number}"
        self.ports = dict(zip(settings.SERVICES, _free_ports(len(settings.SERVICES)), strict=True))
        self.laps: dict[str, float] = {}
        self._began = time.monotonic()
        self._processes: list[subprocess.Popen[bytes]] = []

    # -- the beginning

    def start(self) -> None:
        """Returns when servers can be made.  Raises `RuntimeError` with the log of what failed."""
        self._began = time.monotonic()
        for name in (
            "db",
            "log",
            "keys/fernet",
            "keys/receipts",
            "keys/credential",
            "images",
            "guests",
            "state",
            "lock",
            "plugins",
        ):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        for kind, key in itertools.product(("fernet", "receipts", "credential"), "01"):
            (self.folder / "keys" / kind / key).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        for name, sections in settings.files(self.folder, self.ports).items():
            (self.folder / name).write_text(settings.render(sections))
        self._write_clouds()
        self._write_plugin()
        self._make_fabric()
        self._lap("configured")
        ports = (str(self.ports[name]) for name in ("keystone", "placement"))
        script = str(SERVICES / "keystone_placement.py")
        self._spawn("keystone", PYTHON, script, str(self.folder), settings.PASSWORD, settings.REGION, *ports)
        self._make_schemas()
        self._lap("database schemas")
        self._spawn("glance", PYTHON, "-m", "glance.cmd.api", "--config-file", str(self.folder / "glance.conf"))
        server = "import locked; from neutron.cmd.eventlet.server import main; main()"
        self._spawn("neutron", PYTHON, "-c", server, "--config-file", str(self.folder / "neutron.conf"))
        self._answers("keystone", "/v3")
        with self.connection() as cloud:
            catalogue.register(cloud, self.ports)
        self._lap("identity")
        self._spawn("nova", PYTHON, str(SERVICES / "compute.py"), str(self.folder), *settings.HOSTS)
        for name, path in (("placement", "/"), ("glance", "/"), ("neutron", "/"), ("nova", "/")):
            self._answers(name, path)
        self._lap("every service")
        with self.connection() as cloud:
            catalogue.arrange(cloud, DEADLINE)
        self._lap("hosts in their zones")

    def connection(self) -> Connection:
        """As the cloud's administrator."""
        files = OpenStackConfig(config_files=[str(self.clouds)], vendor_files=[], load_envvars=False)
        return Connection(config=files.get_one(cloud="test"))

    def stop(self) -> None:
        """End everything and remove it but for the folder."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        names = [line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line]
        for name in names:
            if name == self.fabric or name.startswith(f"{self.fabric}-"):
                for pid in map(int, _run("ip", "netns", "pids", name).split()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                _run("ip", "netns", "delete", name)
        subprocess.run(["ip", "link", "delete", self.fabric], capture_output=True, check=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[ControlPlane]:
        """Started here, ended behind."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    # -- parts

    def _lap(self, what: str) -> None:
        self.laps[what] = round(time.monotonic() - self._began, 1)

    def _write_clouds(self) -> None:
        """As an operator gives it to the driver."""
        text = f"""clouds:
  test:
    auth:
      auth_url: http://127.0.0.1:{self.ports["keystone"]}/v3
      username: admin
      password: {settings.PASSWORD}
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    region_name: {settings.REGION}
"""
        with open(os.open(self.clouds, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)

    def _write_plugin(self) -> None:
        """An installed plug-in, as far as Python is concerned: metadata with an entry point."""
        about = self.folder / "plugins/bound_at_once-1.egg-info"
        about.mkdir()
        (about / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: bound-at-once\nVersion: 1\n")
        point = "[neutron.ml2.mechanism_drivers]\nbound_at_once = bound_at_once:Mechanism\n"
        (about / "entry_points.txt").write_text(point)

    def _make_fabric(self) -> None:
        """The router of all networks, and this machine's link to it."""
        for words in (
            f"netns add {self.fabric}",
            f"-n {self.fabric} link set lo up",
            f"link add {self.fabric} type veth peer name access netns {self.fabric}",
            f"address add {self.access}.2/24 dev {self.fabric}",
            f"link set {self.fabric} up",
            f"-n {self.fabric} address add {self.access}.1/24 dev access",
            f"-n {self.fabric} link set access up",
            f"route add {self.pool} via {self.access}.1",
        ):
            _run("ip", *words.split())
        switches = """
        echo 1 > /proc/sys/net/ipv4/ip_forward
        for each in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e "$each" ] || echo 0 > "$each"; done
        """
        _run("ip", "netns", "exec", self.fabric, "sh", "-c", switches)

    def _make_schemas(self) -> None:
        process = self._spawn("schemas", PYTHON, str(SERVICES / "schemas.py"), str(self.folder), settings.TRANSPORT)
        if process.wait(DEADLINE):
            raise RuntimeError(self._words("schemas"))
        self._processes.remove(process)

    def _spawn(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "FABRIC": self.fabric,
            "PYTHONPATH": f"{self.folder / 'plugins'}:{SERVICES}",
            "PYTHONWARNINGS": "ignore",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self._output(name).open("ab") as log:
            process = subprocess.Popen(
                words, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _output(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.out"

    def _words(self, name: str) -> str:
        """The last of what a service has printed and logged."""
        files = [self._output(name), self.folder / "log" / f"{name}.log"]
        return "\n".join(f"{file.name}: {file.read_text()[-3000:]}" for file in files if file.exists())

    def _answers(self, service: str, path: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[service], timeout=30)
            try:
                connection.request("GET", path)
                if connection.getresponse().status < 500:
                    return
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args!r} ended\n{self._words(service)}")
        raise RuntimeError(f"{service} does not answer\n{self._words(service)}")


def _free_ports(count: int) -> list[int]:
    """Ports that nobody holds; all at once, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Run one until the input ends."""
    folder = Path(sys.argv[1]).resolve()
    if lacking := missing():
        sys.exit(f"missing; on Debian: apt-get install {' '.join(lacking)}")
    with ControlPlane(folder).running() as plane:
        print(plane.laps, plane.clouds, plane.pool, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
