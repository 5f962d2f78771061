"""What things are called in the cloud, and how much a flavour holds; pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from nms.drivers.api import ConfigError, Resources

#: Keystone's limit (identity API v3).
MAX_PROJECT = 64
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,23}")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a VIM: another VIM on the same cloud needs another prefix."""

    prefix: str

    def check(self, driver: str) -> None:
        """Raises `ConfigError`."""
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"driver {driver}: 'prefix' must be a letter and at most 23 letters, digits and '-', "
                f"not {self.prefix!r}"
            )

    def project(self, slice: str) -> str:
        """The project of a slice; of one with a long name by its digest."""
        name = f"{self.prefix}.{slice}" if slice else self.prefix
        if len(name) <= MAX_PROJECT:
            return name
        return f"{self.prefix}..{hashlib.sha256(slice.encode()).hexdigest()[:32]}"

    def server(self, instance: str) -> str:
        """The server of an instance, and its port."""
        return f"{self.prefix}-{instance}"

    def image(self, digest: str) -> str:
        """An image by the SHA-512 of its content."""
        return f"{self.prefix}-{digest[:32]}"

    def flavour(self, size: Resources) -> str:
        """A flavour by its size."""
        return f"{self.prefix}-{size.millicpu // 1000}-{size.memory}-{size.storage // 1024}"


def whole(wanted: Resources) -> Resources:
    """The least flavour that holds what is wanted: whole virtual CPUs, MiB of memory, and disk in whole GiB.

    At least one of each: a cloud has no server without.
    """
    cpus = max(1, -(-wanted.millicpu // 1000))
    disk = max(1, -(-wanted.storage // 1024))
    return Resources(1000 * cpus, max(1, wanted.memory), 1024 * disk)
