"""Makes `bindings/gen/` out of `yang/`: ``python -m tools.compile_yang``.

The classes carry, in `bindings/gen/__init__.py`, the SHA-256 digest of the models and of the generator; when it still
agrees nothing is done.  The new folder is made beside the old one and takes its place only when it is whole.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tools import stubs
from tools.models import ROOT, YANG, digest, search_path, sources

PLUGINS = Path(__file__).with_name("pyang_plugins")
GENERATED = ROOT / "bindings" / "gen"


def stamp(folder: Path = YANG) -> str:
    """Digest of all that the classes depend on: the models, this generator, pyangbind's version."""
    models = digest(folder.glob("*.yang"))
    generator = digest([Path(__file__), Path(stubs.__file__), *PLUGINS.glob("*.py")])
    return f"{models}-{generator[:16]}-{version('pyangbind')}"


def is_fresh(target: Path = GENERATED, folder: Path = YANG) -> bool:
    """Whether `target` holds the classes of the models in `folder`."""
    head = target / "__init__.py"
    return head.is_file() and f'STAMP = "{stamp(folder)}"' in head.read_text("utf-8")


def generate(target: Path = GENERATED, folder: Path = YANG) -> None:
    """Write the classes of the models in `folder` to `target`, in place of what is there and in use here.

    Raises:
        subprocess.CalledProcessError: pyang or pyangbind failed; its standard error says why.
    """
    with tempfile.TemporaryDirectory(prefix=".gen-", dir=target.parent) as name:
        new = Path(name) / "gen"
        new.mkdir()
        command = [
            sys.executable, "-m", "pyang", "--plugindir", str(PLUGINS), "-p", search_path(folder),
            "-f", "mec-bindings", "--split-class-dir", str(new), "--build-notifications", "--presence",
            *map(str, sources(folder).values()),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, text=True)
        packages = sorted(path.name for path in new.iterdir())
        stubs.write(new, folder, list(sources(folder)))
        head = '"""Generated from yang/ by tools/compile_yang.py."""'
        text = f'{head}\n\nSTAMP = "{stamp(folder)}"\nPACKAGES = {packages}\n'
        (new / "__init__.py").write_text(text, "utf-8")
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
    _forget(target)


def _forget(folder: Path) -> None:
    """Have what was imported from `folder` imported anew: it is of the models as they were."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(folder):
            del sys.modules[name]
    importlib.invalidate_caches()


def ensure(target: Path = GENERATED, folder: Path = YANG) -> bool:
    """`generate` unless fresh; whether it did.  Safe when several processes ask at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stale = not is_fresh(target, folder)
        if stale:
            generate(target, folder)
        return stale
    finally:
        os.close(lock)


def main() -> int:
    """Generate when stale; say nothing when fresh."""
    try:
        if not ensure():
            return 0
    except subprocess.CalledProcessError as error:
        print(f"pyangbind failed:\n{error.stderr.strip()}", file=sys.stderr)
        return 1
    print(f"bindings generated from {len(sources())} modules", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
