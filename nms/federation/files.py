"""The packages that this domain serves to partners: who may read which (`nms.operations.files.Files`).

A partner reads what it was given: a package that this domain's orchestrator has put into the partner's agreement, while
that is active.  The administrator uploads.  The protocol is the front end's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from nms.errors import RpcError
from nms.federation.access import PREFIX
from nms.mec.package_store import PackageStore
from nms.operations.request import Principal

#: (partner, digest) -> was the package given to this partner under an agreement that is active now?
Given = Callable[[str, str], bool]


class PackageFiles:
    """A package store behind access control.

    Args:
        administrators: users that may upload and read everything; recovery sessions may anyway.
        given: asked for a partner's reads.
    """

    def __init__(self, store: PackageStore, administrators: frozenset[str], given: Given) -> None:
        self._store = store
        self._administrators = administrators
        self._given = given
        self._uploading = threading.Lock()

    def read(self, principal: Principal, digest: str) -> Path:
        """See `Files.read`."""
        if not self._administers(principal):
            partner = next((name.removeprefix(PREFIX) for name in principal.groups if name.startswith(PREFIX)), "")
            # Denied also where there is nothing: a partner does not learn what we have.
            if not partner or not self._given(partner, digest):
                raise RpcError("access-denied", f"package {digest[:64]} was not given to {principal.name}")
        return self._store.path(digest)

    def write(self, principal: Principal, digest: str, content: BinaryIO) -> Path:
        """See `Files.write`."""
        if not self._administers(principal):
            raise RpcError("access-denied", f"{principal.name} may not upload packages")
        if digest in self._store:
            return self._store.path(digest)
        # One at a time: whether a content is new must not change between its check and its removal.
        with self._uploading:
            known = set(self._store.digests())
            found = self._store.add(content)
            if found != digest:
                if found not in known:
                    self._store.remove(found)
                raise RpcError("invalid-value", f"the content has digest {found}, not {digest[:64]}")
        return self._store.path(digest)

    def _administers(self, principal: Principal) -> bool:
        return principal.recovery or principal.name in self._administrators
