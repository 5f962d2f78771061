"""How a content comes into the package store: pulled from where it is, resumable, checked by its digest.

It must not know what the contents are, nor how bytes travel; that is the `PackageSource`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from nms.errors import RpcError
from nms.mec.package_store import PackageStore


class PackageSource(Protocol):
    """Where contents come from that are not here: another domain, over an authenticated channel."""

    def read(self, source: str, offset: int, partner: str) -> AsyncIterator[bytes]:
        """The content of the URI `source` from byte `offset` on.

        Args:
            partner: domain that has named the source; "" for the domain's own operator.  Nothing may be read but what
                that partner has itself.

        Raises:
            RpcError: access-denied, data-missing; with app_tag "temporary" what may pass.
        """


async def pull(
    store: PackageStore,
    digest: str,
    size: int,
    read: Callable[[int], AsyncIterator[bytes]],
    progress: Callable[[int], None],
) -> None:
    """Take in the content with that digest; nothing happens when it is here.

    Args:
        read: gives the bytes from an offset on.
        progress: called with the number of bytes that have arrived.

    Raises:
        RpcError: those of `PackageStore` and of `read`.
    """
    if digest in store:
        return
    arrived = await asyncio.to_thread(store.begin, digest, size)
    progress(arrived)
    if arrived < size:
        async for chunk in read(arrived):
            arrived = await asyncio.to_thread(store.append, digest, arrived, chunk)
            progress(arrived)
    await asyncio.to_thread(store.finish, digest)


def file_of(source: str) -> Path | None:
    """The file of this machine that a ``file:`` URI names (RFC 8089); None for another URI."""
    parts = urlsplit(source)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


async def read_file(path: Path, offset: int) -> AsyncIterator[bytes]:
    """The bytes of a file from `offset` on.  Raises `RpcError`: data-missing."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while chunk := await asyncio.to_thread(file.read, 1 << 20):
                yield chunk
    except OSError as error:
        raise RpcError("data-missing", f"{path} cannot be read: {error.strerror}") from error
