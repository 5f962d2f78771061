"""What runc is told of an instance (OCI runtime specification 1.0, config.json); pure.

The process has no capability and gains none, a user of its own, and its own processes, mounts, names and System V
memory; its network is the namespace that is there, its limits the cgroup that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: MiB that an instance may keep in each of the folders for what is temporary; they count as its memory.
SCRATCH = 16
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (mounted over, for one instance alone)
#: Of an image that says nothing.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What the kernel shows of the machine and is nobody's business in an instance.
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/cgroup",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

#: What no application needs and an attacker would: the kernel's keys, programs, mounts, namespaces, other machines'
#: calls.  `clone3` says that it is not there, and libraries then use `clone`, whose flags can be looked at.
_REFUSED = (
    "acct", "add_key", "bpf", "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load", "keyctl", "mount",
    "mount_setattr", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "quotactl",
    "reboot", "request_key", "setns", "swapoff", "swapon", "syslog", "umount", "umount2", "unshare", "userfaultfd",
)  # fmt: skip
_EPERM, _ENOSYS = 1, 38
#: CLONE_NEWUSER: with a user namespace of its own a process would have every capability in it.
_NEW_USER = 0x10000000
_SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": list(_REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        {
            "names": ["clone"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": _EPERM,
            "args": [{"index": 0, "value": _NEW_USER, "valueTwo": _NEW_USER, "op": "SCMP_CMP_MASKED_EQ"}],
        },
    ],
}


def config(
    *,
    name: str,
    root: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    user: int,
    network: Path,
    cgroup: str,
    hosts: Path,
) -> dict[str, Any]:
    """The document.

    Args:
        name: the instance's host name.
        root: its root file system, its own, in which it may write.
        folder: to start in.
        user: user and group of its processes.
        network: path of its network namespace.
        cgroup: below each controller; empty: there are none to be used.
        hosts: file that it sees as /etc/hosts.
    """
    made = ("ipc", "mount", "pid", "uts")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": user, "gid": user},
            "args": list(command),
            "env": [f"{variable}={value}" for variable, value in environment.items()],
            "cwd": folder,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": False},
        "hostname": name[:63],
        "mounts": [
            _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
            _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=64k"),
            _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
            _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
            *(_mount(place, "tmpfs", "nosuid", "nodev", "mode=1777", f"size={SCRATCH}m") for place in TEMPORARY),
            {
                "destination": "/etc/hosts",
                "type": "bind",
                "source": str(hosts),
                "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
            },
        ],
        "linux": {
            "namespaces": [*({"type": each} for each in made), {"type": "network", "path": str(network)}],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            # Whatever user it is, it may listen on port 80 as its image expects: the address is its own.
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "seccomp": _SECCOMP,
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
            **({"cgroupsPath": cgroup} if cgroup else {}),
        },
    }


def _mount(place: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": kind, "source": kind, "options": list(options)}
