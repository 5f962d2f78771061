"""Where the project's YANG modules are, and their digest: what `check_yang` and `compile_yang` agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nms.model.library import standard_path

ROOT = Path(__file__).resolve().parents[1]
YANG = ROOT / "yang"
EXAMPLES = YANG / "examples"

#: Standard modules without data of their own whose identities our data use: an identity counts only where its module is
#: implemented (RFC 7950 section 5.6.5).
IDENTITIES = ("ietf-x509-cert-to-name",)


def sources(folder: Path = YANG) -> dict[str, Path]:
    """Module name -> its newest file in `folder`, sorted by name."""
    return {file.name.partition("@")[0].removesuffix(".yang"): file for file in sorted(folder.glob("*.yang"))}


def search_path(folder: Path = YANG) -> str:
    """The value of pyang's and libyang's search path: our folder, then the standard modules'."""
    return ":".join(map(str, (folder, *standard_path())))


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of `files`, whatever their order."""
    total = hashlib.sha256()
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.name} {content}\n".encode())
    return total.hexdigest()
