"""A compute driver that makes a server real: its image is unpacked, and its user data run, in a network namespace.

An image is a tar archive in place of a disk, user data is the script that cloud-init would run at each boot.  A bridge
per network, and the routes and rules between them, are in the fabric, a namespace that whoever starts the cloud has
made; security groups are read from the network service and enforced there.
"""

import base64
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import eventlet
from nova.compute import power_state
from nova.image import glance
from nova.network import neutron
from nova.objects import diagnostics
from nova.virt import event, fake

FOLDER = ""  # set by whoever loads this
FABRIC = os.environ["FABRIC"]
GUESTS = {}  # of all hosts, since they share the fabric: the identifier of a server, and what runs for it
TICKS = os.sysconf("SC_CLK_TCK")


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=20, **options).stdout


class Guest:
    """What runs for one server, and where."""

    def __init__(self, instance, network_info):
        self.name = f"{FABRIC}-{instance.uuid[:8]}"
        self.folder = Path(FOLDER, "guests", instance.uuid)
        self.vifs = list(network_info)
        self.rules = {}
        self.process = None

    @property
    def console(self):
        return self.folder / "console"

    def plug(self, context):
        """A namespace, and a link to the bridge of each of its networks."""
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        client = neutron.get_client(context, admin=True)
        for number, vif in enumerate(self.vifs):
            bridge, tap, inside = f"b{vif['network']['id'][:12]}", f"t{vif['id'][:12]}", f"eth{number}"
            subnet = vif["network"]["subnets"][0]
            width = subnet["cidr"].partition("/")[2]
            gateway, address = subnet["gateway"]["address"], vif.fixed_ips()[0]["address"]
            if subprocess.run(["ip", "-n", FABRIC, "link", "show", bridge], capture_output=True).returncode:
                run("ip", "-n", FABRIC, "link", "add", bridge, "type", "bridge")
                run("ip", "-n", FABRIC, "address", "add", f"{gateway}/{width}", "dev", bridge)
                run("ip", "-n", FABRIC, "link", "set", bridge, "up")
            run(*f"ip -n {FABRIC} link add {tap} type veth peer name {inside} netns {self.name}".split())
            run("ip", "-n", FABRIC, "link", "set", tap, "master", bridge, "up")
            run("ip", "-n", self.name, "link", "set", inside, "address", vif["address"], "up")
            run("ip", "-n", self.name, "address", "add", f"{address}/{width}", "dev", inside)
            run("ip", "-n", self.name, "route", "add", "default", "via", gateway)
            groups = client.show_port(vif["id"])["port"]["security_groups"]
            self.rules[address] = [
                rule
                for group in groups
                for rule in client.show_security_group(group)["security_group"]["security_group_rules"]
            ]

    def boot(self):
        """Run the script that came as user data; what it prints is the console."""
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "sh", str(self.folder / "user-data")],
                cwd=self.folder / "disk",
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": os.defpath},
            )

    def halt(self, grace):
        """End it: politely, after the grace by force."""
        for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5)):
            if self.process is None or self.process.poll() is not None:
                break
            if wait:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(wait)
                except subprocess.TimeoutExpired:
                    continue
        for pid in run("ip", "netns", "pids", self.name).split():
            os.kill(int(pid), signal.SIGKILL)

    def unplug(self):
        """Its links, and the bridges that nobody else is on: another network may have the same addresses next."""
        run("ip", "netns", "delete", self.name)
        others = {vif["network"]["id"] for guest in GUESTS.values() for vif in guest.vifs}
        for vif in self.vifs:
            subprocess.run(["ip", "-n", FABRIC, "link", "delete", f"t{vif['id'][:12]}"], capture_output=True)
            if vif["network"]["id"] not in others:
                run("ip", "-n", FABRIC, "link", "delete", f"b{vif['network']['id'][:12]}")

    def pids(self):
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]


def phrase(rule):
    """A rule of a security group in nftables' words; empty for what never passes the router."""
    if rule["ethertype"] != "IPv4" or rule["remote_group_id"]:
        return ""  # members of a group are on one bridge
    words = []
    if rule["remote_ip_prefix"]:
        words.append(f"ip {'saddr' if rule['direction'] == 'ingress' else 'daddr'} {rule['remote_ip_prefix']}")
    if rule["port_range_min"]:
        words.append(f"{rule['protocol']} dport {rule['port_range_min']}-{rule['port_range_max']}")
    elif rule["protocol"]:
        words.append(f"meta l4proto {rule['protocol']}")
    return " ".join(words)


