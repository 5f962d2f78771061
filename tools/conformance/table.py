"""The tables ``sections/RFC.toml``: every section of an RFC that asks something of a server.

A table is

    title = "Network Configuration Protocol (NETCONF)"

    [sections]
    "7.2" = { title = "<edit-config>", shown = ["tests/unit/operations/test_edit.py::test_create"] }
    "8.8" = { title = ":url", offered = "no", note = "why" }

`offered` is yes (as when it is not there), partly or no; the latter two need a `note`.  `shown` names what shows it
besides the conformance cases that bear the section's number: ``path::test``, or the name of another section's case.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTIONS: Final = Path(__file__).parent / "sections"
OFFERED: Final = ("yes", "partly", "no")

_NUMBER: Final = re.compile(r"([0-9]+|[A-Z])(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Section:
    """A row of a table.

    Attributes:
        number: as the RFC has it, for instance "7.2" or "A.1".
        note: what is missing and why, or what there is to know.
        shown: references to tests.
    """

    number: str
    title: str
    offered: str = "yes"
    note: str = ""
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """An RFC with its sections, in their order."""

    rfc: str
    title: str
    sections: tuple[Section, ...]


def read(file: Path) -> Table:
    """The table in `file`, which is named by the RFC's number.

    Raises:
        ValueError: no TOML, or not of the form above; the message names the file and the section.
    """
    held = tomllib.loads(file.read_text("utf-8"))
    if set(held) != {"title", "sections"}:
        raise ValueError(f"{file.name}: holds `title` and `sections`, nothing else")
    sections = [_section(file.name, number, row) for number, row in held["sections"].items()]
    return Table(file.stem, held["title"], tuple(sorted(sections, key=lambda section: order(section.number))))


def _section(file: str, number: str, row: dict[str, object]) -> Section:
    try:
        section = Section(number, **row | {"shown": tuple(row.get("shown", ()))})  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(f"{file}: section {number}: {error}") from None
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{file}: {number!r} is no number of a section")
    if section.offered not in OFFERED:
        raise ValueError(f"{file}: section {number}: offered is one of {', '.join(OFFERED)}")
    if section.offered != "yes" and not section.note:
        raise ValueError(f"{file}: section {number}: a note says why it is offered {section.offered}")
    return section


def order(number: str) -> list[tuple[bool, int, str]]:
    """What sorts the numbers of sections as the RFC has them: 7.2 before 7.10, and appendices last."""
    return [
        (part.isalpha(), int(part) if part.isdecimal() else 0, part if part.isalpha() else "")
        for part in number.split(".")
    ]
