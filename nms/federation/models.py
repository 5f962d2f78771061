"""Do a partner's models and ours understand each other?  Asked before an agreement becomes active.

Revisions come from the partner's YANG library (RFC 8525).  Where they differ its text of the module is fetched and
compared with ours by RFC 7950 section 11, by `nms model compat` in a process of its own with bounded time and memory:
what a partner sends is not trusted, and compiling it must not delay anybody else.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson

from nms.errors import RpcError
from nms.mec.session import Members
from nms.model.schema import Schema

_log = logging.getLogger(__name__)

MISSING: Final = "missing"
UNKNOWN: Final = "unknown"
#: Differences that change nothing of what is said: an agreement becomes active all the same.
HARMLESS: Final = frozenset({"none", "editorial"})

#: Of a comparison: seconds of CPU, and KiB of memory.
_SECONDS: Final = 60
_MEMORY: Final = 2 * 1024 * 1024
#: Bytes of a module that are read.
_MOST: Final = 4 * 1024 * 1024


class Server(Protocol):
    """Who is asked: a session with a partner."""

    async def schema(self, name: str, revision: str) -> bytes:
        """The YANG text of a module.  Raises `RpcError`."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A module that is not the same at the partner.

    Attributes:
        revision: at the partner; "" when it lacks the module.
        difference: "missing", "unknown", or how the younger text differs from the older one: "none", "editorial",
            "compatible", "breaking" (RFC 7950 section 11).
    """

    revision: str
    difference: str

    @property
    def harmless(self) -> bool:
        """Whether both sides mean the same all the same."""
        return self.difference in HARMLESS


def mismatches(schema: Schema, library: Members, modules: Sequence[str]) -> dict[str, str]:
    """Those of `modules` whose revision in the partner's yang-library is not ours, with the partner's ("": none)."""
    revisions = {
        module["name"]: module.get("revision", "")
        for module_set in library.get("module-set", ())
        for module in module_set.get("module", ())
    }
    return {
        name: revisions.get(name, "")
        for name in modules
        if name not in schema.modules or revisions.get(name) != schema.modules[name].revision
    }


async def compare(
    server: Server, schema: Schema, found: Mapping[str, str], before: Mapping[str, Mismatch]
) -> dict[str, Mismatch]:
    """What the differences in revision, found by `mismatches`, amount to.

    Args:
        before: what was found last; it is not asked for again where the revisions are the same.
    """
    known = {name: each.difference for name, each in before.items() if each.revision == found.get(name)}
    known = {name: difference for name, difference in known.items() if difference != UNKNOWN}
    texts: dict[str, bytes] = {}
    for name, revision in found.items():
        if revision and name in schema.modules and name not in known:
            try:
                texts[name] = (await server.schema(name, revision))[:_MOST]
            except RpcError as error:
                _log.warning("the partner does not show its module %s@%s: %s", name, revision, error.message)
    verdicts = dict(known)
    if texts:
        with tempfile.TemporaryDirectory(prefix="nms-models-") as folder:
            # The younger text is judged as the successor of the older one, whoever has which.
            ahead = {name for name in texts if found[name] > schema.modules[name].revision}
            for number, group in enumerate((ahead, texts.keys() - ahead)):
                if group:
                    theirs = {name: texts[name] for name in group}
                    verdicts |= await _judge(Path(folder) / str(number), schema, theirs, group is ahead)
    return {
        name: Mismatch(revision, verdicts.get(name, UNKNOWN) if revision else MISSING)
        for name, revision in found.items()
    }


async def _judge(folder: Path, schema: Schema, theirs: Mapping[str, bytes], ahead: bool) -> dict[str, str]:
    """Module -> class of the change that leads from the older to the younger text; {} when that cannot be told."""
    ours = {name: schema.modules[name].file for name in theirs}
    sides = (folder / "ours", folder / "theirs")
    for side in sides:
        side.mkdir(parents=True)
    for name, text in theirs.items():
        (sides[0] / f"{name}.yang").write_bytes(ours[name].read_bytes())
        (sides[1] / f"{name}.yang").write_bytes(text)
    old, new = sides if ahead else reversed(sides)
    path = [f"--path={place}" for place in sorted({str(file.parent) for file in ours.values()})]
    limited = f'ulimit -t {_SECONDS} && ulimit -v {_MEMORY} && exec "$@"'
    asked = [sys.executable, "-m", "nms.cli", "model", "compat", str(old), str(new), "--json", *path]
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", limited, "sh", *asked,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    try:
        found: dict[str, str] = orjson.loads(out)["modules"]
    except (orjson.JSONDecodeError, KeyError):
        _log.warning("the partner's modules cannot be compared with ours: %s", said.decode(errors="replace").strip())
        return {}
    return found


def told(found: Mapping[str, Mismatch]) -> str:
    """The differences that keep two domains apart, in words."""
    return ", ".join(f"{name} ({each.difference})" for name, each in sorted(found.items()) if not each.harmless)


def shown(found: Mapping[str, Mismatch]) -> list[Members]:
    """Entries of the list model-mismatch."""
    return [
        {"module": name, "difference": each.difference, **({"revision": each.revision} if each.revision else {})}
        for name, each in sorted(found.items())
    ]
