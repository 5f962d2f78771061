"""How a content comes into the package store: pulled from where it is, resumable, checked by its digest.

It must not know what the contents are, nor how bytes travel; that is the `PackageSource`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from nms.errors import RpcError
from nms.mec.package_store import PackageStore
from nms.mec.session import uninterrupted


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


class Transfers:
    """Takes contents in, each by one transfer at a time whoever asks for it.

    Args:
        source: where contents of other machines come from; None: nothing can be pulled.
    """

    def __init__(self, store: PackageStore, source: PackageSource | None) -> None:
        self.store = store
        self._source = source
        self._under_way: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take_in(self, digest: str, uri: str, size: int, partner: str, progress: Callable[[int], None]) -> None:
        """Have the content with that digest; nothing happens when it is here.

        Args:
            uri: where it is; of the scheme ``file`` only if `partner` is "".
            size: in bytes; 0: not known, which only a file may do.
            partner: domain that has named `uri`; "" for the domain's own operator.
            progress: called with the number of bytes that have arrived.

        Raises:
            RpcError: data-missing (no source), invalid-value (no size, another digest); those of `PackageStore` and of
                the source.
        """
        turn = self._under_way.setdefault(digest, asyncio.Lock())
        async with turn:
            if digest in self.store:
                return
            file = file_of(uri) if not partner else None
            if file is not None and file.is_file():
                size = file.stat().st_size
            if not uri or (file is None and self._source is None):
                raise RpcError("data-missing", f"content {digest} is not here and has no source")
            if not size:
                raise RpcError("invalid-value", f"content {digest} has a source but no size")
            await self._pull(digest, size, lambda offset: self._read(file, uri, offset, partner), progress)

    def _read(self, file: Path | None, uri: str, offset: int, partner: str) -> AsyncIterator[bytes]:
        if file is not None:
            return read_file(file, offset)
        assert self._source is not None
        return self._source.read(uri, offset, partner)

    async def _pull(
        self,
        digest: str,
        size: int,
        read: Callable[[int], AsyncIterator[bytes]],
        progress: Callable[[int], None],
    ) -> None:
        arrived = await asyncio.to_thread(self.store.begin, digest, size)
        progress(arrived)
        if arrived < size:
            async for chunk in read(arrived):
                # A chunk is written whole or not at all, so that a cancelled transfer can go on.
                arrived = await uninterrupted(asyncio.to_thread(self.store.append, digest, arrived, chunk))
                progress(arrived)
        await uninterrupted(asyncio.to_thread(self.store.finish, digest))


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
