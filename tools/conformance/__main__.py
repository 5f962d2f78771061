"""``python -m tools.conformance [--check]``: write docs/conformance.md, or say that it is stale."""

from __future__ import annotations

import argparse
import sys

from tools.conformance.evidence import collect
from tools.conformance.page import PAGE, render
from tools.conformance.table import SECTIONS, read
from tools.models import ROOT


def page() -> tuple[str, list[str]]:
    """The page as it should be, and what is wrong with the tables.

    Raises:
        ValueError: a table or the name of a case has not its form.
    """
    tables = [read(file) for file in sorted(SECTIONS.glob("*.toml"))]
    evidence, problems = collect(tables)
    return render(tables, evidence), problems


def main(arguments: list[str] | None = None) -> int:
    """Write or check; 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the page is stale")
    check = parser.parse_args(arguments).check
    try:
        text, problems = page()
    except ValueError as error:
        text, problems = "", [str(error)]
    file = ROOT / PAGE
    if not problems and not check:
        file.write_text(text, "utf-8")
    elif not problems and (not file.is_file() or file.read_text("utf-8") != text):
        problems = [f"{PAGE} is stale: run `python -m tools.conformance`"]
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
