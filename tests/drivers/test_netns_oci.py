"""Instances out of OCI images, from outside: what they are, what they cannot see, and what bounds them."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nms.drivers.api import OCI, InstanceSpec, Resources, RpcError
from nms.drivers.netns import NetnsVim, containers
from nms.drivers.netns.limits import Limits
from nms.drivers.process import proc
from nms.drivers.vim_process import ProcessVim
from tests.drivers import oci_images
from tests.drivers.netns_site import CONSOLE, Site, inside, output, until

ROOM = Resources(200, 128, oci_images.STORAGE)
#: As the console, and says when it is asked to end.
POLITE = """
import signal, sys
def end(number, frame):
    print("asked by", signal.Signals(number).name, flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGQUIT, end)
"""

#: Numbers of system calls that no library offers as they are.
SYSCALLS = {"clone": {"x86_64": 56}.get(platform.machine(), 220)}
BURST = """
def burst():
    for number in range(50):
        try:
            subprocess.Popen(["python3", "-c", "import time; time.sleep(60)"])
        except OSError as error:
            return error
print(burst())
"""


@pytest.fixture
def site(isolated: Site, need: Callable[[str, str], str]) -> Site:
    need(containers.PROGRAM, containers.PACKAGE)
    isolated.image = isolated.folder / "console.oci.tar"
    isolated.image.write_bytes(oci_images.console())
    return isolated


def spec(site: Site, name: str, script: str = CONSOLE, **changes: Any) -> InstanceSpec:
    wanted = {"command": ("python3", "-c", script), "resources": ROOM, "port": 8080, "format": OCI}
    return InstanceSpec(name, site.image, **{**wanted, **changes})


def image(site: Site, script: str = CONSOLE, **wishes: Any) -> Path:
    """An image that knows itself what to run."""
    app = oci_images.files({"srv/app.py": script})
    file = site.folder / "own.oci.tar"
    return oci_images.build(file, oci_images.python(), app, **{"Entrypoint": ["python3", "/srv/app.py"], **wishes})


def test_an_image_says_what_runs_where_and_with_which_environment(site: Site) -> None:
    wishes = {"Env": ["PATH=/usr/local/bin", "MODE=quiet", "LANG=C"], "WorkingDir": "/srv", "User": "root"}

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(
            replace(spec(site, "a", command=(), environment={"MODE": "loud"}, slice="s"), image=image(site, **wishes))
        )
        seen = "print(*(os.environ[each] for each in ('PATH', 'MODE', 'LANG', 'MEC_APP_INSTANCE_ID')), os.getcwd())"
        assert await inside(a, seen) == "/usr/local/bin loud C a /srv"
        assert await inside(a, "print(socket.gethostname(), os.getpid())") == "a 1"
        assert await inside(a, "print(socket.gethostbyname('localhost'), socket.gethostbyname('a'))") == (
            f"127.0.0.1 {a.address}"
        )
        # Whoever it is, it may listen where its image expects to.
        await inside(a, "socket.create_server((os.environ['MEC_ADDRESS'], 80)).close()")
        assert await inside(a, "socket.create_server(('', 80)); print('ok')") == "ok"

    site.run(story)


def test_a_container_has_no_privileges_and_sees_nothing_of_the_host(site: Site) -> None:
    secret = site.folder / "secret"
    secret.write_text("of the host")
    secret.chmod(0o644)

    async def story(vim: NetnsVim) -> None:
        a, b = await vim.start(spec(site, "a")), await vim.start(spec(site, "b"))
        look = "for line in open('/proc/self/status'): line.split()[0] in {names} and print(*line.split()[1:])"
        names = ("Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:")
        uid, gid, groups, *rest = (await inside(a, look.format(names=names))).splitlines()
        assert int(uid.split()[0]) > 65536
        assert (gid, groups, rest) == (uid, "", ["0" * 16] * 5 + ["1"])
        assert await inside(b, "print(os.getuid())") != uid.split()[0]
        # No file, no process, no mount and no namespace of the host.
        for path in (secret, site.folder, "/etc/passwd", "/root/.bashrc", "/sys/fs/cgroup/memory", "/run/netns"):
            assert await inside(a, f"print(os.path.exists({str(path)!r}))") == "False", path
        assert await inside(a, "print([each for each in os.listdir('/proc') if each.isdigit()])") == "['1']"
        assert str(site.folder) not in await inside(a, "print(open('/proc/mounts').read())")
        own = await inside(
            a, "print(*(os.readlink(f'/proc/self/ns/{n}') for n in ('pid', 'mnt', 'ipc', 'uts', 'net')))"
        )
        theirs = {os.readlink(f"/proc/self/ns/{n}") for n in ("pid", "mnt", "ipc", "uts", "net")}
        assert not theirs & set(own.split())
        tries = {
            "os.mknod('/app/null', 0o20666, os.makedev(1, 3))": "Operation not permitted",
            "open('/proc/sys/kernel/hostname', 'w')": "Read-only file system",
            "open('/sys/kernel/mm/transparent_hugepage/enabled', 'w')": "Read-only file system",
            "os.setuid(0)": "Operation not permitted",
            "os.chroot('/app')": "Operation not permitted",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)": "Operation not permitted",
            "open('/dev/kmsg')": "No such file",
        }
        new_user = 0x10000000
        for call in (f"unshare({new_user})", f"syscall({SYSCALLS['clone']}, {new_user | signal.SIGCHLD}, 0, 0, 0, 0)"):
            code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.{call}, ctypes.get_errno())"
            assert await inside(a, code) == "-1 1", call
        for code, refusal in tries.items():
            said = await inside(a, f"try:\n {code}; print('done')\nexcept OSError as e: print(e)")
            assert refusal in said, (code, said)

        # Each has a root file system of its own, in which it may write.
        for folder in ("/app", "/", "/tmp", "/dev/shm"):
            await inside(a, f"open('{folder}/kept', 'w').write('yes')")
            assert "kept" not in await inside(b, f"print(os.listdir('{folder}'))")

    site.run(story)


def test_memory_processes_and_storage_are_limited(site: Site) -> None:
    if missing := Limits().missing:
        pytest.skip(missing)

    async def story(vim: NetnsVim) -> None:
        a = await vim.start(spec(site, "a"))
        said = await inside(a, BURST)
        assert "Resource temporarily unavailable" in said
        assert (await vim.kpis("a")).processes <= 20
        await vim.stop("a", grace=0)
        await vim.start(spec(site, "a"))
        took = "try:\n held = bytearray(500 << 20)\n print('took it')\nexcept MemoryError: print('refused')"
        assert await inside(a, took) != "took it"
        await until(lambda: bool(site.reported))
        failed = await vim.status("a")
        assert (failed.state, "ended by itself" in failed.reason) == ("failed", True)
        assert output("find", "/sys/fs/cgroup", "-type", "d", "-name", f"mec-{a.address}") == ""

        small = spec(site, "small", resources=replace(ROOM, storage=2))
        with pytest.raises(RpcError) as refused:
            await vim.start(small)
        assert refused.value.tag == "too-big"

    site.run(story, processes=20)


def test_it_is_asked_to_end_as_its_image_says(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        log = site.folder / "state/instances/a/log"
        for wishes, name in (({}, "SIGTERM"), ({"StopSignal": "SIGQUIT"}, "SIGQUIT")):
            await vim.start(replace(spec(site, "a", command=()), image=image(site, POLITE + CONSOLE, **wishes)))
            stopped = await vim.stop("a", grace=10)
            assert stopped.state == "stopped"
            assert log.read_text() == f"asked by {name}\n"
            await vim.delete("a")
        # The first process of a container does not end of a signal that it does not handle: nobody waits for that.
        # One that ignores it has its time, and is then ended by force.
        for script, grace in ((CONSOLE, 600.0), (f"import signal\nsignal.signal(15, signal.SIG_IGN)\n{CONSOLE}", 0.2)):
            await vim.start(spec(site, "a", script))
            assert (await vim.stop("a", grace=grace)).state == "stopped"
            await vim.delete("a")

    site.run(story)


def test_the_container_ends_with_whoever_keeps_it_and_nothing_of_it_is_left(site: Site) -> None:
    async def story(vim: NetnsVim) -> None:
        a = await vim.start(spec(site, "a"))
        child = "print(subprocess.Popen(['python3', '-c', 'import time; time.sleep(600)'], start_new_session=True).pid)"
        await inside(a, child)
        name = f"mec-{a.address}"
        processes = [int(each) for each in output("ip", "netns", "pids", name).split()]
        assert len(processes) == 2
        marked = proc.marked("MEC_INSTANCE_DIR", str(site.folder / "state/instances/a"))
        (keeper,) = set(marked) - set(processes)
        os.kill(keeper, signal.SIGKILL)
        await until(lambda: bool(site.reported))
        assert (await vim.status("a")).state == "failed"
        await until(lambda: not any(map(proc.born, processes)))
        assert (await vim.start(spec(site, "a"))).state == "started"
        await vim.delete("a", grace=0)
        assert not (containers.STATE / name).exists()
        assert output("find", "/sys/fs/cgroup", "-type", "d", "-name", name) == ""
        # After a reboot neither runc nor the kernel knows anything of it.
        a = await vim.start(spec(site, "a"))
        await vim.close()
        site.remove()
        await until(lambda: not (containers.STATE / f"mec-{a.address}").exists())
        await vim.open(site.reported.append)
        assert [(each.id, each.state) for each in site.reported[1:]] == [("a", "failed")]
        assert (await vim.start(spec(site, "a"))).address == a.address
        assert await inside(a, "print('alive')") == "alive"

    site.run(story)


def test_an_image_is_unpacked_once_and_kept_while_it_is_used(site: Site) -> None:
    kept = site.folder / "state/images"

    async def story(vim: NetnsVim) -> None:
        for name in "ab":
            await vim.start(spec(site, name))
        (first,) = kept.iterdir()
        changed = first.stat().st_ctime_ns
        await vim.delete("a", grace=0)
        await vim.start(spec(site, "a"))
        assert [(each, each.stat().st_ctime_ns) for each in kept.iterdir()] == [(first, changed)]
        other = replace(spec(site, "c", command=()), image=image(site))
        await vim.start(other)
        assert len(list(kept.iterdir())) == 2
        for name in "abc":
            await vim.delete(name, grace=0)
        third = replace(other, image=image(site, Env=["NEW=1"]))
        await vim.start(third)
        (only,) = kept.iterdir()
        assert only != first

    site.run(story)


def test_who_knows_the_name_of_an_image_does_not_have_it(site: Site) -> None:
    """What another tenant runs is unpacked already; an archive with nothing but its manifest is not that image."""
    shell = site.folder / "shell.tar"
    with tarfile.open(site.image) as whole, tarfile.open(shell, "w") as bare:
        for member in whole:
            if member.size < 1 << 16:  # the layer is what is large
                bare.addfile(member, whole.extractfile(member))

    async def story(vim: NetnsVim) -> None:
        await vim.start(spec(site, "a"))
        with pytest.raises(RpcError) as refused:
            await vim.start(replace(spec(site, "b"), image=shell))
        assert (refused.value.tag, "lacks" in refused.value.message) == ("data-missing", True)

    site.run(story)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"command": ()}, "names a command"),
        ({"command": ("no-such-program",)}, "no-such-program"),
        ({"image": Path("/nowhere.tar")}, "/nowhere.tar does not exist"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(site: Site, changes: dict[str, Any], says: str) -> None:
    async def story(vim: NetnsVim) -> None:
        with pytest.raises(RpcError) as failed:
            await vim.start(replace(spec(site, "a"), **changes))
        assert (says in failed.value.message, "\n" in failed.value.message) == (True, False), failed.value.message
        assert (await vim.status("a")).state == "failed"
        assert site.namespaces() == [site.fabric]

    site.run(story)


def test_without_runc_or_isolation_an_oci_image_is_refused_and_it_is_said_why(
    isolated: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"hosts": [{"name": "h1", "zone": "z1", "cpu": 2, "memory": 512, "storage": 640}]}
    embedded = ProcessVim(place, tmp_path / "embedded")
    assert "netns" in embedded.formats()[OCI]
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "runc" else which(name))

    async def story(vim: NetnsVim) -> None:
        assert vim.formats() == {
            "process-archive": "",
            "oci": "runc is not installed (Debian package runc)",
        }
        for wanted, reason in ((OCI, "runc is not installed"), ("qcow2", "does not know it")):
            with pytest.raises(RpcError) as refused:
                await vim.start(replace(isolated.spec("a"), format=wanted))
            assert refused.value.tag == "operation-not-supported"
            assert reason in refused.value.message
        assert await vim.list() == []

    isolated.run(story)
