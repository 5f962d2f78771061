"""What shows that a section is implemented: conformance cases, found by their names, and tests that a table names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tools.conformance.table import Table
from tools.models import ROOT

_CASE: Final = re.compile(r"(?P<rfc>[0-9]+)-(?P<section>(?:[0-9]+|[A-Z])(?:\.[0-9]+)*)-(?P<words>.+)")


class Case(NamedTuple):
    """A conformance case.

    Attributes:
        name: RFC, section and words, for instance "6241-7.2-create".
        path: what a reader opens, relative to the project's folder.
    """

    name: str
    rfc: str
    section: str
    words: str
    path: str


class Shown(NamedTuple):
    """One proof: the text of its link, and the path, relative to the project's folder."""

    text: str
    path: str


#: (RFC, section) -> what shows it.
Evidence = Mapping[tuple[str, str], list[Shown]]


def cases(root: Path = ROOT) -> Iterator[Case]:
    """Every case of both protocols; those of drafts are none of a standard.

    Raises:
        ValueError: a name without RFC and section.
    """
    folder = root / "tests" / "conformance"
    found = [(path.name.removesuffix(".rpc.xml"), path) for path in folder.glob("netconf/*.rpc.xml")]
    found += [(path.name, path) for path in folder.glob("restconf/cases/*") if path.is_dir()]
    for name, path in sorted(found):
        if name.startswith("draft-"):
            continue
        match = _CASE.fullmatch(name)
        if match is None:
            raise ValueError(f"{path.relative_to(root)}: a case is named RFC-SECTION-words")
        yield Case(name, match["rfc"], match["section"], match["words"], path.relative_to(root).as_posix())


def collect(tables: Iterable[Table], root: Path = ROOT) -> tuple[Evidence, list[str]]:
    """What shows each section, and what is wrong: proofs that are missing, and cases and tests that are not there."""
    shown: dict[tuple[str, str], list[Shown]] = {
        (table.rfc, section.number): [] for table in tables for section in table.sections
    }
    problems = []
    known = {case.name: case for case in cases(root)}
    for case in known.values():
        place = _place(case, shown)
        if place is None:
            problems.append(f"case {case.name}: {case.rfc}.toml has no section {case.section} nor one above it")
        else:
            shown[place].append(Shown(case.words.replace("-", " "), case.path))
    for table in tables:
        for section in table.sections:
            proofs = shown[table.rfc, section.number]
            for reference in section.shown:
                proof = _resolve(reference, known, root)
                if proof is None:
                    problems.append(f"RFC {table.rfc} section {section.number}: there is no {reference}")
                else:
                    proofs.append(proof)
            if section.offered != "no" and not proofs:
                problems.append(f"RFC {table.rfc} section {section.number}: no case or test shows it")
    return shown, problems


def _place(case: Case, sections: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """The section of the tables that `case` is of: its own, or the nearest above it."""
    parts = case.section.split(".")
    above = [(case.rfc, ".".join(parts[:length])) for length in range(len(parts), 0, -1)]
    return next((place for place in above if place in sections), None)


def _resolve(reference: str, known: Mapping[str, Case], root: Path) -> Shown | None:
    path, separator, test = reference.partition("::")
    if not separator:
        case = known.get(reference)
        return None if case is None else Shown(f"{case.rfc} {case.section} {case.words.replace('-', ' ')}", case.path)
    return Shown(f"`{test}`", path) if test in _tests(root / path) else None


@cache
def _tests(file: Path) -> frozenset[str]:
    """The test functions of `file`, those of classes as Class::test."""
    if not file.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            names.update(f"{node.name}::{item.name}" for item in node.body if isinstance(item, _FUNCTION))
        elif isinstance(node, _FUNCTION):
            names.add(node.name)
    return frozenset(names)


_FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
