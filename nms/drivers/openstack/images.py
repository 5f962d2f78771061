"""Images in the image service: one per slice and content, known by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from openstack.connection import Connection

from nms.drivers.api import RpcError
from nms.drivers.openstack.names import Names

_QCOW2 = b"QFI\xfb"


def ensure(slice: Connection, names: Names, file: Path, grace: float) -> str:
    """The id of the image with a file's content, uploaded where it is missing.

    Args:
        slice: connection to the project of the slice, which alone sees the image.
        grace: seconds that a server of it is given to shut down.

    Raises `RpcError`: data-missing (no such file), operation-failed (what arrived is not what was sent).
    """
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha512").hexdigest()
            content.seek(0)
            kind = "qcow2" if content.read(4) == _QCOW2 else "raw"
    except OSError as error:
        raise RpcError("data-missing", f"image {file} cannot be read: {error.strerror}") from error
    name = names.image(digest)
    for each in slice.image.images(name=name):
        if each.status == "active" and each.hash_value == digest:
            return str(each.id)
        slice.image.delete_image(each)  # an upload that broke off
    with file.open("rb") as content:
        image = slice.image.create_image(
            name,
            data=content,
            disk_format=kind,
            container_format="bare",
            visibility="private",
            allow_duplicates=True,
            os_shutdown_timeout=str(max(1, round(grace))),
        )
    stored = slice.image.get_image(image.id)
    if stored.hash_algo != "sha512" or stored.hash_value != digest:
        slice.image.delete_image(stored)
        raise RpcError("operation-failed", f"image {file.name} arrived damaged in the cloud; try again")
    return str(image.id)
