"""The software image of a package that is being built: a file of it, or made of a folder.

What the image's format says of it is checked here as far as its author can still mend it.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import BinaryIO

from nms.errors import RpcError
from nms.oci import archive

_OCI = "mec-types:oci"


def pack(image: str, contents: dict[str, bytes | Path | BinaryIO], made: BinaryIO) -> None:
    """Replace the files of the folder that stands for the image by the image: an archive, or an OCI image layout.

    Args:
        image: its path in the package; the folder is called so but for ``.tar``.
        contents: of the package, by path.
        made: where the image is written.

    Raises:
        RpcError: data-missing.
    """
    prefix = image.removesuffix(".tar") + "/"
    members = {name: path for name, path in contents.items() if name.startswith(prefix) and isinstance(path, Path)}
    if not members or not image.endswith(".tar"):
        raise RpcError("data-missing", f"the descriptor's image {image} is neither a file nor, without .tar, a folder")
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in sorted(members.items()):
            member = tarfile.TarInfo(name.removeprefix(prefix))
            member.size = path.stat().st_size
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(member, file)
            del contents[name]
    contents[image] = made


def check(format: object, content: BinaryIO) -> None:
    """Whether an image is what its format says; an OCI image: every blob has its digest.

    Raises `RpcError`: invalid-value, too-big.
    """
    if format == _OCI:
        with archive.reading(content) as opened:
            opened.check()
