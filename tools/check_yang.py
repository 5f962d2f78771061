"""The project's own gate: ``python -m tools.check_yang`` checks yang/ and ends with 1 if anything is of severity error.

It is `nms model check` on our modules, with libyang as a second opinion on each example: what both engines take, a
partner's server takes too.  `Finding.code` is the word of the family here (lint, FILE, NAME, LIST, UNIT, PATH, LOAD,
DATA); the message begins with the stable code that `nms model explain` knows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import oopt_gnpy_libyang as libyang

from tools.model import check as model_check
from tools.model.finding import shown
from tools.models import IDENTITIES, YANG, search_path, sources


class Finding(NamedTuple):
    """One thing that is wrong, and where."""

    file: Path
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}: {self.code} {self.message}"


def check(folder: Path = YANG) -> list[Finding]:
    """Every error in the modules of `folder` and their examples."""
    found = [
        Finding(f.file, f.line, f.rule.family, f"{f.code} {f.message}")
        for f in model_check.check([folder])
        if f.severity == "error"
    ]
    if any(finding.code in ("lint", "LOAD") for finding in found):
        return found  # libyang would say the same in other words
    return [*found, *_second_opinion(folder)]


def _second_opinion(folder: Path) -> Iterator[Finding]:
    files = sources(folder)
    validate = validator(folder, files)
    for name in files:
        example = folder / "examples" / f"{name}.json"
        if example.is_file():
            for message in validate(example.read_text("utf-8")):
                yield Finding(example, 1, "DATA", f"libyang: {message}")


def validator(folder: Path, names: Iterable[str]) -> Callable[[str], list[str]]:
    """What libyang finds wrong with a whole tree of instance data, a JSON text; nothing when it is valid."""
    libyang.set_log_options(libyang.LogOptions.Store)
    context = libyang.Context(search_path(folder), libyang.ContextOptions.NoYangLibrary)
    for name in sorted(
        {*names, *IDENTITIES}, key=lambda name: name != "mec-types"
    ):  # identities are known once it is implemented
        context.load_module(name)
    strict, complete = libyang.ParseOptions.Strict, libyang.ValidationOptions.Present

    def validate(text: str) -> list[str]:
        context.clean_all_errors()
        try:
            context.parse_data(text, libyang.DataFormat.JSON, strict, complete)
        except libyang.Error as error:
            return [f"{found.message} ({found.data_path})" for found in context.errors()] or [str(error)]
        return []

    return validate


def main() -> int:
    """Print the findings; 0 when there are none."""
    findings = sorted(check())
    for finding in findings:
        print(finding)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
