"""An OCI image as another tool makes it: umoci and we unpack the same root file system."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from nms.oci import archive, rootfs


def tree(root: Path) -> dict[str, tuple[str, int, str]]:
    """Path -> kind, mode and content."""
    found = {}
    for path in root.rglob("*"):
        about = path.lstat()
        if path.is_symlink():
            what = ("link", 0, os.readlink(path))
        elif path.is_dir():
            what = ("folder", stat.S_IMODE(about.st_mode), "")
        else:
            what = ("file", stat.S_IMODE(about.st_mode), path.read_text())
        found[path.relative_to(root).as_posix()] = what
    return found


def test_the_same_root_file_system_comes_out(tmp_path: Path, need: Callable[[str, str], str]) -> None:
    program = need("umoci", "umoci")

    def umoci(*words: str) -> None:
        subprocess.run([program, *words], cwd=tmp_path, check=True, capture_output=True)

    first, second = tmp_path / "first", tmp_path / "second"
    for path, text in {"usr/bin/serve": "1", "etc/conf": "a=1", "etc/gone": "x", "var/lib/old": "o"}.items():
        (first / path).parent.mkdir(parents=True, exist_ok=True)
        (first / path).write_text(text)
    (first / "usr/bin/serve").chmod(0o755)
    (first / "bin").symlink_to("usr/bin")
    (first / "absolute").symlink_to("/etc/conf")
    os.link(first / "etc/conf", first / "etc/same")
    second.mkdir(mode=0o750)
    (second / "new").write_text("n")

    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    umoci("init", "--layout", "image")
    umoci("new", "--image", "image:1")
    for words in (["first", "/"], ["--opaque", "second", "/var/lib"], ["--whiteout", "/etc/gone"]):
        umoci("insert", *rootless, "--image", "image:1", *words)
    umoci("config", "--image", "image:1", "--config.entrypoint", "/bin/serve", "--config.env", "A=b")
    umoci("unpack", *rootless, "--image", "image:1", "bundle")

    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(tmp_path / "image", arcname=".")
    with archive.opened(tmp_path / "image.tar") as opened:
        opened.check()
        image = opened.image()
        rootfs.unpack(opened, image, tmp_path / "ours", 1 << 20)
    ours = tree(tmp_path / "ours")
    assert ours == tree(tmp_path / "bundle/rootfs")
    assert "etc/gone" not in ours
    assert "var/lib/old" not in ours
    assert (image.command, dict(image.environment)["A"]) == (("/bin/serve",), "b")
