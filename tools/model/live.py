"""The modules that a server has, as one side of a comparison, whatever protocol it is asked by.

What a server says is not trusted: a module's name and revision become a file's name only if they have the form of one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from nms.errors import ConfigError, RpcError
from tools.model.edition import Edition, edition_of

_NAME: Final = re.compile(r"[A-Za-z_][\w.-]{0,127}")
_REVISION: Final = re.compile(r"(\d{4}-\d\d-\d\d)?")
_IMPORTED: Final = re.compile(r"^\s*(?:import|include)\s+[\"']?([\w.-]+)", re.MULTILINE)


class Source(Protocol):
    """Whoever can be asked for modules."""

    def revisions(self) -> Mapping[str, str]:
        """Module or submodule -> revision ("": none), of all that the server has."""

    def text(self, name: str, revision: str) -> bytes:
        """The YANG text of one of them.

        Raises:
            RpcError: the server does not give it.
        """


def open_live(server: Source, wanted: Collection[str], path: Sequence[Path] = ()) -> Edition:
    """Those of the modules `wanted` that a server has, with what they import as the server has it.

    Args:
        path: more folders where imports are looked for that the server does not give.

    Raises:
        ConfigError: it does not answer, has none of them, or what it gives is not valid YANG.
    """
    try:
        listed = server.revisions()
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


def _fetch(server: Source, asked: Sequence[str], listed: Mapping[str, str], folder: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    queue = list(asked)
    while queue:
        name = queue.pop()
        if name in written or name not in listed:
            continue  # what it does not list may be among the standard modules
        revision = listed[name]
        if not _NAME.fullmatch(name) or not _REVISION.fullmatch(revision):
            raise ConfigError(f"the server lists a module {name!r} of revision {revision!r}, which no module can have")
        text = server.text(name, revision)
        written[name] = folder / (f"{name}@{revision}.yang" if revision else f"{name}.yang")
        written[name].write_bytes(text)
        queue += _IMPORTED.findall(text.decode("utf-8", "replace"))
    return written
