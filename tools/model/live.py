"""The modules that a server has, as one side of a comparison, read over RESTCONF.

Which there are says its YANG library (RFC 8525), their text its schema resources (RFC 8040 section 3.7).

What a server says is not trusted: a module's name and revision become a file's name only if they have the form of one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from nms.errors import ConfigError, RpcError
from tools.model.edition import Edition, edition_of

_NAME: Final = re.compile(r"[A-Za-z_][\w.-]{0,127}")
_REVISION: Final = re.compile(r"(\d{4}-\d\d-\d\d)?")
_IMPORTED: Final = re.compile(r"^\s*(?:import|include)\s+[\"']?([\w.-]+)", re.MULTILINE)


class Reader(Protocol):
    """A RESTCONF client, as `nms.client.Client`."""

    def read(self, path: str) -> dict[str, Any]:
        """The members at an api-path."""

    def request(self, method: str, path: str, *, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body."""


def open_live(server: Reader, wanted: Collection[str], path: Sequence[Path] = ()) -> Edition:
    """Those of the modules `wanted` that a server implements, with what they import as the server has it.

    Args:
        path: more folders where imports are looked for that the server does not give.

    Raises:
        ConfigError: it does not answer, has none of them, or what it gives is not valid YANG.
    """
    try:
        listed = revisions(server.read("ietf-yang-library:yang-library"))
        asked = sorted(set(wanted) & set(listed))
        if not asked:
            raise ConfigError(f"the server has none of the modules {', '.join(sorted(wanted))}")
        with tempfile.TemporaryDirectory(prefix="nms-model-") as name:
            folder = Path(name)
            written = _fetch(server, asked, listed, folder)
            origins = {written[module].name: f"live:{written[module].name}" for module in asked}
            return edition_of([written[module] for module in asked], origins, (folder, *path))
    except RpcError as error:
        raise ConfigError(f"the server's models cannot be read: {error.message}") from None


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


def _fetch(server: Reader, asked: Sequence[str], listed: dict[str, str], folder: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    queue = list(asked)
    while queue:
        name = queue.pop()
        if name in written or name not in listed:
            continue  # what it does not list may be among the standard modules
        revision = listed[name]
        if not _NAME.fullmatch(name) or not _REVISION.fullmatch(revision):
            raise ConfigError(f"the server lists a module {name!r} of revision {revision!r}, which no module can have")
        resource = f"/restconf/schema/{name}" + (f"/{revision}" if revision else "")
        _, text = server.request("GET", resource, headers={"Accept": "application/yang"})
        written[name] = folder / (f"{name}@{revision}.yang" if revision else f"{name}.yang")
        written[name].write_bytes(text)
        queue += _IMPORTED.findall(text.decode("utf-8", "replace"))
    return written