def ruleset(guests):
    """What the router lets through between networks."""
    chains, jumps = [], []
    for guest in guests:
        for address, rules in guest.rules.items():
            for direction, field, verdict in (("egress", "saddr", "return"), ("ingress", "daddr", "accept")):
                name = f"{direction}-{address.replace('.', '-')}"
                passing = [
                    f"{phrase(rule)} {verdict}"
                    for rule in rules
                    if rule["direction"] == direction and rule["ethertype"] == "IPv4" and not rule["remote_group_id"]
                ]
                chains.append(f"chain {name} {{\n" + "\n".join([*passing, "drop"]) + "\n}")
                jumps.append((direction, f"ip {field} {address} jump {name}"))
    forward = [
        "type filter hook forward priority filter; policy accept;",
        "ct state established,related accept",
        *(jump for _, jump in sorted(jumps)),  # what may leave is asked first
    ]
    body = "\n".join([*chains, "chain forward {", *forward, "}"])
    return f"table inet groups {{}}\ndelete table inet groups\ntable inet groups {{\n{body}\n}}\n"


class NamespaceDriver(fake.FakeDriver):
    """The book-keeping is that of Nova's own fake driver; a host is small, so that it can be full."""

    vcpus = 8
    memory_mb = 4096
    local_gb = 40

    def spawn(self, context, instance, image_meta, *others, network_info=None, power_on=True, **options):
        """Unpack and boot."""
        guest = GUESTS[instance.uuid] = Guest(instance, network_info or [])
        disk = guest.folder / "disk"
        disk.mkdir(parents=True)
        archive = str(guest.folder / "image")
        glance.API().download(context, instance.image_ref, dest_path=archive)
        with tarfile.open(archive) as tar:
            tar.extractall(disk)
        (guest.folder / "user-data").write_bytes(base64.b64decode(instance.user_data or ""))
        guest.plug(context)
        self.protect()
        super().spawn(context, instance, image_meta, *others, network_info=network_info, power_on=power_on, **options)
        self._boot(instance, guest)

    def _boot(self, instance, guest):
        guest.boot()
        eventlet.spawn_n(self._watch, instance.uuid, guest.process)

    def _watch(self, uuid, process):
        """A guest that switches itself off is noticed, as a hypervisor notices it."""
        process.wait()
        known = self.instances.get(uuid)
        if known is not None and GUESTS[uuid].process is process and known.state == power_state.RUNNING:
            known.state = power_state.SHUTDOWN
            self.emit_event(event.LifecycleEvent(uuid, event.EVENT_LIFECYCLE_STOPPED))

    def protect(self):
        run("ip", "netns", "exec", FABRIC, "nft", "-f", "-", input=ruleset(GUESTS.values()))

    def power_off(self, instance, timeout=0, retry_interval=0):
        """Switch off."""
        super().power_off(instance, timeout, retry_interval)
        GUESTS[instance.uuid].halt(timeout)

    def power_on(self, context, instance, network_info, block_device_info=None, accel_info=None):
        """Boot again, from the same disk."""
        super().power_on(context, instance, network_info, block_device_info, accel_info)
        self._boot(instance, GUESTS[instance.uuid])

    def destroy(self, context, instance, network_info, *others, **options):
        """Switch off and forget."""
        super().destroy(context, instance, network_info, *others, **options)
        guest = GUESTS.pop(instance.uuid, None)
        if guest is not None:
            guest.halt(0)
            guest.unplug()
            self.protect()

    def get_console_output(self, context, instance):
        """What it has printed."""
        return GUESTS[instance.uuid].console.read_bytes()

    def get_instance_diagnostics(self, instance):
        """Measured use of all its processes."""
        ticks = pages = 0
        for pid in GUESTS[instance.uuid].pids():
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
            pages += int(stat[21])
        found = diagnostics.Diagnostics(state="running", driver="libvirt", hypervisor="namespace", config_drive=False)
        found.add_cpu(id=0, time=ticks * (1_000_000_000 // TICKS), utilisation=0)
        found.memory_details = diagnostics.MemoryDiagnostics(
            maximum=instance.flavor.memory_mb, used=pages * os.sysconf("SC_PAGE_SIZE") >> 20
        )
        return found
