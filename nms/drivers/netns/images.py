"""Root file systems by the digest of their image: unpacked once, copied for each instance.

Whoever has a copy holds a link to the file that describes the image, so that the file system itself counts them: what
nobody holds is removed when another image comes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from nms.drivers.api import RpcError
from nms.oci import archive, rootfs
from nms.oci.archive import Image

#: In the folder of an instance, and of an unpacked image.
ABOUT = "image.json"


class Images:
    """The images below a folder, which is made when needed.  Its methods may be called in any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()

    def unpack(self, file: Path, folder: Path, limit: int) -> None:
        """Make an instance's root file system, its folder ``work``, out of an OCI archive, all or nothing.

        Args:
            file: the archive.
            folder: the instance's.
            limit: most bytes that the file system may have.

        Raises:
            RpcError: data-missing, invalid-value (damaged or hostile), too-big, operation-failed,
                operation-not-supported (a kind of layer).
        """
        try:
            with archive.opened(file) as opened, self._turn:
                kept = self._kept(opened, limit)
                (folder / ABOUT).unlink(missing_ok=True)
                os.link(kept / ABOUT, folder / ABOUT)
            _copy(kept / "root", folder / "work")
        except OSError as error:
            raise RpcError("operation-failed", f"the image {file.name} cannot be unpacked: {error}") from error

    def _kept(self, opened: archive.OciArchive, limit: int) -> Path:
        """Where the image is unpacked."""
        image = opened.image()
        kept = self._folder / image.digest
        if (kept / ABOUT).is_file():
            opened.prove(image)  # to know the name of what somebody else runs is not to have it
        else:
            self._tidy()
            self._keep(opened, image, kept, limit)
        if int((kept / "size").read_text()) > limit:
            raise RpcError("too-big", "the OCI image needs more storage than the instance has")
        return kept

    def _keep(self, opened: archive.OciArchive, image: Image, kept: Path, limit: int) -> None:
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(mode=0o700, parents=True)
        try:
            size = rootfs.unpack(opened, image, kept / "root", limit)
            (kept / "size").write_text(str(size))
            (kept / "about.part").write_text(image.text())
            (kept / "about.part").rename(kept / ABOUT)
        except BaseException:
            shutil.rmtree(kept, ignore_errors=True)
            raise

    def _tidy(self) -> None:
        """Remove what no instance has a copy of."""
        for each in self._folder.iterdir() if self._folder.is_dir() else ():
            about = each / ABOUT
            if not about.is_file() or about.stat().st_nlink == 1:
                shutil.rmtree(each, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """By cp(1): where the file system can share the blocks of two files it does, and links stay links."""
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        done = subprocess.run(
            ("cp", "--archive", "--reflink=auto", "--", source, partial), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RpcError("operation-failed", f"the image cannot be copied: {' '.join(done.stderr.split())[:200]}")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def of(folder: Path) -> Image:
    """The image that an instance's file system was made of."""
    return Image.parse((folder / ABOUT).read_text())
