"""A server's modules over RESTCONF: its YANG library (RFC 8525) lists them, its schema resources hold their text.

Schema resources are those of RFC 8040 section 3.7, where this project's servers have them.
"""

from __future__ import annotations

from typing import Any, Protocol


class Reader(Protocol):
    """A RESTCONF client, as `nms.client.Client`."""

    def read(self, path: str) -> dict[str, Any]:
        """The members at an api-path."""

    def request(self, method: str, path: str, *, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body."""


class Restconf:
    """A `tools.model.live.Source`."""

    def __init__(self, server: Reader) -> None:
        self._server = server

    def revisions(self) -> dict[str, str]:
        """As in `Source`; the implemented ones win over those that are only imported."""
        return revisions(self._server.read("ietf-yang-library:yang-library"))

    def text(self, name: str, revision: str) -> bytes:
        """As in `Source`."""
        resource = f"/restconf/schema/{name}" + (f"/{revision}" if revision else "")
        return self._server.request("GET", resource, headers={"Accept": "application/yang"})[1]


def revisions(library: dict[str, Any]) -> dict[str, str]:
    """Module -> revision ("": none) of a YANG library, the implemented ones before those that are only imported."""
    found: dict[str, str] = {}
    for module_set in library.get("module-set", ()):
        for kind in ("module", "import-only-module"):
            for module in module_set.get(kind, ()):
                found.setdefault(str(module["name"]), str(module.get("revision", "")))
                for submodule in module.get("submodule", ()):
                    found.setdefault(str(submodule["name"]), str(submodule.get("revision", "")))
    return found
