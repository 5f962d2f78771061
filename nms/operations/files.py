"""Files that a front end serves beside the datastores: application packages, each named by its SHA-256.

The front end does the protocol (ranges of RFC 9110 section 14, methods, status codes); who may read what, and where it
lies, is decided behind this interface.  Whoever offers files sets `Core.files`.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from nms.operations.request import Principal


class Files(Protocol):
    """What a front end serves at ``/packages/<digest>``; called in any thread, the calls block on the disk."""

    def read(self, principal: Principal, digest: str) -> Path:
        """The complete file with this SHA-256 (64 lower-case hexadecimal digits); not to be written to.

        Raises:
            RpcError: access-denied, data-missing (status 404), invalid-value (no digest).
        """

    def write(self, principal: Principal, digest: str, content: BinaryIO) -> Path:
        """Keep what `content` yields under `digest`; harmless when it is there already.

        Raises:
            RpcError: access-denied, invalid-value (another digest came), too-big, resource-denied (disk full).
        """
